"""A sync with faults on AWS's side: nothing lost, nothing invented, and the report names the reason."""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest

from ploy_connector_aws.aws.permissions import READS
from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.sandbox.aws import Assignment, about
from ploy_connector_aws.spec import AuthenticationError
from tests.aws.conftest import PROD

from .sync_harness import Site

ACTIONS = {
    "ListInstances": "sso:ListInstances",
    "ListUsers": "identitystore:ListUsers",
    "ListGroups": "identitystore:ListGroups",
    "ListGroupMemberships": "identitystore:ListGroupMemberships",
    "ListPermissionSets": "sso:ListPermissionSets",
    "DescribePermissionSet": "sso:DescribePermissionSet",
    "ListManagedPoliciesInPermissionSet": "sso:ListManagedPoliciesInPermissionSet",
    "ListCustomerManagedPolicyReferencesInPermissionSet": "sso:ListCustomerManagedPolicyReferencesInPermissionSet",
    "ListAccountAssignmentsForPrincipal": "sso:ListAccountAssignmentsForPrincipal",
}

ALIKE = {"ListManagedPoliciesInPermissionSet", "ListCustomerManagedPolicyReferencesInPermissionSet"}
"""Each is read for a permission set, as its description is."""
READ_IN_TURN = {"ListInstances", "ListUsers", "ListGroupMemberships", "ListAccountAssignmentsForPrincipal"}
"""One of each level: what the others list is like one of these."""


def played(operations: Collection[str]) -> pytest.MarkDecorator:
    """Each operation; those that are not among these in a soak only."""
    return pytest.mark.parametrize(
        "operation", [pytest.param(each, marks=[] if each in operations else [pytest.mark.soak]) for each in ACTIONS]
    )


def test_a_denied_call_deletes_nothing_and_is_named_with_the_missing_permission(site: Site) -> None:
    site.sync()
    before = site.records_at_ploy()
    for operation, action in ACTIONS.items():
        site.world.aws.faults.deny(operation)
        synced = site.sync()
        assert site.records_at_ploy() == before, operation
        assert synced.code == Exit.UNPROVEN, operation
        missing = {tuple(failure.get("missing_permissions", ())) for failure in synced.unproven.values() if failure}
        assert (action,) in missing
        site.world.aws.faults.allow(operation)
    assert site.sync().code == Exit.OK
    assert site.records_at_ploy() == before


@played(ACTIONS.keys() - ALIKE)
def test_a_call_denied_from_the_first_sync_on_invents_nothing(site: Site, operation: str) -> None:
    site.world.aws.faults.deny(operation)
    assert site.sync().code == Exit.UNPROVEN
    truth, shown = site.in_aws(), site.at_ploy()
    assert shown.users <= truth.users
    assert shown.groups <= truth.groups
    assert shown.memberships <= truth.memberships
    assert shown.assignments <= truth.assignments
    assert shown.entries <= truth.entries
    site.world.aws.faults.allow(operation)
    site.sync()
    assert site.at_ploy() == truth


@played(READ_IN_TURN)
def test_what_changed_in_aws_while_a_call_was_denied_is_right_once_it_is_allowed_again(
    site: Site, operation: str
) -> None:
    site.sync()
    site.world.aws.faults.deny(operation)
    site.seeded.delete_user("bo")
    site.seeded.add_member("empty", "dee")
    site.sync()
    site.world.aws.faults.allow(operation)
    site.sync()
    assert site.at_ploy() == site.in_aws()


def test_a_role_that_cannot_be_assumed_ends_the_run_and_changes_nothing(site: Site) -> None:
    site.sync()
    before, generations = site.records_at_ploy(), len(site.world.ploy.view(site.integration_id).generations())
    site.world.aws.faults.deny("AssumeRole")
    with pytest.raises(AuthenticationError):
        site.sync()
    assert site.records_at_ploy() == before
    assert len(site.world.ploy.view(site.integration_id).generations()) == generations


@pytest.mark.parametrize(
    "break_it",
    [
        pytest.param(lambda site: site.world.aws.faults.throttle(times=1, each=True), id="throttled"),
        pytest.param(lambda site: site.world.aws.faults.fail(times=1, each=True), id="internal errors"),
        pytest.param(lambda site: site.world.aws.faults.cut_connection(times=1, each=True), id="connections reset"),
        pytest.param(lambda site: site.world.aws.faults.empty_pages(), id="empty pages with a token"),
    ],
)
def test_a_faulty_run_gives_what_a_calm_one_gives(site: Site, break_it: Callable[[Site], object]) -> None:
    break_it(site)
    synced = site.sync()
    assert (synced.code, synced.unproven) == (Exit.OK, {})
    assert site.at_ploy() == site.in_aws()


@pytest.mark.parametrize(
    ("operation", "kind", "name"),
    [
        ("ListGroupMemberships", "group", "admins"),
        ("ListAccountAssignmentsForPrincipal", "user", "dee"),
        ("DescribePermissionSet", "permission_set", "Reader"),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_what_is_deleted_in_mid_sync_is_gone_in_the_same_run(
    site: Site, operation: str, kind: str, name: str, is_first: bool
) -> None:
    if not is_first:
        site.sync()
    # AWS deletes no assigned set; it keeps the assignments of a deleted user or group, which no person holds.
    for row in site.seeded.organisation.assignments:
        if row.permission_set == "Reader" or row.principal == "admins":
            site.seeded.unassign(row)
    deleted = getattr(site.seeded, f"{kind}s")[name]
    site.world.aws.faults.before(operation, lambda: getattr(site.seeded, f"delete_{kind}")(name), where=about(deleted))
    synced = site.sync()
    assert synced.unproven == {}
    assert site.at_ploy() == site.in_aws()


def test_a_not_found_that_names_something_else_deletes_nothing(site: Site) -> None:
    site.sync()
    before = site.records_at_ploy()
    for operation, members in (
        ("ListGroupMemberships", {"ResourceType": "IDENTITY_STORE", "ResourceId": site.seeded.identity_store_id}),
        ("ListAccountAssignmentsForPrincipal", {}),
        ("DescribePermissionSet", {}),
    ):
        site.world.aws.faults.answer(operation, "ResourceNotFoundException", message="no such thing", members=members)
    synced = site.sync()
    assert synced.code == Exit.UNPROVEN
    assert site.records_at_ploy() == before


def test_a_removed_instance_deletes_nothing(site: Site) -> None:
    site.sync()
    before = site.records_at_ploy()
    site.seeded.remove_instance()
    synced = site.sync()
    assert synced.unproven["identity-center"]["code"] == "origin_changed"
    assert site.records_at_ploy() == before


def test_an_instance_that_takes_the_place_of_another_deletes_nothing(site: Site) -> None:
    site.sync()
    before = site.records_at_ploy()
    site.world.seeded = site.world.aws.seed(site.seeded.organisation)
    synced = site.sync()
    assert synced.unproven["identity-center"]["code"] == "origin_changed"
    assert site.records_at_ploy() == before


def test_an_assignment_that_is_revoked_disappears_and_one_that_is_new_appears(site: Site) -> None:
    site.sync()
    site.seeded.unassign(Assignment(PROD, "Administrator", "admins"))
    site.seeded.assign(Assignment(PROD, "Administrator", "ana", to_group=False))
    site.sync()
    assert site.at_ploy() == site.in_aws()


def test_every_action_that_is_read_is_denied_once_here() -> None:
    used = {action.iam for action in READS if action.client in ("identitystore", "sso-admin") and action.is_required}
    assert used - set(ACTIONS.values()) == {"identitystore:DescribeUser", "identitystore:GetGroupMembershipId"}
