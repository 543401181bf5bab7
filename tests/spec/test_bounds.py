"""Numbers, moments and ids from outside are accepted within their bounds only."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError, field_validator

from ploy_connector_aws.spec import AccessChange, Account, Entitlement, Manifest, Page, Permission, TemporaryError
from ploy_connector_aws.spec.bounds import (
    Count,
    Interval,
    Moment,
    OutsideId,
    describe_errors,
    field_of,
    is_id,
    to_pause_seconds,
)
from tests.extremes import values_of

TYPES: dict[str, TypeAdapter[Any]] = {
    "interval": TypeAdapter(Interval),
    "count": TypeAdapter(Count),
    "moment": TypeAdapter(Moment),
    "id": TypeAdapter(OutsideId),
}


@pytest.mark.parametrize("kind", TYPES)
def test_value_out_of_bounds_is_rejected(kind: str) -> None:
    for text, is_good in values_of(kind):
        try:
            TYPES[kind].validate_json(text)
        except ValidationError:
            was_taken = False
        else:
            was_taken = True
        assert was_taken == is_good, text[:40]
        if kind == "id":
            assert is_id(json.loads(text)) == is_good, text[:40]


PAUSES: list[tuple[object, float | None]] = [
    (None, None),
    (0, 0),
    (7.5, 7.5),
    (3600, 3600),
    (3601, 3600),
    (10**9, 3600),
    (10**400, 3600),
    (1e308, 3600),
    (math.inf, 3600),
    (-1, None),
    (-math.inf, None),
    (math.nan, None),
    (True, None),
    ("7", None),
    ("soon", None),
    ([], None),
    (datetime(9999, 1, 1, tzinfo=UTC), None),
]


@pytest.mark.parametrize(("hint", "seconds"), PAUSES, ids=lambda value: str(value)[:20])
def test_pause_is_capped_and_none_unless_a_number(hint: Any, seconds: float | None) -> None:
    assert to_pause_seconds(hint) == seconds
    assert TemporaryError("Later.", retry_after_seconds=hint).retry_after_seconds == seconds
    assert to_pause_seconds(hint, 300) == (None if seconds is None else min(seconds, 300))


@pytest.mark.parametrize("year", [1, 1999, 2101, 9999])
@pytest.mark.parametrize(
    ("model", "fields", "name"),
    [
        (Page, {"scope": "users"}, "began_at"),
        (AccessChange, {"outcome": "applied", "scope": "s"}, "verified_at"),
        (AccessChange, {"outcome": "previewed"}, "as_of"),
        (AccessChange, {"outcome": "previewed"}, "sessions_end_by"),
    ],
)
def test_moment_of_another_century_is_rejected(
    model: type[Page] | type[AccessChange], fields: dict[str, Any], name: str, year: int
) -> None:
    assert model.model_validate({**fields, name: datetime(2026, 1, 1, tzinfo=UTC)})
    with pytest.raises(ValidationError) as refused:
        model.model_validate({**fields, name: datetime(year, 1, 1, tzinfo=UTC)})
    assert field_of(refused.value) == name


@pytest.mark.parametrize("name", ["scan_interval_seconds", "poll_interval_seconds"])
def test_manifest_interval_out_of_bounds_is_rejected(name: str) -> None:
    manifest = {"name": "a", "title": "A", "version": "1", "spec_version": 1, "description": "A", "config_schema": {}}
    assert Manifest.model_validate(manifest)
    for text in (text for text, is_good in values_of("interval") if not is_good):
        with pytest.raises(ValidationError) as refused:
            Manifest.model_validate({**manifest, name: json.loads(text)})
        assert field_of(refused.value) == name


def test_field_of_an_error_repeats_no_input() -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(dict[str, Count]).validate_json('{"s3cr3t/+token==": -1}')
    assert field_of(refused.value) == "?"


class Own(Account):
    """A record of an author, whose own check repeats what it was given."""

    @field_validator("username")
    @classmethod
    def _is_short(cls, value: str) -> str:
        raise ValueError(f"{value} is too long")


WRONG: dict[str, tuple[type[BaseModel], dict[str, Any], str]] = {
    "an entitlement without a reason": (
        Entitlement,
        {"id": "a", "kind": "group", "name": "A"},
        "grantable=False needs a not_grantable_reason, and grantable=True has none",
    ),
    "a page with two ends": (Page, {"scope": "a", "complete": True, "gone": True}, "a page ends its scope only once"),
    "a time of no day": (Page, {"scope": "a", "began_at": "x"}, "began_at must be a date and time of RFC 3339"),
    "fields of wrong types": (
        Account,
        {"id": "a", "kind": "No Kind", "username": 5},
        "kind string_pattern_mismatch, username string_type",
    ),
    "a check of the author": (Own, {"id": "a", "username": "a-secret"}, "username value_error"),
    "a feature that nothing has": (
        Manifest,
        {
            "name": "a",
            "title": "A",
            "version": "1",
            "spec_version": 1,
            "description": "",
            "config_schema": {},
            "permissions": (Permission(name="read", features=("rooms",), is_required=True, used_for="", without=""),),
        },
        "The permission 'read' is for an unknown feature.",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_error_has_the_rule_of_the_specification_and_no_input(case: str) -> None:
    model, fields, described = WRONG[case]
    with pytest.raises(ValidationError) as raised:
        model(**fields)
    assert describe_errors(raised.value) == described
