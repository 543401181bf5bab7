"""The output of a connection report: failed checks first, in 80 columns, fixes in one line."""

from __future__ import annotations

import io

from rich.console import Console

from ploy_connector_aws.cli.check import print_report, report_json
from ploy_connector_aws.spec import Check, ConnectionReport

FIX = 'Add this statement: {"Effect":"Allow","Action":["directory:ListPeople","directory:ListGroups"],"Resource":"*"}'
REPORT = ConnectionReport(
    checks=(
        Check(name="enter", outcome="passed", message="The door opened."),
        Check(name="p:a", outcome="passed", message="Answered.", feature="people", method="probed"),
        Check(name="p:b", outcome="passed", message="The rules allow it.", feature="people", method="evaluated"),
        Check(name="p:c", outcome="skipped", message="Not needed.", feature="things"),
        Check(name="p:d", outcome="passed", message="Answered.", feature="people", method="probed"),
        Check(name="p:e", outcome="skipped", message="Not needed.", feature="other things"),
        Check(name="too-much", outcome="warning", message="More than needed.", fix="Take it away.", method="evaluated"),
        Check(
            name="door",
            outcome="failed",
            message="It stands open, [bold]so that anybody who comes along can walk in and look at all that is there.",
            fix=FIX,
            request_id="r-1",
            is_blocking=True,
        ),
    )
)


def printed(report: ConnectionReport) -> str:
    out = Console(file=io.StringIO(), width=80, highlight=False)
    print_report(out, report)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_failed_checks_come_first_and_passed_ones_by_feature() -> None:
    assert printed(REPORT) == (
        "✗ door blocks the integration\n"
        "    It stands open, [bold]so that anybody who comes along can walk in and look\n"
        "    at all that is there.\n"
        f"    Fix: {FIX}\n"
        "    Request r-1\n"
        "! too-much (evaluated from policies)\n"
        "    More than needed.\n"
        "    Fix: Take it away.\n"
        "✓ enter\n"
        "    The door opened.\n"
        "✓ p:b (evaluated from policies)\n"
        "    The rules allow it.\n"
        "✓ people (tested)\n"
        "    Answered.\n"
        "    p:a, p:d\n"
        "- Not needed.\n"
        "    p:c, p:e\n"
        "\n"
        "Blocked by door: do not use this integration until this check passes.\n"
        "Not usable yet: 1 failed, 1 warning, 4 passed, 2 skipped.\n"
    )


def test_the_message_of_a_check_is_never_hidden_by_its_feature() -> None:
    check = Check(name="list", outcome="passed", message="2,000 people were found.", feature="people", method="probed")
    other = check.model_copy(update={"name": "groups", "message": "7 groups were found."})
    assert printed(ConnectionReport(checks=(check, other))) == (
        "✓ list (tested)\n    2,000 people were found.\n"
        "✓ groups (tested)\n    7 groups were found.\n"
        "\nUsable: 2 passed.\n"
    )


def test_only_a_failed_check_blocks() -> None:
    passed = Check(name="door", outcome="passed", message="It is shut.", is_blocking=True)
    shut = ConnectionReport(checks=(passed,))

    assert printed(shut) == "✓ door\n    It is shut.\n\nUsable: 1 passed.\n"
    assert report_json(shut) == {"usable": True, "blockers": [], "checks": [passed.model_dump(mode="json")]}
    assert {name: value for name, value in report_json(REPORT).items() if name != "checks"} == {
        "usable": False,
        "blockers": [
            {"source": "connection_test", "code": "door", "message": REPORT.checks[-1].message, "since": None}
        ],
    }
