"""Checks of how a connector behaves: memory, output, counted calls, secrets."""

from __future__ import annotations

from collections.abc import Iterator

from ploy_connector_aws.host.redaction import REDACTED, Redactor, find_secrets
from ploy_connector_aws.host.safe_errors import to_text
from ploy_connector_aws.spec import ConnectionReport, PloyError
from ploy_connector_aws.testing.results import NotTestedError, Problem
from ploy_connector_aws.testing.validation import FEWEST_RECORDS, Validation

from .scopes import find_invalid

BASE_BYTES = 2_000_000
BYTES_FOR_EACH_RECORD = 500
TIMES_THE_PAGE = 5
"""What a connector may hold during a read: the ids of all records, and one page, which is larger than as JSON."""

_LONGEST_EXCERPT = 80


def find_growth(validation: Validation) -> Iterator[Problem]:
    """Find a connector that keeps what it listed."""
    records = validation.plan.records
    if records < FEWEST_RECORDS:
        raise NotTestedError(f"a read has {records} records, and at least {FEWEST_RECORDS:,} are needed")
    for held in validation.second.held:
        allowed = BASE_BYTES + held.records * BYTES_FOR_EACH_RECORD + held.page_bytes * TIMES_THE_PAGE
        if held.bytes > allowed:
            yield Problem(
                f"read after {held.records:,} records",
                f"The connector holds {held.bytes:,} bytes more than before the read; {allowed:,} are allowed:"
                f" {BASE_BYTES:,}, {BYTES_FOR_EACH_RECORD} for each record, {TIMES_THE_PAGE} times the page as JSON.",
            )
            return


def find_output(validation: Validation) -> Iterator[Problem]:
    """Find what is printed on standard output."""
    _run_all(validation)
    seen = set()
    for instance in validation.instances:
        for hook, text in instance.printed:
            if hook not in seen:
                seen.add(hook)
                yield Problem(
                    f"hook {hook}", f"It prints on standard output: {to_text(text, _LONGEST_EXCERPT)!r}", hook=hook
                )


def find_unanswered_calls(validation: Validation) -> Iterator[Problem]:
    """Find calls that began and did not end, or the reverse."""
    instance = validation.first.instance
    if not instance.calls and not instance.answers:
        raise NotTestedError("the connector counts no calls by context.on_call")
    for name in sorted({*instance.calls, *instance.answers}):
        calls, answers = instance.calls[name], instance.answers[name]
        if calls != answers:
            yield Problem(f"call {name!r}", f"on_call was called {calls} times, and on_answer {answers} times.")


def find_close_errors(validation: Validation) -> Iterator[Problem]:
    """Find a hook ``close`` that fails, which a host only logs."""
    if "close" not in validation.installed.manifest.hooks:
        raise NotTestedError("the connector has no hook close")
    instance = validation.open()
    with instance.recording("close"):
        try:
            instance.connector.hooks.close()
        except PloyError as error:
            yield Problem("hook close", f"It failed after configure: {error.message}", hook="close")


def find_secrets_in_records(validation: Validation) -> Iterator[Problem]:
    """Find values of secret settings in records, and in names of scopes."""
    _require_secrets(validation)
    yield from find_invalid(validation, "secret")


def find_secrets_in_texts(validation: Validation) -> Iterator[Problem]:
    """Find values of secret settings in messages, notes, output and logs."""
    redactor = _require_secrets(validation)
    _run_all(validation)
    for hook, where, text in _messages(validation):
        if REDACTED in text:
            yield Problem(where, "It contains the value of a secret setting, which the host replaced.", hook=hook)
    for instance in validation.instances:
        for where, text in instance.all_texts():
            if redactor.is_in(text):
                yield Problem(where, "It contains the value of a secret setting.")


def _run_all(validation: Validation) -> None:
    """Run every hook of tier 0 at least once."""
    _ = validation.report, validation.first_attempt


def _messages(validation: Validation) -> Iterator[tuple[str, str, str]]:
    """Yield the messages of checks, failures and errors, as a host redacts them: hook, place and text."""
    report, hook = validation.report, "test_connection"
    if isinstance(report, ConnectionReport):
        for check in report.checks:
            yield hook, f"check {check.name!r}", f"{check.name} {check.message} {check.fix}"
    else:
        yield hook, f"hook {hook}", f"{report.message} {report.fix}"
    yield from validation.first_attempt.failures()


def _require_secrets(validation: Validation) -> Redactor:
    """Return what finds the secrets of the integration."""
    secrets = [text for _, text in find_secrets(validation.installed.manifest.config_schema, validation.settings)]
    if not secrets:
        raise NotTestedError("the test sets no setting that the schema marks as a secret")
    return Redactor(secrets)
