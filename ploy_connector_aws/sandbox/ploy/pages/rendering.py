"""Templates, and the words in which they say what there is. Everything that is shown is escaped by the engine."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy.preconditions import find_obstacle
from ploy_connector_aws.sandbox.ploy.registry import IntegrationRow
from ploy_connector_aws.sandbox.ploy.task_ledger import OrderedTask
from ploy_connector_aws.sandbox.ploy.views import name_of
from ploy_connector_aws.spec import ConnectionReport

from .session import BASE, Visit

OUTCOMES = {"passed": "Passed", "failed": "Failed", "warning": "Warning", "skipped": "Skipped"}
TONES = {"passed": "good", "failed": "bad", "warning": "warn", "skipped": "dim"}
KINDS = {"grant": "Grant", "revoke": "Revoke", "check": "Connection test", "sync": "Sync"}
RECORD_TYPES = {"account": "accounts", "entitlement": "entitlements", "grant": "grants", "resource": "resources"}
TASK_STATES = {
    "queued": ("Waiting for the service", "dim"),
    "leased": ("In progress", "warn"),
    "done": ("Done", "good"),
    "manual": ("Needs a person", "bad"),
    "resolved": ("Resolved by a person", "dim"),
}
ENDED_SYNCS = {
    "committed": ("Done", "good"),
    "held_for_review": ("Held for approval", "warn"),
    "paused": ("Not done: paused", "warn"),
    "waiting": ("Read, and waiting for Ploy", "warn"),
    "previewed": ("Done", "good"),
}
SYNC_STATES = {
    "open": ("Arriving", "dim"),
    "held": ("Held for approval", "warn"),
    "committed": ("Committed", "good"),
    "rejected": ("Rejected", "bad"),
    "replaced": ("Replaced by a newer one", "dim"),
    "aborted": ("Aborted", "dim"),
}


def render_page(visit: Visit | None, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a template for somebody; for nobody yet before the login."""
    if visit is not None:
        organisations = visit.ploy.organisations()
        values = {
            "form_token": visit.form_token,
            "organisations": organisations,
            "organisation_id": visit.organisation_id,
            "organisation": organisations.get(visit.organisation_id),
            "said": [] if template.startswith("part_") else visit.take_said(),
            **values,
        }
    if isinstance(values.get("enabled"), IntegrationRow):
        values["id"] = values["enabled"].integration.id
        values["at"] = f"/integrations/{values['id']}"
        if visit is not None and not template.startswith("part_"):
            generations = visit.ploy.generations(values["id"])
            values["newest"] = generations[-1] if generations else None
            connector = values["enabled"].integration.connector
            manifest = visit.ploy.notices.manifests(visit.organisation_id).get(connector)
            values["connector_title"] = manifest.title if manifest else connector
    return HTMLResponse(_ENVIRONMENT.get_template(template).render(values), status_code=status)


def url_of(path: str, **query: object) -> str:
    """The address of one of the pages."""
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return BASE + path + (f"?{urlencode(given)}" if given else "")


def state_of(enabled: IntegrationRow) -> tuple[str, str]:
    """Where an integration stands, in words, and how that is shown."""
    if not enabled.is_verified:
        return ("Not verified", "bad") if enabled.is_enabled else ("Set-up not finished", "warn")
    if not enabled.is_enabled:
        return "Switched off", "dim"
    if enabled.flags.paused:
        return "Paused", "warn"
    return ("On, read-only", "good") if enabled.flags.read_only else ("On", "good")


def task_state(task: OrderedTask, enabled: IntegrationRow) -> tuple[str, str]:
    """Where a task stands, in words, and how that is shown: a test that found trouble is no success."""
    obstacle = find_obstacle(enabled, task.kind, task.preview) if task.state == "queued" else None
    if obstacle is not None:
        return f"Waiting: {obstacle.word}", "warn"
    done = task.report if isinstance(task.report, wire.TaskDone) else None
    if done and done.report and not done.report.is_usable:
        return ("Blocked", "bad") if done.report.is_blocked else ("Failed", "bad")
    if done and done.sync:
        return ENDED_SYNCS[done.sync.status]
    return TASK_STATES["resolved" if task.resolved_at else task.state]


def task_title(task: OrderedTask) -> str:
    """What a task asks for, in words."""
    return f"{'Preview of a ' if task.preview else ''}{KINDS[task.kind].lower()}".capitalize()


def counts(report: ConnectionReport) -> list[tuple[int, str, str]]:
    """How many checks ended how; those that nobody needs to look at last."""
    found = [(sum(check.outcome == each for check in report.checks), each) for each in ("failed", "warning", "passed")]
    skipped = sum(check.outcome == "skipped" for check in report.checks)
    return [(n, OUTCOMES[each].lower(), TONES[each]) for n, each in (*found, (skipped, "skipped")) if n]


def fix_parts(fix: str) -> tuple[str, str]:
    """Take apart what a person can read and what is to be copied: a document in JSON at the end."""
    place = fix.find("{")
    try:
        document = json.loads(fix[place:]) if place >= 0 else None
    except ValueError:
        document = None
    return (fix, "") if document is None else (fix[:place].rstrip(), json.dumps(document, indent=2, ensure_ascii=False))


def in_words(amounts: dict[str, int]) -> str:
    """Amounts by type of record, in words."""
    said = [
        f"{amount:,} {RECORD_TYPES.get(kind, kind) if amount != 1 else kind}"
        for kind, amount in amounts.items()
        if amount
    ]
    return ", ".join(said) or "none"


def is_web_address(url: str) -> bool:
    """Whether a link may be shown as one: it leads to a page, by HTTPS, and is no script."""
    parts = urlsplit(url)
    return parts.scheme == "https" and bool(parts.netloc) and url.startswith("https://")


def _moment(moment: datetime | str | None) -> str:
    if moment is None:
        return "unknown"
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    try:
        return f"{moment.astimezone(UTC):%d %b %Y, %H:%M:%S} UTC".removeprefix("0")
    except (OverflowError, ValueError):  # a source may give the first or the last moment there is for "never"
        return str(moment)


def _words(text: str) -> str:
    return text.replace("_", " ").replace("-", " ")


_ENVIRONMENT = Environment(
    loader=PackageLoader(__name__.rpartition(".")[0]),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters.update(moment=_moment, words=_words, in_words=in_words, fix_parts=fix_parts)
_ENVIRONMENT.globals.update(
    url=url_of,
    state_of=state_of,
    obstacle=find_obstacle,
    task_state=task_state,
    task_title=task_title,
    counts=counts,
    name_of=name_of,
    outcomes=OUTCOMES,
    tones=TONES,
    kinds=KINDS,
    sync_states=SYNC_STATES,
)
