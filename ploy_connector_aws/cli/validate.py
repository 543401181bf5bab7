"""``ploy-connector validate``: the rules of the kit for authors on a real source, or the tree of its scopes."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import typer
from rich.console import Console

from ploy_connector_aws.host import load_class
from ploy_connector_aws.runtime.integration import open_connector, read_connector, read_operator_settings
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.runtime.snapshot.lock import SyncLock, TaskLock
from ploy_connector_aws.runtime.snapshot.state_file import is_there
from ploy_connector_aws.runtime.sync.ingest import Progress
from ploy_connector_aws.spec import ConfigurationError

from .check import MARKS
from .exit_codes import Exit
from .options import ReportFormat
from .output import console, escape_unprintable, print_json, shown_progress, table, text
from .prompts import Prompt
from .stdout import stream, write
from .trace import print_trace, trace

if TYPE_CHECKING:
    from ploy_connector_aws.testing import Result, Validation
    from ploy_connector_aws.testing.results import Outcome
    from ploy_connector_aws.testing.validation import Plan

_NOUNS: dict[Outcome, str] = {"failed": "broken", "warning": "warnings", "skipped": "not tested", "passed": "kept"}
"""What people read of the rules of each outcome, the most important first."""


def show_trace(name: str, config: Path | None, *, chosen: ReportFormat, debug: bool) -> Exit:
    """Read all lists once, and print the tree of scopes."""
    if chosen is ReportFormat.JUNIT:
        raise typer.BadParameter("cannot be used with --trace", param_hint="--format junit")
    settings = read_operator_settings(config, name, debug=debug, option="NAME")
    is_quiet = chosen is not ReportFormat.TABLE
    with shown_progress(quiet=is_quiet) as on_progress, open_connector(settings).connector as connector:
        found = trace(connector, on_progress)
    if chosen is ReportFormat.JSON:
        print_json(found.to_json())
    else:
        print_trace(console(), found)
    return Exit.OK if found.is_proven else Exit.UNPROVEN


def validate(
    name: str,
    config: Path | None,
    driver: str | None,
    *,
    chosen: ReportFormat,
    every_page: bool,
    writes: bool,
    yes: bool,
    debug: bool,
) -> Exit:
    """Test a connector by the rules of the kit, and print the result of each.

    Raises:
        typer.BadParameter: The options contradict each other, or there is no terminal to ask at.
        ConfigurationError: ``--writes`` would change a source that Ploy serves.
    """
    if writes and driver is None:
        raise typer.BadParameter("needs --driver FILE:CLASS, which changes the source", param_hint="--writes")
    if driver is not None and not writes:
        raise typer.BadParameter("needs --writes, as it changes the source", param_hint="--driver")
    is_quiet = chosen is not ReportFormat.TABLE
    if not yes and (is_quiet or not (sys.stdin.isatty() and stream().isatty())):
        raise typer.BadParameter(
            "The rules read the source many times, and there is no terminal on which to confirm that. Add --yes, or "
            "--trace to read it once."
        )
    settings = read_operator_settings(config, name, debug=debug, option="NAME")
    with ExitStack() as stack:
        if writes:
            stack.enter_context(_held(settings))
        validation = stack.enter_context(_open(settings, driver, every_page=every_page))
        with shown_progress("Reading once", quiet=is_quiet):
            plan = _plan(validation)
        if plan is not None and not yes:
            console().print(text(str(plan)))
            if not Prompt(console()).ask_yes("Continue?", default=False):
                console().print("No rule was tested.")
                return Exit.USAGE
        report = _Report(validation, plan, tuple(_check(validation, most_tier=2 if writes else 0, is_quiet=is_quiet)))
    _PRINT[chosen](report)
    if any(each.outcome == "failed" for each in report.results):
        return Exit.RULES_BROKEN
    return Exit.OK if plan else Exit.UNPROVEN


def _plan(validation: Validation) -> Plan | None:
    """Read once, and return how often the rules read; None where the lists gave nothing.

    Raises:
        ConnectorError: The source cannot be read, so no rule could be tested.
    """
    from ploy_connector_aws.testing import NotTestedError

    try:
        return validation.plan
    except NotTestedError:
        for error in validation.read().errors.values():
            raise error from None
    return None


@dataclass(frozen=True)
class _Report:
    """What came out of the rules."""

    validation: Validation
    plan: Plan | None
    results: tuple[Result, ...]

    @property
    def counts(self) -> dict[Outcome, int]:
        """The number of rules of each outcome, the most important first."""
        found = Counter(each.outcome for each in self.results)
        return {outcome: found[outcome] for outcome in _NOUNS}

    @property
    def reads(self) -> str:
        """How often the source was read, as one sentence."""
        return self.validation.describe_reads() or "The lists gave nothing, so most rules could not be tested."

    def reasons(self) -> dict[str, list[str]]:
        """Return the rules that were not tested, by reason."""
        found: dict[str, list[str]] = {}
        for each in self.results:
            if each.outcome == "skipped":
                found.setdefault(each.reason or "", []).append(each.rule.id)
        return found


@contextmanager
def _held(settings: OperatorSettings) -> Iterator[None]:
    """Refuse an integration of Ploy, and keep other processes away from this one.

    Raises:
        ConfigurationError: It is one of Ploy: its settings come from there, or it has a token or was synced before.
        LockHeldError: Another process works on it.
    """
    if settings.config is None or settings.has_token or is_there(settings.snapshot_path):
        raise ConfigurationError(
            f"--writes changes the source, and Ploy serves the integration {settings.integration.id}.",
            fix="use a test system, and a configuration file for it with a [config] table, an id of its own and no "
            "token",
        )
    with SyncLock(settings.lock_path), TaskLock(settings.tasks_lock_path):
        yield


@contextmanager
def _open(settings: OperatorSettings, driver: str | None, *, every_page: bool) -> Iterator[Validation]:
    """Open the connector under test.

    Raises:
        ConfigurationError: A setting is wrong, or there is no such driver.
    """
    from ploy_connector_aws.testing import Driver, Validation

    installed, given = read_connector(settings)
    driver_class = None
    if driver is not None:
        driver_class = load_class(driver)
        if not issubclass(driver_class, Driver):
            raise ConfigurationError(f"--driver: {driver} is not a subclass of ploy_connector_aws.testing.Driver.")
    else:
        with settings.naming("config"):
            installed.open(given).close()
    with Validation(installed.connector_class, given, driver_class, every_page=every_page) as validation:
        yield validation


def _check(validation: Validation, *, most_tier: int, is_quiet: bool) -> Iterator[Result]:
    from ploy_connector_aws.testing import RULES

    rules = [rule for rule in RULES if rule.tier <= most_tier]
    with shown_progress("Testing", quiet=is_quiet, things="rules") as on_progress:
        for number, rule in enumerate(rules):
            on_progress(Progress(len(rules), number))
            yield validation.check(rule)


def _print_table(report: _Report) -> None:
    """Print a row for each rule, then what is broken, and what was not tested."""
    out = console()
    shown = table("", "rule", "what it proves")
    for each in report.results:
        shown.add_row(MARKS[each.outcome], text(each.rule.id), text(each.rule.proves))
    out.print(shown)
    for reason, ids in report.reasons().items():
        out.print(f"{MARKS['skipped']} Not tested: {text(', '.join(ids))}", soft_wrap=True)
        out.print(f"    {text(reason)}", soft_wrap=True)
    for outcome in ("warning", "failed"):
        for each in report.results:
            if each.outcome == outcome:
                _print_problems(out, each)
    parts = ", ".join(f"{count} {_NOUNS[outcome]}" for outcome, count in report.counts.items() if count)
    out.print(f"\n[bold]{len(report.results)} rules:[/] {parts}. {text(report.reads)}")


def _print_problems(out: Console, result: Result) -> None:
    out.print(f"{MARKS[result.outcome]} [bold]{text(result.rule.id)}[/]: {text(result.rule.proves)}", soft_wrap=True)
    for problem in result.problems:
        out.print(f"    {text(problem.place)}: {text(problem.message)}", soft_wrap=True)
    if result.more_problems:
        out.print(f"    … and {result.more_problems} more")
    for fix in dict.fromkeys(each.fix or result.rule.fix for each in result.problems):
        out.print(f"    [bold]Fix:[/] {text(fix)}", soft_wrap=True)


def _print_json(report: _Report) -> None:
    manifest, plan = report.validation.installed.manifest, report.plan
    print_json(
        {
            "connector": manifest.name,
            "version": manifest.version,
            "reads": report.validation.reads,
            "pages": plan.pages if plan else 0,
            "pages_not_cut": plan.pages_not_cut if plan else 0,
            "counts": report.counts,
            "rules": [_to_json(each) for each in report.results],
        }
    )


def _to_json(result: Result) -> dict[str, Any]:
    return {
        "rule": result.rule.id,
        "tier": result.rule.tier,
        "outcome": result.outcome,
        "proves": result.rule.proves,
        "reason": result.reason,
        "problems": [
            {
                "where": each.where,
                "hook": each.hook,
                "file": each.file,
                "message": each.message,
                "fix": each.fix or result.rule.fix,
            }
            for each in result.problems
        ],
        "more_problems": result.more_problems,
    }


def _print_junit(report: _Report) -> None:
    """Print one test case for each rule, as CI systems read it. A warning is a test case that passes, with its text."""
    counts = report.counts
    suite = ElementTree.Element(
        "testsuite",
        name=f"ploy-connector validate {report.validation.installed.name}",
        tests=str(len(report.results)),
        failures=str(counts["failed"]),
        errors="0",
        skipped=str(counts["skipped"]),
    )
    for each in report.results:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"tier-{each.rule.tier}", name=each.rule.id, time="0"
        )
        described = escape_unprintable(str(each))
        if each.outcome == "failed":
            message = "; ".join(f"{problem.place}: {problem.message}" for problem in each.problems)
            ElementTree.SubElement(case, "failure", message=escape_unprintable(message)).text = described
        elif each.outcome == "skipped":
            ElementTree.SubElement(case, "skipped", message=escape_unprintable(each.reason or ""))
        elif each.outcome == "warning":
            ElementTree.SubElement(case, "system-out").text = described
    ElementTree.indent(suite)
    write(f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(suite, encoding="unicode")}\n')


_PRINT = {
    ReportFormat.TABLE: _print_table,
    ReportFormat.JSON: _print_json,
    ReportFormat.JUNIT: _print_junit,
}
