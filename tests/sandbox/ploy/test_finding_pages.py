"""The page of an integration's findings: filtered, accepted and reopened."""

from __future__ import annotations

import re

import pytest

from .browser import Visitor, at, text
from .conftest import DECIDER, USERS, Customer
from .test_findings import ANN, FINDINGS, FINDINGS_FAILED, GRANTS, GROUP, HELD, finding, only

TWO = (finding("a", advice="Close it.", severity="critical"), finding("b", evidence="<b>Some</b> can use it."))


def titles(page: str) -> list[str]:
    """The evidence of the findings on a page, in their order."""
    return re.findall(r"<p>((?:Anybody|&lt;b&gt;Some).*?)</p>", page)


def test_open_findings_are_shown_by_severity_with_links_to_their_subjects(visitor: Visitor, acme: Customer) -> None:
    page = visitor.get(at(acme, "/findings")).text
    assert "No findings yet: nothing was synced." in page
    acme.sync(USERS, GRANTS, FINDINGS, ANN, GROUP, HELD, *TWO)
    page = visitor.get(at(acme, "/findings")).text
    shown = text(page)

    assert titles(page) == ["Anybody can use it.", "&lt;b&gt;Some&lt;/b&gt; can use it."]
    assert f'href="/app/integrations/{acme.id}/account?id=ann"' in page
    assert "Advice: Close it." in shown
    assert "A person holds privileged access directly instead of through a group." in shown
    assert "3 findings" in shown
    assert "open 3" in shown
    assert "critical 1" in shown


def test_facets_choose_state_and_severity(visitor: Visitor, acme: Customer) -> None:
    acme.sync(USERS, FINDINGS, ANN, *TWO)
    acme.sync(USERS, FINDINGS, ANN, TWO[1])

    def found(query: str) -> list[str]:
        return titles(visitor.get(at(acme, f"/findings{query}")).text)

    assert found("") == found("?state=open&severity=medium") == ["&lt;b&gt;Some&lt;/b&gt; can use it."]
    assert found("?state=resolved") == found("?state=all&severity=critical") == ["Anybody can use it."]
    assert len(found("?state=all")) == 2
    assert found("?state=open&severity=critical") == found("?state=accepted") == found("?state=none") == []
    assert "No such findings." in visitor.get(at(acme, "/findings?state=accepted")).text


def test_findings_are_downloaded_with_the_filters_of_the_page(visitor: Visitor, acme: Customer) -> None:
    acme.sync(USERS, FINDINGS, ANN, *TWO)
    visitor.get(at(acme, "/findings"))
    row = next(each for each in acme.ploy.findings.list_findings(acme.id, limit=9).rows if each.finding.id == "a")
    visitor.fill(at(acme, f"/findings/{row.number}/accept"), **DECIDER)

    def found(query: str) -> list[tuple[str, str | None]]:
        rows = visitor.get(at(acme, f"/findings/download/json{query}")).json()
        return [(each["evidence"], each["accepted_by"]) for each in rows]

    assert found("") == [("<b>Some</b> can use it.", None)]
    assert found("?state=accepted") == [("Anybody can use it.", "Ada Byron")]
    assert found("?state=all&severity=high") == []
    assert '"<b>Some</b> can use it."' not in visitor.get(at(acme, "/findings/download/csv")).text.partition("\n")[0]
    assert visitor.get(at(acme, "/findings/download/none")).status_code == 404


def test_finding_that_is_not_judged_is_marked(visitor: Visitor, acme: Customer) -> None:
    acme.sync(USERS, FINDINGS, ANN, TWO[0])
    acme.sync(USERS, FINDINGS_FAILED, ANN)
    shown = text(visitor.get(at(acme, "/findings")).text)
    assert "not judged" in shown
    assert "so whether it still applies is unknown" in shown


def test_finding_is_accepted_and_reopened_by_a_person_who_gives_a_name_and_a_reason(
    visitor: Visitor, acme: Customer
) -> None:
    acme.sync(USERS, FINDINGS, ANN, TWO[0])
    path = at(acme, f"/findings/{only(acme).number}")
    assert visitor.fill(f"{path}/accept", name="Ada Byron").status_code == 422
    assert only(acme).state == "open"

    visitor.fill(f"{path}/accept", name="<i>Ada</i>", reason="It is a honeypot.")
    shown = text(visitor.get(at(acme, "/findings")).text)
    assert "Accepted. " in shown
    assert "No open findings." in shown
    page = visitor.get(at(acme, "/findings?state=accepted")).text
    assert "Accepted by <i>Ada</i> (as typed)" in text(page)
    assert "It is a honeypot." in page

    visitor.fill(f"{path}/accept", **DECIDER)
    assert "This finding is not open any more; nothing was changed." in visitor.get(at(acme, "/findings")).text
    visitor.fill(f"{path}/reopen", **DECIDER)
    shown = text(visitor.get(at(acme, "/findings")).text)
    assert "Reopened. " in shown
    assert "accepted 1 Jan 2026" in shown
    assert f"reopened 1 Jan 2026, 00:00:00 UTC (now) by {DECIDER['name']}" in re.sub(
        r"\d\d:\d\d:\d\d UTC \(.*?\)", "00:00:00 UTC (now)", shown
    )


def test_finding_of_another_integration_cannot_be_decided(visitor: Visitor, acme: Customer) -> None:
    acme.sync(USERS, FINDINGS, ANN, TWO[0])
    other = acme.ploy.registry.create_integration(acme.organisation_id, "aws", {"region": "eu-west-1"})
    visitor.fill(f"/app/integrations/{other.id}/findings/{only(acme).number}/accept", **DECIDER)
    assert only(acme).state == "open"


@pytest.mark.parametrize("severity", ["low", "critical"])
def test_overview_counts_open_findings(visitor: Visitor, acme: Customer, severity: str) -> None:
    acme.sync(USERS, FINDINGS, ANN, finding(severity=severity))
    page = visitor.get(at(acme)).text
    assert "1 open finding" in text(page)
    tone = "bad" if severity == "critical" else "warn"
    assert re.search(rf'<li class="{tone}"><a href="/app/integrations/{acme.id}/findings"><strong>1</strong>', page)
