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
from .world import SCOPE, World

LABELS: Final = ("web", "db", "")
FINALIZER: Final = "example.com/held"
WRITES: Final = ("create", "update", "patch", "delete")

tracks = st.sampled_from([(resource, key) for resource, keys in KEYS.items() for key in keys])
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
    """Steps against one world, in virtual time. What is written in `World.check` holds after each."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.world = self.run(self._made())
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
        names=st.lists(st.sampled_from(sorted(SCOPE)), min_size=2, max_size=4, unique=True),
        slow=st.sampled_from(SLOW),
    )
    def begin(self, names: list[str], slow: dict[str, Any]) -> None:
        async def step() -> None:
            for name in names:
                reader = await self.world.start(SCOPE[name])
                reader.add_handler()
                reader.add_handler(**slow)

        self.run(step())

    @precondition(lambda self: len(self.world.readers) < 5)
    @rule(name=st.sampled_from(sorted(SCOPE)))
    def an_informer_starts(self, name: str) -> None:
        if all(reader.scope.name != name for reader in self.world.readers):
            self.run(self.world.start(SCOPE[name]))

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

    def write(
        self, verb: str, track: tuple[str, str], call: Any, *, answer: str, wait: bool, dry: bool = False
    ) -> None:
        faults, (resource, key) = self.world.server.faults, track
        if answer == "lost":
            faults.next(verb, resource).reset(after_bytes=0)
        elif answer == "unsent":
            faults.next(verb, resource).reset()
        late = 3.0 if answer == "late" else 0.0
        self.run(self.world.write(f"{verb} {resource} {key}", resource, call, late=late, wait=wait, dry=dry))

    @rule(
        track=tracks,
        label=labels,
        node=st.sampled_from(["", "n1"]),
        held=st.booleans(),
        answer=answers,
        wait=st.booleans(),
    )
    def we_create(
        self, track: tuple[str, str], label: str, node: str, held: bool, answer: str, wait: bool
    ) -> None:
        resource, key = track
        made = manifest(resource, key, label=label, node=node, held=held)
        client = self.world.client
        self.write("create", track, lambda: client.create(resource, made), answer=answer, wait=wait)

    @rule(
        track=tracks,
        label=labels,
        how=st.sampled_from(["merge", "strategic", "apply", "update", "update if unchanged", "dry run"]),
        answer=answers,
        wait=st.booleans(),
    )
    def we_change(self, track: tuple[str, str], label: str, how: str, answer: str, wait: bool) -> None:
        resource, key = track
        client, truth, change = (
            self.world.client,
            self.world.truth(track),
            relabelled(label, self.next_tick()),
        )
        if truth is None or truth.spoilt:
            return
        if how.startswith("update"):
            data = {**truth.data, "metadata": {**truth.data["metadata"], **change["metadata"]}}
            data["metadata"]["labels"] = {"app": label} if label else {}
            if how == "update":
                del data["metadata"]["resourceVersion"]
            self.write("update", track, lambda: client.update(resource, data), answer=answer, wait=wait)
        elif how == "apply":
            applied = manifest(resource, key, label=label)
            applied["metadata"]["annotations"] = change["metadata"]["annotations"]
            applied.pop("spec", None)
            self.write(
                "patch",
                track,
                lambda: client.patch(resource, key, applied, type="apply", field_manager="we", force=True),
                answer=answer,
                wait=wait,
            )
        else:
            dry = how == "dry run"
            kind: Any = "merge" if dry else how
            self.write(
                "patch",
                track,
                lambda: client.patch(resource, key, change, type=kind, dry_run=dry),
                answer=answer,
                wait=wait,
                dry=dry,
            )

    @rule(track=tracks, answer=answers)
    def we_change_nothing(self, track: tuple[str, str], answer: str) -> None:
        resource, key = track
        call = lambda: self.world.client.patch(resource, key, {"metadata": {}})  # noqa: E731
        self.write("patch", track, call, answer=answer, wait=True)

    @rule(
        key=st.sampled_from(KEYS[PODS]),
        phase=st.sampled_from(["Running", "Pending"]),
        answer=answers,
        wait=st.booleans(),
    )
    def we_write_the_status(self, key: str, phase: str, answer: str, wait: bool) -> None:
        status = {"status": {"phase": phase, "message": str(self.next_tick())}}
        call = lambda: self.world.client.patch("v1/pods/status", key, status)  # noqa: E731
        self.write("patch", (PODS, key), call, answer=answer, wait=wait)

    @rule(
        track=tracks,
        grace=st.sampled_from([None, 0]),
        exact=st.booleans(),
        answer=answers,
        wait=st.booleans(),
    )
    def we_delete(
        self, track: tuple[str, str], grace: int | None, exact: bool, answer: str, wait: bool
    ) -> None:
        resource, key = track
        truth = self.world.truth(track)
        uid = truth.uid if truth is not None and exact else None
        call = lambda: self.world.client.delete(resource, key, grace_period=grace, uid=uid)  # noqa: E731
        self.write("delete", track, call, answer=answer, wait=wait)

    @rule(track=tracks, held=st.booleans(), answer=answers, wait=st.booleans())
    def we_set_the_finalizers(self, track: tuple[str, str], held: bool, answer: str, wait: bool) -> None:
        resource, key = track
        change = {"metadata": {"finalizers": [FINALIZER] if held else None}}
        call = lambda: self.world.client.patch(resource, key, change)  # noqa: E731
        self.write("patch", track, call, answer=answer, wait=wait)

    # --- the others' writes ---

    @rule(track=tracks, label=labels, node=st.sampled_from(["", "n1"]), held=st.booleans())
    def they_write(self, track: tuple[str, str], label: str, node: str, held: bool) -> None:
        resource, key = track
        server, tick, truth = self.world.server, self.next_tick(), self.world.truth(track)
        if truth is None:
            made = manifest(resource, key, label=label, node=node, held=held)
            self.do(self.world.foreign, f"create {key}", lambda: server.create(resource, made))
        elif not truth.spoilt:
            change = relabelled(label, tick)
            self.do(self.world.foreign, f"patch {key}", lambda: server.patch(resource, key, change))

    @rule(track=tracks)
    def they_spoil(self, track: tuple[str, str]) -> None:
        if self.world.truth(track) is not None:
            self.do(self.world.foreign, f"spoil {track[1]}", lambda: self.world.spoil(track))

    @rule(key=st.sampled_from(KEYS[PODS]), phase=st.sampled_from(["Running", "Pending"]))
    def they_write_the_status(self, key: str, phase: str) -> None:
        truth = self.world.truth((PODS, key))
        if truth is not None and not truth.spoilt:
            change = {"status": {"phase": phase}}
            self.do(self.world.foreign, f"patch {key}", lambda: self.world.server.patch(PODS, key, change))

    @rule(track=tracks, grace=st.sampled_from([None, 0]), freed=st.booleans(), label=st.none() | labels)
    def they_delete(self, track: tuple[str, str], grace: int | None, freed: bool, label: str | None) -> None:
        """And perhaps make another of the same name at once."""
        self.do(self.deleted, track, grace, freed, label)

    def deleted(self, track: tuple[str, str], grace: int | None, freed: bool, label: str | None) -> None:
        (resource, key), world = track, self.world
        if world.truth(track) is None:
            return
        world.foreign(f"delete {key}", lambda: world.server.delete(resource, key, grace=grace))
        if freed and world.truth(track) is not None:
            free = {"metadata": {"finalizers": None}}
            world.foreign(f"free {key}", lambda: world.server.patch(resource, key, free))
        if label is not None and world.truth(track) is None:
            made = manifest(resource, key, label=label)
            world.foreign(f"create {key} again", lambda: world.server.create(resource, made))

    @rule(gone=st.lists(tracks, min_size=1, max_size=3, unique=True), label=st.none() | labels)
    def they_delete_while_nobody_can_watch(self, gone: list[tuple[str, str]], label: str | None) -> None:
        def act() -> None:
            for track in gone:
                self.deleted(track, 0, True, label)

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

    @rule(seconds=st.sampled_from([0.0, 0.001, 0.1, 1.0, 1.0, 5.0, 5.0, 35.0, 160.0]))
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
