"""``ploy-connector check``: try the connection, and say what is missing, too much or dangerous."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from ploy_connector_aws.spec import AuthenticationError, Check, ConnectionReport, TemporaryError

from .connection_test import test_connection
from .exit_codes import Exit, with_config
from .opening import read_operator_settings
from .options import AsJson, ConfigFile, ConnectorName, Debug
from .output import console, print_json, text

MARKS = {"passed": "[green]✓[/]", "failed": "[bold red]✗[/]", "warning": "[yellow]![/]", "skipped": "[dim]-[/]"}

_NOUNS = {"failed": "failed", "warning": "to look at", "passed": "in order", "skipped": "not tried"}
_INDENT = 4
_METHODS = {"probed": "tried by a harmless call", "evaluated": "by the rules, not tried"}


def check(
    config: ConfigFile = None, connector: ConnectorName = None, json: AsJson = False, debug: Debug = False
) -> Exit:
    """Try the connection and each permission, and say what to mend. Changes nothing."""
    settings = read_operator_settings(config, connector, debug=debug)
    report = test_connection(settings)
    if json:
        print_json(report_json(report))
    else:
        print_report(console(), report, config=config)
    return exit_of(report)


def exit_of(report: ConnectionReport) -> Exit:
    """Return the status of a connection test: what failed first decides, but an outage only where all failed of it."""
    codes = [each.code for each in report.checks if each.outcome == "failed"]
    if not codes:
        return Exit.OK
    if codes[0] == AuthenticationError.code:
        return Exit.AUTHENTICATION
    return Exit.TRY_AGAIN if set(codes) == {TemporaryError.code} else Exit.PERMISSION


def report_json(report: ConnectionReport) -> dict[str, object]:
    """The report for machines."""
    return {"usable": report.is_usable, "blocked": report.is_blocked, **report.model_dump(mode="json")}


def print_report(out: Console, report: ConnectionReport, *, config: Path | None = None) -> None:
    """Print the report for people: what failed first, then what passed, by what it is for.

    Args:
        out: Where to.
        report: The report.
        config: The configuration file, for the commands in the fixes.
    """
    of = {outcome: [each for each in report.checks if each.outcome == outcome] for outcome in _NOUNS}
    for each in (*of["failed"], *of["warning"]):
        _print_trouble(out, each, config)
    _print_passed(out, of["passed"])
    _print_skipped(out, of["skipped"])
    counts = ", ".join(f"{len(checks)} {_NOUNS[outcome]}" for outcome, checks in of.items() if checks)
    out.print()
    if report.is_blocked:
        out.print("[bold red]The integration must not be used until what blocks it is mended.[/]")
    out.print(f"[bold]{'Usable' if report.is_usable else 'Not usable yet'}:[/] {counts}.")


def _print_trouble(out: Console, made: Check, config: Path | None) -> None:
    blocks = " [bold red]blocks the integration[/]" if made.is_blocking else ""
    out.print(f"{MARKS[made.outcome]} [bold]{text(made.name)}[/]{_method(made)}{blocks}")
    _print_indented(out, text(made.message))
    if made.fix:
        # In one piece, however long: it is there to be copied.
        out.print(f"    [bold]Fix:[/] {text(with_config(made.fix, str(config) if config else None))}", soft_wrap=True)
    if made.request_id:
        _print_indented(out, f"[dim]Request {text(made.request_id)}[/]")


def _print_passed(out: Console, checks: Iterable[Check]) -> None:
    """What was tried for one purpose stands together; what was not tried says why it is believed."""
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
    """What was not tried for one reason stands together."""
    reasons: dict[str, list[str]] = {}
    for each in checks:
        reasons.setdefault(each.message, []).append(each.name)
    for reason, names in reasons.items():
        out.print(f"{MARKS['skipped']} {text(reason)}")
        _print_indented(out, f"[dim]{text(', '.join(names))}[/]")


def _method(made: Check) -> str:
    return f" [dim]({_METHODS[made.method]})[/]" if made.method else ""


def _print_indented(out: Console, markup: str) -> None:
    for line in Text.from_markup(markup).wrap(out, out.width - _INDENT):
        line.rstrip()
        out.print(Text(" " * _INDENT) + line)
