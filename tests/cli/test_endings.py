"""What an error is for a command, and for the service, which logs it and goes on."""

from __future__ import annotations

import pytest

from ploy_connector_aws.cli.exit_codes import _ENDINGS, Exit, NameUnknown, OutputError, report
from ploy_connector_aws.runtime.service.failure_codes import UNEXPECTED, code_of, sentence_of
from ploy_connector_aws.runtime.snapshot.lock import SyncRunning, TasksRunning

OF_COMMANDS = (NameUnknown, OutputError)
"""Errors of what was typed, and of where a command prints: no service raises them."""


@pytest.mark.parametrize(
    "kind", [kind for kind, _ in _ENDINGS if kind not in OF_COMMANDS], ids=lambda kind: kind.__name__
)
def test_a_service_repeats_the_message_of_every_error_that_a_command_knows(kind: type[Exception]) -> None:
    assert sentence_of(kind.__new__(kind, "This is what happened.")).startswith("This is what happened.")


@pytest.mark.parametrize("kind", [SyncRunning, TasksRunning])
def test_a_lock_of_another_process_is_told_with_what_to_do(
    kind: type[SyncRunning | TasksRunning], capsys: pytest.CaptureFixture[str]
) -> None:
    error = kind("Another process has it: process 7.", holder="process 7", fix="stop one of the two")
    assert report(error, as_json=False, debug=False) is Exit.TRY_AGAIN
    assert capsys.readouterr().err == "Error: Another process has it: process 7.\nFix: stop one of the two\n"
    assert sentence_of(error) == "Another process has it: process 7. Fix: stop one of the two"
    assert code_of(error) != UNEXPECTED
