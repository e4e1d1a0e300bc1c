"""Mistakes that the types catch.

Both checkers report an ignore that ignores nothing, so a line that is no longer caught fails the check.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownLambdaType=false

from __future__ import annotations

import kresilient as kr

from .pods import PodSpec, PodView


def use(*values: object) -> None: ...


META = kr.ObjectMeta(name="web-0")


def a_view(pod: PodView) -> None:
    PodView(metadata=META)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    PodView(META, PodSpec())  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    PodView(metadata=META, spec={"nodeName": "n1"})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    PodView(metadata=META, spec=PodSpec(), nodeName="n1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    pod.spec = PodSpec()  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    pod.metadata.name = "web-1"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    pod.labels["app"] = "api"  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    use(pod.node_name)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


# mypy does not look at the keywords of a class with a metaclass of its own.
class Numbered(kr.View, resource=7): ...  # pyright: ignore[reportArgumentType]


def an_object(pod: kr.KubeObject) -> None:
    pod["spec"] = {}  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    pod.labels["app"] = "api"  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    pod.raw = b"{}"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    use(pod.spec)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    pod.field(["spec", "nodeName"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def connecting() -> None:
    kr.connect(qsp=20)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    kr.connect(server=8001)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    kr.connect(None, 20)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    kr.connect(retry=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    kr.connect(headers={"X-Team": 1})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    use(kr.Connection)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    with kr.connect():  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass


async def reads(client: kr.Client) -> None:
    use(client.get(PodView, "default/web-0").spec)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    use((await client.get("v1/pods", "default/web-0")).spec)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    await client.get("v1/pods")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.get("v1/pods", "default/web-0", cache="maybe")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await client.get(dict, "default/web-0")  # type: ignore[type-var]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await client.get(PodView, "default/web-0", namespace="default")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.list("v1/pods", "default")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.list("v1/pods", limit=100)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    names: list[str] = await client.list("v1/pods")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    for obj in client.list("v1/pods"):  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        names.append(obj)
    async for view in client.list(PodView):
        use(view.phase)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    await client.watch("v1/pods")  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]


async def writes(client: kr.Client, pod: kr.KubeObject) -> None:
    client.delete("v1/pods", pod.key)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    await client.create("v1/pods", "name: web-0")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.update(PodView, pod)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.patch("v1/pods", pod.key, {}, type="yaml")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.delete("v1/pods", pod.key, propagation="Now")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    use((await client.delete("v1/pods", pod.key)).uid)  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]


def informers(client: kr.Client) -> None:
    views: kr.Informer[PodView] = client.informer("v1/pods")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    client.informer(PodView, metadata_only=True)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    client.informer(PodView, kind="Pod")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    client.informer(PodSpec)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType, reportCallIssue]
    client.informer("v1/pods", label_selector=["app=web"])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    client.informer("v1/pods", indexes=["spec.nodeName"])  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    client.informer("v1/pods", index={"ports": lambda pod: 80})  # type: ignore[dict-item, return-value]  # pyright: ignore[reportArgumentType, reportCallIssue]
    client.informer("v1/pods", transform=lambda pod: None)  # type: ignore[arg-type, return-value]  # pyright: ignore[reportArgumentType, reportCallIssue]
    objects: kr.Informer[kr.KubeObject] = views  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    del objects


async def reading(pods: kr.Informer[PodView]) -> None:
    use(pods.get("default/web-0").key)  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    use(pods["default/web-0"])  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    pods.list("default")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    pods.by_index("spec.nodeName")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await pods.list()  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    use(pods.get("default/web-0", max_staleness=5).spec)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    pods.list(max_staleness=5)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    pods.get("default/web-0", fallback="live")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await pods.list(max_staleness=5, fallback="dead")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    await pods.synced("30 s")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def handle_object(obj: kr.KubeObject) -> None: ...
def handle_view(pod: PodView) -> None: ...
def handle_two_views(old: PodView, new: PodView) -> None: ...
def handle_two_objects(old: kr.KubeObject, new: kr.KubeObject) -> None: ...


async def following(pods: kr.Informer[PodView]) -> None:
    pods.add_handler(handle_view)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    pods.add_handler(on_add=handle_object)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    pods.add_handler(on_add=handle_two_views)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    pods.add_handler(on_update=handle_view)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    pods.add_handler(on_update=handle_two_objects)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    pods.add_handler(on_event=handle_view)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    pods.add_handler(on_delete=lambda pod: use(pod.phase))  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    for event in pods.events():  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        use(event)
    async for change in pods.events():
        use(change.old.key)  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
        change.object = change.object  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def errors(error: kr.SyncError, missing: kr.NotFound, event: kr.Event[PodView]) -> None:
    use(error.status)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    use(missing.status.mesage)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    use(event.reason)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
