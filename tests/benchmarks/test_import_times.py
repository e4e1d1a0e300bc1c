"""Where the time of imports goes, by package."""

from __future__ import annotations

from benchmarks.sides.import_times import by_package

SEEN = """\
import time: self [us] | cumulative | imported package
import time:       200 |        200 |   _io
import time:      1500 |       1700 | aiohttp.client
import time:       500 |       2200 | aiohttp
import time:       250 |        250 |     kresilient.api.wire
import time:       750 |       1000 |   kresilient.api
import time:      3000 |       4000 | kresilient
"""


def test_the_modules_of_a_package_are_summed_and_the_librarys_floors_told_apart() -> None:
    assert by_package(SEEN) == {"_io": 0.2, "aiohttp": 2.0, "kresilient.api": 1.0, "kresilient": 3.0}
