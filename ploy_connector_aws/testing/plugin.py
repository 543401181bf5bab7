"""The plugin for pytest: an option, and the report of what the rules of connectors gave.

pytest loads it in every session where this package is installed, so it imports nothing but pytest.
"""

from __future__ import annotations

from collections import Counter, defaultdict

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
    """Report for each test class how often it read, what it did not test and why, and its warnings."""
    of_class: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    for reports in terminalreporter.stats.values():
        for report in reports:
            properties = dict(getattr(report, "user_properties", ()))
            if getattr(report, "when", None) == "call" and "ploy_rule" in properties:
                of_class[report.nodeid.rpartition("::")[0]].append(properties)
    if not of_class:
        return
    terminalreporter.section("rules of connectors")
    for name, found in sorted(of_class.items()):
        counts = Counter(each["ploy_outcome"] for each in found)
        terminalreporter.line(
            f"{name}: " + ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        )
        reads = [each["ploy_reads"] for each in found if "ploy_reads" in each]
        for line in reads[-1:]:
            terminalreporter.line(f"  {line}")
        reasons: defaultdict[str, list[str]] = defaultdict(list)
        for each in found:
            if "ploy_reason" in each:
                reasons[each["ploy_reason"]].append(each["ploy_rule"])
        for reason, rules in reasons.items():
            terminalreporter.line(f"  Not tested, as {reason}: {', '.join(rules)}")
        for each in found:
            if "ploy_warning" in each:
                terminalreporter.line(f"  Warning. {each['ploy_warning']}")
