"""Templates of the pages, and the labels of states and amounts. The template engine escapes all values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from ploy_connector_aws.graph.search import FoundRecord
from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy.held_changes import Share
from ploy_connector_aws.sandbox.ploy.record_names import name_of
from ploy_connector_aws.sandbox.ploy.registry import IntegrationRow
from ploy_connector_aws.sandbox.ploy.scope_report import ScopeReport
from ploy_connector_aws.sandbox.ploy.task_ledger import OrderedTask
from ploy_connector_aws.sandbox.ploy.verification import find_blocker
from ploy_connector_aws.spec import ConnectionReport, Labels
from ploy_connector_aws.spec.labels import OF_TYPES
from ploy_connector_aws.spec.records import RecordType

from .session import BASE, IntegrationVisit, Visit

OUTCOMES = {"passed": "Passed", "failed": "Failed", "warning": "Warning", "skipped": "Skipped"}
TONES = {"passed": "good", "failed": "bad", "warning": "warn", "skipped": "dim"}
KINDS = {"grant": "Grant", "revoke": "Revoke", "check": "Connection test", "sync": "Sync"}
PAGE_OF = {"account": "/account", "entitlement": "/entitlement", "resource": "/resource"}
"""The page of one record, by its type."""
TITLES = {
    "accounts": OF_TYPES["account"][1],
    "entitlements": OF_TYPES["entitlement"][1],
    "resources": OF_TYPES["resource"][1],
}
"""The titles of lists."""
TASK_STATES = {
    "queued": ("Waiting for the service", "dim"),
    "leased": ("In progress", "warn"),
    "done": ("Done", "good"),
    "manual": ("Needs a person", "bad"),
    "resolved": ("Resolved by a person", "dim"),
}
TASK_EVENTS = {
    "created": "Requested",
    "made": "Made on the command line",
    "leased": "Started by the service",
    "lease_ended": "The service stopped answering",
    "resumed": "Resumed by the service",
    "done": "Done",
    "manual": "Needs a person",
    "resolved": "Resolved",
}
ENDED_SYNCS = {
    "committed": ("Done", "good"),
    "held_for_review": ("Held for approval", "warn"),
    "paused": ("Not done: paused", "warn"),
    "waiting": ("Read; the upload waits for Ploy", "warn"),
    "previewed": ("Done", "good"),
}
SYNC_STATES = {
    "open": ("Uploading", "dim"),
    "held": ("Held for approval", "warn"),
    "committed": ("Committed", "good"),
    "rejected": ("Rejected", "bad"),
    "replaced": ("Replaced by a newer sync", "dim"),
    "aborted": ("Aborted", "dim"),
}


def render_page(visit: Visit | None, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a page.

    Args:
        visit: The visit; None before the login. A visit to an integration gives the template that integration.
        template: The file name.
        status: The HTTP status.
        values: The variables of the template.
    """
    if visit is not None:
        organisations = visit.ploy.registry.organisations()
        values |= {
            "organisations": organisations,
            "organisation_id": visit.organisation_id,
            "organisation": organisations.get(visit.organisation_id),
            "flash": visit.take_flash(),
        }
    if isinstance(visit, IntegrationVisit):
        generations = visit.view.generations()
        values["newest"] = generations[-1] if generations else None
        values["not_read"] = _not_read(visit, generations[-1].report) if generations else []
        values |= {"connector_title": connector_title(visit), "tabs": _tabs(visit.labels)}
    return render_part(visit, template, status=status, **values)


def render_part(visit: Visit | None, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a part of a page, without the messages at its top."""
    if visit is not None:
        values |= {"form_token": visit.form_token, "now": visit.ploy.now, "typed_name": visit.session.name}
    if isinstance(visit, IntegrationVisit):
        values |= {"integration": visit.row, "id": visit.id, "at": visit.path, "labels": visit.labels}
    return HTMLResponse(_ENVIRONMENT.get_template(template).render(values), status_code=status)


def _tabs(labels: Labels) -> list[tuple[str, str, str]]:
    """Return the tabs of an integration: name, path and title."""
    place = labels.place_kind
    return [
        ("overview", "", "overview"),
        ("accounts", "/accounts", TITLES["accounts"]),
        ("entitlements", "/entitlements", TITLES["entitlements"]),
        *([("places", f"/resources?kind={quote(place)}", labels.of_kind("resource", place)[1])] if place else []),
        ("resources", "/resources", TITLES["resources"]),
        ("findings", "/findings", "findings"),
        ("history", "/history", "history"),
        ("syncs", "/syncs", "syncs"),
        ("tasks", "/tasks", "tasks"),
    ]


def _not_read(visit: IntegrationVisit, report: ScopeReport) -> list[str]:
    """Return what the set-up switches off in the newest sync: the titles of features, or the names of scopes."""
    manifest = visit.manifest(visit.row.integration.connector)
    titles = {feature.name: feature.title for feature in manifest.features} if manifest else {}
    return [titles.get(name, name) for name in report.excluded]


def link_of(labels: Labels, of: RecordType, record: FoundRecord) -> str | None:
    """Return the address of a record at its source; None where there is none, or it is no web address."""
    address = labels.link_of(of, {**record.content, "id": record.id})
    return address if address and is_web_address(address) else None


def connector_title(visit: IntegrationVisit) -> str:
    """Return the title of an integration's connector, which is the name of the integration on the pages."""
    connector = visit.row.integration.connector
    return manifest.title if (manifest := visit.manifest(connector)) else connector


def url_of(path: str, **query: object) -> str:
    """Return the address of a page."""
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return BASE + path + (f"?{urlencode(given)}" if given else "")


def state_of(row: IntegrationRow) -> tuple[str, str]:
    """Return the label of an integration's state, and its tone."""
    if not row.is_verified:
        return ("Not verified", "bad") if row.is_enabled else ("Set-up not finished", "warn")
    if not row.is_enabled:
        return "Switched off", "dim"
    if row.flags.paused:
        return "Paused", "warn"
    return ("On, read-only", "good") if row.flags.read_only else ("On", "good")


def task_state(task: OrderedTask, row: IntegrationRow) -> tuple[str, str]:
    """Return the label of a task's state, and its tone. A done test with findings counts as failed."""
    blocker = find_blocker(row, task.kind, task.preview) if task.state == "queued" else None
    if blocker is not None:
        return f"Waiting: {blocker.code.replace('_', ' ')}", "warn"
    done = task.report if isinstance(task.report, wire.TaskDone) else None
    if done and done.report and not done.report.is_usable:
        return ("Blocked", "bad") if done.report.is_blocked else ("Failed", "bad")
    if done and done.sync:
        return ENDED_SYNCS[done.sync.status]
    return TASK_STATES["resolved" if task.resolved_at else task.state]


def task_title(task: OrderedTask) -> str:
    """Return the label of a task's kind."""
    return f"{'Preview of a ' if task.preview else ''}{KINDS[task.kind].lower()}".capitalize()


def counts(report: ConnectionReport) -> list[tuple[int, str, str]]:
    """Return the number of checks by outcome, with label and tone; those that need attention first."""
    found = [(sum(check.outcome == each for check in report.checks), each) for each in ("failed", "warning", "passed")]
    skipped = sum(check.outcome == "skipped" for check in report.checks)
    return [(n, OUTCOMES[each].lower(), TONES[each]) for n, each in (*found, (skipped, "skipped")) if n]


def fix_parts(fix: str) -> tuple[str, str]:
    """Split a fix into its message and the JSON document at its end, which a person copies."""
    start = fix.find("{")
    try:
        document = json.loads(fix[start:]) if start >= 0 else None
    except ValueError:
        document = None
    return (fix, "") if document is None else (fix[:start].rstrip(), json.dumps(document, indent=2, ensure_ascii=False))


def amounts_label(amounts: Mapping[RecordType, int]) -> str:
    """Return the label of amounts by record type."""
    parts = [
        f"{amount:,} {OF_TYPES.get(of, (of, f'{of}s'))[0 if amount == 1 else 1]}"
        for of, amount in amounts.items()
        if amount
    ]
    return ", ".join(parts) or "none"


def counted(amount: int, noun: str, plural: str = "") -> str:
    """Return an amount with its noun; the plural ends in s, unless it is given."""
    return f"{amount:,} {noun if amount == 1 else plural or f'{noun}s'}"


def share_label(share: Share, labels: Labels) -> str:
    """Return how many holders of one kind are affected, e.g. '3 of 17 people'."""
    return f"{share.amount:,} of {labels.count(share.type, share.kind, share.total)}"


def is_web_address(url: str) -> bool:
    """Whether an address may become a link: an HTTPS page, and no script."""
    parts = urlsplit(url)
    return parts.scheme == "https" and bool(parts.netloc) and url.startswith("https://")


def _moment(moment: datetime | str | None) -> str:
    if moment is None:
        return "unknown"
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    try:
        return f"{moment.astimezone(UTC):%d %b %Y, %H:%M:%S} UTC".removeprefix("0")
    except (OverflowError, ValueError):  # some sources use the first or the last possible moment for "never"
        return str(moment)


_UNITS = (("year", 365 * 86400), ("month", 30 * 86400), ("day", 86400), ("hour", 3600), ("minute", 60))


def relative(moment: datetime | str, now: datetime) -> str:
    """Return how far a moment is from now, e.g. '3 hours ago' or 'in 2 days'."""
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    seconds = ((found if found.tzinfo else found.replace(tzinfo=UTC)) - now).total_seconds()
    for unit, length in _UNITS:
        if (amount := int(abs(seconds) // length)) > 0:
            return f"in {counted(amount, unit)}" if seconds > 0 else f"{counted(amount, unit)} ago"
    return "now"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _spaced(text: str) -> str:
    return text.replace("_", " ").replace("-", " ")


_ENVIRONMENT = Environment(
    loader=PackageLoader(__name__.rpartition(".")[0]),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters.update(
    moment=_moment,
    spaced=_spaced,
    amounts_label=amounts_label,
    fix_parts=fix_parts,
    counted=counted,
    relative=relative,
    capital=_capital,
)
_ENVIRONMENT.globals.update(
    share_label=share_label,
    url=url_of,
    state_of=state_of,
    blocker_of=find_blocker,
    task_state=task_state,
    task_title=task_title,
    counts=counts,
    name_of=name_of,
    outcomes=OUTCOMES,
    tones=TONES,
    events=TASK_EVENTS,
    kinds=KINDS,
    sync_states=SYNC_STATES,
    page_of=PAGE_OF,
    titles=TITLES,
    list_of={"account": "accounts", "entitlement": "entitlements", "resource": "resources"},
    link_of=link_of,
)
