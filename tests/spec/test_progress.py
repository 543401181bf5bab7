"""How far a connection test is, is told to who waits for it, and to nobody else."""

from __future__ import annotations

from ploy_connector_aws.spec import Check, ConnectionReport, hearing_checks, tell_checks

CHECK = Check(name="door", outcome="passed", message="It is open.")


def test_checks_are_heard_while_somebody_listens() -> None:
    heard: list[ConnectionReport] = []
    tell_checks([CHECK])
    with hearing_checks(heard.append):
        tell_checks([CHECK])
        with hearing_checks(lambda _: None):
            tell_checks([CHECK, CHECK])
    tell_checks([CHECK])
    assert heard == [ConnectionReport(checks=(CHECK,))]
