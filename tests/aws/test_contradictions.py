"""Where AWS contradicts itself nothing is removed: an instance not shown for once, a thing that one call denies.

The records of a run go through the runtime's own comparison, as a host's do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ploy_connector_aws.aws.gone import MAX_REREADS, DeletionConfirmer
from ploy_connector_aws.sandbox.aws import about
from ploy_connector_aws.spec import TemporaryError
from tests.aws.host import Host
from tests.aws.tampering import in_json, tampered

NOT_FOUND = "ResourceNotFoundException"


def shown_none(answer: dict[str, Any]) -> None:
    answer["Instances"] = []


def test_an_instance_that_aws_does_not_show_for_once_takes_nothing_with_it(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.sync()
    with tampered(host.customer.aws.endpoint_url, in_json("ListInstances", shown_none)) as endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        host.check_unchanged()

    assert "no IAM Identity Center instance" in host.failures()["iam/permission-set-roles"]


def test_another_instance_in_the_place_of_the_known_one_takes_no_link_with_it(host: Host) -> None:
    host.sync()
    host.customer.seeded = host.customer.aws.seed(host.seeded.organisation)
    # What is under IAM belongs to the account, and is seeded again with it.
    links = {key for key, body in host.records().items() if b"matched_by" in body}
    host.sync()

    assert links
    assert links <= host.records().keys()
    assert "is missing or was replaced" in host.failures()["iam/permission-set-roles"]


def deny_user(host: Host) -> None:
    user_id = next(iter(host.seeded.users.values()))
    host.faults.answer(
        "ListAccountAssignmentsForPrincipal", NOT_FOUND, message=f"User {user_id} not found.", where=about(user_id)
    )


def deny_group(host: Host) -> None:
    group_id = next(iter(host.seeded.groups.values()))
    host.faults.answer(
        "ListAccountAssignmentsForPrincipal", NOT_FOUND, message=f"Group {group_id} not found.", where=about(group_id)
    )


def deny_members(host: Host) -> None:
    group_id = next(iter(host.seeded.groups.values()))
    members = {"ResourceType": "GROUP", "ResourceId": group_id}
    host.faults.answer("ListGroupMemberships", NOT_FOUND, members=members, where=about(group_id))


def deny_permission_set(operation: str) -> Callable[[Host], None]:
    def deny(host: Host) -> None:
        arn = next(iter(host.seeded.permission_sets.values()))
        host.faults.answer(operation, NOT_FOUND, message=f"PermissionSet {arn} not found.", where=about(arn))

    return deny


def deny_tags(operation: str, code: str, service: str) -> Callable[[Host], None]:
    def deny(host: Host) -> None:
        arn = next(id_ for type_, id_ in sorted(host.records()) if id_.startswith(f"arn:aws:{service}:"))
        host.faults.answer(operation, code, status=404, where=about(arn))

    return deny


DENIALS: dict[str, Callable[[Host], None]] = {
    "a user's assignments": deny_user,
    "a group's assignments": deny_group,
    "a group's members": deny_members,
    "a permission set": deny_permission_set("DescribePermissionSet"),
    "a permission set's AWS policies": deny_permission_set("ListManagedPoliciesInPermissionSet"),
    "a permission set's own policies": deny_permission_set("ListCustomerManagedPolicyReferencesInPermissionSet"),
    "a database's tags": deny_tags("rds:ListTagsForResource", "DBInstanceNotFound", "rds"),
    "a cluster's tags": deny_tags("ecs:ListTagsForResource", "ClusterNotFoundException", "ecs"),
}


ALIKE = {"a group's assignments", "a permission set's AWS policies", "a permission set's own policies"}
"""As a user's assignments, and as a permission set."""


@pytest.mark.parametrize(
    "denied", [pytest.param(each, marks=[pytest.mark.soak] if each in ALIKE else []) for each in DENIALS]
)
def test_a_thing_that_one_call_denies_and_a_list_still_has_is_kept_with_its_grants(host: Host, denied: str) -> None:
    host.faults.leave_out("DescribeDBInstances", "TagList")
    host.faults.leave_out("DescribeClusters", "tags")
    host.sync()
    DENIALS[denied](host)
    changes = host.check_unchanged()

    assert changes.unproven_scopes
    assert any("another call reports that it does not exist" in message for message in host.failures().values())


def missing(answer: dict[str, Any]) -> None:
    cluster = answer["clusters"].pop(0)
    answer["failures"] = [{"arn": cluster["clusterArn"], "reason": "MISSING"}]


def test_a_cluster_that_is_listed_and_reported_missing_is_kept(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.sync()
    with tampered(host.customer.aws.endpoint_url, in_json("DescribeClusters", missing)) as endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        host.check_unchanged()

    assert "ecs/clusters" in host.failures()


@pytest.mark.parametrize("second", ["denied", "internal error"])
def test_a_second_call_that_fails_confirms_nothing(host: Host, second: str) -> None:
    host.sync()
    deny_user(host)
    deny_permission_set("DescribePermissionSet")(host)
    if second == "denied":
        host.faults.deny("DescribeUser")
    else:
        host.faults.fail(1, "DescribeUser")
    host.faults.before("DescribePermissionSet", lambda: host.faults.deny("ListPermissionSets"))

    assert host.check_unchanged().unproven_scopes


def test_an_assignment_of_a_permission_set_that_two_calls_deny_is_kept(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.sync()
    arn = host.seeded.permission_sets[host.seeded.organisation.assignments[0].permission_set]
    host.faults.answer("DescribePermissionSet", NOT_FOUND, message=f"PermissionSet {arn} not found.", where=about(arn))

    def leave_out(answer: dict[str, Any]) -> None:
        answer["PermissionSets"].remove(arn)

    with tampered(host.customer.aws.endpoint_url, in_json("ListPermissionSets", leave_out)) as endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        before = host.records()
        changes = host.sync()

    assert set(before) - set(host.records()) == {("entitlement", arn)}
    assert (changes.removed, changes.changed) == ({"entitlement": 1}, {})


def test_where_aws_denies_everything_that_it_lists_the_list_is_not_read_for_each(host: Host) -> None:
    host.sync()
    for group_id in host.seeded.groups.values():
        members = {"ResourceType": "GROUP", "ResourceId": group_id}
        host.faults.answer("ListGroupMemberships", NOT_FOUND, members=members, where=about(group_id))
    host.customer.aws.calls.clear()
    host.check_unchanged()

    assert len(host.seeded.groups) > MAX_REREADS
    assert len(host.customer.aws.calls.to("identitystore:ListGroups", "ListGroups")) <= 2 * (1 + MAX_REREADS)


def test_a_list_is_read_again_only_while_it_still_has_the_thing() -> None:
    lists = [["a", "b"], ["b"], ["b", "c"], ["never"]]
    listed = DeletionConfirmer("group")

    def ask(id_: str) -> bool:
        try:
            listed.confirm_gone(id_, lambda: lists.pop(0))
        except TemporaryError:
            return False
        return True

    # Listed still; gone by the second reading, which also shows that d is; b is there in all that may be made.
    assert [ask(each) for each in ("a", "a", "d", "b", "b", "x")] == [False, True, True, False, False, True]
    assert lists == [["never"]]
