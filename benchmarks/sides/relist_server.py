"""A fake API server that is told to forget: `python -m benchmarks.sides.relist_server PODS`.

Each number N on its stdin (no more than there are pods) kills it, changes N pods, forgets all history and
starts it again: who watches on is answered with 410, and has to list again. It ends with its stdin.
"""

from __future__ import annotations

import asyncio
import sys

from kresilient.testing.server import FakeApiServer
from kresilient.testing.server.seed import seed_pods


async def main(pods: int) -> None:
    server = FakeApiServer(port=0)
    keys = seed_pods(server.state, pods)
    told = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
    async with server:
        print(f"listening on {server.url}", flush=True)
        async for number in told:
            changed = int(number)
            await server.kill()
            for key in keys[:: pods // changed][:changed]:
                server.patch("v1/pods", key, {"metadata": {"labels": {"changed": "yes"}}})
            server.compact()
            await server.start()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
