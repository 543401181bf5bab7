"""The local Ploy answers the requests of the wire fixtures with their responses, byte for byte."""

from __future__ import annotations

import itertools
import secrets
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeAlias

import httpx
import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy import LocalPloy
from ploy_connector_aws.spec import (
    Account,
    Check,
    ConnectionReport,
    Entitlement,
    Finding,
    Grant,
    Record,
    Resource,
)
from ploy_connector_aws.spec.records import Severity
from tests.deadlines import PATIENCE_SECONDS
from tests.platform import wire_fixtures
from tests.platform.wire_bodies import INTEGRATION, NOW, ORGANISATION, TASK, TOKEN
from tests.platform.wire_requests import REPORTED
from tests.sandbox.ploy.conftest import DECIDER

OTHER_OPENER = wire.OpenSync(run_id="run-0", opener="runtime-2", reading_started_at=NOW)
EMPTY = wire.Commit(batches=0, digest=wire.digest_of_batches([]), records={}, scopes=0)
USERS = wire.ScopeLine(name="users", ending="complete")
USERS_FAILED = wire.ScopeLine(name="users", ending="failed")
ACCOUNT = wire.RecordLine(type="account", id="u1", scopes=("users",), record={"id": "u1"})

Step: TypeAlias = str | Callable[[LocalPloy], object]
"""A request of the fixtures, or something that is done at the local Ploy."""


def integrate(ploy: LocalPloy) -> None:
    ploy.registry.create_integration(ORGANISATION, "aws", {"region": "eu-central-1"})


def order(ploy: LocalPloy, kind: wire.TaskKind = "grant", *, preview: bool = False) -> None:
    account_id, entitlement_id, reason = ("u1", "g1", "New on the team.") if kind == "grant" else (None, None, None)
    ploy.create_task(
        INTEGRATION, kind, account_id=account_id, entitlement_id=entitlement_id, reason=reason, preview=preview
    )


def order_all(ploy: LocalPloy) -> None:
    order(ploy)
    ploy.create_task(INTEGRATION, "revoke", account_id="u2", entitlement_id="g1", preview=True)
    order(ploy, "check")
    order(ploy, "sync")
    ploy.registry.set_intervals(INTEGRATION, scan_interval_seconds=600, poll_interval_seconds=20)


def open_run(ploy: LocalPloy, run: int, **changes: object) -> str:
    request = wire.OpenSync(run_id=f"run-{run}", opener="runtime-1", reading_started_at=NOW)
    return ploy.open_sync(INTEGRATION, request.model_copy(update=changes)).id


def commit_run(ploy: LocalPloy, run: int, *lines: wire.AnyLine) -> None:
    sync_id, body = open_run(ploy, run), wire.pack(map(wire.to_ndjson, lines))
    digest = wire.digest_of(body)
    ploy.syncs(INTEGRATION).put_batch(sync_id, 1, body, wire.to_content_digest(digest), wire.Limits())
    records = Counter(line.type for line in lines if isinstance(line, wire.RecordLine))
    scopes = sum(isinstance(line, wire.ScopeLine) for line in lines)
    request = wire.Commit(batches=1, digest=wire.digest_of_batches([digest]), records=records, scopes=scopes)
    ploy.commit(INTEGRATION, sync_id, request)


def line_of(record: Record, scope: str) -> wire.RecordLine:
    body = record.model_dump(mode="json", exclude_defaults=True)
    return wire.RecordLine(type=record.record_type, id=record.id, scopes=(scope,), record=body)


def finding(id_: str, severity: Severity, *subjects: Record, advice: str | None = None) -> Finding:
    keys = tuple(each.key for each in subjects)
    title, evidence = "It is open.", f"The door {id_} is open."
    return Finding(id=id_, kind="open", subjects=keys, severity=severity, title=title, evidence=evidence, advice=advice)


ANN = Account(id="u1", username="ann", kind="human")
ROLE = Entitlement(
    id="r1", kind="role", name="Keys", grantable=True, privileged=True, privileged_reasons=("It opens.",)
)
KEY = Grant(principal_kind="account", principal_id="u1", entitlement_id="r1")
PLACE = Resource(id="a1", kind="house", name="House")
GONE = Account(id="gone")
OPEN_DOOR = finding("front", "critical", ROLE, ANN, KEY, PLACE, advice="Close it.")
ACCEPTED = finding("back", "low", GONE)
RESOLVED, WITHDRAWN = finding("side", "high", PLACE), finding("roof", "medium", PLACE)


def find_findings(ploy: LocalPloy) -> None:
    """Commit four runs, so that the findings get all states, and accept one of them."""
    records = tuple(line_of(each, "users") for each in (ANN, ROLE, KEY, PLACE))
    doors, roof = (wire.ScopeLine(name=name, ending="complete") for name in ("doors", "roof"))
    first = [line_of(each, "doors") for each in (OPEN_DOOR, ACCEPTED, RESOLVED)]
    commit_run(ploy, 1, USERS, *records, doors, *first, roof, line_of(WITHDRAWN, "roof"))
    store = ploy.refresh_findings(INTEGRATION)
    (row,) = (row for row in store.after(INTEGRATION, 0, 9) if row.finding == ACCEPTED)
    store.decide(INTEGRATION, row.number, "accepted", name="Ada Byron", reason="It has a guard.")
    excluded, failed = roof.model_copy(update={"ending": "excluded"}), doors.model_copy(update={"ending": "failed"})
    commit_run(ploy, 2, USERS, *records, doors, line_of(ACCEPTED, "doors"), excluded)
    commit_run(ploy, 3, USERS, *records, doors, line_of(ACCEPTED, "doors"), line_of(OPEN_DOOR, "doors"), excluded)
    commit_run(ploy, 4, USERS, *records, failed, line_of(ACCEPTED, "doors"), excluded)


def commit_later_reading(ploy: LocalPloy) -> None:
    open_run(ploy, 0, reading_started_at=NOW + timedelta(minutes=1), commit=EMPTY)


def report_other_check(ploy: LocalPloy) -> None:
    report = ConnectionReport(checks=(Check(name="assume-role", outcome="passed", message="It works."),))
    progress = wire.CheckProgress(check_id=f"{TASK}.1", number=1, is_final=True, report=report, task_id=TASK)
    ploy.verification.report(INTEGRATION, progress)


def report_other_change(ploy: LocalPloy) -> None:
    ploy.queue(INTEGRATION).record_change(REPORTED.model_copy(update={"reason": "Another one."}))


def unavailable(status: int, retry_after: str | None = None) -> Step:
    return lambda ploy: ploy.faults.unavailable("integrations", status=status, retry_after=retry_after)


OPEN: tuple[Step, ...] = (integrate, "open_sync")
STAGED: tuple[Step, ...] = (*OPEN, "put_batch")
LEASED: tuple[Step, ...] = (integrate, order, "lease_tasks")
LEASED_PREVIEW: tuple[Step, ...] = (integrate, partial(order, preview=True), "lease_tasks")
LEASED_SYNC: tuple[Step, ...] = (integrate, partial(order, kind="sync"), "lease_tasks")
LEASED_CHECK: tuple[Step, ...] = (integrate, partial(order, kind="check"), "lease_tasks")

BEFORE: dict[str, tuple[Step, ...]] = {
    "integrations": (integrate,),
    "integrations.token_rejected": (lambda ploy: ploy.registry.revoke_token("tok-00000000000000000000000000000002"),),
    "integrations.408": (unavailable(408),),
    "integrations.429": (unavailable(429, "Thu, 01 Jan 2026 12:00:30 GMT"),),
    "integrations.500": (unavailable(500),),
    "integrations.502": (unavailable(502),),
    "integrations.unavailable": (unavailable(503, "120"),),
    "integrations.504": (unavailable(504),),
    "create_integration": ("put_manifest",),
    "create_integration.connector_unknown": (),
    "change_settings": ("put_manifest", "create_integration"),
    "change_settings.settings_in_use": (integrate,),
    "hello": (integrate, lambda ploy: ploy.registry.set_flags(INTEGRATION, read_only=True)),
    "hello.integration_unknown": (integrate, lambda ploy: ploy.registry.enable(INTEGRATION, False)),
    "hello.set_up_unfinished": (
        integrate,
        lambda ploy: ploy.verification.enter(INTEGRATION, {"region": "eu-west-1"}),
    ),
    "put_manifest": (),
    "report_refused": (),
    "report_check": (integrate, partial(order, kind="check")),
    "report_check.task_unknown": (integrate,),
    "report_check.check_conflict": (*LEASED_CHECK, report_other_check),
    "open_sync": (integrate,),
    "open_sync.sync_taken": (integrate, lambda ploy: ploy.open_sync(INTEGRATION, OTHER_OPENER)),
    "open_sync.arrived": STAGED,
    "open_sync_empty": (integrate,),
    "open_sync_empty.stale_reading": (integrate, commit_later_reading),
    "open_sync_delta": (
        integrate,
        lambda ploy: commit_run(ploy, 1, ACCOUNT, USERS),
        lambda ploy: commit_run(ploy, 2, USERS_FAILED),
    ),
    "open_sync_delta.base_stale": (integrate,),
    "open_sync_delta.outcome_differs": (
        integrate,
        lambda ploy: commit_run(ploy, 1, ACCOUNT, USERS),
        lambda ploy: commit_run(ploy, 2, ACCOUNT, USERS),
    ),
    "put_batch": OPEN,
    "put_batch.batch_conflict": (*OPEN, "put_batch_records"),
    "put_batch.sync_gone": (*OPEN, "abort"),
    "put_batch.digest_mismatch": OPEN,
    "put_batch.not_gzip_ndjson": OPEN,
    "put_batch_records": OPEN,
    "put_batch_records.body_too_large": (*OPEN, lambda ploy: ploy.registry.set_limits(INTEGRATION, max_batch_lines=2)),
    "put_batch_delta": (
        integrate,
        lambda ploy: commit_run(ploy, 1, USERS),
        lambda ploy: open_run(ploy, 2, mode="delta", base_generation=1),
    ),
    "put_batch_delta.lines_rejected": (
        integrate,
        lambda ploy: commit_run(ploy, 1, USERS),
        lambda ploy: open_run(ploy, 2),
    ),
    "sync_status": (*STAGED, "commit"),
    "sync_status.open": OPEN,
    "sync_status.held": (*STAGED, "commit_held"),
    "sync_status.rejected": (
        *STAGED,
        "commit_held",
        lambda ploy: ploy.syncs(INTEGRATION).reject(ploy.view(INTEGRATION).syncs()[0].id, **DECIDER),
    ),
    "sync_status.replaced": (*OPEN, lambda ploy: open_run(ploy, 2)),
    "sync_status.sync_unknown": (integrate,),
    "commit": STAGED,
    "commit.batches_differ": OPEN,
    "commit.commit_conflict": (*STAGED, "commit_held"),
    "commit_held": STAGED,
    "abort": STAGED,
    "findings": (integrate, find_findings),
    "findings_after": (integrate, find_findings),
    "lease_tasks": (integrate, order_all),
    "extend_lease": LEASED,
    "extend_lease.lease_lost": (*LEASED, "fail_task"),
    "extend_lease.task_unknown": (integrate,),
    "complete_task": LEASED,
    "complete_task.task_conflict": (*LEASED, "fail_task"),
    "complete_task_already_in_effect": LEASED,
    "complete_task_previewed": LEASED_PREVIEW,
    "complete_task_check": LEASED_CHECK,
    "complete_task_sync": (integrate, "open_sync_empty", partial(order, kind="sync"), "lease_tasks"),
    "complete_task_sync_held": LEASED_SYNC,
    "complete_task_sync_paused": LEASED_SYNC,
    "complete_task_sync_previewed": (integrate, partial(order, kind="sync", preview=True), "lease_tasks"),
    "complete_task_sync_waiting": LEASED_SYNC,
    "fail_task": LEASED,
    "report_change": (integrate,),
    "report_change.change_conflict": (integrate, report_other_change),
    "report_change_unknown": (integrate,),
}
"""What happens at a new local Ploy before the request of each response."""


@pytest.fixture
def ploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalPloy]:
    """A local Ploy with one organisation, a fixed clock and token, and ids that count from 1."""
    numbers = itertools.count(1)
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=next(numbers)))
    monkeypatch.setattr(secrets, "token_urlsafe", lambda _: TOKEN.removeprefix("ploy_"))
    with LocalPloy(tmp_path / "ploy", clock=lambda: NOW, operator_token="operator") as served:
        assert served.registry.create_organisation("Acme") == ORGANISATION
        assert served.registry.create_token(ORGANISATION).token == TOKEN
        yield served


def send(ploy: LocalPloy, name: str) -> httpx.Response:
    request = wire_fixtures.read(name, "request")
    method, target, _ = request.start.split(" ")
    headers, body = dict(request.headers), request.body
    if headers.get("content-encoding") == "gzip":
        body = wire.pack(body.removesuffix(b"\n").split(b"\n"))
        if headers["content-digest"] == wire_fixtures.DIGEST_OF_BODY:
            headers["content-digest"] = wire_fixtures.content_digest(body)
    return httpx.request(
        method, ploy.url + target, headers=headers, content=body, timeout=PATIENCE_SECONDS, verify=False
    )


@pytest.mark.parametrize("name", BEFORE)
def test_local_ploy_answers_each_fixture_byte_for_byte(ploy: LocalPloy, name: str) -> None:
    for step in BEFORE[name]:
        if isinstance(step, str):
            assert send(ploy, step).is_success, step
        else:
            step(ploy)

    answered = send(ploy, wire_fixtures.request_of(name))

    wire_fixtures.require_same(name, "response", wire_fixtures.from_response(answered))


def test_every_fixture_response_comes_from_the_local_ploy() -> None:
    assert sorted(BEFORE) == wire_fixtures.names("response")
