"""The steps: own writes, others' writes, faults, time, and a server that goes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kresilient.testing.simulation import VirtualLoop

from .scopes import KEYS, MAPS, PODS
from .timeline import Truth
from .world import SCOPE, World

LABELS: Final = ("web", "db", "")
FINALIZER: Final = "example.com/held"
WRITES: Final = ("create", "update", "patch", "delete")

NAMES: Final = {
    resource: sorted(name for name, scope in SCOPE.items() if scope.plural == resource)
    for resource in (PODS, MAPS)
}

keys = st.sampled_from([KEYS[0], *KEYS])
labels = st.sampled_from(LABELS)
answers = st.sampled_from(["", "", "", "late", "late", "lost", "unsent"])
SLOW: Final[list[dict[str, Any]]] = [
    {"seconds": 0.3, "max_backlog": 1},
    {"seconds": 40.0, "max_backlog": 1},
    {"seconds": 2.0, "max_backlog": 3, "concurrency": 3},
    {"seconds": 3.0, "max_backlog": 2, "pulled": True},
]
QUICK: Final[list[dict[str, Any]]] = [{}, {"max_backlog": 1, "concurrency": 2, "raises": True}]
handlers = st.sampled_from([*SLOW, *QUICK])
FAULTS: Final = {
    "watches are refused": lambda faults: faults.on("watch").status(503),
    "watches have expired": lambda faults: faults.on("watch").times(2).error_event(410),
    "watches fail": lambda faults: faults.on("watch").times(3).error_event(500, after_events=1),
    "watches are cut": lambda faults: faults.on("watch").times(3).reset(after_events=1, after_bytes=40),
    "watches end early": lambda faults: faults.on("watch").times(3).close(after_events=2),
    "watches fall silent": lambda faults: faults.on("watch").times(2).silence(after_events=1),
    "watches say it twice": lambda faults: faults.on("watch").duplicate_events(every=2),
    "watches never begin": lambda faults: faults.on("watch").times(2).hang(),
    "watches begin late": lambda faults: faults.on("watch").delay(3.0),
    "streaming lists do not end": lambda faults: faults.on("watch").times(2).no_end_bookmark(),
    "blank lines": lambda faults: faults.on("watch").insert(b"\n\n", after_events=1),
    "lists are refused": lambda faults: faults.on("list").times(2).status(429, retry_after=1),
    "lists are cut": lambda faults: faults.on("list").times(2).reset(after_bytes=100),
    "lists are no lists": lambda faults: faults.on("list").times(2).answer(b"<html>"),
    "lists begin late": lambda faults: faults.on("list").delay(3.0),
    "a replica lags": lambda faults: faults.on(("list", "watch")).lag(),
    "a replica lags a little": lambda faults: faults.on("watch").lag(1),
    "writes are refused": lambda faults: faults.on(WRITES).times(2).status(429, retry_after=1),
    "writes begin late": lambda faults: faults.on(WRITES).delay(2.0),
}


def manifest(resource: str, key: str, *, label: str, node: str = "", held: bool = False) -> dict[str, Any]:
    namespace, name = key.split("/")
    meta: dict[str, Any] = {"name": name, "namespace": namespace}
    if label:
        meta["labels"] = {"app": label}
    if held:
        meta["finalizers"] = [FINALIZER]
    if resource == MAPS:
        return {"metadata": meta}
    spec: dict[str, Any] = {"containers": [{"name": "c", "image": "i"}]}
    return {"metadata": meta, "spec": spec | ({"nodeName": node} if node else {})}


def relabelled(label: str, tick: int) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": label or None}, "annotations": {"tick": str(tick)}}}


class Machine(RuleBasedStateMachine):
    """Steps against one world, in virtual time. What is written in `World.check` holds after each.

    All of it happens to one resource, and most of it to one key.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.world = self.run(self._made())
        self.resource = PODS
        self.tick = 0

    async def _made(self) -> World:
        world = World(note)
        await world.server.start()
        await world.client.open()
        return world

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def do(self, act: Callable[..., object], *args: Any) -> None:
        """Call *act* within the loop."""

        async def step() -> None:
            act(*args)

        self.run(step())

    def next_tick(self) -> int:
        self.tick += 1
        return self.tick

    # --- readers ---

    @initialize(
        names=st.sampled_from([PODS, PODS, MAPS]).flatmap(
            lambda resource: st.lists(st.sampled_from(NAMES[resource]), min_size=2, max_size=4, unique=True)
        ),
        slow=st.sampled_from(SLOW),
        latency=st.sampled_from([0.0, 0.1, 4.0, 20.0]),
    )
    def begin(self, names: list[str], slow: dict[str, Any], latency: float) -> None:
        self.resource = SCOPE[names[0]].plural
        self.world.network.latency = latency

        async def step() -> None:
            for name in names:
                reader = await self.world.start(SCOPE[name])
                reader.add_handler()
                reader.add_handler(**slow)

        self.run(step())

    @precondition(lambda self: len(self.world.readers) < 5)
    @rule(data=st.data())
    def an_informer_starts(self, data: st.DataObject) -> None:
        there = {reader.scope.name for reader in self.world.readers}
        names = [name for name in NAMES[self.resource] if name not in there]
        if names:
            self.run(self.world.start(SCOPE[data.draw(st.sampled_from(names))]))

    @precondition(lambda self: len(self.world.readers) > 1)
    @rule(data=st.data())
    def an_informer_stops(self, data: st.DataObject) -> None:
        self.run(self.world.stop(data.draw(st.sampled_from(self.world.readers))))

    @precondition(lambda self: self.world.readers and len(self.world.handlers) < 10)
    @rule(data=st.data(), options=handlers)
    def a_handler_comes(self, data: st.DataObject, options: dict[str, Any]) -> None:
        reader = data.draw(st.sampled_from(self.world.readers))
        self.do(lambda: reader.add_handler(**options))

    # --- own writes ---

    def truth(self, key: str) -> Truth | None:
        world: World = self.world
        return world.timeline.held((self.resource, key))

    def write(self, verb: str, key: str, call: Any, *, answer: str, wait: bool, dry: bool = False) -> None:
        faults, resource = self.world.server.faults, self.resource
        if answer == "lost":
            faults.next(verb, resource).reset(after_bytes=0)
        elif answer == "unsent":
            faults.next(verb, resource).reset()
        late = 3.0 if answer == "late" else 0.0
        self.run(self.world.write(f"{verb} {key}", resource, call, late=late, wait=wait, dry=dry))

    def patch(self, key: str, change: Any, *, answer: str, wait: bool, status: bool = False) -> None:
        resource = f"{self.resource}/status" if status else self.resource
        client = self.world.client
        self.write("patch", key, lambda: client.patch(resource, key, change), answer=answer, wait=wait)

    @rule(
        key=keys,
        label=labels,
        node=st.sampled_from(["", "n1"]),
        held=st.booleans(),
        how=st.sampled_from(["merge", "strategic", "apply", "update", "update if unchanged", "dry run"]),
        answer=answers,
        wait=st.booleans(),
    )
    def we_write(
        self, key: str, label: str, node: str, held: bool, how: str, answer: str, wait: bool
    ) -> None:
        resource, client, truth = self.resource, self.world.client, self.truth(key)
        change = relabelled(label, self.next_tick())
        if truth is None:
            made = manifest(resource, key, label=label, node=node, held=held)
            self.write("create", key, lambda: client.create(resource, made), answer=answer, wait=wait)
        elif truth.spoilt:
            return
        elif how.startswith("update"):
            data = {**truth.data, "metadata": {**truth.data["metadata"], **change["metadata"]}}
            data["metadata"]["labels"] = {"app": label} if label else {}
            if how == "update":
                del data["metadata"]["resourceVersion"]
            self.write("update", key, lambda: client.update(resource, data), answer=answer, wait=wait)
        else:
            options: dict[str, Any] = {"type": how}
            if how == "dry run":
                options = {"dry_run": True}
            elif how == "apply":
                change["metadata"]["labels"] = {"app": label} if label else {}
                options = {"type": "apply", "field_manager": "we", "force": True}
            call = lambda: client.patch(resource, key, change, **options)  # noqa: E731
            self.write("patch", key, call, answer=answer, wait=wait, dry=how == "dry run")

    @rule(key=keys, answer=answers)
    def we_change_nothing(self, key: str, answer: str) -> None:
        if self.truth(key) is not None:
            self.patch(key, {"metadata": {}}, answer=answer, wait=True)

    @precondition(lambda self: self.resource == PODS)
    @rule(key=keys, phase=st.sampled_from(["Running", "Pending"]), answer=answers, wait=st.booleans())
    def we_write_the_status(self, key: str, phase: str, answer: str, wait: bool) -> None:
        if self.truth(key) is not None:
            status = {"status": {"phase": phase, "message": str(self.next_tick())}}
            self.patch(key, status, answer=answer, wait=wait, status=True)

    @rule(key=keys, grace=st.sampled_from([None, 0]), exact=st.booleans(), answer=answers, wait=st.booleans())
    def we_delete(self, key: str, grace: int | None, exact: bool, answer: str, wait: bool) -> None:
        resource, client, truth = self.resource, self.world.client, self.truth(key)
        if truth is not None:
            uid = truth.uid if exact else None
            call = lambda: client.delete(resource, key, grace_period=grace, uid=uid)  # noqa: E731
            self.write("delete", key, call, answer=answer, wait=wait)

    @rule(key=keys, answer=answers, wait=st.booleans())
    def we_set_or_lift_its_finalizer(self, key: str, answer: str, wait: bool) -> None:
        """The last one of an object that is to be deleted is what ends it."""
        truth = self.truth(key)
        if truth is not None and not truth.spoilt:
            held = truth.data["metadata"].get("finalizers")
            change = {"metadata": {"finalizers": None if held else [FINALIZER]}}
            self.patch(key, change, answer=answer, wait=wait)

    # --- the others' writes ---

    def foreign(self, what: str, act: Callable[[], object]) -> None:
        self.do(self.world.foreign, what, act)

    @rule(key=keys, label=labels, node=st.sampled_from(["", "n1"]), held=st.booleans())
    def they_write(self, key: str, label: str, node: str, held: bool) -> None:
        resource, server, truth = self.resource, self.world.server, self.truth(key)
        change = relabelled(label, self.next_tick())
        if truth is None:
            made = manifest(resource, key, label=label, node=node, held=held)
            self.foreign(f"create {key}", lambda: server.create(resource, made))
        elif not truth.spoilt:
            self.foreign(f"patch {key}", lambda: server.patch(resource, key, change))

    @rule(key=keys)
    def they_spoil(self, key: str) -> None:
        if self.truth(key) is not None:
            self.foreign(f"spoil {key}", lambda: self.world.spoil((self.resource, key)))

    @precondition(lambda self: self.resource == PODS)
    @rule(key=keys, phase=st.sampled_from(["Running", "Pending"]))
    def they_write_the_status(self, key: str, phase: str) -> None:
        truth = self.truth(key)
        if truth is not None and not truth.spoilt:
            change = {"status": {"phase": phase}}
            self.foreign(f"patch {key}", lambda: self.world.server.patch(PODS, key, change))

    @rule(key=keys, grace=st.sampled_from([None, 0]), freed=st.booleans(), label=st.none() | labels)
    def they_delete(self, key: str, grace: int | None, freed: bool, label: str | None) -> None:
        """And perhaps make another of the same name at once."""
        self.do(self.deleted, key, grace, freed, label)

    def deleted(self, key: str, grace: int | None, freed: bool, label: str | None) -> None:
        resource, world = self.resource, self.world
        if self.truth(key) is None:
            return
        world.foreign(f"delete {key}", lambda: world.server.delete(resource, key, grace=grace))
        if freed and self.truth(key) is not None:
            free = {"metadata": {"finalizers": None}}
            world.foreign(f"free {key}", lambda: world.server.patch(resource, key, free))
        if label is not None and self.truth(key) is None:
            made = manifest(resource, key, label=label)
            world.foreign(f"create {key} again", lambda: world.server.create(resource, made))

    @rule(gone=st.lists(keys, min_size=1, max_size=3, unique=True), label=st.none() | labels)
    def they_delete_while_nobody_can_watch(self, gone: list[str], label: str | None) -> None:
        def act() -> None:
            for key in gone:
                self.deleted(key, 0, True, label)

        self.run(self.world.while_it_is_away(act))

    # --- faults, and time ---

    @rule(fault=st.sampled_from(sorted(FAULTS)))
    def trouble(self, fault: str) -> None:
        self.do(self.world.arm, FAULTS[fault])

    @precondition(lambda self: len(self.world.server.faults) > 0)
    @rule()
    def the_trouble_is_over(self) -> None:
        self.do(self.world.server.faults.clear)

    @rule(watches=st.booleans(), lists=st.booleans())
    def the_network_holds(self, watches: bool, lists: bool) -> None:
        """Or does so no more."""
        network = self.world.network
        for gate, held in ((network.watches, watches), (network.lists, lists)):
            self.do(gate.clear if held else gate.set)

    @rule()
    def every_watch_ends(self) -> None:
        self.do(self.world.server.state.end_watches)

    @rule()
    def the_history_is_forgotten(self) -> None:
        self.do(self.world.server.compact)

    @rule(history=st.booleans(), down=st.sampled_from([0.0, 7.0]))
    def the_server_dies(self, history: bool, down: float) -> None:
        self.do(self.world.restart, history, down)

    @rule(seconds=st.sampled_from([0.0, 0.001, 0.1, 1.0, 1.0, 5.0, 5.0, 25.0, 160.0]))
    def time_passes(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @rule()
    def all_is_quiet(self) -> None:
        self.run(self.world.rest())

    # --- a server that goes back ---

    @precondition(lambda self: self.world.can_back_up)
    @rule()
    def a_backup_is_taken(self) -> None:
        self.do(self.world.back_up)

    @precondition(lambda self: self.world.can_go_back)
    @rule()
    def the_backup_is_restored(self) -> None:
        self.do(self.world.go_back)

    # --- what holds ---

    @invariant()
    def it_holds(self) -> None:
        self.run(self.world.check())

    def teardown(self) -> None:
        try:
            self.run(self.world.rest())
        finally:
            try:
                self.run(self.world.close())
            finally:
                self.loop.close()
