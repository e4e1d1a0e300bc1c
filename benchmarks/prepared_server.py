"""A server that nobody waits for: one list, and a watch stream prepared beforehand.

`python -m benchmarks.prepared_server PODS EVENTS` prints where it listens, and ends with its stdin. A watch
begins as on a cluster (with a streaming list, where that is asked for). With `POST /go?events=N` every open
watch, once there is one, is sent N modifications, as fast as it reads, in a chunk for each frame as
kube-apiserver does; then it stays open.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import accumulate
from typing import Final
from urllib.parse import parse_qs, urlsplit

from kresilient.testing.server.seed import seed_pods
from kresilient.testing.server.state import ApiState

from .process import end_with_stdin

__all__ = ["Prepared", "chunked", "serve"]

_ALONE: Final = b'{"kind":"Pod","apiVersion":"v1",'
"""What the JSON of a pod begins with where it is no item of a list."""

_VERSION: Final = re.compile(rb'"resourceVersion":"(\d+)"')
_INITIAL_END: Final = (
    b'{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"%d",'
    b'"annotations":{"k8s.io/initial-events-end":"true"}}}}\n'
)
_RELEASE: Final = b'{"major":"1","minor":"36","gitVersion":"v1.36.0"}'
_SENT_AT_ONCE: Final = 1 << 20
_PATIENCE: Final = 10.0


class Prepared:
    """A list of *pods* pods of 7.7 KB, and *events* modifications of them, one pod after the other.

    Attributes:
        list: the body of a list.
        initial: the frames of a streaming list.
        events: the frames of the modifications.
    """

    def __init__(self, pods: int, events: int) -> None:
        state = ApiState()
        seed_pods(state, pods)
        stored = state.collection(state.resources.parse("v1/pods")).objects.values()
        version = max(one.version for one in stored)
        head = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"%d"},"items":[' % version
        self.list = head + b",".join(one.item for one in stored) + b"]}\n"
        alone = [_ALONE + one.item[1:] for one in stored]
        self.initial = [*(_frame(b"ADDED", pod) for pod in alone), _INITIAL_END % version]
        cut = [
            (pod[: found.start(1)], pod[found.end(1) :]) for pod in alone if (found := _VERSION.search(pod))
        ]
        self.events: list[bytes] = []
        for number in range(events):
            before, behind = cut[number % pods]
            self.events.append(_frame(b"MODIFIED", before + str(version + 1 + number).encode() + behind))


def _frame(kind: bytes, pod: bytes) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (kind, pod)


def chunked(frames: Iterable[bytes]) -> list[bytes]:
    """*frames*, each as a chunk of HTTP/1.1."""
    return [b"%x\r\n%b\r\n" % (len(frame), frame) for frame in frames]


def serve(prepared: Prepared) -> ThreadingHTTPServer:
    """A server of *prepared*, bound to a free port of the loopback interface; `serve_forever` runs it."""
    initial = b"".join(chunked(prepared.initial))
    chunks = chunked(prepared.events)
    ends = [0, *accumulate(map(len, chunks))]
    events = memoryview(b"".join(chunks))
    watches: list[_Handler] = []
    watched = threading.Condition()

    class _Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            self.go = threading.Event()
            self.wanted = 0

        def do_POST(self) -> None:
            wanted = int(parse_qs(urlsplit(self.path).query)["events"][0])
            if wanted >= len(ends):
                self.send_error(400, f"{len(ends) - 1} events were prepared")
                return
            with watched:
                if not watched.wait_for(lambda: watches, _PATIENCE):
                    self.send_error(409, f"nobody has begun to watch for {_PATIENCE:.0f} s")
                    return
                for watch in watches:
                    watch.wanted = wanted
                    watch.go.set()
                watches.clear()
            self._answer(b"{}")

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            asked = parse_qs(url.query)
            if url.path.rstrip("/") == "/version":
                self._answer(_RELEASE)
            elif url.path != "/api/v1/pods":
                self.send_error(404)
            elif asked.get("watch", ["false"])[0].lower() in ("1", "true"):
                self._watch(b"" if "sendInitialEvents" not in asked else initial)
            else:
                self._answer(prepared.list)

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _watch(self, first: bytes) -> None:
            with watched:
                watches.append(self)
                watched.notify_all()
            self.close_connection = True
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            try:
                self.connection.sendall(first)
                self.go.wait()
                end = ends[self.wanted]
                for start in range(0, end, _SENT_AT_ONCE):
                    self.connection.sendall(events[start : min(start + _SENT_AT_ONCE, end)])
                self.connection.recv(1)  # until the client goes
            except ConnectionError:
                return

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing: what goes wrong, the client sees."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    return server


def main(pods: int, events: int) -> None:
    server = serve(Prepared(pods, events))
    print(f"listening on http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    end_with_stdin()
    main(int(sys.argv[1]), int(sys.argv[2]))
