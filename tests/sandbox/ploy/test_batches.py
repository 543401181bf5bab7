import gzip
import json
import random
import tracemalloc
import zlib
from typing import Any

import httpx
import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import BatchConflictError, PlatformRejectedError
from ploy_connector_aws.sandbox.ploy.batch_lines import unpack
from ploy_connector_aws.sandbox.ploy.problems import ProblemError

from .conftest import USERS, Customer, account, accounts, split


def put(customer: Customer, body: bytes, number: Any = 1, **headers: str) -> httpx.Response:
    """Send a batch that our client would not send."""
    sync_id = customer.open("run")
    return httpx.put(
        f"{customer.ploy.url}/connector/v1/integrations/{customer.id}/syncs/{sync_id}/batches/{number}",
        content=body,
        headers={
            "authorization": f"Bearer {customer.client._tokens.token().get_secret_value()}",
            "content-type": wire.NDJSON,
            "content-encoding": "gzip",
            "content-digest": wire.to_content_digest(wire.digest_of(body)),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        },
    )


def test_repeated_batch_changes_nothing_and_another_one_conflicts(acme: Customer) -> None:
    sync_id = acme.open("run")
    batch = split([USERS, account("u1")], 2)
    assert acme.put(sync_id, batch) == acme.put(sync_id, batch)

    with pytest.raises(BatchConflictError):
        acme.put(sync_id, split([USERS], 2))

    status = acme.client.sync_status(acme.id, sync_id)
    assert status is not None
    assert status.batches == (wire.StagedBatch(number=1, digest=acme.put(sync_id, batch)[0]),)


def test_staged_records_are_not_visible(acme: Customer) -> None:
    acme.sync(USERS, account("u1"))
    acme.put(acme.open(), split([USERS, account("u2")], 1))

    assert acme.record_ids == ["u1"]


def test_invalid_lines_reject_the_batch_and_are_named_without_their_content(acme: Customer) -> None:
    sync_id = acme.open("run")
    lines = [
        wire.to_ndjson(USERS),
        wire.to_ndjson(account("u1", emails=[{"address": ""}], s3cret=1)),
        b'{"line":"s3cret"}',
        b"s3cret",
        b"",
        wire.to_ndjson(wire.RecordLine(type="grant", id="x", scopes=("users",), record={"id": "x"})),
        wire.to_ndjson(account("u9"))[:-1] + b',"x":1}',
        wire.to_ndjson(account("u2")),
    ]

    with pytest.raises(PlatformRejectedError) as caught:
        acme.put(sync_id, [lines])

    problem = caught.value.problem
    assert (problem.status, problem.code, problem.detail) == (422, "lines_rejected", "6 of 8 lines.")
    assert [error.line for error in problem.errors] == [2, 3, 4, 5, 6, 7]
    assert problem.errors[0].reason == "emails.0.address: String should have at least 1 character"
    assert problem.errors[1].reason == "must be one of record, tombstone and scope"
    assert "s3cret" not in problem.model_dump_json()
    assert acme.client.sync_status(acme.id, sync_id).batches == ()  # type: ignore[union-attr]


def test_at_most_fifty_invalid_lines_are_listed(acme: Customer) -> None:
    with pytest.raises(PlatformRejectedError) as caught:
        acme.put(acme.open(), [[b"{}"] * 70])

    assert (len(caught.value.problem.errors), caught.value.problem.detail) == (50, "70 of 70 lines.")


def test_grant_id_that_does_not_follow_from_its_ends_is_rejected(acme: Customer) -> None:
    line = wire.RecordLine(
        type="grant",
        id="0" * 32,
        scopes=("users",),
        record={"id": "0" * 32, "principal_kind": "account", "principal_id": "u1", "entitlement_id": "e1"},
    )

    with pytest.raises(PlatformRejectedError, match="a grant's id is derived"):
        acme.put(acme.open(), split([line], 1))


GOOD = gzip.compress(wire.to_ndjson(USERS) + b"\n", mtime=0)


@pytest.mark.parametrize(
    ("code", "body", "headers"),
    [
        ("digest_mismatch", GOOD, {"content_digest": wire.to_content_digest("0" * 64)}),
        ("digest_mismatch", GOOD, {"content_digest": "md5=:AAAA:"}),
        ("not_gzip_ndjson", GOOD, {"content_encoding": "br"}),
        ("not_gzip_ndjson", GOOD, {"content_type": "application/json"}),
        ("body_unreadable", b"not gzip", {}),
        ("body_unreadable", GOOD[:-3], {}),
        ("body_unreadable", GOOD + GOOD, {}),
        ("body_unreadable", b"", {}),
    ],
    ids=["another digest", "no sha-256", "not gzip", "not ndjson", "garbage", "cut off", "two streams", "nothing"],
)
def test_body_that_contradicts_its_headers_is_rejected(
    acme: Customer, code: str, body: bytes, headers: dict[str, str]
) -> None:
    answer = put(acme, body, **headers)

    assert (answer.status_code, answer.json()["code"]) == (wire.PROBLEMS[code].status, code)
    assert answer.headers["content-type"] == wire.PROBLEM_JSON


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5"])
def test_batches_are_numbered_from_one(acme: Customer, number: str) -> None:
    answer = put(acme, GOOD, number)

    assert (answer.status_code, answer.json()["code"]) == (422, "body_invalid")


def test_limits_apply_to_lines_and_to_bytes_before_and_after_compression(acme: Customer) -> None:
    acme.ploy.registry.set_limits(acme.id, max_batch_lines=5, max_batch_bytes=1024)
    sync_id = acme.open()

    for lines in (
        split(accounts(6), 6)[0],
        [wire.to_ndjson(account("u1", display_name="x" * 1000))],
        [wire.to_ndjson(account("u1", display_name="x" * 10_000_000))],
        [json.dumps({"noise": random.Random(1).sample(range(10**9), 1000)}).encode()],
    ):
        with pytest.raises(PlatformRejectedError) as caught:
            acme.put(sync_id, [lines])
        assert (caught.value.problem.status, caught.value.code) == (413, "body_too_large")

    assert acme.put(sync_id, split(accounts(5), 5))


def test_decompression_stops_at_the_limit() -> None:
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join([*(packer.compress(bytes(1_000_000)) for _ in range(100)), packer.flush()])
    tracemalloc.start()

    with pytest.raises(ProblemError, match="1000000 bytes at most"):
        unpack(bomb, wire.Limits())

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_body_is_not_read_beyond_its_limit(acme: Customer) -> None:
    acme.ploy.registry.set_limits(acme.id, max_batch_bytes=10**9)

    answer = put(acme, b"x" * (17 * 1024 * 1024))

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_bodies_are_recorded_after_decompression(acme: Customer) -> None:
    acme.ploy.bodies = []
    acme.sync(USERS, account("u1"))

    opened, staged, committed = acme.ploy.bodies
    assert json.loads(opened.content)["opener"] == "runtime-1"
    assert staged.content == wire.to_ndjson(USERS) + b"\n" + wire.to_ndjson(account("u1")) + b"\n"
    assert json.loads(committed.content)["records"] == {"account": 1}

    acme.ploy.bodies = None
    acme.sync(USERS, account("u1"))
