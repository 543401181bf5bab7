"""``ploy-connector list findings``: with the states that Ploy keeps or, from a fresh read, as they are now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import typer

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.runtime.integration import open_platform, read_operator_settings
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.spec.records import Finding, RecordKey, Severity

from .exit_codes import Exit
from .formats import Column, Rows
from .listing import Filters, Kinds
from .options import Format
from .output import console, notes_console, print_json
from .snapshot_view import display_name, open_snapshot_view, read_labels

_STYLES = {"critical": "bold red", "high": "red", "medium": "yellow"}
_SEVERITIES: tuple[Severity, ...] = get_args(Severity)
_STATES: tuple[wire.FindingState, ...] = get_args(wire.FindingState)


@dataclass(frozen=True)
class _Found:
    """All findings, whatever their state."""

    rows: tuple[wire.FindingStatus, ...]
    basis: dict[str, object]
    """Where they are from, as JSON."""
    as_of: str
    """The same, as sentences."""
    is_complete: bool
    """Whether everything was read, so that none is missing, and all of them were judged."""


def list_findings(
    filters: Filters,
    severities: Sequence[str],
    states: Sequence[str],
    config: Path | None,
    connector: str | None,
    *,
    fresh: bool,
    ids: bool,
    chosen: Format,
    debug: bool,
) -> Exit:
    """Print the findings of an integration, the most severe first.

    Returns:
        ``FINDINGS`` where there are open ones that the options let pass, whether they are shown or not.
    """
    _reject_useless(filters)
    settings = read_operator_settings(config, connector, debug=debug)
    asked, shown = set(severities or _SEVERITIES), set(states or ("open",))
    found = _read(settings, quiet=chosen is Format.JSON) if fresh or not settings.has_token else _ask(settings)
    kinds = Kinds(read_labels(settings), "finding", {row.kind for row in found.rows}).find(filters.kinds)
    passing = [row for row in found.rows if row.severity in asked and _passes(row, filters, kinds)]
    rows = sorted((row for row in passing if row.state in shown), key=_order)
    code = Exit.FINDINGS if any(row.state == "open" for row in passing) else Exit.OK
    if code is Exit.OK and not found.is_complete:
        code = Exit.UNPROVEN
    if chosen is Format.JSON:
        counts = {state: Counter(row.severity for row in passing if row.state == state) for state in _STATES}
        print_json(
            {
                **found.basis,
                "complete": found.is_complete,
                "findings": [_to_json(row) for row in rows],
                "counts": {state: dict(each) for state, each in counts.items()},
            }
        )
        return code
    out = console()
    is_full = not (chosen is Format.TABLE and out.is_terminal)
    Rows(tuple(_columns(rows, is_full=is_full, with_ids=ids)), rows, _to_json).write(out, chosen)
    notes = notes_console(out, chosen)
    notes.print(f"{_count(passing)}. {found.as_of}", soft_wrap=not notes.is_terminal)
    if not found.is_complete:
        notes.print(
            "[yellow]Incomplete: findings may be missing, and those not judged may be gone.[/]",
            soft_wrap=True,
        )
    return code


def _reject_useless(filters: Filters) -> None:
    """Reject the options of other lists.

    Raises:
        BadParameter: An option was given that findings have no value for.
    """
    for is_given, option in (
        (filters.statuses, "--status"),
        (filters.privileged, "--privileged"),
        (filters.place is not None, "--in"),
        (filters.holds is not None, "--holds"),
        (filters.sort != "default", "--sort"),
    ):
        if is_given:
            raise typer.BadParameter("does not apply to findings; leave it out", param_hint=option)


def _ask(settings: OperatorSettings) -> _Found:
    """Read the findings from Ploy, which keeps their states.

    Raises:
        PlatformError: Ploy could not be reached, or refused.
    """
    with open_platform(settings) as platform:
        pages = list(_pages(platform, settings.integration.id))
    rows = {(row.source, row.id): row for page in pages for row in page.findings}
    last = pages[-1]
    basis: dict[str, object] = {"generation": last.generation}
    if not last.generation:
        return _Found((), basis, "Ploy has no committed sync yet: run ploy-connector sync.", False)
    as_of = f"As of generation {last.generation} in Ploy; --fresh reads the source now, without their states."
    is_complete = not last.unproven_scopes and all(row.is_judged for row in rows.values())
    return _Found(tuple(rows.values()), basis, as_of, is_complete)


def _pages(platform: PlatformClient, integration_id: str) -> Iterator[wire.Findings]:
    after: int | None = None
    while True:
        page = platform.findings(integration_id, after)
        yield page
        if page.next_after is None:
            return
        after = page.next_after


def _read(settings: OperatorSettings, *, quiet: bool) -> _Found:
    """Read everything from the source now, and apply the rules; all findings are open.

    Raises:
        ConnectorError: Nothing could be read.
    """
    now = datetime.now(UTC)
    with open_snapshot_view(settings, fresh=True, quiet=quiet) as view:

        def name_of(key: RecordKey) -> str | None:
            record = view.current.record(key)
            return display_name(record, key.id) if record else None

        observed = [Finding.model_validate_json(record.body) for record in view.current.records("finding")]
        # Nothing is unproven for a time: there was no earlier read.
        by_rule = [each.finding for each in view.graph.findings(lambda _: None, now)]
        rows = [
            wire.FindingStatus(
                **finding.model_dump(exclude={"subjects"}),
                source=source,
                subjects=tuple(
                    wire.FindingSubject.model_validate({**key.model_dump(), "name": name_of(key)})
                    for key in finding.subjects
                ),
                state="open",
                is_judged=True,
                first_seen_at=view.run.reading_started_at,
                changed_at=view.run.reading_started_at,
            )
            for source, findings in (("connector", observed), ("platform", by_rule))
            for finding in findings
        ]
        basis: dict[str, object] = {"as_of": view.run.reading_started_at.isoformat()}
        return _Found(tuple(rows), basis, f"{view.age} What was accepted is not known here.", view.is_complete)


def _passes(row: wire.FindingStatus, filters: Filters, kinds: Collection[str]) -> bool:
    is_of_kind = not filters.kinds or row.kind in kinds
    texts = (row.title, row.evidence, *(f"{each.name or ''} {each.id}" for each in row.subjects))
    is_matching = filters.search.casefold() in "\n".join(texts).casefold()
    return is_of_kind and is_matching and not (filters.unproven and row.is_judged)


def _order(row: wire.FindingStatus) -> tuple[object, ...]:
    return _STATES.index(row.state), -_SEVERITIES.index(row.severity), row.kind, _about(row), row.id


def _about(row: wire.FindingStatus) -> str:
    return ", ".join(each.name or each.id for each in row.subjects)


def _columns(
    rows: Iterable[wire.FindingStatus], *, is_full: bool, with_ids: bool
) -> Iterator[Column[wire.FindingStatus]]:
    yield Column("About", _about)
    yield Column("Severity", lambda row: row.severity, styles=_STYLES)
    if is_full or any(row.state != "open" or not row.is_judged for row in rows):
        yield Column("State", _state, styles={"open, not judged": "yellow"})
    yield Column("Finding", lambda row: row.title, is_text=True)
    yield Column("Evidence", lambda row: row.evidence, is_text=True)
    yield Column("Advice", lambda row: row.advice, is_text=True)
    yield Column("Since", lambda row: f"{row.first_seen_at:%Y-%m-%d}")
    yield Column("Accepted by", lambda row: row.acceptance.name if row.acceptance else None)
    yield Column("Reason", lambda row: row.acceptance.reason if row.acceptance else None, is_text=True)
    if is_full:
        yield Column("Kind", lambda row: row.kind)
        yield Column("Source", lambda row: row.source)
    if with_ids:
        yield Column("Id", lambda row: row.id)


def _state(row: wire.FindingStatus) -> str:
    return f"{row.state}{'' if row.is_judged else ', not judged'}"


def _to_json(row: wire.FindingStatus) -> dict[str, object]:
    return row.model_dump(mode="json")


def _count(rows: Iterable[wire.FindingStatus]) -> str:
    """Count findings by state, and the open ones by severity."""
    states = Counter(row.state for row in rows)
    severities = Counter(row.severity for row in rows if row.state == "open")
    each = ", ".join(f"{severities[severity]} {severity}" for severity in _SEVERITIES[::-1] if severities[severity])
    others = ", ".join(f"{states[state]} {state}" for state in _STATES[1:] if states[state])
    noun = "finding" if states["open"] == 1 else "findings"
    return f"{states['open']} open {noun}{f' ({each})' if each else ''}{f'; {others}' if others else ''}"
