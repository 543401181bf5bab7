"""The message and status of an error in a command, and its message in the log of the service."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ploy_connector_aws.cli.errors import OutputError, report
from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.runtime.errors import UNEXPECTED, InternalError, InterruptedSyncError, code_of, message_of
from ploy_connector_aws.runtime.snapshot.lock import SyncRunningError, TasksRunningError
from ploy_connector_aws.spec.errors import HookFailedError, InvalidAnswerError, PloyError


def subclasses(kind: type[PloyError]) -> Iterator[type[PloyError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from subclasses(each)


NO_CODE = {PloyError, HookFailedError, InvalidAnswerError, InternalError, InterruptedSyncError, OutputError}
"""Errors that no program handles by code: bugs, and errors that never leave the process."""


def test_every_error_has_a_code() -> None:
    classes = {each for each in subclasses(PloyError) if each.__module__.startswith("ploy_connector_aws.")}
    assert {each for each in classes if each.code == UNEXPECTED} == NO_CODE


@pytest.mark.parametrize("kind", [SyncRunningError, TasksRunningError])
def test_held_lock_is_reported_with_its_fix(
    kind: type[SyncRunningError | TasksRunningError], capsys: pytest.CaptureFixture[str]
) -> None:
    error = kind("Another process has it: process 7.", holder="process 7", fix="stop one of the two")
    assert report(error, as_json=False, debug=False) is Exit.TRY_AGAIN
    assert capsys.readouterr().err == "Error: Another process has it: process 7.\nFix: stop one of the two\n"
    assert message_of(error) == "Another process has it: process 7. Fix: stop one of the two"
    assert code_of(error) != UNEXPECTED
