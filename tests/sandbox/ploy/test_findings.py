"""Findings at the local Ploy: their states over time, across generations, and who accepted them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy import ForbiddenError
from ploy_connector_aws.sandbox.ploy.findings import FindingRow
from ploy_connector_aws.spec.records import Grant

from .conftest import DENIED, USERS, USERS_FAILED, Customer, account

FINDINGS = wire.ScopeLine(name="findings", ending="complete")
FINDINGS_FAILED = wire.ScopeLine(name="findings", ending="failed", failure=DENIED)
EXCLUDED = wire.ScopeLine(name="findings", ending="excluded")
ANN = account("ann", username="ann", kind="human")
WHO = {"name": "Ada Byron", "reason": "It is a honeypot."}


def finding(id_: str = "open/r1", scopes: tuple[str, ...] = ("findings",), **fields: Any) -> wire.RecordLine:
    record = {
        "id": id_,
        "kind": "open",
        "subjects": [{"type": "account", "id": "ann"}],
        "severity": "medium",
        "title": "It is open.",
        "evidence": "Anybody can use it.",
        **fields,
    }
    return wire.RecordLine(type="finding", id=id_, scopes=scopes, record=record)


def rows(acme: Customer) -> list[FindingRow]:
    return list(acme.ploy.refresh_findings(acme.id).list_findings(acme.id, limit=100).rows)


def only(acme: Customer) -> FindingRow:
    (row,) = rows(acme)
    return row


def states(acme: Customer) -> list[str]:
    """The states that the only finding came into."""
    return [event.state for event in acme.ploy.findings.history(only(acme).number)]


def test_finding_is_open_from_the_first_commit_that_lists_it_until_it_is_proven_gone(acme: Customer) -> None:
    acme.sync(USERS, FINDINGS, ANN, finding())
    first = only(acme)
    assert (first.state, first.is_judged, first.is_reopened, first.source) == ("open", True, False, "connector")
    assert first.first_seen_at == first.changed_at == acme.clock.now

    acme.sync(USERS, FINDINGS, ANN, finding(evidence="Many can use it."))
    assert only(acme) == first._replace(finding=only(acme).finding)
    assert only(acme).finding.evidence == "Many can use it."

    acme.sync(USERS, FINDINGS, ANN)
    gone = only(acme)
    assert (gone.state, gone.first_seen_at, gone.changed_at) == ("resolved", first.first_seen_at, acme.clock.now)
    assert gone.finding.evidence == "Many can use it."

    acme.sync(USERS, FINDINGS, ANN, finding())
    again = only(acme)
    assert (again.state, again.is_reopened, again.first_seen_at) == ("open", True, first.first_seen_at)
    assert states(acme) == ["open", "resolved", "open"]


def test_finding_of_a_failed_scope_is_not_judged_and_not_gone(acme: Customer) -> None:
    acme.sync(USERS, FINDINGS, ANN, finding("a"), finding("b"))
    acme.sync(USERS, FINDINGS_FAILED, ANN, finding("b"))
    assert {(row.finding.id, row.state, row.is_judged) for row in rows(acme)} == {
        ("a", "open", False),
        ("b", "open", True),
    }

    acme.sync(USERS, FINDINGS, ANN, finding("a"))
    assert {(row.finding.id, row.state, row.is_judged) for row in rows(acme)} == {
        ("a", "open", True),
        ("b", "resolved", True),
    }


@pytest.mark.parametrize("is_below", [False, True])
def test_finding_that_was_switched_off_is_withdrawn_and_not_resolved(acme: Customer, is_below: bool) -> None:
    below = wire.ScopeLine(name="findings/1", parent="findings", ending="complete")
    listed = (below, finding(scopes=("findings/1",))) if is_below else (finding(),)
    acme.sync(USERS, FINDINGS, ANN, *listed)
    answer = acme.sync(USERS, EXCLUDED, ANN)
    assert (answer.status, only(acme).state) == ("committed", "withdrawn")

    acme.sync(USERS, FINDINGS, ANN, *listed)
    assert (only(acme).state, only(acme).is_reopened) == ("open", True)


def test_accepted_finding_stays_accepted_with_reason_and_name_until_it_is_reopened(acme: Customer) -> None:
    acme.sync(USERS, FINDINGS, ANN, finding())
    acme.clock.pass_by(minutes=5)
    acme.ploy.findings.decide(acme.id, only(acme).number, "accepted", **WHO)
    acme.sync(USERS, FINDINGS, ANN, finding(evidence="Others can use it.", severity="low"))
    accepted = only(acme)
    event = acme.ploy.findings.acceptance(accepted)
    assert accepted.state == "accepted"
    assert event is not None
    assert (event.name, event.reason, event.at) == (*WHO.values(), acme.clock.now - timedelta(minutes=1))

    with pytest.raises(ForbiddenError, match="not open any more"):
        acme.ploy.findings.decide(acme.id, accepted.number, "accepted", **WHO)
    acme.ploy.findings.decide(acme.id, accepted.number, "open", name="Bo", reason="It is none.")
    assert (only(acme).state, only(acme).is_reopened, acme.ploy.findings.acceptance(only(acme))) == ("open", True, None)
    with pytest.raises(ForbiddenError, match="not accepted any more"):
        acme.ploy.findings.decide(acme.id, accepted.number, "open", **WHO)
    assert [(event.state, event.name) for event in acme.ploy.findings.history(accepted.number)] == [
        ("open", None),
        ("accepted", "Ada Byron"),
        ("open", "Bo"),
    ]


def test_acceptance_ends_when_the_finding_is_more_severe_or_was_gone(acme: Customer) -> None:
    acme.sync(USERS, FINDINGS, ANN, finding("worse"), finding("gone"), finding("same"))
    for row in rows(acme):
        acme.ploy.findings.decide(acme.id, row.number, "accepted", **WHO)
    acme.sync(USERS, FINDINGS, ANN, finding("worse", severity="high"), finding("same"))
    acme.sync(USERS, FINDINGS, ANN, finding("worse", severity="high"), finding("gone"), finding("same"))

    assert {row.finding.id: (row.state, row.is_reopened) for row in rows(acme)} == {
        "worse": ("open", True),
        "gone": ("open", True),
        "same": ("accepted", False),
    }


def test_acceptance_of_another_integration_is_neither_seen_nor_changed(acme: Customer, enroll: Any) -> None:
    other = enroll("Other")
    for customer in (acme, other):
        customer.sync(USERS, FINDINGS, ANN, finding())
    with pytest.raises(ForbiddenError):
        acme.ploy.findings.decide(acme.id, only(other).number, "accepted", **WHO)
    acme.ploy.findings.decide(other.id, only(other).number, "accepted", **WHO)
    assert (only(acme).state, only(other).state) == ("open", "accepted")


def test_held_sync_changes_no_finding_before_it_is_approved(acme: Customer) -> None:
    acme.sync(USERS, FINDINGS, ANN, finding())
    acme.sync(USERS, FINDINGS, ANN, finding("new"), hold="asked")
    held = acme.ploy.view(acme.id).held()
    assert held is not None
    assert {row.finding.id: row.state for row in rows(acme)} == {"open/r1": "open"}
    acme.ploy.approve(acme.id, held.id, **WHO)
    assert {row.finding.id: row.state for row in rows(acme)} == {"open/r1": "resolved", "new": "open"}


# --- the rules of the platform --------------------------------------------------------------------------------------


def role(id_: str, *, privileged: bool | None) -> wire.RecordLine:
    record = {"id": id_, "kind": "role", "name": id_.title(), "grantable": True, "privileged": privileged}
    return wire.RecordLine(type="entitlement", id=id_, scopes=("users",), record=record)


GROUP = role("admins", privileged=True)
EDGE = Grant(principal_kind="account", principal_id="ann", entitlement_id="admins")
HELD = wire.RecordLine(type="grant", id=EDGE.id, scopes=("grants",), record=EDGE.model_dump(mode="json"))
GRANTS = wire.ScopeLine(name="grants", ending="complete")
GRANTS_FAILED = wire.ScopeLine(name="grants", ending="failed", failure=DENIED)


def sync_approved(acme: Customer, *lines: Any) -> None:
    """Sync, and approve where the guard holds it: a scope that was switched off removes its records."""
    acme.sync(*lines)
    if held := acme.ploy.view(acme.id).held():
        acme.ploy.approve(acme.id, held.id, **WHO)


def found(acme: Customer) -> dict[str, tuple[str, bool]]:
    return {row.finding.kind: (row.state, row.is_judged) for row in rows(acme) if row.source == "platform"}


def test_rules_of_the_platform_are_in_the_same_list(acme: Customer) -> None:
    acme.sync(USERS, GRANTS, FINDINGS, ANN, GROUP, HELD, finding())
    assert {row.source for row in rows(acme)} == {"connector", "platform"}
    assert found(acme) == {"privileged-access-held-directly": ("open", True)}

    acme.sync(USERS_FAILED, GRANTS_FAILED, FINDINGS, finding())
    assert found(acme) == {"privileged-access-held-directly": ("open", False)}
    acme.clock.pass_by(days=2)
    assert found(acme) == {"privileged-access-held-directly": ("open", False), "access-unproven": ("open", True)}

    acme.sync(USERS, GRANTS, FINDINGS, ANN, GROUP, finding())
    assert found(acme) == {
        "privileged-access-held-directly": ("resolved", True),
        "access-unproven": ("resolved", True),
    }


def test_finding_of_a_rule_is_withdrawn_with_the_records_that_it_is_about(acme: Customer) -> None:
    acme.sync(USERS, GRANTS, FINDINGS, ANN, GROUP, HELD)
    off = (wire.ScopeLine(name=name, ending="excluded") for name in ("users", "grants"))
    sync_approved(acme, *off, FINDINGS)
    assert found(acme) == {"privileged-access-held-directly": ("withdrawn", True)}


def test_finding_of_a_rule_is_withdrawn_with_the_grants_on_its_path(acme: Customer) -> None:
    team = role("team", privileged=False)
    lead = Grant(principal_kind="entitlement", principal_id="team", entitlement_id="admins")
    member = Grant(principal_kind="account", principal_id="ann", entitlement_id="team")
    ann = account("ann", username="ann", kind="human", status="disabled")
    members, assignments = (
        wire.RecordLine(type="grant", id=each.id, scopes=(name,), record=each.model_dump(mode="json"))
        for each, name in ((member, "members"), (lead, "grants"))
    )
    listed = (USERS, wire.ScopeLine(name="members", ending="complete"), FINDINGS, ann, GROUP, team, members)
    acme.sync(*listed, GRANTS, assignments)
    assert found(acme) == {
        "disabled-account-reaches-access": ("open", True),
        "privileged-access-held-directly": ("open", True),
    }

    sync_approved(acme, *listed, wire.ScopeLine(name="grants", ending="excluded"))
    assert found(acme) == {
        "disabled-account-reaches-access": ("open", True),
        "privileged-access-held-directly": ("withdrawn", True),
    }
    off = wire.ScopeLine(name="members", ending="excluded")
    sync_approved(acme, USERS, off, GRANTS, FINDINGS, ann, GROUP, team)
    assert found(acme) == {
        "disabled-account-reaches-access": ("withdrawn", True),
        "privileged-access-held-directly": ("withdrawn", True),
    }


def test_finding_of_a_rule_is_not_judged_where_a_verdict_is_missing_and_never_gone(acme: Customer) -> None:
    unknown = role("admins", privileged=None)
    acme.sync(USERS, GRANTS, FINDINGS, ANN, unknown, HELD)
    assert found(acme) == {}
    acme.sync(USERS, GRANTS, FINDINGS, ANN, GROUP, HELD)
    acme.ploy.findings.decide(acme.id, only(acme).number, "accepted", **WHO)
    acme.sync(USERS, GRANTS, FINDINGS, ANN, unknown, HELD)
    assert found(acme) == {"privileged-access-held-directly": ("accepted", False)}

    acme.sync(USERS, GRANTS, FINDINGS, ANN, GROUP, HELD)
    assert found(acme) == {"privileged-access-held-directly": ("accepted", True)}
    acme.sync(USERS, GRANTS, FINDINGS, ANN, role("admins", privileged=False), HELD)
    assert found(acme) == {"privileged-access-held-directly": ("resolved", True)}
    acme.sync(USERS, GRANTS, FINDINGS, ANN, unknown, HELD)
    assert found(acme) == {"privileged-access-held-directly": ("resolved", True)}


def test_counts_are_by_state_and_severity_and_open_findings_come_first(acme: Customer) -> None:
    acme.sync(USERS, FINDINGS, ANN, finding("a"), finding("b", severity="critical"), finding("c"), finding("d"))
    acme.sync(USERS, FINDINGS, ANN, finding("a"), finding("b", severity="critical"), finding("c"))
    (a,) = (row for row in rows(acme) if row.finding.id == "a")
    acme.ploy.findings.decide(acme.id, a.number, "accepted", **WHO)

    assert dict(acme.ploy.findings.counts(acme.id)) == {
        ("open", "critical"): 1,
        ("open", "medium"): 1,
        ("accepted", "medium"): 1,
        ("resolved", "medium"): 1,
    }
    assert [row.finding.id for row in rows(acme)] == ["b", "c", "a", "d"]
    listing = acme.ploy.findings.list_findings(acme.id, states=["open"], severities=["medium", "low"], limit=1)
    assert ([row.finding.id for row in listing.rows], listing.total) == (["c"], 1)


def test_everything_of_a_removed_integration_is_forgotten(acme: Customer) -> None:
    acme.sync(USERS, FINDINGS, ANN, finding())
    number = only(acme).number
    acme.ploy.remove(acme.id, only_draft=False)
    assert acme.ploy.findings.history(number) == ()
    assert not acme.ploy.findings.counts(acme.id)


def test_unproven_users_leave_a_finding_about_them_open(acme: Customer) -> None:
    acme.sync(USERS, GRANTS, FINDINGS, ANN, GROUP, HELD)
    acme.sync(USERS_FAILED, GRANTS, FINDINGS, HELD)
    assert found(acme) == {"privileged-access-held-directly": ("open", False)}
