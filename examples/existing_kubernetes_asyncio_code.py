"""A janitor as people write them with kubernetes_asyncio: it deletes pods that have ended, and counts them.

It lists, watches, and begins again at once whenever something breaks. One line is changed, the one that makes
the client: everything it sends is now paced, and after an outage it comes back with a backoff and jitter that
its author never wrote.

    python examples/existing_kubernetes_asyncio_code.py --embedded     # no cluster: a fake API server in here
    python examples/existing_kubernetes_asyncio_code.py                # the cluster of your kubeconfig
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from kubernetes_asyncio import config
from kubernetes_asyncio.client import ApiException, Configuration, CoreV1Api, V1Pod
from kubernetes_asyncio.watch import Watch

from kresilient.adapters.kubernetes_asyncio import ResilientApiClient

COUNT = "janitor"


async def main(namespace: str) -> None:
    api = ResilientApiClient(qps=20, burst=40)  # it was: api = ApiClient()
    async with api:
        core = CoreV1Api(api)
        while True:
            try:
                await tidy_for_ever(core, namespace)
            except ApiException as error:
                if error.status != 410:  # Gone: the watch is behind, so list again
                    raise
            except (TimeoutError, aiohttp.ClientError) as error:
                print(f"the server is away ({type(error).__name__}): again", flush=True)


async def tidy_for_ever(core: CoreV1Api, namespace: str) -> None:
    pods = await core.list_namespaced_pod(namespace)
    for pod in pods.items:
        await tidy(core, pod)
    print(f"{len(pods.items)} pods looked at", flush=True)
    version = pods.metadata.resource_version
    async with Watch() as watch:
        async for event in watch.stream(core.list_namespaced_pod, namespace, resource_version=version):
            if event["type"] in ("ADDED", "MODIFIED"):
                await tidy(core, event["object"])


async def tidy(core: CoreV1Api, pod: V1Pod) -> None:
    phase, name, namespace = pod.status.phase, pod.metadata.name, pod.metadata.namespace
    if phase not in ("Succeeded", "Failed"):
        return
    try:
        await core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)
    except ApiException as error:
        if error.status == 404:  # somebody else was faster
            return
        raise
    print(
        f"deleted {namespace}/{name}, which has {phase.lower()}: {await counted(core, namespace)} so far",
        flush=True,
    )


async def counted(core: CoreV1Api, namespace: str) -> int:
    try:
        count = await core.read_namespaced_config_map(COUNT, namespace)
    except ApiException as error:
        if error.status != 404:
            raise
        body = {"metadata": {"name": COUNT}, "data": {"deleted": "0"}}
        count = await core.create_namespaced_config_map(namespace, body)
    count.data["deleted"] = str(int(count.data["deleted"]) + 1)
    await core.replace_namespaced_config_map(COUNT, namespace, count)
    return int(count.data["deleted"])


@asynccontextmanager
async def embedded() -> AsyncIterator[str]:
    """A fake API server in this process, with pods of which some have ended."""
    from kresilient.testing.server import FakeApiServer

    async with FakeApiServer() as server:
        for number, phase in enumerate(("Running", "Succeeded", "Running", "Failed", "Succeeded")):
            spec = {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}
            pod = {"metadata": {"name": f"job-{number}"}, "spec": spec, "status": {"phase": phase}}
            server.create("v1/pods", pod)
        yield server.url


async def run(arguments: argparse.Namespace) -> None:
    if arguments.embedded:
        async with embedded() as url:
            Configuration.set_default(Configuration(host=url))
            await main(arguments.namespace)
    elif arguments.server:
        Configuration.set_default(Configuration(host=arguments.server))
        await main(arguments.namespace)
    else:
        await config.load_config()
        await main(arguments.namespace)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Delete pods that have ended.")
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--server", help="its URL, instead of the kubeconfig's")
    parser.add_argument("--embedded", action="store_true", help="against a fake API server in this process")
    try:
        asyncio.run(run(parser.parse_args()))
    except (config.ConfigException, OSError) as error:
        sys.exit(f"janitor: {error}")
    except KeyboardInterrupt:
        pass
