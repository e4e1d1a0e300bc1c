"""An agent on each node: it needs the pods of its node, the services and the nodes, and never polls for them.

The agents of a cluster like this one cost the API server three watches a node, renewed every few minutes,
instead of three lists a node every second. `daemonset.yaml` deploys it.

    python examples/daemonset_agent.py --embedded                   # no cluster: a fake API server in here
    python examples/daemonset_agent.py --node worker-1              # the cluster of your kubeconfig
    NODE_NAME=… python examples/daemonset_agent.py                  # in a pod, by the downward API
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import kresilient as kr


class Agent:
    """Keeps a route to every service for the pods of one node; here, it only says what it would do."""

    def __init__(self, node: str, pods: kr.Informer, services: kr.Informer, nodes: kr.Informer) -> None:
        self.node, self.pods, self.services, self.nodes = node, pods, services, nodes
        pods.add_handler(on_add=self.pod_came, on_delete=self.pod_went)
        services.add_handler(on_event=self.service_changed)

    def pod_came(self, pod: kr.KubeObject) -> None:
        print(
            f"pod {pod.key} came to {self.node} at {pod.field('status.podIP', 'no address yet')}", flush=True
        )

    def pod_went(self, pod: kr.KubeObject) -> None:
        print(f"pod {pod.key} left {self.node}", flush=True)

    def service_changed(self, event: kr.Event[kr.KubeObject]) -> None:
        if not event.initial:
            print(f"service {event.key} {event.type}", flush=True)

    def report(self) -> str:
        """All of it is in memory: this asks nobody, also while the API server is down."""
        held = f"{len(self.pods)} pods, {len(self.services)} services, {len(self.nodes)} nodes"
        return f"{self.node}: {held} in step"


async def run(node: str, client: kr.Client) -> None:
    """Follow until cancelled. Raises `SyncError` where the first lists cannot be had."""
    async with (
        client.informer("v1/pods", field_selector=f"spec.nodeName={node}") as pods,
        client.informer("v1/services", strip=["metadata.managedFields"]) as services,
        client.informer("v1/nodes", metadata_only=True) as nodes,
    ):
        for informer in (pods, services, nodes):
            await informer.synced(timeout=120)
        print(Agent(node, pods, services, nodes).report(), flush=True)
        await asyncio.Event().wait()


async def main(arguments: argparse.Namespace) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):  # a pod is told to end by SIGTERM
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        if arguments.embedded:
            async with embedded() as url, kr.connect(server=url) as client:
                await run("node-00000", client)
        else:
            # A rollout starts the agents of all nodes within seconds: each begins at a moment of its own. And
            # no agent needs much once its lists are there.
            async with kr.connect(
                server=arguments.server,
                kubeconfig=arguments.kubeconfig,
                qps=5,
                burst=10,
                start_jitter=arguments.spread,
                spread=arguments.spread,
            ) as client:
                await run(arguments.node, client)
    except asyncio.CancelledError:
        print("told to end", flush=True)


@asynccontextmanager
async def embedded() -> AsyncIterator[str]:
    """A fake API server with ten nodes, and its URL."""
    from kresilient.testing.server import FakeApiServer
    from kresilient.testing.server.seed import seed_nodes, seed_pods, seed_services

    async with FakeApiServer() as server:
        seed_nodes(server.state, 10)
        seed_pods(server.state, 300, nodes=10)
        seed_services(server.state, 20)
        yield server.url


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--node", default=os.environ.get("NODE_NAME"), help="the node it runs on ($NODE_NAME)"
    )
    parser.add_argument(
        "--spread",
        type=float,
        default=30.0,
        metavar="S",
        help="seconds over which a fleet's first lists, and those after an outage, are spread (30)",
    )
    parser.add_argument("--server", help="an API server, instead of the pod's or the kubeconfig's")
    parser.add_argument("--kubeconfig", help="a kubeconfig file")
    parser.add_argument("--embedded", action="store_true", help="against a fake API server in this process")
    arguments = parser.parse_args(argv)
    if not arguments.embedded and not arguments.node:
        parser.error("which node is this? Set NODE_NAME, or pass --node")
    return arguments


if __name__ == "__main__":
    try:
        asyncio.run(main(parse()))
    except kr.KresilientError as error:
        sys.exit(f"daemonset_agent: {error}")
