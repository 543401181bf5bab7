"""The plugin for pytest: an option, and the report of what the rules of connectors gave.

pytest loads it in every session of a machine that has this package, so it imports nothing but pytest.
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of the kit."""
    parser.getgroup("ploy", "connectors for Ploy").addoption(
        "--ploy-every-page",
        action="store_true",
        dest="ploy_every_page",
        help="cut the reads of a connector at every page, for a source with few of them",
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report what was not tested, with the reasons, and the warnings."""
    outcomes: dict[str, int] = {}
    lines: list[str] = []
    for reports in terminalreporter.stats.values():
        for report in reports:
            properties = dict(getattr(report, "user_properties", ()))
            if getattr(report, "when", None) != "call" or "ploy_rule" not in properties:
                continue
            outcome = properties["ploy_outcome"]
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            if outcome == "warning":
                lines.append(properties["ploy_result"])
            elif outcome == "skipped":
                lines.append(f"Not tested: {properties['ploy_rule']}: {report.longrepr[2].removeprefix('Skipped: ')}")
    if outcomes:
        terminalreporter.section("rules of connectors")
        for line in lines:
            terminalreporter.line(line)
        terminalreporter.line(", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()))
