"""Numbers and moments out of every range, anywhere in a request, never cause a server error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import PlatformRejectedError
from ploy_connector_aws.platform.openapi import CALLS
from ploy_connector_aws.sandbox.ploy import LocalPloy, contract, operator_api
from ploy_connector_aws.sandbox.ploy.pages import PARTS
from tests.platform.calls import ANSWERED
from tests.platform.extremes import is_number, places, put

from .browser import Visitor
from .conftest import USERS, Customer, account
from .worker import Worker, done_of, failed_of

pytestmark = pytest.mark.usefixtures("no_garbage_collection")


class Extremes(NamedTuple):
    """Texts of numbers and of moments."""

    numbers: tuple[str, ...]
    moments: tuple[str, ...]

    @property
    def values(self) -> tuple[str, ...]:
        """All of them, as JSON."""
        return tuple(each for each in (*self.numbers, *(f'"{moment}"' for moment in self.moments)) if each)


QUICK = Extremes(
    (
        *(
            "9",
            "-9",
            "9" * 5_000,
            "-" + "9" * 400,
            "0",
            "-0",
            "1e400",
            "NaN",
            "Infinity",
            "0.5",
            "true",
            "null",
            "",
            "x",
        ),
        *("9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809"),
    ),
    ("0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999-23:59"),
)
"""One of each kind: those around a bound of a type, and those that JSON or Python reads otherwise."""
LONG = Extremes(
    (
        *(sign + "9" * digits for digits in (10, 18, 19, 20, 40, 400, 5_000) for sign in ("", "-")),
        *("1e9", "-Infinity"),
    ),
    ("0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1900-01-01T00:00:00Z", "2026-02-30T00:00:00Z"),
)
"""More of the same kinds, for a soak."""
ROUTERS = (contract, operator_api, *PARTS)


def in_addresses() -> Iterator[tuple[str, str, str, bool]]:
    """Iterate over the number parameters of all routes: method, path, name, and whether it is in the query."""

    def find(dependant: Dependant) -> Iterator[tuple[str, bool]]:
        for fields, is_query in ((dependant.path_params, False), (dependant.query_params, True)):
            yield from ((each.alias, is_query) for each in fields if "int" in str(each.field_info.annotation))
        for inner in dependant.dependencies:
            yield from find(inner)

    for module in ROUTERS:
        for route in module.router.routes:
            assert isinstance(route, APIRoute)
            for name, is_query in find(route.dependant):
                base = "" if module in (contract, operator_api) else "/app"
                yield min(route.methods or ()), base + route.path, name, is_query


ADDRESSES = sorted(set(in_addresses()))


def test_number_parameters_of_all_routes_are_found() -> None:
    assert {(path.rpartition("{integration_id}")[2], name) for _, path, name, _ in ADDRESSES} >= {
        ("/syncs/{sync_id}/batches/{number}", "number"),
        ("/generations/{generation}/changes", "generation"),
        ("/account", "offset"),
    }


@pytest.fixture(params=[QUICK, pytest.param(LONG, marks=pytest.mark.soak)], ids=["quick", "long"])
def extremes(request: pytest.FixtureRequest) -> Extremes:
    found: Extremes = request.param
    return found


@pytest.fixture
def operator(ploy: LocalPloy) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=ploy.url, headers={"authorization": "Bearer operator"}, timeout=60, verify=False
    ) as client:
        yield client


def seen_after(operator: httpx.Client, runtime: httpx.Client, integration_id: str) -> list[int]:
    """Return the status codes of everything that can be read."""
    at = f"/dev/v1/integrations/{integration_id}"
    parts = ("syncs", "generations", "held", "tasks", "manual-tasks")
    looked = [operator.get("/dev/v1/integrations"), *(operator.get(f"{at}/{part}") for part in parts)]
    asked = runtime.post(
        f"/integrations/{integration_id}/tasks/lease",
        json={"request_id": "r", "worker_id": "h", "max_tasks": 0},
    )
    return [answer.status_code for answer in (*looked, asked, runtime.get("/integrations"))]


@pytest.fixture
def runtime(ploy: LocalPloy, acme: Customer) -> Iterator[httpx.Client]:
    token = acme.client._tokens.token().get_secret_value()
    with httpx.Client(
        base_url=ploy.url + wire.API_PREFIX, headers={"authorization": f"Bearer {token}"}, timeout=60, verify=False
    ) as client:
        yield client


@pytest.mark.parametrize(("method", "path", "name", "is_query"), ADDRESSES)
def test_no_number_in_an_address_causes_a_server_error(
    operator: httpx.Client,
    runtime: httpx.Client,
    visitor: Visitor,
    acme: Customer,
    extremes: Extremes,
    method: str,
    path: str,
    name: str,
    is_query: bool,
) -> None:
    acme.sync(USERS, account("u1"))
    client = operator if path.startswith("/dev") else visitor if path.startswith("/app") else runtime
    path = path.removeprefix(wire.API_PREFIX).replace("{integration_id}", acme.id)
    wrong = {}
    for value in extremes.numbers:
        fields = {"id": "u1", "account": "u1", "kind": "accounts"} | ({name: value} if is_query else {})
        at = path.replace(f"{{{name}}}", value).replace("{kind}", "accounts")
        headers = {"content-type": wire.NDJSON, "content-encoding": "gzip"} if method == "PUT" else {}
        answer = client.request(method, at, params=fields, headers=headers)
        if answer.status_code >= 500:
            wrong[value[:30]] = answer.status_code
    assert wrong == {}


BODIES = [
    *(
        (call.name, place)
        for call in CALLS
        if call.sends is not None
        for schema in (call.sends.model_json_schema(),)
        for place in places(schema, schema.get("$defs", {}), wanted=is_number)
    )
]


@pytest.mark.parametrize("name", sorted({name for name, _ in BODIES}))
def test_no_number_in_a_contract_body_causes_a_server_error(
    operator: httpx.Client, runtime: httpx.Client, acme: Customer, extremes: Extremes, name: str
) -> None:
    acme.sync(USERS, account("u1"))
    arguments, method, path, _ = ANSWERED[name]
    body = next(each for each in arguments if isinstance(each, BaseModel)).model_dump(
        mode="json", exclude_defaults=True
    )
    if name == "lease_tasks":
        body |= {"max_tasks": 0, "wait_seconds": 0}  # do not wait
    wrong = {}
    for place in (place for found, place in BODIES if found == name):
        text = json.dumps(put(body, place))
        for value in extremes.values:
            answer = runtime.request(
                method, path.replace("/i1", f"/{acme.id}"), content=text.replace('"@"', value).encode()
            )
            if answer.status_code >= 500:
                wrong[f"{place} {value[:30]}"] = answer.status_code
    assert wrong == {}
    assert max(seen_after(operator, runtime, acme.id)) < 300


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        *(
            ("PATCH", "", {part: {field: "@"}})
            for part, fields in (
                ("limits", ("max_batch_lines", "max_batch_bytes")),
                ("intervals", ("scan_interval_seconds", "poll_interval_seconds")),
            )
            for field in fields
        ),
        ("PATCH", "", {"limits": "@"}),
        ("PATCH", "", {"limits": {"nothing": "@"}}),
        ("PATCH", "", {"intervals": {"nothing": "@"}}),
        ("PATCH", "", {"flags": {"nothing": "@"}}),
        ("PATCH", "", {"flags": {"paused": "@"}}),
        ("PATCH", "", {"settings": {"nothing": "@"}}),
        ("POST", "/tasks", {"kind": "check", "deadline": "@"}),
        ("POST", "/tasks", {"kind": "grant", "account_id": "u1", "entitlement_id": "g1", "deadline": "@"}),
        ("POST", "/tasks", {"kind": "sync", "reason": "@"}),
    ],
    ids=lambda each: json.dumps(each),
)
def test_no_number_in_an_operators_body_causes_a_server_error(
    operator: httpx.Client,
    runtime: httpx.Client,
    visitor: Visitor,
    acme: Customer,
    extremes: Extremes,
    method: str,
    path: str,
    body: dict[str, Any],
) -> None:
    wrong = {}
    for value in extremes.values:
        text = json.dumps(body).replace('"@"', value)
        answer = operator.request(method, f"/dev/v1/integrations/{acme.id}{path}", content=text.encode())
        # An accepted value leaves nothing behind that cannot be read.
        after = [0] if answer.is_client_error else seen_after(operator, runtime, acme.id)
        pages = (
            []
            if answer.is_client_error
            else [visitor.get(f"/app/integrations/{acme.id}{page}").status_code for page in ("", "/tasks", "/syncs")]
        )
        refused = answer.is_client_error and json.loads(answer.content)["status"] == answer.status_code
        if max(answer.status_code, *after, *pages) >= 500 or not (answer.is_success or refused):
            wrong[value[:30]] = (answer.status_code, after, pages)
    assert wrong == {}


def test_rejected_request_changes_nothing(operator: httpx.Client, acme: Customer) -> None:
    before = acme.ploy.registry.integration(acme.id)
    body = {"settings": {"region": "us-east-1"}, "flags": {"paused": True}, "intervals": {"poll_interval_seconds": 0}}

    assert operator.patch(f"/dev/v1/integrations/{acme.id}", json=body).status_code == 422
    assert acme.ploy.registry.integration(acme.id) == before


def test_no_number_in_a_batch_line_causes_a_server_error(acme: Customer, visitor: Visitor, extremes: Extremes) -> None:
    """For a field with any JSON value: an accepted batch can be committed and read."""
    taken: list[str] = []
    committed: list[str] = []
    for value in extremes.values:
        acme.clock.pass_by(minutes=1)
        line = wire.to_ndjson(account("u1", attributes={"a": ["@"]})).replace(b'"@"', value.encode())
        sync_id = acme.open()
        with suppress(PlatformRejectedError):
            digests = acme.put(sync_id, [[wire.to_ndjson(USERS), line]])
            taken.append(value)
            commit = acme.commit_of([USERS, account("u1")], digests)
            assert acme.client.commit(acme.id, sync_id, commit).status == "committed"
            assert acme.record_ids == ["u1"]
            assert visitor.get(f"/app/integrations/{acme.id}/account?id=u1").status_code == 200
            committed.append(value)
    assert committed == taken
    assert set(extremes.values) & {"9", "0.5", "null"} <= set(taken)
    assert not {"NaN", "Infinity", "-Infinity", "1e400"} & set(taken)


MOMENTS_OF_A_CHANGE = ("verified_at", "as_of", "sessions_end_by")


def test_no_moment_in_a_change_report_causes_a_server_error(
    operator: httpx.Client, runtime: httpx.Client, acme: Customer, visitor: Visitor, extremes: Extremes
) -> None:
    acme.sync(USERS, account("u1"))
    worker, wrong = Worker(acme), {}
    for field in MOMENTS_OF_A_CHANGE:
        for moment in extremes.moments:
            acme.ploy.create_task(acme.id, "grant", account_id=f"u-{field}-{moment}", entitlement_id="g1")
            (task,) = worker.lease()
            done = done_of(task, datetime(2026, 1, 1, tzinfo=UTC)).model_dump(mode="json", exclude_defaults=True)
            done["change"][field] = moment
            path = f"/integrations/{acme.id}/tasks/{task.id}"
            answer = runtime.post(f"{path}/complete", json=done)
            if answer.status_code >= 400:
                runtime.post(f"{path}/fail", content=failed_of(task).model_dump_json().encode())
            page = visitor.get(f"/app/integrations/{acme.id}/access/{task.id}").status_code
            shown = [*seen_after(operator, runtime, acme.id), page]
            if max(answer.status_code, *shown) >= 500:
                wrong[f"{field} {moment}"] = (answer.status_code, shown)
    assert wrong == {}
