"""The validation of records and pages, and their JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ploy_connector_aws.spec import Account, Email, Entitlement, Failure, Finding, Grant, Page, PermissionDeniedError
from ploy_connector_aws.spec.records import RECORD_MODELS, grant_id, to_json


def test_grant_id_is_derived_from_its_ends() -> None:
    edge = {"principal_kind": "account", "principal_id": "a", "entitlement_id": "g"}
    other = {**edge, "principal_kind": "entitlement"}
    assert Grant(**edge).id == Grant(**edge, granted_at=datetime.now(UTC)).id
    assert Grant(**edge).id != Grant(**other).id
    with pytest.raises(ValidationError, match="leave it out"):
        Grant(id="mine", **edge)


@given(st.lists(st.tuples(*[st.text(min_size=1, max_size=4)] * 3), min_size=2, unique=True))
def test_different_edges_have_different_ids(edges: list[tuple[str, str, str]]) -> None:
    assert len({grant_id(*edge) for edge in edges}) == len(edges)


def test_record_is_serialized_without_defaults_and_read_back() -> None:
    ann = Account(
        id="u1",
        username="ann",
        emails=(Email(address="a@b.example", is_primary=True),),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    text = (
        b'{"id":"u1","username":"ann","emails":[{"address":"a@b.example","is_primary":true}],'
        b'"created_at":"2026-01-01T00:00:00Z"}'
    )
    assert to_json(ann) == text
    assert Account.model_validate_json(text) == ann


def test_default_is_unknown_and_never_no() -> None:
    someone = Account(id="u1")
    assert (someone.status, someone.mfa, someone.kind, someone.last_login_at) == ("unknown", "unknown", "unknown", None)
    assert Entitlement(id="e", kind="role", name="e", not_grantable_reason="x").privileged is None


@pytest.mark.parametrize(
    "extra",
    [{"grantable": False}, {"grantable": True, "not_grantable_reason": "no"}],
)
def test_entitlement_has_a_reason_exactly_when_not_grantable(extra: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="not_grantable_reason"):
        Entitlement(id="e", kind="group", name="e", **extra)


@pytest.mark.parametrize("model", RECORD_MODELS.values())
def test_unknown_field_is_rejected(model: type[Account]) -> None:
    assert model.model_config["extra"] == "forbid"
    assert model.model_config["frozen"] is True


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"subjects": []}, "subjects"),
        ({"subjects": [{"type": "finding", "id": "f"}]}, "a finding is about accounts"),
        ({"kind": "Wide open"}, "kind"),
        ({"severity": "worst"}, "severity"),
        ({"evidence": ""}, "evidence"),
    ],
)
def test_finding_states_what_was_seen_on_which_record(wrong: dict[str, Any], named: str) -> None:
    right = {
        "id": "open/r1",
        "kind": "open",
        "subjects": [{"type": "entitlement", "id": "r1"}],
        "severity": "high",
        "title": "It is open.",
        "evidence": "Anybody can use it.",
    }
    assert json.loads(to_json(Finding.model_validate(right))) == right
    with pytest.raises(ValidationError, match=named):
        Finding.model_validate({**right, **wrong})


def test_page_ends_its_scope_only_once() -> None:
    with pytest.raises(ValidationError, match="only once"):
        Page(scope="s", complete=True, gone=True)
    with pytest.raises(ValidationError, match="not its own parent"):
        Page(scope="s", parent="s")
    failure = Failure(code="x", message="y")
    endings = [Page(scope="s", **end).ending for end in ({}, {"complete": True}, {"gone": True}, {"excluded": True})]
    assert [*endings, Page(scope="s", failure=failure).ending] == [None, "complete", "gone", "excluded", "failed"]


def test_failure_repeats_messages_of_spec_errors_only() -> None:
    missing = PermissionDeniedError("denied", actions=("directory:List",), fix="allow it", request_id="r1")
    assert Failure.from_error(missing) == Failure(
        code="permission_missing",
        message="denied",
        missing_permissions=("directory:List",),
        fix="allow it",
        request_id="r1",
    )
    assert "hunter2" not in json.dumps(Failure.from_error(ValueError("hunter2")).model_dump())
