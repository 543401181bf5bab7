"""The findings of an integration: filtered by state and severity, and accepted or reopened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from fastapi import APIRouter
from starlette.responses import Response

from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy.findings import SEVERITIES, STATES, FindingRow
from ploy_connector_aws.sandbox.ploy.record_names import ShownName
from ploy_connector_aws.sandbox.ploy.registry import ForbiddenError
from ploy_connector_aws.spec.records import Severity

from .downloads import format_of, to_download
from .filters import Choice, Facet
from .rendering import render_page
from .session import IntegrationVisit, IntegrationVisitor, Offset, SentForm, go_to

router = APIRouter()

_SHOWN = 25
_EXPORTED_AT_ONCE = 500

_DONE = {"accepted": "Accepted.", "open": "Reopened."}


@router.get("/integrations/{integration_id}/findings")
def show_findings(visit: IntegrationVisitor, state: str = "open", severity: str = "", offset: Offset = 0) -> Response:
    """Show the findings, by default the open ones; ``state=all`` shows those of every state."""
    store = visit.ploy.refresh_findings(visit.id)
    states = tuple(each for each in STATES if state in (each, "all"))
    severities = tuple(each for each in SEVERITIES if severity in (each, ""))
    listing = store.list_findings(visit.id, states=states, severities=severities, offset=offset, limit=_SHOWN)
    return render_page(
        visit,
        "findings.html",
        tab="findings",
        rows=[(row, store.history(row.number)) for row in listing.rows],
        total=listing.total,
        offset=offset,
        size=_SHOWN,
        query={"state": state, "severity": severity},
        facets=_facets(listing.counts, states, severities, state, severity),
        names=_names(visit, listing.rows),
    )


@router.get("/integrations/{integration_id}/findings/download/{chosen}")
def download_findings(visit: IntegrationVisitor, chosen: str, state: str = "open", severity: str = "") -> Response:
    """Return the findings as a file, with the same filters as on their page."""
    states = tuple(each for each in STATES if state in (each, "all"))
    severities = tuple(each for each in SEVERITIES if severity in (each, ""))
    return to_download(_rows(visit, states, severities), "findings", format_of(chosen))


def _rows(
    visit: IntegrationVisit, states: tuple[wire.FindingState, ...], severities: tuple[Severity, ...]
) -> Iterator[dict[str, Any]]:
    store, offset, total = visit.ploy.refresh_findings(visit.id), 0, 1
    while offset < total:
        listing = store.list_findings(
            visit.id, states=states, severities=severities, offset=offset, limit=_EXPORTED_AT_ONCE
        )
        keys = [key for row in listing.rows for key in row.finding.subjects]
        with visit.ploy.view(visit.id) as view:
            names = view.names(keys)
        for row in listing.rows:
            finding, accepted = row.finding, store.acceptance(row)
            yield {
                "severity": finding.severity,
                "state": row.state if row.is_judged else f"{row.state}, not judged",
                "title": finding.title,
                "subjects": [names[key].name if key in names else key.id for key in finding.subjects],
                "subject_ids": [key.id for key in finding.subjects],
                "evidence": finding.evidence,
                "advice": finding.advice,
                "kind": finding.kind,
                "first_seen_at": row.first_seen_at.isoformat(),
                "accepted_by": accepted.name if accepted else None,
                "accepted_reason": accepted.reason if accepted else None,
            }
        offset, total = offset + _EXPORTED_AT_ONCE, listing.total


@router.post("/integrations/{integration_id}/findings/{number}/accept")
def accept(visit: IntegrationVisitor, number: int, form: SentForm) -> Response:
    """Accept an open finding."""
    return _decide(visit, number, "accepted", form)


@router.post("/integrations/{integration_id}/findings/{number}/reopen")
def reopen(visit: IntegrationVisitor, number: int, form: SentForm) -> Response:
    """Reopen an accepted finding."""
    return _decide(visit, number, "open", form)


def _decide(visit: IntegrationVisit, number: int, state: Literal["open", "accepted"], form: SentForm) -> Response:
    decision = visit.decision(form)
    try:
        visit.ploy.findings.decide(visit.id, number, state, **decision)
        visit.flash(_DONE[state])
    except ForbiddenError as error:
        # The button was pressed twice, or another person decided, or a sync proved that it is gone.
        visit.flash(str(error))
    return go_to(f"{visit.path}/findings")


def _facets(
    counts: Mapping[tuple[wire.FindingState, Severity], int],
    states: tuple[wire.FindingState, ...],
    severities: tuple[Severity, ...],
    state: str,
    severity: str,
) -> list[Facet]:
    def choice(name: str, *, is_state: bool) -> Choice:
        amount = sum(
            found
            for (its_state, its_severity), found in counts.items()
            if (
                name == its_state and its_severity in severities
                if is_state
                else name == its_severity and its_state in states
            )
        )
        is_chosen = name == (state if is_state else severity)
        query = {
            "state": ("all" if is_chosen else name) if is_state else state,
            "severity": severity if is_state else ("" if is_chosen else name),
        }
        return Choice(name, amount, is_chosen, query)

    return [
        Facet("State", tuple(choice(each, is_state=True) for each in STATES)),
        Facet("Severity", tuple(choice(each, is_state=False) for each in SEVERITIES[::-1])),
    ]


def _names(visit: IntegrationVisit, rows: tuple[FindingRow, ...]) -> dict[tuple[str, str], ShownName]:
    """Return the names of the subjects that are or were there, by type and id."""
    found = visit.view.names([key for row in rows for key in row.finding.subjects])
    return {(key.type, key.id): name for key, name in found.items()}
