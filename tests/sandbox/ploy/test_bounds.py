"""The local Ploy rejects every number, moment or id outside of the contract's bounds with a 4xx response."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy import LocalPloy
from tests.extremes import spoil, values_of

from .browser import Visitor
from .conftest import USERS, Customer, account, split

MOMENT = "2026-01-01T00:00:00Z"
DIGEST = wire.digest_of_batches([])
OUTCOME = {"added": {}, "changed": {}, "removed": {}, "retained_unproven": {}, "unproven_scopes": 0}
COMMIT = {"batches": 0, "digest": DIGEST, "records": {}, "scopes": 0, "expected": OUTCOME, "confirmed": {"t": MOMENT}}
CHANGE = {"outcome": "previewed", "verified_at": None}

BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "hello": (
        "hello",
        {
            "runtime_version": "1",
            "connector": "aws",
            "connector_version": "1",
            "spec_version": 1,
            "capabilities": [],
            "config_fingerprint": DIGEST,
        },
    ),
    "checks": ("checks", {"check_id": "c", "number": 1, "report": {"checks": []}}),
    "syncs": ("syncs", {"run_id": "r", "opener": "o", "reading_started_at": MOMENT}),
    "delta": (
        "syncs",
        {"run_id": "r", "opener": "o", "reading_started_at": MOMENT, "mode": "delta", "base_generation": 1},
    ),
    "commit": ("syncs/{sync}/commit", COMMIT),
    "lease": ("tasks/lease", {"request_id": "r", "worker_id": "h", "max_tasks": 0}),
    "complete": ("tasks/t/complete", {"lease_id": "l", "sync": {"status": "committed", "generation": 1}}),
    "change": ("tasks/t/complete", {"lease_id": "l", "change": CHANGE}),
}

PLACES: list[tuple[str, tuple[str | int, ...], str]] = [
    ("hello", ("spec_version",), "count"),
    ("checks", ("number",), "place"),
    ("checks", ("settings_revision",), "count"),
    ("checks", ("task_id",), "id"),
    ("syncs", ("reading_started_at",), "moment"),
    ("delta", ("base_generation",), "count"),
    ("commit", ("batches",), "count"),
    ("commit", ("scopes",), "count"),
    ("commit", ("records", "account"), "count"),
    ("commit", ("expected", "unproven_scopes"), "count"),
    ("commit", ("expected", "added", "grant"), "count"),
    ("commit", ("confirmed", "t"), "moment"),
    ("lease", ("settings_revision",), "count"),
    ("lease", ("max_tasks",), "count"),
    ("lease", ("wait_seconds",), "count"),
    ("complete", ("sync", "generation"), "count"),
    ("change", ("change", "as_of"), "moment"),
    ("change", ("change", "sessions_end_by"), "moment"),
    ("change", ("change", "verified_at"), "moment"),
]
MAY_BE_NULL = {"settings_revision", "task_id", "generation", "as_of", "sessions_end_by", "verified_at"}


@pytest.fixture
def runtime(ploy: LocalPloy, acme: Customer) -> Iterator[httpx.Client]:
    token = ploy.registry.create_token(acme.organisation_id).token
    base = f"{ploy.url}/connector/v1/integrations/{acme.id}/"
    with httpx.Client(base_url=base, headers={"authorization": f"Bearer {token}"}, timeout=30, verify=False) as client:
        yield client


@pytest.mark.parametrize(("name", "place", "kind"), PLACES, ids=lambda value: str(value))
def test_value_out_of_bounds_is_rejected_with_its_field(
    runtime: httpx.Client, acme: Customer, name: str, place: tuple[str | int, ...], kind: str
) -> None:
    path, body = BODIES[name]
    path = path.replace("{sync}", acme.open())
    for text, is_good in values_of(kind):
        answer = runtime.post(path, content=spoil(body, place, text))
        assert answer.status_code < 500, text[:40]
        if not is_good and not (text == "null" and place[-1] in MAY_BE_NULL):
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (422, "body_invalid"), text[:40]
            assert ".".join(str(part) for part in place) in problem["detail"]
            assert len(problem["detail"]) <= 200


NUMBERS = ["0", "-1", "1000001", "10000000000", str(2**63), "1" + "0" * 400, "1e308", "NaN", "x", "%2e%2e", "1.5"]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda text: text[:20])
def test_batch_number_out_of_bounds_is_rejected(runtime: httpx.Client, acme: Customer, number: str) -> None:
    body = wire.pack(split([account("u1")], 10)[0])
    headers = {
        "content-type": wire.NDJSON,
        "content-encoding": "gzip",
        "content-digest": wire.to_content_digest(wire.digest_of(body)),
    }
    answer = runtime.put(f"syncs/{acme.open()}/batches/{number}", content=body, headers=headers)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == wire.PROBLEM_JSON


@pytest.mark.parametrize("part", [json.loads(text) for text, is_good in values_of("id") if not is_good], ids=str)
def test_invalid_id_in_a_path_is_not_found(runtime: httpx.Client, part: Any) -> None:
    name = quote(str(part), safe="").replace(".", "%2E")
    for answer in (runtime.get(f"syncs/{name}"), runtime.post(f"tasks/{name}/extend", json={"lease_id": "l"})):
        assert 300 <= answer.status_code < 500  # a path that ends in a slash is redirected


@pytest.mark.parametrize("name", ["scan_interval_seconds", "poll_interval_seconds"])
def test_interval_out_of_bounds_is_rejected(ploy: LocalPloy, acme: Customer, name: str) -> None:
    before = ploy.registry.integration(acme.id).intervals
    for text, is_good in values_of("interval"):
        if not is_good:
            with pytest.raises(ValueError, match=name):
                ploy.registry.set_intervals(acme.id, **{name: json.loads(text)})
    assert ploy.registry.integration(acme.id).intervals == before


def test_lease_just_before_a_deadline_is_reported_as_the_shortest(acme: Customer) -> None:
    acme.ploy.create_task(acme.id, "check", deadline=acme.clock.now + timedelta(seconds=2))
    (task,) = acme.client.lease_tasks(acme.id, wire.LeaseRequest(request_id="r", worker_id="h", max_tasks=1)).tasks
    extended = acme.client.extend_lease(acme.id, task.id, wire.LeaseExtension(lease_id=task.lease_id))
    assert (task.lease_seconds, extended.lease_seconds) == (5, 5)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00", "9999-12-31T23:59:59-14:00"])
def test_page_shows_a_record_with_the_first_or_last_possible_moment(
    visitor: Visitor, acme: Customer, moment: str
) -> None:
    """A record's own dates are data; the platform computes nothing with them."""
    acme.sync(USERS, account("u1", last_login_at=moment, kind="human"))
    page = visitor.get(f"/app/integrations/{acme.id}/account?id=u1")
    assert page.status_code == 200
    assert moment[:4] in page.text
