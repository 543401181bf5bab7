import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec import AccessChange, Account, ConnectionReport, Failure
from ploy_connector_aws.spec.records import to_json

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            wire.RecordLine(
                type="account", id="u1", scopes=("users",), partial=True, record={"id": "u1", "tags": {"ü": "\n"}}
            ),
            '{"line":"record","type":"account","id":"u1","scopes":["users"],"partial":true,'
            '"record":{"id":"u1","tags":{"ü":"\\n"}}}',
        ),
        (
            wire.RecordLine(type="account", id="u2", scopes=()),
            '{"line":"record","type":"account","id":"u2","scopes":[]}',
        ),
        (wire.TombstoneLine(type="grant", id="g1"), '{"line":"tombstone","type":"grant","id":"g1"}'),
        (
            wire.TombstoneLine(type="grant", id="g1", scopes=("grants",)),
            '{"line":"tombstone","type":"grant","id":"g1","scopes":["grants"]}',
        ),
        (
            wire.ScopeLine(name="users", is_announced=False),
            '{"line":"scope","name":"users","is_announced":false}',
        ),
        (wire.ScopeLine(name="users"), '{"line":"scope","name":"users"}'),
        (
            wire.ScopeLine(
                name="users/1",
                parent="users",
                ending="failed",
                failure=Failure(code="temporary", message="later"),
                origin="o",
            ),
            '{"line":"scope","name":"users/1","parent":"users","ending":"failed",'
            '"failure":{"code":"temporary","message":"later"},"origin":"o"}',
        ),
    ],
)
def test_line_is_serialized_without_defaults_and_read_back(line: wire.AnyLine, text: str) -> None:
    assert wire.to_ndjson(line).decode() == text
    assert wire.LINE.validate_json(text) == line


def test_content_digest_is_read_among_others_if_complete() -> None:
    digest = "230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5"
    header = "sha-256=:Iw2DWNyOiJC0xY3utikS7i8gNXrpKlzIYbmOaP4xrLU=:"

    assert wire.digest_of(b"body") == digest
    assert wire.to_content_digest(digest) == header
    assert wire.from_content_digest(header) == digest
    assert wire.from_content_digest(f"sha-512=:AAAA:, {header}") == digest
    assert [wire.from_content_digest(value) for value in ("", "sha-256=::", header[:-1], f"x{header}")] == [None] * 4


def test_digest_of_a_commit_depends_on_the_order_of_batches() -> None:
    one = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    other = "d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35"

    expected = "33b675636da5dcc86ec847b38c08fa49ff1cace9749931e0a5d4dfdbdedd808a"
    assert wire.digest_of_batches([one, other]) == expected
    assert wire.digest_of_batches([other, one]) != expected


def test_answer_may_have_unknown_fields_and_a_request_may_not() -> None:
    assert wire.HelloAnswer.model_validate({"weather": "fine"}) == wire.HelloAnswer()
    with pytest.raises(ValueError, match="Extra inputs"):
        wire.OpenSync.model_validate(
            {"run_id": "r", "opener": "o", "reading_started_at": "2026-01-01T00:00:00Z", "weather": "fine"}
        )


TASK = {"id": "t", "created_at": NOW, "deadline": NOW, "lease_id": "l", "lease_seconds": 60}
PAIR = {"account_id": "u", "entitlement_id": "g"}


@pytest.mark.parametrize(
    ("fields", "is_task"),
    [
        ({"kind": "grant", **PAIR}, True),
        ({"kind": "revoke", **PAIR, "preview": True}, True),
        ({"kind": "check"}, True),
        ({"kind": "sync"}, True),
        ({"kind": "grant"}, False),
        ({"kind": "revoke", "account_id": "u"}, False),
        ({"kind": "grant", "entitlement_id": "g"}, False),
        ({"kind": "grant", **PAIR, "account_id": ""}, False),
        ({"kind": "check", **PAIR}, False),
        ({"kind": "sync", "account_id": "u"}, False),
        ({"kind": "burn"}, False),
        ({"kind": "check", "lease_seconds": 0}, False),
    ],
)
def test_only_a_grant_or_revoke_names_account_and_entitlement(fields: dict[str, object], is_task: bool) -> None:
    task = {**TASK, **fields}

    if is_task:
        read = wire.Task.model_validate(task)
        assert {name: getattr(read, name) for name in task} == task
    else:
        with pytest.raises(ValueError):
            wire.Task.model_validate(task)


def test_done_task_has_exactly_one_result() -> None:
    report = ConnectionReport(checks=())
    change = AccessChange(outcome="applied", verified_at=NOW, scope="s", evidence={"request_ids": ["r"]})
    sync = wire.SyncSummary(status="committed", generation=3, outcome=wire.Outcome(added={"account": 1}))

    for name, result in (("report", report), ("change", change), ("sync", sync)):
        done = wire.TaskDone.model_validate({"lease_id": "l", name: result})
        assert (done.lease_id, getattr(done, name)) == ("l", result)
    for wrong in ({}, {"report": report, "change": change}, {"change": change, "sync": sync}):
        with pytest.raises(ValueError, match="exactly one of change, report and sync"):
            wire.TaskDone.model_validate({"lease_id": "l", **wrong})


@pytest.mark.parametrize(
    "change", [{"max_tasks": -1}, {"max_tasks": 101}, {"wait_seconds": 61}, {"worker_id": ""}, {"request_id": ""}]
)
def test_lease_request_is_bounded(change: dict[str, object]) -> None:
    request_ = {"request_id": "r", "worker_id": "h", "max_tasks": 100, "wait_seconds": wire.LONGEST_POLL_SECONDS}

    assert wire.LeaseRequest.model_validate(request_)
    with pytest.raises(ValueError):
        wire.LeaseRequest.model_validate({**request_, **change})


def test_settings_of_an_integration_are_not_shown() -> None:
    integration = wire.Integration(id="i", organisation="o", connector="aws", settings={"external_id": "s3cret"})

    assert "s3cret" not in repr(integration)


TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


@given(TEXTS.filter(bool), st.lists(TEXTS.filter(bool), max_size=3), VALUES, st.booleans(), st.booleans())
def test_line_of_a_stored_record_has_the_bytes_of_its_model(
    id_: str, scopes: list[str], value: object, is_partial: bool, has_content: bool
) -> None:
    body = to_json(Account(id=id_, display_name=id_, tags={id_: id_}, attributes={id_: value}))
    line = wire.RecordLine(
        type="account",
        id=id_,
        scopes=tuple(scopes),
        partial=is_partial,
        record=json.loads(body) if has_content else None,
    )
    written = wire.to_record_line("account", id_, tuple(scopes), body if has_content else None, partial=is_partial)
    assert written == wire.to_ndjson(line)
