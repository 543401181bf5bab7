"""`list findings`: what AWS and the rules show, with the states that Ploy keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.sandbox.aws.demo_organisation import demo_organisation
from tests.end_to_end.sync_harness import Site, make_site

from .conftest import run

WHO = {"name": "Ada Byron", "reason": "The vendor has no external ID."}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A company that was synced once."""
    with (
        pytest.MonkeyPatch.context() as patch,
        make_site(tmp_path_factory.mktemp("company"), patch)(demo_organisation()) as site,
    ):
        yield site


def read(site: Site, *arguments: str) -> tuple[int, list[dict[str, Any]], dict[str, Any]]:
    """The exit status, the findings, and the document of the command."""
    code, out, err = run(site, "list", "findings", "--json", *arguments)
    assert err == ""
    printed = json.loads(out)
    return code, printed["findings"], printed


def kinds(findings: list[dict[str, Any]]) -> dict[str, set[str]]:
    """The first subjects of findings, by kind."""
    found: dict[str, set[str]] = {}
    for each in findings:
        found.setdefault(each["kind"], set()).add(each["subjects"][0]["name"])
    return found


def test_findings_of_the_connector_and_of_the_rules_are_one_list(company: Site) -> None:
    code, findings, printed = read(company)
    assert (code, findings, printed["complete"]) == (Exit.UNPROVEN, [], False)
    assert "no committed sync yet" in run(company, "list", "findings")[2]

    assert run(company, "sync")[0] == Exit.OK
    code, findings, printed = read(company)
    assert (code, printed["complete"], printed["generation"]) == (Exit.FINDINGS, True, 1)
    found = kinds(findings)
    assert found["dormant-privileged-user"] == {"henrik.aas"}
    role = f"OldCostReport in {company.seeded.instance.owner_account_id}"
    assert found["external-id-missing"] == {role}
    assert found["disabled-account-reaches-access"] == {"Jonas Vik"}
    assert "Nora Lind" in found["privileged-access-held-directly"]
    assert len(found) == 4
    order = [("critical", "high", "medium", "low").index(each["severity"]) for each in findings]
    assert order == sorted(order)

    code, out, err = run(company, "list", "findings", "--search", "oldcostreport", "--ids")
    (line,) = out.splitlines()
    (row,) = (each for each in findings if each["kind"] == "external-id-missing")
    assert line.split("\t")[:3] == [f"{role}, arn:aws:iam::358173209641:root", "medium", "open"]
    assert line.endswith(row["id"])
    assert (code, err.startswith("1 open finding (1 medium). As of generation 1 in Ploy;")) == (13, True)


def test_exit_status_is_of_open_findings_of_the_severity_that_was_asked_for(company: Site) -> None:
    run(company, "sync")
    assert read(company, "--severity", "critical")[:2] == (Exit.OK, [])
    code, findings, printed = read(company, "--severity", "critical", "--severity", "high")
    assert (code, {each["severity"] for each in findings}) == (Exit.FINDINGS, {"high"})
    assert printed["counts"]["open"] == {"high": len(findings)}
    # Also where the open ones are not shown.
    assert read(company, "--severity", "high", "--state", "resolved")[:2] == (Exit.FINDINGS, [])
    assert read(company, "--kind", "external-id-missing", "--severity", "high")[:2] == (Exit.OK, [])


def test_accepted_and_resolved_findings_are_not_open(company: Site) -> None:
    run(company, "sync")
    ploy, id_ = company.world.ploy, company.integration_id
    (row,) = (
        each
        for each in ploy.findings.list_findings(id_, limit=100).rows
        if each.finding.kind == "external-id-missing" and each.state == "open"
    )
    ploy.findings.decide(id_, row.number, "accepted", **WHO)

    assert read(company, "--kind", "external-id-missing")[:2] == (Exit.OK, [])
    code, (accepted,), _ = read(company, "--kind", "external-id-missing", "--state", "accepted")
    assert (code, accepted["acceptance"]["name"], accepted["acceptance"]["reason"]) == (Exit.OK, *WHO.values())
    assert "; 1 accepted. As of" in run(company, "list", "findings")[2]

    ploy.findings.decide(id_, row.number, "open", **WHO)
    code, (open_again,), _ = read(company, "--kind", "external-id-missing")
    assert (code, open_again["is_reopened"], open_again["acceptance"]) == (Exit.FINDINGS, True, None)


def test_finding_of_a_denied_list_is_not_judged_and_still_open(company: Site) -> None:
    run(company, "sync")
    company.world.aws.faults.deny("iam:ListUsers")
    try:
        assert run(company, "sync")[0] == Exit.UNPROVEN
        code, (dormant,), printed = read(company, "--kind", "dormant-privileged-user")
        assert (code, dormant["state"], dormant["is_judged"]) == (Exit.FINDINGS, "open", False)
        assert printed["complete"] is False
        code, out, err = run(company, "list", "findings", "--unproven", "--kind", "dormant-privileged-user")
        assert (code, "open, not judged" in out, "may be gone" in err) == (Exit.FINDINGS, True, True)
        unproven, every = read(company, "--unproven")[1], read(company)[1]
        assert unproven == [each for each in every if not each["is_judged"]] != every
    finally:
        company.world.aws.faults.reset()
    run(company, "sync")
    assert read(company, "--kind", "dormant-privileged-user")[1][0]["is_judged"] is True


def test_list_is_not_complete_while_a_scope_is_unproven(company: Site) -> None:
    run(company, "sync")
    company.world.aws.faults.deny("s3:ListAllMyBuckets")
    try:
        assert run(company, "sync")[0] == Exit.UNPROVEN
        code, findings, printed = read(company)
        assert (code, printed["complete"], {each["is_judged"] for each in findings}) == (Exit.FINDINGS, False, {True})
        # Nothing is open of this severity, but not everything was read.
        assert read(company, "--severity", "critical")[:2] == (Exit.UNPROVEN, [])
    finally:
        company.world.aws.faults.reset()
    run(company, "sync")


def test_fresh_read_has_the_same_findings_without_states(company: Site) -> None:
    run(company, "sync")
    code, known, _ = read(company)
    fresh_code, fresh, printed = read(company, "--fresh")
    assert (code, fresh_code, "as_of" in printed) == (Exit.FINDINGS, Exit.FINDINGS, True)
    assert {(each["source"], each["id"], each["evidence"]) for each in fresh} == {
        (each["source"], each["id"], each["evidence"]) for each in known
    }
    assert "What was accepted is not known here." in run(company, "list", "findings", "--fresh")[2]


def test_states_that_ploy_cannot_give_are_not_guessed(company: Site) -> None:
    company.world.ploy.faults.unavailable("findings", times=100, retry_after="3600")
    try:
        code, out, err = run(company, "list", "findings")
    finally:
        company.world.ploy.faults.clear()
    assert (code, out) == (Exit.TRY_AGAIN, "")
    assert "Ploy" in err


def test_kind_that_there_is_not_is_rejected_and_others_have_the_names_that_people_read(company: Site) -> None:
    run(company, "sync")
    code, out, err = run(company, "list", "findings", "--kind", "external-id-mising")
    assert (code, out) == (Exit.USAGE, "")
    for kind in ("external-id-mising", "roles without an external ID", "disabled accounts with access"):
        assert kind in " ".join(err.replace("│", " ").split())
    by_kind, by_label = (
        read(company, "--kind", name)[:2] for name in ("external-id-missing", "role without an external ID")
    )
    assert by_kind == by_label
    assert by_kind[0] == Exit.FINDINGS
    assert read(company, "--kind", "role-open-to-anybody")[:2] == (Exit.OK, [])


def test_options_of_other_lists_are_rejected(company: Site) -> None:
    for option in ("--privileged", "--sort=name", "--in=x", "--holds=x", "--status=active"):
        assert run(company, "list", "findings", option)[0] == Exit.USAGE
    for option in ("--severity=high", "--state=open"):
        assert run(company, "list", "accounts", option)[0] == Exit.USAGE
    assert run(company, "list", "findings", "--severity=worst")[0] == Exit.USAGE
