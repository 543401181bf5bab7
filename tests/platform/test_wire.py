from datetime import UTC, datetime

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec import AccessChange, ConnectionReport, Failure

NOW = datetime(2026, 1, 1, tzinfo=UTC)

LINES = (
    wire.RecordLine(type="account", id="u1", scopes=("users",), partial=True, record={"id": "u1", "tags": {"ü": "\n"}}),
    wire.RecordLine(type="account", id="u2", scopes=()),
    wire.TombstoneLine(type="grant", id="g1"),
    wire.TombstoneLine(type="grant", id="g1", scopes=("grants",)),
    wire.ScopeLine(name="users", is_announced=False),
    wire.ScopeLine(name="users"),
    wire.ScopeLine(
        name="users/1", parent="users", ending="failed", failure=Failure(code="temporary", message="later"), origin="o"
    ),
)


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_one_line_of_text_and_reads_back_as_it_was(line: wire.RecordLine) -> None:
    text = wire.to_ndjson(line)

    assert b"\n" not in text
    assert wire.LINE.validate_json(text) == line


def test_a_content_digest_is_read_among_others_and_only_when_it_is_whole() -> None:
    digest = wire.digest_of(b"body")
    header = wire.to_content_digest(digest)

    assert wire.from_content_digest(header) == digest
    assert wire.from_content_digest(f"sha-512=:AAAA:, {header}") == digest
    assert [wire.from_content_digest(value) for value in ("", "sha-256=::", header[:-1], f"x{header}")] == [None] * 4


def test_the_digest_of_a_commit_depends_on_the_order_of_its_batches() -> None:
    one, other = wire.digest_of(b"1"), wire.digest_of(b"2")

    assert wire.digest_of_batches([one, other]) != wire.digest_of_batches([other, one])
    assert wire.digest_of_batches([one, other]) == wire.digest_of((one + other).encode())


def test_an_answer_may_have_fields_that_this_version_does_not_know_and_a_question_may_not() -> None:
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
def test_a_grant_or_a_revoke_and_nothing_else_names_its_pair(fields: dict[str, object], is_task: bool) -> None:
    task = {**TASK, **fields}

    if is_task:
        read = wire.Task.model_validate(task)
        assert wire.Task.model_validate_json(read.model_dump_json()) == read
    else:
        with pytest.raises(ValueError):
            wire.Task.model_validate(task)


def test_a_task_that_was_done_has_exactly_one_result() -> None:
    report = ConnectionReport(checks=())
    change = AccessChange(outcome="applied", verified_at=NOW, scope="s", evidence={"request_ids": ["r"]})
    sync = wire.SyncSummary(status="committed", generation=3, outcome=wire.Outcome(added={"account": 1}))
    results = ({"report": report}, {"change": change}, {"sync": sync})

    for result in results:
        done = wire.TaskDone.model_validate({"lease_id": "l", **result})
        assert wire.TaskDone.model_validate_json(done.model_dump_json()) == done
    for wrong in ({}, {"report": report, "change": change}, {"change": change, "sync": sync}):
        with pytest.raises(ValueError, match="exactly one of change, report and sync"):
            wire.TaskDone.model_validate({"lease_id": "l", **wrong})


@pytest.mark.parametrize(
    "change", [{"most": -1}, {"most": 101}, {"wait_seconds": 61}, {"holder": ""}, {"request_id": ""}]
)
def test_a_wish_for_tasks_is_bounded(change: dict[str, object]) -> None:
    wish = {"request_id": "r", "holder": "h", "most": 100, "wait_seconds": wire.LONGEST_POLL_SECONDS}

    assert wire.LeaseRequest.model_validate(wish)
    with pytest.raises(ValueError):
        wire.LeaseRequest.model_validate({**wish, **change})


def test_the_settings_of_an_integration_are_not_shown() -> None:
    integration = wire.Integration(id="i", organisation="o", connector="aws", settings={"external_id": "s3cret"})

    assert "s3cret" not in repr(integration)
