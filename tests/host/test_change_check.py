"""The check of answers to grants and revokes: no host believes an impossible answer."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ploy_connector_aws.host import Connector, change_access, check_connector
from ploy_connector_aws.spec import (
    AccessChange,
    AccessRequest,
    ConnectionReport,
    Grant,
    InvalidAnswerError,
    Manifest,
    Page,
    hookimpl,
)

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
SECRET = "change-check-s3cr3t"


class Changer:
    """A connector that answers every request with its configured answer."""

    manifest = Manifest(
        name="changer",
        title="C",
        version="1",
        spec_version=1,
        description="",
        config_schema={"properties": {"token": {"type": "string", "writeOnly": True}}},
    )

    @hookimpl
    def configure(self, config: Mapping[str, Any]) -> None:
        self.answer = config["answer"]

    @hookimpl
    def test_connection(self) -> ConnectionReport:
        return ConnectionReport(checks=())

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        yield Page(scope="people", complete=True)

    @hookimpl
    def grant(self, request: AccessRequest) -> AccessChange:
        answer: AccessChange = self.answer
        return answer

    @hookimpl
    def revoke(self, request: AccessRequest) -> AccessChange:
        answer: AccessChange = self.answer
        return answer


def open_changer(answer: object) -> Connector:
    return check_connector("changer", Changer).open({"answer": answer, "token": SECRET})


def edge(account: str = "ann", entitlement: str = "g", **more: Any) -> Grant:
    return Grant(principal_kind="account", principal_id=account, entitlement_id=entitlement, **more)


def answer(
    outcome: str, *, added: tuple[Grant, ...] = (), removed: tuple[Grant, ...] = (), **more: Any
) -> AccessChange:
    moment = {} if outcome == "previewed" else {"verified_at": NOW}
    values: dict[str, Any] = {"outcome": outcome, "added": added, "removed": removed, "scope": "g", **moment, **more}
    return AccessChange(**values)


def judge(kind: Any, given: object, *, preview: bool = False) -> str | None:
    request = AccessRequest(request_id="r", account_id="ann", entitlement_id="g", preview=preview)
    try:
        change_access(open_changer(given), kind, request, lambda: NOW)
    except InvalidAnswerError as error:
        return error.message
    return None


def test_answer_needs_the_requested_grant_and_a_matching_outcome() -> None:
    wrong = []
    groups: tuple[tuple[Grant, ...], ...] = ((), (edge(),), (edge(entitlement="h"),), (edge(), edge(entitlement="h")))
    groups = (*groups, (edge("bob"),), (Grant(principal_kind="entitlement", principal_id="ann", entitlement_id="g"),))
    outcomes = ("applied", "already_in_effect", "previewed")
    for kind, outcome, preview in itertools.product(("grant", "revoke"), outcomes, (True, False)):
        for added, removed in itertools.product(groups, repeat=2):
            given = answer(outcome, added=added, removed=removed)
            mine, others = (added, removed) if kind == "grant" else (removed, added)
            is_about_it = edge() in mine or (outcome == "previewed" and not added and not removed)
            is_true = (outcome == "previewed") == preview and is_about_it and edge() not in others
            is_true = is_true and all(each.principal_id == "ann" for each in (*added, *removed))
            is_true = is_true and all(each.principal_kind == "account" for each in (*added, *removed))
            is_true = is_true and not {each.id for each in added} & {each.id for each in removed}
            if (judge(kind, given, preview=preview) is None) != is_true:
                wrong.append((kind, preview, given))
    assert wrong == []


APPLIED = answer("applied", added=(edge(),))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (None, "it is None, and an AccessChange is expected"),
        ({"outcome": "applied"}, "it is a dict, and an AccessChange is expected"),
        (AccessChange, "it is a "),
        (APPLIED.model_copy(update={"verified_at": NOW + timedelta(minutes=6)}), "not verified during the attempt"),
        (APPLIED.model_copy(update={"verified_at": NOW - timedelta(minutes=6)}), "not verified during the attempt"),
        (APPLIED.model_copy(update={"verified_at": NOW.replace(year=2099)}), "not verified during the attempt"),
        (APPLIED.model_copy(update={"verified_at": NOW.replace(tzinfo=None)}), "verified_at timezone_aware"),
        (APPLIED.model_copy(update={"verified_at": None}), "it is not valid"),
        (APPLIED.model_copy(update={"scope": None}), "it is not valid"),
        (APPLIED.model_copy(update={"outcome": "done"}), "it is not valid: outcome literal_error"),
        (APPLIED.model_copy(update={"as_of": NOW.replace(year=2099)}), "its as_of lies in the future"),
        (APPLIED.model_copy(update={"warnings": ("\ud800",)}), "cannot be written as JSON"),
        (APPLIED.model_copy(update={"evidence": {"x": object()}}), "cannot be written as JSON"),
        (APPLIED.model_copy(update={"scope": f"g/{SECRET}"}), "contains the value of a secret setting"),
        (
            APPLIED.model_copy(update={"added": (edge(), edge(entitlement="h", attributes={"note": SECRET}))}),
            "contains the value of a secret setting",
        ),
        (
            APPLIED.model_copy(update={"added": (edge().model_copy(update={"entitlement_id": "other"}),)}),
            "it is not valid",
        ),
    ],
)
def test_impossible_answer_is_rejected_with_the_reason(given: object, problem: str) -> None:
    found = judge("grant", given)
    assert found is not None
    assert found.startswith("The connector returned an invalid result: ")
    assert problem in found
    assert SECRET not in found


@pytest.mark.parametrize("minutes", [-4, 0, 4])
def test_clock_difference_of_minutes_is_tolerated(minutes: int) -> None:
    given = APPLIED.model_copy(update={"verified_at": NOW + timedelta(minutes=minutes)})
    assert judge("grant", given) is None


def test_warnings_and_evidence_are_redacted() -> None:
    given = APPLIED.model_copy(update={"warnings": (f"w {SECRET}",), "evidence": {"a": [SECRET]}})
    request = AccessRequest(request_id="r", account_id="ann", entitlement_id="g")
    change = change_access(open_changer(given), "grant", request, lambda: NOW)
    assert change == APPLIED.model_copy(update={"warnings": ("w [redacted]",), "evidence": {"a": ["[redacted]"]}})
