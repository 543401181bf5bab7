"""Answers out of the contract's bounds are rejected, and the error names the field."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, SecretStr

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.auth import TokenSource
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import PlatformUnavailableError
from ploy_connector_aws.platform.retry import RetryPolicy
from ploy_connector_aws.spec import ConnectionReport
from tests.extremes import spoil, values_of

MOMENT = "2026-01-01T00:00:00Z"
DIGEST = "0" * 64
COMMITTED = {"status": "committed", "generation": 1, "added": {"account": 1}}
STATUS = {"id": "s1", "run_id": "r1", "state": "open", "batches": [{"number": 1, "digest": DIGEST}]}
TASK = {"kind": "check", "created_at": MOMENT, "deadline": MOMENT, "lease_id": "l1", "lease_seconds": 60}
TASK_STATUS = {"id": "t1", "state": "done"}
LEASE = wire.LeaseRequest(request_id="r", worker_id="h", max_tasks=1)

SET_UP = {
    "integration": {"id": "i1", "organisation": "o", "connector": "c", "settings": {}, "revision": 1},
    "is_verified": False,
}

CALLS: dict[str, tuple[Callable[[PlatformClient], BaseModel | None], dict[str, Any]]] = {
    "integrations": (
        lambda client: client.integrations(),
        {"integrations": [{"id": "i1", "organisation": "o", "connector": "c", "settings": {}, "revision": 1}]},
    ),
    "create_integration": (
        lambda client: client.create_integration(wire.IntegrationRequest(connector="c")),
        SET_UP,
    ),
    "change_settings": (lambda client: client.change_settings("i1", wire.SettingsChange()), SET_UP),
    "hello": (
        lambda client: client.hello(
            "i1",
            wire.HelloRequest(
                runtime_version="1",
                connector="c",
                connector_version="1",
                spec_version=1,
                capabilities=(),
                config_fingerprint=DIGEST,
            ),
        ),
        {"limits": {}},
    ),
    "report_refused": (lambda client: client.report_refused(wire.RefusedConnectors()), {"count": 0}),
    "report_check": (
        lambda client: client.report_check(
            "i1", wire.CheckProgress(check_id="c1", number=1, report=ConnectionReport(checks=()))
        ),
        {"check_id": "c1", "number": 1, "is_final": False},
    ),
    "open_sync": (
        lambda client: client.open_sync(
            "i1", wire.OpenSync(run_id="r1", opener="o", reading_started_at=datetime(2026, 1, 1, tzinfo=UTC))
        ),
        {"id": "s1", "lease_seconds": 300, "batches": STATUS["batches"], "answer": COMMITTED},
    ),
    "put_batch": (lambda client: client.put_batch("i1", "s1", 1, b""), {"number": 1, "lines": 1}),
    "sync_status": (lambda client: client.sync_status("i1", "s1"), {**STATUS, "answer": COMMITTED}),
    "commit": (
        lambda client: client.commit("i1", "s1", wire.Commit(batches=0, digest=DIGEST, records={}, scopes=0)),
        COMMITTED,
    ),
    "abort": (lambda client: client.abort("i1", "s1"), STATUS),
    "lease_tasks": (lambda client: client.lease_tasks("i1", LEASE), {"tasks": [{**TASK, "id": "t0"}]}),
    "extend_lease": (
        lambda client: client.extend_lease("i1", "t1", wire.LeaseExtension(lease_id="l1")),
        {"lease_seconds": 60},
    ),
    "fail_task": (
        lambda client: client.fail_task("i1", "t1", wire.TaskFailed(lease_id="l1", code="c", message="m")),
        TASK_STATUS,
    ),
}

PLACES: list[tuple[str, tuple[str | int, ...], str]] = [
    ("integrations", ("integrations", 0, "revision"), "count"),
    ("create_integration", ("integration", "revision"), "count"),
    ("change_settings", ("integration", "revision"), "count"),
    ("hello", ("scan_interval_seconds",), "interval"),
    ("hello", ("poll_interval_seconds",), "interval"),
    ("hello", ("generation",), "count"),
    ("hello", ("limits", "max_batch_lines"), "place"),
    ("report_refused", ("count",), "count"),
    ("report_check", ("number",), "count"),
    ("open_sync", ("id",), "id"),
    ("open_sync", ("lease_seconds",), "interval"),
    ("open_sync", ("batches", 0, "number"), "place"),
    ("open_sync", ("answer", "generation"), "count"),
    ("put_batch", ("number",), "place"),
    ("put_batch", ("lines",), "count"),
    ("sync_status", ("id",), "id"),
    ("sync_status", ("batches", 0, "number"), "place"),
    ("sync_status", ("answer", "unproven_scopes"), "count"),
    ("commit", ("generation",), "count"),
    ("commit", ("added", "account"), "count"),
    ("commit", ("changed", "grant"), "count"),
    ("commit", ("removed", "grant"), "count"),
    ("commit", ("retained_unproven", "resource"), "count"),
    ("commit", ("unproven_scopes",), "count"),
    ("abort", ("id",), "id"),
    ("lease_tasks", ("scan_interval_seconds",), "interval"),
    ("lease_tasks", ("poll_interval_seconds",), "interval"),
    ("extend_lease", ("lease_seconds",), "interval"),
    ("fail_task", ("id",), "id"),
]
"""Every number and id of an answer: the call, the place in its answer, and the kind."""

MAY_BE_NULL = {
    ("create_integration", ("integration", "revision")),
    ("change_settings", ("integration", "revision")),
    ("integrations", ("integrations", 0, "revision")),
    ("open_sync", ("answer", "generation")),
    ("commit", ("generation",)),
}


def client_for(text: str) -> PlatformClient:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=text)

    return PlatformClient(
        "http://127.0.0.1:1",
        TokenSource(token=SecretStr("t")),
        transport=httpx.MockTransport(answer),
        retry=RetryPolicy(max_attempts=1),
    )


@pytest.mark.parametrize(("call", "place", "kind"), PLACES, ids=lambda value: str(value))
def test_answer_out_of_bounds_is_rejected_by_field(call: str, place: tuple[str | int, ...], kind: str) -> None:
    make, body = CALLS[call]
    name = ".".join(str(part) for part in place)
    for text, is_in_bounds in values_of(kind):
        is_good = is_in_bounds or (text == "null" and (call, place) in MAY_BE_NULL)
        with client_for(spoil(body, place, text)) as client:
            try:
                make(client)
            except PlatformUnavailableError as error:
                message = error.message
            else:
                message = ""
        assert bool(message) != is_good, f"{text[:40]} in {name}"
        if message:
            assert f"violates the contract: {name}" in message
            assert len(message) < 200, "the answer is not repeated"


TASK_PLACES = [
    ("id", "id"),
    ("created_at", "moment"),
    ("deadline", "moment"),
    ("lease_seconds", "interval"),
]


@pytest.mark.parametrize(("name", "kind"), TASK_PLACES)
def test_task_out_of_bounds_is_set_apart_from_valid_ones(name: str, kind: str) -> None:
    body = {"tasks": [{**TASK, "id": "t0"}, {**TASK, "id": "t1"}, {**TASK, "id": "t2"}], "flags": {"read_only": True}}
    unusable = wire.UnusableTask(id=None if name == "id" else "t1", lease_id="l1", field=name)
    for text, is_good in values_of(kind):
        with client_for(spoil(body, ("tasks", 1, name), text)) as client:
            answer = client.lease_tasks("i1", LEASE)
        assert answer.flags.read_only
        if is_good:
            assert (len(answer.tasks), answer.unusable) == (3, ()), text[:40]
        else:
            assert ([task.id for task in answer.tasks], answer.unusable) == (["t0", "t2"], (unusable,)), text[:40]


@pytest.mark.parametrize("text", ["7", "null", '"t"', "[]", "{}"])
def test_item_that_is_no_task_is_set_apart(text: str) -> None:
    with client_for(spoil({"tasks": [{**TASK, "id": "t0"}, 0]}, ("tasks", 1), text)) as client:
        answer = client.lease_tasks("i1", LEASE)
    assert ([task.id for task in answer.tasks], [each.id for each in answer.unusable]) == (["t0"], [None])


@pytest.mark.parametrize("name", [".", "..", "../../", "a/b", "a?b#c", "%2e%2e", ""])
def test_id_never_leads_to_another_path(name: str) -> None:
    paths: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path)
        return httpx.Response(404)

    with PlatformClient(
        "http://127.0.0.1:1", TokenSource(token=SecretStr("t")), transport=httpx.MockTransport(answer)
    ) as client:
        for make in (
            lambda: client.sync_status(name, "s"),
            lambda: client.sync_status("i", name),
            lambda: client.extend_lease("i", name, wire.LeaseExtension(lease_id="l")),
        ):
            with pytest.raises(Exception, match="status 404"):
                make()
    for path, (before, after) in zip(
        paths,
        (("integrations/", "/syncs/s"), ("integrations/i/syncs/", ""), ("integrations/i/tasks/", "/extend")),
        strict=True,
    ):
        text = path.decode()
        assert text.startswith(f"/connector/v1/{before}")
        assert text.endswith(after)
        middle = text.removeprefix(f"/connector/v1/{before}").removesuffix(after)
        assert not set("/?#") & set(middle)
        assert middle not in (".", "..")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("1000000000", 3600),
        ("9" * 5000, 3600),
        ("3600", 3600),
        ("3601", 3600),
        ("0", 0),
        ("-1", None),
        ("1e308", None),
        ("NaN", None),
        ("inf", None),
        ("", None),
        ("x" * 5000, None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 3600),
        ("Mon, 01 Jan 0001 00:00:00 GMT", 0),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0),
        ("Fri, 31 Dec 10000 23:59:59 GMT", None),
        ("Thu, 01 Jan 2026 00:00:00 +99999999999999", None),
        ("Thu, 01 Jan 2026 99:00:00 GMT", None),
        ("Thu, 01 Jan 2026 00:30:00 GMT", 1800),
    ],
    ids=lambda value: str(value)[:40],
)
@pytest.mark.parametrize("status", [503, 409])
def test_pause_requested_by_ploy_is_at_most_an_hour(header: str, seconds: float | None, status: int) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers={"retry-after": header})

    retry = RetryPolicy(max_attempts=1, now=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    with PlatformClient(
        "http://127.0.0.1:1",
        TokenSource(token=SecretStr("t")),
        transport=httpx.MockTransport(answer),
        retry=retry,
    ) as client:
        with pytest.raises(Exception) as refused:
            client.integrations()
    assert refused.value.retry_after_seconds == seconds  # type: ignore[attr-defined]
