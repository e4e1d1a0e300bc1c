"""The same body parsed whole by orjson, read first: `python -m benchmarks.sides.parsed_list URL`."""

from __future__ import annotations

import sys
from urllib.request import urlopen

import orjson

from ..process import Span, end_with_stdin
from .requests import path


def main(url: str) -> None:
    orjson.loads(b"{}")
    with urlopen(url + path("list")) as answer:
        body = answer.read()
    span = Span()
    found = orjson.loads(body)
    span.end(objects=len(found["items"]), size=len(body))


if __name__ == "__main__":
    end_with_stdin()
    main(sys.argv[1])
