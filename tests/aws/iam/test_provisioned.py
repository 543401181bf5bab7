"""From a permission set to the role that Identity Center made for it, and what that says of the permission set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ploy_connector_aws.aws import grantability
from ploy_connector_aws.aws.iam.aws_policies import COPIES_DATE
from ploy_connector_aws.sandbox.aws import (
    Assignment,
    CustomerManagedPolicy,
    IamAccount,
    IamRole,
    IamUser,
    PermissionSet,
    about,
)
from ploy_connector_aws.sandbox.aws.iam_account import provisioned_role, trusting
from ploy_connector_aws.spec import Entitlement, Grant, RecordKey, Resource
from tests.aws.conftest import PROD
from tests.aws.picture import Picture

from .conftest import ACCOUNT, ADMINISTRATOR, READ_ONLY_ACCESS, IamCustomer

LINKS = "iam/permission-set-roles"
BOTH = ["identity-center", "iam"]
PROVISIONED = provisioned_role("Administrator").name


def link(owner: IamCustomer, permission_set: str = "Administrator", role: str = PROVISIONED) -> tuple[str, str]:
    return f"{owner.account_id}/{owner.seeded.permission_sets[permission_set]}", owner.role(role)


def links(owner: IamCustomer, picture: Picture) -> set[tuple[str, str]]:
    return {edge for edge in picture.edges if edge[0].startswith(f"{owner.account_id}/arn:aws:sso:")}


def test_a_permission_set_in_the_own_account_leads_to_its_role_and_on_to_the_policies(owner: IamCustomer) -> None:
    owner.seeded.assign(Assignment(owner.account_id, "Administrator", "ana", to_group=False))
    picture = owner.read(scopes=BOTH)
    account_role, role = link(owner)

    assert picture.of("entitlement")[account_role] == Entitlement(
        id=account_role,
        kind="account_role",
        name=f"Administrator in {owner.account_id}",
        resource_id=owner.account_id,
        not_grantable_reason=grantability.ACCOUNT_ROLE,
        privileged=True,
        privileged_reasons=picture.of("entitlement")[ADMINISTRATOR].privileged_reasons,
        attributes={
            "aws_account_id": owner.account_id,
            "permission_set_arn": owner.seeded.permission_sets["Administrator"],
        },
    )
    assert picture.of("grant")[
        Grant(principal_kind="entitlement", principal_id=account_role, entitlement_id=role).id
    ] == (
        Grant(
            principal_kind="entitlement",
            principal_id=account_role,
            entitlement_id=role,
            attributes={"matched_by": "name"},
        )
    )
    assert picture.of("resource")[owner.account_id] == Resource(
        id=owner.account_id, kind="aws_account", name=owner.account_id
    )
    # The permission set is what it is in every other account too.
    elsewhere = picture.of("entitlement")[f"{PROD}/{owner.seeded.permission_sets['Administrator']}"]
    assert elsewhere.privileged is True
    ana = owner.seeded.users["ana"]
    assert {(ana, account_role), (account_role, role), (role, ADMINISTRATOR)} <= picture.edges


def test_only_roles_under_identity_centers_own_path_are_believed(owner: IamCustomer) -> None:
    roles = (
        replace(provisioned_role("Administrator"), path="/"),
        replace(provisioned_role("Reader"), name="AWSReservedSSO_Reader_xyz"),
        provisioned_role("NoSuchSet"),
        IamRole("Administrator", trusting(Service="ec2.amazonaws.com")),
    )
    picture = owner.reseed(IamAccount(roles=roles)).read(scopes=BOTH)

    assert links(owner, picture) == set()
    assert picture.endings[LINKS] == "complete"


def test_a_name_with_an_underscore_is_whole(owner: IamCustomer) -> None:
    owner.seeded.add_permission_set(PermissionSet("Data_Engineer"))
    role = provisioned_role("Data_Engineer")
    picture = owner.reseed(IamAccount(roles=(role,))).read(scopes=BOTH)

    assert links(owner, picture) == {link(owner, "Data_Engineer", role.name)}


@pytest.mark.parametrize(
    "denied", ["iam:GetAccountAuthorizationDetails", "iam:ListRoles", "sso:ListPermissionSets", "sso:ListInstances"]
)
def test_links_are_unproven_where_either_end_was_not_read(owner: IamCustomer, denied: str) -> None:
    owner.aws.faults.deny(denied)
    picture = owner.read(scopes=BOTH)

    assert picture.failures[LINKS].missing_permissions == (denied,)
    assert links(owner, picture) == set()


def test_links_are_unproven_where_a_permission_set_was_not_described(owner: IamCustomer) -> None:
    arn, *_ = owner.seeded.permission_sets.values()
    owner.aws.faults.answer("DescribePermissionSet", "ValidationException", where=about(arn))
    picture = owner.read(scopes=BOTH)

    assert picture.endings[LINKS] == "failed"
    assert "could not be described" in picture.failures[LINKS].message


def test_without_an_instance_the_links_of_roles_that_one_made_are_unproven(owner: IamCustomer) -> None:
    owner.seeded.remove_instance()
    picture = owner.read(scopes=BOTH)

    assert links(owner, picture) == set()
    assert "no IAM Identity Center instance" in picture.failures[LINKS].message


def test_where_no_role_was_made_for_a_permission_set_there_is_nothing_to_link(owner: IamCustomer) -> None:
    owner.seeded.remove_instance()
    picture = owner.reseed(IamAccount(users=(IamUser("ana"),))).read(scopes=BOTH)

    assert (picture.endings[LINKS], picture.failures) == ("complete", {})


def settled(owner: IamCustomer, **described: Any) -> Entitlement:
    """Read an organisation with one permission set, `One`."""
    account_id = owner.account_id
    owner.settle(
        replace(owner.seeded.organisation, permission_sets=(PermissionSet("One", **described),), assignments=())
    )
    owner.iam = owner.aws.seed_iam(account_id, ACCOUNT)
    entitlement: Entitlement = owner.read(scopes=BOTH).of("entitlement")[owner.seeded.permission_sets["One"]]
    return entitlement


def test_a_permission_set_carries_the_verdict_of_its_aws_policies_and_says_what_was_not_seen(
    owner: IamCustomer,
) -> None:
    privileged = settled(owner, managed_policies=(ADMINISTRATOR,))

    assert (privileged.privileged, len(privileged.privileged_reasons)) == (True, 1)
    assert "inline policy" in repr(privileged.attributes["privilege_undecided"])


@pytest.mark.parametrize(
    ("described", "unseen"),
    [
        ({"managed_policies": (READ_ONLY_ACCESS,)}, "inline policy"),
        ({"customer_managed_policies": (CustomerManagedPolicy("own"),)}, "Customer managed policies"),
        # Attached nowhere in the account that is read, and newer than the connector's copy.
        ({"managed_policies": ("arn:aws:iam::aws:policy/MadeLater",)}, "policy/MadeLater"),
    ],
)
def test_a_permission_set_is_never_said_to_be_harmless(
    owner: IamCustomer, described: dict[str, Any], unseen: str
) -> None:
    open_ = settled(owner, **described)

    assert (open_.privileged, open_.privileged_reasons) == (None, ())
    assert unseen in repr(open_.attributes["privilege_undecided"])


@pytest.mark.parametrize("policy", ["AdministratorAccess", "PowerUserAccess", "job-function/DatabaseAdministrator"])
def test_an_aws_policy_that_was_not_read_is_judged_by_the_copy_and_that_is_reported(
    owner: IamCustomer, policy: str
) -> None:
    name = policy.rpartition("/")[2]
    copy = f"{name} was judged by the connector's copy of AWS's policies of {COPIES_DATE}."
    settled(owner, managed_policies=(f"arn:aws:iam::aws:policy/{policy}",))
    for scopes in (["identity-center"], BOTH):
        one = owner.read(scopes=scopes).of("entitlement")[owner.seeded.permission_sets["One"]]
        is_read = scopes == BOTH and name == "AdministratorAccess"
        assert (one.privileged, one.privileged_reasons[-1] == copy) == (True, not is_read)


def test_a_permission_set_is_judged_in_full_where_iam_is_switched_off(owner: IamCustomer) -> None:
    settled(owner, managed_policies=(ADMINISTRATOR,))
    picture = owner.read(scopes=["identity-center"])
    one = picture.of("entitlement")[owner.seeded.permission_sets["One"]]

    assert (one.privileged, one.name) == (True, "One")
    assert RecordKey(type="entitlement", id=owner.role("admin")) not in picture.records
