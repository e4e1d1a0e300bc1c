"""The log on the events: quiet by default, never a flood, never a body."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from kresilient.observe import log
from kresilient.observe.events import (
    Admitted,
    BacklogMerging,
    Event,
    HandlerFailed,
    Listed,
    ObjectQuarantined,
    ReflectorMoved,
    RequestFinished,
    RequestRetried,
    Rewound,
    StaleEventIgnored,
    TaskCrashed,
    WriteNotSeen,
)

FAULT = ReflectorMoved("v1/pods", "refused", "WAITING", 1.234567, "connect to 127.0.0.1:6443: refused")
BOOM = ValueError("boom")
LISTED = Listed("v1/pods", "cached", "7", 3, 3, 0, 0, 21_000, 9_000, 0.25)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Collect(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__()
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    collected: list[logging.LogRecord] = []
    handler, logger = Collect(collected), logging.getLogger("kresilient")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield collected
    logger.setLevel(before)
    logger.removeHandler(handler)


@pytest.mark.parametrize(
    ("event", "part", "level", "text"),
    [
        (Admitted("get", "v1/pods", 0.2), "flow", "INFO", "waited for admission verb=get resource=v1/pods"),
        (
            RequestFinished("get", "v1/pods", "/api/v1/pods", 200, 0.1, 1),
            "flow",
            "DEBUG",
            "request finished",
        ),
        (RequestFinished("get", "v1/pods", "/p", 0, 0.1, 1, "cancelled"), "flow", "DEBUG", "error=cancelled"),
        (RequestRetried("get", "v1/pods", 1, 0.9, "503 x"), "flow", "INFO", "retrying verb=get"),
        (FAULT, "reflector", "WARNING", "row=refused state=WAITING delay=1.235"),
        (ReflectorMoved("v1/pods", "list done", "WATCHING", 0.0, ""), "reflector", "DEBUG", "'list done'"),
        (LISTED, "reflector", "INFO", "listed reflector=v1/pods strategy=cached"),
        (ObjectQuarantined("v1/pods", "a/b", "bad"), "reflector", "ERROR", "object set aside"),
        (StaleEventIgnored("v1/pods", "a/b", "3"), "reflector", "DEBUG", "resource_version=3"),
        (Rewound("v1/pods", "9", "3"), "reflector", "WARNING", "from_version=9 to_version=3"),
        (WriteNotSeen("v1/pods", "default/a", "9", 10.0), "reflector", "WARNING", "resource_version=9"),
        (HandlerFailed("v1/pods", "f", "a/b", BOOM), "handler", "ERROR", "handler=f key=a/b"),
        (BacklogMerging("v1/pods", "f", 5), "handler", "WARNING", "pending=5"),
        (TaskCrashed("reflector v1/pods", BOOM), "task", "ERROR", "task crashed"),
    ],
)
def test_each_event_has_its_logger_level_and_words(
    records: list[logging.LogRecord], event: Event, part: str, level: str, text: str
) -> None:
    log.log_observer()(event)
    (record,) = records
    assert (record.name, record.levelname) == (f"kresilient.{part}", level)
    assert text in record.getMessage()


@pytest.mark.parametrize("event", [HandlerFailed("i", "h", "k", BOOM), TaskCrashed("t", BOOM)])
def test_a_failure_carries_its_traceback(records: list[logging.LogRecord], event: Event) -> None:
    log.log_observer()(event)
    assert records[0].exc_info is not None and records[0].exc_info[1] is BOOM
    assert "boom" not in records[0].getMessage()


def test_the_pairs_stand_on_the_record_for_json_formatters(records: list[logging.LogRecord]) -> None:
    log.log_observer()(LISTED)
    pairs = records[0].kresilient  # type: ignore[attr-defined]
    assert pairs["event"] == "listed" and pairs["objects"] == 3


def test_an_admission_without_a_noticeable_wait_is_not_logged(records: list[logging.LogRecord]) -> None:
    log.log_observer()(Admitted("get", "v1/pods", 0.05))
    assert records == []


def test_a_server_that_is_down_is_told_of_once_a_minute(
    records: list[logging.LogRecord], clock: Clock
) -> None:
    observer = log.log_observer(clock=clock)
    for second in range(121):
        clock.now = float(second)
        observer(FAULT)
    assert len(records) == 3
    assert "repeated" not in records[0].getMessage()
    assert all("repeated=59" in record.getMessage() for record in records[1:])


def test_a_reason_that_differs_in_numbers_only_is_the_same_message(
    records: list[logging.LogRecord], clock: Clock
) -> None:
    observer = log.log_observer(clock=clock)
    for port in range(100):
        observer(RequestRetried("get", "v1/pods", 1, 0.9, f"refused by 10.0.0.1:{port}"))
    observer(RequestRetried("get", "v1/pods", 1, 0.9, "reset"))
    assert len(records) == 2


def test_another_reflector_is_not_silenced_by_the_first(
    records: list[logging.LogRecord], clock: Clock
) -> None:
    observer = log.log_observer(clock=clock)
    observer(FAULT)
    observer(ReflectorMoved("v1/nodes", FAULT.row, FAULT.state, FAULT.delay, FAULT.reason))
    assert len(records) == 2


def test_what_was_told_is_remembered_within_a_bound(clock: Clock) -> None:
    observer = log.log_observer(clock=clock)
    logging.getLogger("kresilient.reflector").setLevel(logging.ERROR)
    try:
        for number in range(5_000):
            observer(ObjectQuarantined("v1/pods", f"ns/{number}", "bad"))
    finally:
        logging.getLogger("kresilient.reflector").setLevel(logging.NOTSET)
    assert len(observer._told) == 1024  # type: ignore[attr-defined]


def test_a_value_can_neither_forge_a_line_nor_grow_it(records: list[logging.LogRecord]) -> None:
    log.log_observer()(ObjectQuarantined("v1/pods", "a\nERROR forged", "x" * 10_000))
    message = records[0].getMessage()
    assert "\n" not in message and len(message) < 500


def test_a_value_with_a_percent_sign_is_written_as_it_is(records: list[logging.LogRecord]) -> None:
    log.log_observer()(ObjectQuarantined("v1/pods", "%s%d", "100%"))
    assert "key=%s%d reason=100%" in records[0].getMessage()


def test_nothing_is_rendered_while_the_level_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def must_not_run(*args: object) -> None:
        raise AssertionError("rendered")

    monkeypatch.setattr(log, "_render", must_not_run)
    logger = logging.getLogger("kresilient")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        log.log_observer()(FAULT)
    finally:
        logger.setLevel(before)


def test_an_event_of_an_unknown_type_is_left_to_other_observers(records: list[logging.LogRecord]) -> None:
    log.log_observer()(Event())
    assert records == []


def test_the_parent_logger_can_be_named(caplog: pytest.LogCaptureFixture) -> None:
    log.log_observer("my.app")(Rewound("v1/pods", "9", "3"))
    assert caplog.records[0].name == "my.app.reflector"


def test_an_application_that_configures_nothing_hears_nothing_and_pays_for_nothing() -> None:
    script = """
import sys
from kresilient.observe.events import *
from kresilient.observe.log import log_observer
observer = log_observer()
observer(RequestFinished("get", "v1/pods", "/p", 200, 0.1, 1))
observer(TaskCrashed("t", ValueError("boom")))
assert "structlog" not in sys.modules and "rich" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_application_that_listens_pays_for_the_first_line_when_it_starts() -> None:
    script = """
import logging, sys
from kresilient.observe.log import log_observer
logging.basicConfig()
assert "structlog" not in sys.modules
log_observer()
assert "structlog" in sys.modules
assert not sys.modules["structlog"].is_configured()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_applications_own_handler_gets_plain_lines() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("kresilient.reflector")
    logger.addHandler(handler)
    try:
        log.log_observer()(Rewound("v1/pods", "9", "3"))
    finally:
        logger.removeHandler(handler)
    line = "the server's history went back reflector=v1/pods from_version=9 to_version=3\n"
    assert stream.getvalue() == line
