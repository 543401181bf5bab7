"""Reading permission sets, over HTTP from the local AWS."""

from __future__ import annotations

import pytest

from ploy_connector_aws.aws.identity_center.permission_sets import judge_permission_set
from ploy_connector_aws.aws.policy.effective_permissions import ManagedPolicies
from ploy_connector_aws.sandbox.aws import Organisation, PermissionSet, about
from ploy_connector_aws.spec import Entitlement, RecordKey
from tests.aws.conftest import Customer

NOT_AS_SUCH = (
    "A permission set is not held as such, but in one AWS account at a time. Grant a group that opens it in the "
    "account, or the permission set in that account."
)
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
CREATED = "2025-01-12T09:00:00+00:00"


def scope_of(arn: str) -> str:
    return f"identity-center/permission-sets/{arn.rpartition('/')[2]}"


def test_permission_sets_become_roles_with_both_kinds_of_policies(customer: Customer) -> None:
    arns = customer.seeded.permission_sets
    snapshot = customer.read()
    not_read = ManagedPolicies(is_to_be_read=False)
    administrator = judge_permission_set(not_read, [ADMINISTRATOR], [])

    assert snapshot.of("entitlement", "role") == {
        arns["Administrator"]: Entitlement(
            id=arns["Administrator"],
            kind="role",
            name="Administrator",
            description="Everything",
            not_grantable_reason=NOT_AS_SUCH,
            privileged=True,
            privileged_reasons=administrator.sentences,
            administrator=True,
            attributes={
                "session_duration": "PT4H",
                "created": CREATED,
                "aws_managed_policies": [ADMINISTRATOR],
                "customer_managed_policies": [],
                **administrator.to_attributes(),
            },
        ),
        # An optional field missing: no description.
        arns["Reader"]: Entitlement(
            id=arns["Reader"],
            kind="role",
            name="Reader",
            not_grantable_reason=NOT_AS_SUCH,
            privileged_reasons=judge_permission_set(not_read, [], [{"Name": "reading"}]).undecided,
            attributes={
                "session_duration": "PT1H",
                "created": CREATED,
                "aws_managed_policies": [],
                "customer_managed_policies": [{"path": "/teams/", "name": "reading"}],
                **judge_permission_set(not_read, [], [{"Name": "reading"}]).to_attributes(),
            },
        ),
    }
    assert {snapshot.parents[scope_of(arn)] for arn in arns.values()} == {"identity-center/permission-sets"}


def test_more_permission_sets_than_a_page_holds_are_all_read(customer: Customer) -> None:
    sets = tuple(PermissionSet(f"Set{number:03}") for number in range(130))
    customer.settle(Organisation(owner_account_id="", permission_sets=sets))

    assert set(customer.read().of("entitlement", "role")) == set(customer.seeded.permission_sets.values())


def test_a_denied_list_fails_the_scope_but_assigned_permission_sets_are_described_where_they_are_seen(
    customer: Customer,
) -> None:
    calm = customer.read()
    customer.aws.faults.deny("sso:ListPermissionSets")
    snapshot = customer.read()

    assert snapshot.ended("failed") == {"identity-center/permission-sets"}
    assert snapshot.failures["identity-center/permission-sets"].missing_permissions == ("sso:ListPermissionSets",)
    assert snapshot.records == calm.records


@pytest.mark.parametrize(
    "operation",
    [
        "DescribePermissionSet",
        "ListManagedPoliciesInPermissionSet",
        "ListCustomerManagedPolicyReferencesInPermissionSet",
    ],
)
def test_a_description_that_is_denied_leaves_the_permission_set_and_its_assignments_partial(
    customer: Customer, operation: str
) -> None:
    calm = customer.read()
    customer.aws.faults.deny(operation)
    snapshot = customer.read()
    arns = customer.seeded.permission_sets.values()

    assert snapshot.ended("failed") == {scope_of(arn) for arn in arns}
    assert {failure.missing_permissions for failure in snapshot.failures.values()} == {(f"sso:{operation}",)}
    assert snapshot.of("entitlement").keys() == calm.of("entitlement", "group").keys()
    assert snapshot.partial.keys() == {
        RecordKey(type="entitlement", id=id_)
        for id_ in [*calm.of("entitlement", "role"), *calm.of("entitlement", "account_role")]
    }
    assert snapshot.edges == calm.edges


def test_a_permission_set_deleted_in_mid_sync_is_retracted_and_its_scope_is_gone(customer: Customer) -> None:
    reader = customer.seeded.permission_sets["Reader"]
    customer.aws.faults.before(
        "DescribePermissionSet", lambda: customer.seeded.delete_permission_set("Reader"), where=about(reader)
    )
    snapshot = customer.read()

    assert snapshot.ended("gone") == {scope_of(reader)}
    assert snapshot.retracted == {RecordKey(type="entitlement", id=reader)}
    assert snapshot.failures == {}
    assert not [id_ for id_ in snapshot.of("entitlement") if reader in id_]


def test_a_not_found_that_does_not_name_the_permission_set_fails_the_scope(customer: Customer) -> None:
    customer.aws.faults.answer(
        "DescribePermissionSet", "ResourceNotFoundException", message="The instance does not exist."
    )
    snapshot = customer.read()

    assert snapshot.retracted == set()
    assert snapshot.ended("failed") == {scope_of(arn) for arn in customer.seeded.permission_sets.values()}


def test_a_permission_set_made_and_assigned_in_mid_sync_is_described_where_it_is_seen(customer: Customer) -> None:
    def make() -> None:
        customer.seeded.add_permission_set(PermissionSet("Late"))
        customer.seeded.assign(
            type(customer.seeded.organisation.assignments[0])("333333333333", "Late", "empty", to_group=True)
        )

    one = about(customer.seeded.permission_sets["Reader"])
    customer.aws.faults.before("DescribePermissionSet", make, where=one)
    snapshot = customer.read()
    late = customer.seeded.permission_sets["Late"]

    assert snapshot.of("entitlement", "role")[late].name == "Late"
    assert snapshot.of("entitlement", "account_role")[f"333333333333/{late}"].name == "Late in 333333333333"
    assert snapshot.failures == {}


def test_an_account_instance_has_no_permission_sets_and_the_failure_explains_it(customer: Customer) -> None:
    customer.settle(Organisation(owner_account_id="", kind="account"))
    snapshot = customer.read()

    assert snapshot.ended("failed") == {"identity-center/permission-sets", "identity-center/assignments"}
    assert {(failure.message, failure.fix) for failure in snapshot.failures.values()} == {
        (
            "AWS does not list permission sets for this instance: it may be an account instance, which has none.",
            "For an account instance, replace identity-center in the setting 'scopes' by identity-center/users and "
            "identity-center/groups.",
        )
    }
    assert customer.aws.calls.to("ListAccountAssignmentsForPrincipal") == []
