"""The whole reading, over HTTP from the local AWS: its scopes, its faults, its end."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from ploy_connector_aws.aws.permissions import BY_PERMISSION_SET, READS
from ploy_connector_aws.sandbox.aws import Group, Organisation, PermissionSet, about
from ploy_connector_aws.sandbox.aws.demo_organisation import demo_organisation
from ploy_connector_aws.spec import AuthenticationError, Page
from tests.aws.conftest import Customer, entries, is_proof, set_environment
from tests.aws.snapshot import to_snapshot
from tests.aws.tampering import Tamper, in_json, tampered
from tests.deadlines import PATIENCE_SECONDS

LEAVES = (
    "identity-center/users",
    "identity-center/groups",
    "identity-center/permission-sets",
    "identity-center/assignments",
)
READ_HERE = [action.iam for action in READS if action.client in ("identitystore", "sso-admin")]


def our_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ploy-aws-reader"]


def test_the_scopes_form_the_tree_and_all_end_complete(customer: Customer) -> None:
    snapshot = customer.read()
    ids = customer.seeded

    assert snapshot.parents == {
        **dict.fromkeys(LEAVES, "identity-center"),
        **{f"identity-center/groups/{id_}/members": "identity-center/groups" for id_ in ids.groups.values()},
        **{
            f"identity-center/permission-sets/{arn.rpartition('/')[2]}": "identity-center/permission-sets"
            for arn in ids.permission_sets.values()
        },
        **{f"identity-center/assignments/users/{id_}": "identity-center/assignments" for id_ in ids.users.values()},
        **{f"identity-center/assignments/groups/{id_}": "identity-center/assignments" for id_ in ids.groups.values()},
    }
    assert set(snapshot.endings.values()) == {"complete"}


def test_the_accounts_are_read_before_anything_else(customer: Customer) -> None:
    pages = list(customer.connector().list_accounts(frozenset()))

    assert [(page.scope, page.parent, page.ending) for page in pages] == [
        ("identity-center", None, None),
        ("identity-center", None, None),
        *((leaf, "identity-center", None) for leaf in LEAVES),
        ("identity-center", None, "complete"),
        ("identity-center/users", None, None),
        ("identity-center/users", None, "complete"),
        ("iam", None, "excluded"),
    ]


def test_scopes_that_are_switched_off_end_excluded_and_are_not_asked_for(customer: Customer) -> None:
    snapshot = customer.read(scopes=["identity-center/users", "identity-center/groups"])

    assert snapshot.ended("excluded") == {"identity-center/permission-sets", "identity-center/assignments"}
    assert {call.service for call in customer.aws.calls if call.operation != "ListInstances"} == {
        "sts",
        "identitystore",
    }


@pytest.mark.parametrize("action", READ_HERE)
def test_any_action_denied_fails_scopes_that_name_it_and_invents_nothing(customer: Customer, action: str) -> None:
    calm = customer.read()
    customer.aws.faults.deny(action)
    snapshot = customer.read()

    assert snapshot.records.items() <= calm.records.items() or action == "sso:ListPermissionSets"
    missing = {each for failure in snapshot.failures.values() for each in failure.missing_permissions}
    # A calm read describes no user, and looks up no membership.
    unused = action in ("identitystore:DescribeUser", "identitystore:GetGroupMembershipId")
    # Without the optional reads, assignments are read by principal.
    unused |= action in {each.iam for each in BY_PERMISSION_SET}
    assert missing == (set() if unused else {action})
    assert snapshot.retracted == set()


@pytest.mark.parametrize("fault", ["throttle", "fail", "cut_connection"])
def test_every_third_call_going_wrong_changes_nothing(customer: Customer, fault: str) -> None:
    customer.settle(demo_organisation(customer.settings["account_id"]))
    calm = customer.read()
    getattr(customer.aws.faults, fault)(3)
    troubled = customer.read()

    assert troubled == calm
    assert calm.failures == {}


def test_calls_are_listed_reads_made_in_the_read_session(customer: Customer) -> None:
    customer.read()
    others = [call for call in customer.aws.calls if call.operation != "AssumeRole"]

    assert {call.session_name for call in others} == {others[0].session_name}
    assert (others[0].session_name or "").startswith("ploy-sync-")
    assert len(entries(customer.aws)) == 1


def test_credentials_that_fail_in_mid_sync_stop_everything(customer: Customer) -> None:
    one = about(customer.seeded.groups["everyone"])
    customer.aws.faults.answer("ListGroupMemberships", "ExpiredTokenException", where=one)

    with pytest.raises(AuthenticationError):
        list(customer.read_pages())
    assert our_threads() == []


def test_a_role_that_cannot_be_assumed_is_raised_by_both_iterators(customer: Customer) -> None:
    connector = customer.connector(external_id="another-external-id-0001")

    seen: list[Page] = []
    with pytest.raises(AuthenticationError):
        seen.extend(connector.list_accounts(frozenset()))
    with pytest.raises(AuthenticationError):
        seen.extend(connector.list_entitlements(frozenset()))
    assert len(customer.aws.calls.to("AssumeRole")) == 1


def test_closing_the_iterator_early_stops_all_reading(customer: Customer) -> None:
    connector = customer.connector()
    list(connector.list_accounts(frozenset()))
    reading = connector.list_entitlements(frozenset())
    next(reading)
    assert our_threads() != []

    reading.close()  # type: ignore[attr-defined]

    assert our_threads() == []


def test_closing_wakes_those_that_wait_for_their_turn(customer: Customer) -> None:
    customer.aws.faults.throttle(1, "ListGroupMemberships", retry_after_seconds=3600)
    reading = customer.connector().list_entitlements(frozenset())
    # All that is not about members arrives; then the threads that read members wait for an hour to pass.
    awaited = {f"identity-center/assignments/groups/{id_}" for id_ in customer.seeded.groups.values()}
    while awaited:
        page = next(reading)
        awaited -= {page.scope} if page.complete else set()
    closing = threading.Thread(target=reading.close, daemon=True)  # type: ignore[attr-defined]
    closing.start()
    closing.join(PATIENCE_SECONDS)

    assert not closing.is_alive()
    assert our_threads() == []


def test_two_syncs_of_one_connector_give_the_same(customer: Customer) -> None:
    connector = customer.connector()

    def sync() -> Iterator[Page]:
        yield from connector.list_accounts(frozenset())
        yield from connector.list_entitlements(frozenset())

    assert to_snapshot(sync()) == to_snapshot(sync())


@pytest.mark.soak  # it waits at AWS's real rates
def test_both_quotas_are_used_up_at_the_same_time(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    """At AWS's real rates: of 40 group calls and 40 principals none waits until the others are done."""
    groups = tuple(Group(f"group{number}") for number in range(40))
    customer.settle(Organisation(owner_account_id="", groups=groups, permission_sets=(PermissionSet("one"),)))
    set_environment(monkeypatch, customer.aws, PLOY_AWS_RATE_FACTOR="1")
    probe = "ListAccountsForProvisionedPermissionSet"
    customer.aws.faults.deny(probe)  # else so few permission sets are read by permission set
    customer.aws.faults.limit_rates()

    snapshot = customer.read()

    assert snapshot.failures == {}
    others = [call for call in customer.aws.calls if not is_proof(call) and call.operation != probe]
    assert {call.error_code for call in others} == {None}
    calls = customer.aws.calls.to("ListGroupMemberships", "ListAccountAssignmentsForPrincipal")
    first_half = Counter(call.operation for call in calls[: len(calls) // 2])
    assert (len(calls), len(first_half)) == (80, 2)
    assert min(first_half.values()) >= 10, first_half


TAMPERING: dict[str, Tamper] = {
    "no JSON": lambda operation, body: b"<html>welcome</html>" if operation == "ListGroups" else body,
    "half of it": lambda operation, body: body[: len(body) // 2] if operation == "ListGroups" else body,
    "nothing": lambda operation, body: b"" if operation == "ListGroups" else body,
    "an empty object": in_json("ListGroups", dict.clear),
    "no list": in_json("ListGroups", lambda answer: answer.update(Groups="none")),
    "null": in_json("ListGroups", lambda answer: answer.update(Groups=None)),
    "numbers": in_json("ListGroups", lambda answer: answer.update(Groups=[1, 2])),
    "groups without an id": in_json("ListGroups", lambda answer: [each.pop("GroupId") for each in answer["Groups"]]),
    "an empty id": in_json("ListGroups", lambda answer: answer["Groups"][0].update(GroupId="")),
    "the same token again": in_json("ListGroups", lambda answer: answer.update(NextToken="again")),
}


@pytest.mark.parametrize("tamper", TAMPERING.values(), ids=TAMPERING.keys())
def test_a_strange_answer_fails_its_scope_and_never_looks_like_none(
    customer: Customer, monkeypatch: pytest.MonkeyPatch, tamper: Tamper
) -> None:
    with tampered(customer.aws.endpoint_url, tamper) as endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        snapshot = customer.read()

    assert snapshot.endings["identity-center/groups"] == "failed"
    assert snapshot.endings["identity-center/assignments"] == "failed"
    assert snapshot.endings["identity-center/permission-sets"] == "complete"


def test_a_member_of_an_unknown_kind_fails_the_scope_but_keeps_the_others(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(answer: dict[str, Any]) -> None:
        if answer["GroupMemberships"]:
            answer["GroupMemberships"][0]["MemberId"] = {"GroupId": "0123456789-x"}

    calm = customer.read()
    with tampered(customer.aws.endpoint_url, in_json("ListGroupMemberships", change)) as endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        snapshot = customer.read()

    assert len(snapshot.failures) == 2
    assert len(calm.edges) - len(snapshot.edges) == 2
