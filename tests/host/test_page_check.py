"""The checks of pages: an invalid record fails its scope, is named, and does not affect other records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ploy_connector_aws.host.page_check import CheckedPage, PageCheck
from ploy_connector_aws.host.redaction import Redactor, remember_secrets
from ploy_connector_aws.spec import (
    Account,
    Entitlement,
    Failure,
    Finding,
    Grant,
    InvalidAnswerError,
    Page,
    RecordKey,
    Resource,
)
from ploy_connector_aws.spec.records import to_json

SECRET = "page-check-s3cr3t/+="
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
GOOD = Account(id="good", username="good")
OPEN = Finding(
    id="open/good",
    kind="open",
    subjects=(RecordKey(type="account", id="good"),),
    severity="high",
    title="It is open.",
    evidence="Anybody can use it.",
)
EDGE = Grant(principal_kind="account", principal_id="good", entitlement_id="g")
NESTED: dict[str, Any] = {}
NESTED["again"] = NESTED


def unchecked(model: Any, **values: Any) -> Any:
    """A record that pydantic constructs without validation."""
    return model.model_construct(**values)


class OwnAccount(Account):
    """A record of a connector's own class."""

    shoe_size: int = 41


def check(page: Page, max_line_bytes: int = 2_000, hook: str = "list_entitlements") -> CheckedPage:
    remember_secrets([SECRET])
    return PageCheck(Redactor([SECRET]), max_line_bytes, lambda: NOW).check(page, hook)


BROKEN: dict[str, tuple[Any, str]] = {
    "half of a surrogate pair": (
        Account(id="x", display_name="a\ud800"),
        "'x' cannot be written as JSON: d",
    ),
    "half of one inside": (Account(id="x", attributes={"a": [{"b": "\udfff"}]}), "attributes.a.0.b holds a lone"),
    "half of one in a name": (Account(id="x", attributes={"\udfff": 1}), "a name in attributes"),
    "too large": (Account(id="x", tags={"a": "b" * 2_000}), "the account 'x' has 20"),
    "too large in bytes only": (Account(id="x", username="ä" * 990), "the account 'x' has "),
    "a secret": (Account(id="x", attributes={"note": f"pass {SECRET}"}), "the account 'x' contains the value of a sec"),
    "a secret in its id": (Account(id=f"x {SECRET}"), "the account 'x [redacted]' contains the value of a secret"),
    "a secret as base64": (Account(id="x", username="dTpwYWdlLWNoZWNrLXMzY3IzdC8rPQ=="), "contains the value"),
    "no JSON": (Account(id="x").model_copy(update={"attributes": {"a": object()}}), "wrong type (Pydantic"),
    "an endless value": (Account(id="x").model_copy(update={"attributes": NESTED}), "nested too deep"),
    "an unknown kind": (
        Account(id="x").model_copy(update={"kind": "An alien"}),
        "is not valid: kind string_pattern_mismatch",
    ),
    "an unknown field": (Account(id="x").model_copy(update={"idd": "y"}), "is not valid: idd extra_forbidden"),
    "an id that is a number": (Account(id="x").model_copy(update={"id": 5}), "with an id of type int is not valid: id"),
    "an empty id": (Account(id="x").model_copy(update={"id": ""}), "id string_too_short"),
    "no id": (unchecked(Account, username="x"), "with an id of type NoneType is not valid: id missing"),
    "a date that is a text": (Account(id="x").model_copy(update={"created_at": "yesterday"}), "wrong type"),
    "an e-mail address that is none": (Account(id="x").model_copy(update={"emails": ("a@b",)}), "wrong type"),
    "a grant of another id": (EDGE.model_copy(update={"entitlement_id": "other"}), "is not valid: "),
    "an entitlement without a reason": (
        Entitlement(id="x", kind="group", name="x", not_grantable_reason="r").model_copy(
            update={"not_grantable_reason": None}
        ),
        "the entitlement 'x' is not valid",
    ),
    "a resource without a name": (unchecked(Resource, id="x", kind="k"), "the resource 'x' is not valid: name"),
    "a finding without subjects": (
        OPEN.model_copy(update={"subjects": ()}),
        "'open/good' is not valid: subjects too_sh",
    ),
    "a finding about a finding": (OPEN.model_copy(update={"subjects": (OPEN.key,)}), "'open/good' is not valid: "),
    "a finding about nothing": (
        OPEN.model_copy(update={"subjects": (RecordKey.model_construct(type="account", id=""),)}),
        "is not valid: subjects.0.id string_too_short",
    ),
    "a finding of no severity": (OPEN.model_copy(update={"severity": "worst"}), "is not valid: severity literal_error"),
    "a finding with a secret": (OPEN.model_copy(update={"evidence": f"pass {SECRET}"}), "contains the value of a sec"),
    "a class of its own": (OwnAccount(id="x"), "the account 'x' is of the class OwnAccount, and"),
    "a dict": (
        {"id": "x"},
        "an item of type dict is of the class dict, and an Account, Entitlement, Grant, Resource or Finding",
    ),
    "nothing": (None, "an item of type NoneType"),
}
"""An invalid record, and the message of its scope's failure."""


def test_invalid_record_fails_its_scope_and_the_others_are_kept() -> None:
    wrong = []
    for kind, (record, named) in BROKEN.items():
        for ending in ({}, {"complete": True}, {"gone": True}):
            page = Page.model_construct(
                **{**vars(Page(scope="s", parent="p", **ending)), "records": (GOOD, record, EDGE)}
            )
            page, bodies, problems = check(page)
            failure = page.failure
            if failure is None or named not in failure.message or SECRET in failure.message or len(problems) != 1:
                wrong.append(f"{kind}: {failure}")
            if (page.scope, page.parent, page.ending) != ("s", "p", "failed"):
                wrong.append(f"{kind}: it ended {page.ending}")
            if page.records != (GOOD, EDGE) or bodies != [to_json(GOOD), to_json(EDGE)]:
                wrong.append(f"{kind}: kept {page.records}")
    assert not wrong, "\n".join(wrong)


def test_list_of_resources_may_not_hold_access() -> None:
    room = Resource(id="room", kind="room", name="Room")
    group = Entitlement(id="g", kind="group", name="g", grantable=True)
    page = Page(scope="rooms", records=(room, OPEN, EDGE), partial=(group, GOOD), complete=True)
    checked = check(page, hook="list_resources")

    assert (checked.page.records, checked.page.partial, checked.page.ending) == ((room, OPEN), (), "failed")
    assert checked.bodies == [to_json(room), to_json(OPEN)]
    assert [problem.message for problem in checked.problems] == [
        f"the {record.record_type} {record.id!r} is not allowed in list_resources" for record in (EDGE, group, GOOD)
    ]
    for hook in ("list_accounts", "list_entitlements"):
        assert check(page, hook=hook).page == page


def test_every_problem_of_a_page_has_its_kind_and_the_first_is_its_failure() -> None:
    records = [BROKEN[kind][0] for kind in ("a class of its own", "half of one inside", "too large")]
    later = NOW + timedelta(days=1)
    checked = check(
        Page.model_construct(scope="s", records=(*records, Account(id=SECRET)), complete=True, began_at=later)
    )
    assert [kind for kind, _ in checked.problems] == ["page", "record", "text", "size", "secret"]
    assert checked.problem == checked.problems[0].message
    assert checked.page.failure is not None
    assert checked.problem in checked.page.failure.message


def test_valid_page_is_unchanged() -> None:
    page = Page(scope="s", records=(GOOD, OPEN), partial=(EDGE,), complete=True, origin="o", began_at=NOW)
    assert check(page) == (page, [to_json(GOOD), to_json(OPEN), to_json(EDGE)], ())


def test_partial_record_is_checked_too() -> None:
    page, bodies, _ = check(Page(scope="s", records=(GOOD,), partial=(EDGE, Account(id="x", username="\ud800"))))
    assert (page.ending, page.records, page.partial, len(bodies)) == ("failed", (GOOD,), (EDGE,), 2)


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ({"began_at": NOW + timedelta(hours=1)}, "began_at lies in the future"),
        ({"origin": f"tenant {SECRET}"}, "its origin contains the value of a secret setting"),
        ({"origin": "a\ud800"}, "its origin"),
        ({"origin": "o" * 3_000}, "its origin is longer"),
    ],
)
def test_impossible_page_fails_its_scope_and_keeps_its_records(header: dict[str, Any], named: str) -> None:
    page, bodies, problem = check(Page(scope="s", records=(GOOD,), complete=True, **header))
    assert (page.ending, page.origin, page.began_at, page.records) == ("failed", None, None, (GOOD,))
    assert (named in str(problem), SECRET in str(page), bodies) == (True, False, [to_json(GOOD)])


@pytest.mark.parametrize(
    "values",
    [{"complete": "maybe"}, {"excluded": 5}, {"records": (), "parent": "s"}, {"failure": "no"}, {"retracted": (5,)}],
)
def test_unvalidated_page_fails_its_scope(values: dict[str, Any]) -> None:
    page, _, problems = check(Page.model_construct(**{"scope": "s", "parent": "p", "records": (), **values}))
    assert (page.scope, page.ending) == ("s", "failed")
    assert [(kind, "the page is not valid" in message) for kind, message in problems] == [("page", True)]


def test_scope_name_with_a_secret_fails_its_parent() -> None:
    checker = PageCheck(Redactor([SECRET]), 2_000, lambda: NOW)
    for page in (
        Page(scope=f"rooms/{SECRET}", parent="rooms", records=(GOOD,)),
        Page(scope=f"rooms/{SECRET}", complete=True),
        Page(scope="beds", parent=f"rooms/{SECRET}", complete=True),
    ):
        kept, bodies, _ = checker.check(page, "list_accounts")
        assert (kept.scope, kept.ending, kept.records, bodies) == ("rooms", "failed", (), [])
        assert "contains the value of a secret setting" in str(kept.failure)
    with pytest.raises(InvalidAnswerError, match="no scope is named that lists it"):
        checker.check(Page(scope=SECRET), "list_accounts")


def test_failure_of_a_connector_is_redacted() -> None:
    failure = Failure(code="temporary", message=f"No {SECRET}\ud800.", missing_permissions=("a:B",), fix=SECRET)
    page, _, problems = check(Page(scope="s", failure=failure))
    expected = Failure(code="temporary", message="No [redacted]?.", missing_permissions=("a:B",), fix="[redacted]")
    assert (page.failure, problems) == (expected, ())
