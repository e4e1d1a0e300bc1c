"""A server's floor: aiohttp answers all with the same bytes: `python -m benchmarks.bare_server SIZE`.

It reads the size of the body from its arguments, prints where it listens, and ends with its stdin.
"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web

from .process import end_with_stdin


async def main(size: int) -> None:
    body = b"x" * size

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    server = await asyncio.get_running_loop().create_server(web.Server(answer), "127.0.0.1", 0)
    print(f"listening on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    end_with_stdin()
    asyncio.run(main(int(sys.argv[1])))
