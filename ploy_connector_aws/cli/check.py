"""``ploy-connector check``: test the connection and report missing, needless and dangerous permissions."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from ploy_connector_aws.host.blockers import to_blockers
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import PlatformRejectedError
from ploy_connector_aws.runtime.integration import open_connector, open_platform, read_operator_settings
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.spec import AuthenticationError, Check, ConnectionReport, ConnectorError, TemporaryError
from ploy_connector_aws.spec.reports import CheckOutcome

from .errors import with_config
from .exit_codes import Exit
from .output import console, print_json, shown_progress, text

MARKS = {"passed": "[green]✓[/]", "failed": "[bold red]✗[/]", "warning": "[yellow]![/]", "skipped": "[dim]-[/]"}

_NOUNS: dict[CheckOutcome, str] = {"failed": "failed", "warning": "warning", "passed": "passed", "skipped": "skipped"}
_INDENT = 4
_METHODS = {"probed": "tested", "evaluated": "evaluated from policies"}
WORKER_ID = "command-line"
"""The worker that leases tasks for a command."""
_MOST_TESTS = 10


def check(config: Path | None, connector: str | None, *, as_json: bool, debug: bool) -> Exit:
    """Test the connection, and print the report."""
    settings = read_operator_settings(config, connector, debug=debug)
    with shown_progress("Testing the connection", quiet=as_json):
        report = test_connection(settings)
    if as_json:
        print_json(report_json(report))
    else:
        print_report(console(), report, config=config)
    return exit_of(report)


def exit_of(report: ConnectionReport) -> Exit:
    """Return the exit status of a report: that of its first failure; of an outage, only if all failures are outages."""
    codes = [each.code for each in report.checks if each.outcome == "failed"]
    if not codes:
        return Exit.OK
    if codes[0] == AuthenticationError.code:
        return Exit.AUTHENTICATION
    return Exit.TRY_AGAIN if set(codes) == {TemporaryError.code} else Exit.PERMISSION


def report_json(report: ConnectionReport) -> dict[str, object]:
    """The report as JSON values."""
    blockers = [each.to_json() for each in to_blockers(report.blockers())]
    return {"usable": report.is_usable, "blockers": blockers, **report.model_dump(mode="json")}


def print_report(out: Console, report: ConnectionReport, *, config: Path | None = None) -> None:
    """Print the report for people: failed checks and warnings first, then passed ones by feature, then skipped ones.

    Args:
        out: The console.
        report: The report.
        config: The configuration file, for the commands in the fixes.
    """
    by_outcome = {outcome: [each for each in report.checks if each.outcome == outcome] for outcome in _NOUNS}
    for each in (*by_outcome["failed"], *by_outcome["warning"]):
        _print_issue(out, each, config)
    _print_passed(out, by_outcome["passed"])
    _print_skipped(out, by_outcome["skipped"])
    out.print()
    print_verdict(out, report)


def print_verdict(out: Console, report: ConnectionReport) -> None:
    """Print what blocks the integration, whether it can be used, and the number of checks by outcome."""
    for each in to_blockers(report.blockers()):
        out.print(f"[bold red]Blocked by {text(each.code)}:[/] do not use this integration until this check passes.")
    counts = Counter(each.outcome for each in report.checks)
    parts = ", ".join(
        f"{count} {noun}{'s' if outcome == 'warning' and count > 1 else ''}"
        for outcome, noun in _NOUNS.items()
        if (count := counts[outcome])
    )
    out.print(f"[bold]{'Usable' if report.is_usable else 'Not usable yet'}:[/] {parts}.")


def _print_issue(out: Console, check: Check, config: Path | None) -> None:
    blocks = " [bold red]blocks the integration[/]" if check.is_blocking else ""
    out.print(f"{MARKS[check.outcome]} [bold]{text(check.name)}[/]{_method(check)}{blocks}")
    _print_indented(out, text(check.message))
    if check.fix:
        # Not wrapped, however long, so that it can be copied.
        out.print(f"    [bold]Fix:[/] {text(with_config(check.fix, str(config) if config else None))}", soft_wrap=True)
    if check.request_id:
        _print_indented(out, f"[dim]Request {text(check.request_id)}[/]")


def _print_passed(out: Console, checks: Iterable[Check]) -> None:
    """Print the tested checks by feature, and each of the others with its message."""
    features: dict[str, list[str]] = {}
    for each in checks:
        if each.feature and each.method == "probed":
            features.setdefault(each.feature, []).append(each.name)
        else:
            out.print(f"{MARKS[each.outcome]} [bold]{text(each.name)}[/]{_method(each)}")
            _print_indented(out, text(each.message))
    for feature, names in features.items():
        out.print(f"{MARKS['passed']} [bold]{text(feature)}[/] [dim]({_METHODS['probed']})[/]")
        _print_indented(out, text(", ".join(names)))


def _print_skipped(out: Console, checks: Iterable[Check]) -> None:
    """Print the skipped checks by reason."""
    reasons: dict[str, list[str]] = {}
    for each in checks:
        reasons.setdefault(each.message, []).append(each.name)
    for reason, names in reasons.items():
        out.print(f"{MARKS['skipped']} {text(reason)}")
        _print_indented(out, f"[dim]{text(', '.join(names))}[/]")


def _method(check: Check) -> str:
    return f" [dim]({_METHODS[check.method]})[/]" if check.method else ""


def _print_indented(out: Console, markup: str) -> None:
    for line in Text.from_markup(markup).wrap(out, out.width - _INDENT):
        line.rstrip()
        out.print(Text(" " * _INDENT) + line)


def test_connection(settings: OperatorSettings) -> ConnectionReport:
    """Test the connection; report it to Ploy, if Ploy keeps the settings and waits for their test.

    Raises:
        ConfigurationError: A setting is wrong.
        ConnectorError: The test could not run.
        PlatformError: Ploy keeps the settings and did not answer.
    """
    if settings.config is not None:
        with open_connector(settings).connector as connector:
            return connector.test_connection()
    with open_platform(settings) as platform:

        def test() -> ConnectionReport:
            with open_connector(settings, platform).connector as connector:
                return connector.test_connection()

        # With settings from variables, the test is not one of Ploy's settings.
        status = None if settings.config_overrides else _ask_for_test(platform, settings.integration.id)
        if status is None or status.is_verified:
            return test()
        return _report_test(platform, status.integration, test)


def _ask_for_test(platform: PlatformClient, integration_id: str) -> wire.SetUpStatus | None:
    """Ask Ploy whether the settings have passed a test; None if it rejects the question."""
    try:
        return platform.change_settings(integration_id, wire.SettingsChange())
    except PlatformRejectedError:
        return None


def _report_test(
    platform: PlatformClient, integration: wire.Integration, test: Callable[[], ConnectionReport]
) -> ConnectionReport:
    """Run the test for the tasks that ask for it; a service that holds them reports its own."""
    request = wire.LeaseRequest(
        request_id=uuid.uuid4().hex, worker_id=WORKER_ID, max_tasks=_MOST_TESTS, settings_revision=integration.revision
    )
    tasks = platform.lease_tasks(integration.id, request).tasks
    try:
        report = test()
    except ConnectorError as error:
        for task in tasks:
            failed = wire.TaskFailed(lease_id=task.lease_id, code=error.code, message=error.message, fix=error.fix)
            platform.fail_task(integration.id, task.id, failed)
        raise
    for task in tasks:
        platform.complete_task(integration.id, task.id, wire.TaskDone(lease_id=task.lease_id, report=report))
    return report
