"""The content of a log line: bound facts, always one line, and no text of foreign errors."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import threading
from collections.abc import Iterator

import pytest

from ploy_connector_aws.runtime import logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield
    root.handlers, root.level = handlers, level


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    read = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert all(line.pop("time").endswith("Z") for line in read)
    return read


def test_a_line_names_the_integration_and_the_run_that_it_is_of(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(debug=False, level=logging.INFO)
    log = logging.getLogger("ploy_connector_aws.one")
    with logs.bound(integration="int-1", run_id=None):
        log.info("begins")
        logs.bind(run_id="run-1")
        other = threading.Thread(target=lambda: log.info("without context"))
        other.start()
        other.join()
        log.warning("%s goes on", "it", extra={"code": "x", "run_id": "run-2"})
    log.info("ends")
    log.debug("not said")
    messages = {"logger": "ploy_connector_aws.one"}
    assert lines(capsys) == [
        {"event": "begins", "level": "info", "integration": "int-1", **messages},
        {"event": "without context", "level": "info", **messages},
        {
            "event": "it goes on",
            "level": "warning",
            "integration": "int-1",
            "run_id": "run-2",
            "code": "x",
            **messages,
        },
        {"event": "ends", "level": "info", **messages},
    ]


def test_a_line_stays_one_line_and_an_errors_own_text_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(debug=False)
    try:
        raise ValueError("secret-do-not-show")
    except ValueError:
        logging.getLogger("one").exception("failed\n%s", '{"level": "forged"}')
    assert lines(capsys) == [
        {"event": 'failed\n{"level": "forged"}', "level": "error", "logger": "one", "error": "ValueError"}
    ]


def test_tracebacks_are_there_when_asked_for_and_other_libraries_stay_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(debug=True)
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("one").debug("failed", exc_info=True)
    for name in ("httpx", "botocore.parsers", "urllib3.connectionpool"):
        logging.getLogger(name).warning("headers and bodies")
    (line,) = lines(capsys)
    assert str(line["exception"]).endswith("ValueError: why")


def test_a_terminal_gets_text_that_it_cannot_take_for_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    logs.configure(debug=False)
    logging.getLogger("one").warning("group %s", "\x1b[2Jadmins\r")
    assert "group �[2Jadmins�" in terminal.getvalue()


@pytest.mark.parametrize("where", ["event", "extra", "bound", "raised"])
def test_no_line_has_a_character_that_a_terminal_would_follow(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    hostile, terminal = "a\x1b]0;x\x07\x9b2J\u202eb\u2028c\x7fd", Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    logs.configure(debug=where == "raised")
    log = logging.getLogger("ploy_connector_aws.one")
    with logs.bound(scope=hostile if where == "bound" else "s"):
        try:
            raise ValueError(hostile if where == "raised" else "x")
        except ValueError:
            log.warning(
                hostile if where == "event" else "happened",
                exc_info=where == "raised",
                extra={"about": hostile if where == "extra" else "x"},
            )
    # What structlog itself writes: colours, and the ends of lines.
    written = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())
    assert "\N{REPLACEMENT CHARACTER}" in written
    assert all(each == "\n" or each.isprintable() for each in written), ascii(written)
