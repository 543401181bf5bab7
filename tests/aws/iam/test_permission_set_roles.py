"""Links from permission sets to the roles that Identity Center created for them, and verdicts on permission sets."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from ploy_connector_aws.aws import grantability
from ploy_connector_aws.aws.iam.permission_set_roles import (
    CenterInstance,
    Links,
    ProvisionedRole,
    find_provisioned_role,
    plan_links,
)
from ploy_connector_aws.aws.policy.effective_permissions import COPIES_DATE
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
from tests.aws.snapshot import Snapshot

from .conftest import ACCOUNT, ADMINISTRATOR, READ_ONLY_ACCESS, IamCustomer

LINKS = "iam/permission-set-roles"
BOTH = ["identity-center", "iam"]
PROVISIONED = provisioned_role("Administrator").name


def link(owner: IamCustomer, permission_set: str = "Administrator", role: str = PROVISIONED) -> tuple[str, str]:
    return f"{owner.account_id}/{owner.seeded.permission_sets[permission_set]}", owner.role(role)


def links(owner: IamCustomer, snapshot: Snapshot) -> set[tuple[str, str]]:
    return {edge for edge in snapshot.edges if edge[0].startswith(f"{owner.account_id}/arn:aws:sso:")}


def test_permission_set_in_the_own_account_links_to_its_role_and_its_policies(owner: IamCustomer) -> None:
    owner.seeded.assign(Assignment(owner.account_id, "Administrator", "ana", to_group=False))
    snapshot = owner.read(scopes=BOTH)
    account_role, role = link(owner)

    assert snapshot.of("entitlement")[account_role] == Entitlement(
        id=account_role,
        kind="account_role",
        name=f"Administrator in {owner.account_id}",
        resource_id=owner.account_id,
        role_id=owner.seeded.permission_sets["Administrator"],
        not_grantable_reason=grantability.ACCOUNT_ROLE,
        privileged=True,
        administrator=True,
        privileged_reasons=snapshot.of("entitlement")[ADMINISTRATOR].privileged_reasons,
        attributes={
            "aws_account_id": owner.account_id,
            "permission_set_arn": owner.seeded.permission_sets["Administrator"],
        },
    )
    assert snapshot.of("grant")[
        Grant(principal_kind="entitlement", principal_id=account_role, entitlement_id=role).id
    ] == (
        Grant(
            principal_kind="entitlement",
            principal_id=account_role,
            entitlement_id=role,
            attributes={"matched_by": "name"},
        )
    )
    assert snapshot.of("resource")[owner.account_id] == Resource(
        id=owner.account_id, kind="aws_account", name=owner.account_id
    )
    # The permission set has the same verdict in every other account.
    elsewhere = snapshot.of("entitlement")[f"{PROD}/{owner.seeded.permission_sets['Administrator']}"]
    assert elsewhere.privileged is True
    ana = owner.seeded.users["ana"]
    assert {(ana, account_role), (account_role, role), (role, ADMINISTRATOR)} <= snapshot.edges


def test_only_roles_under_identity_centers_own_path_are_linked(owner: IamCustomer) -> None:
    roles = (
        replace(provisioned_role("Administrator"), path="/"),
        replace(provisioned_role("Reader"), name="AWSReservedSSO_Reader_xyz"),
        provisioned_role("NoSuchSet"),
        IamRole("Administrator", trusting(Service="ec2.amazonaws.com")),
    )
    snapshot = owner.reseed(IamAccount(roles=roles)).read(scopes=BOTH)

    assert links(owner, snapshot) == set()
    assert snapshot.endings[LINKS] == "complete"


def test_permission_set_name_may_contain_an_underscore(owner: IamCustomer) -> None:
    owner.seeded.add_permission_set(PermissionSet("Data_Engineer"))
    role = provisioned_role("Data_Engineer")
    snapshot = owner.reseed(IamAccount(roles=(role,))).read(scopes=BOTH)

    assert links(owner, snapshot) == {link(owner, "Data_Engineer", role.name)}


@pytest.mark.parametrize(
    "denied", ["iam:GetAccountAuthorizationDetails", "iam:ListRoles", "sso:ListPermissionSets", "sso:ListInstances"]
)
def test_links_are_unproven_where_either_end_was_not_read(owner: IamCustomer, denied: str) -> None:
    owner.aws.faults.deny(denied)
    snapshot = owner.read(scopes=BOTH)

    assert snapshot.failures[LINKS].missing_permissions == (denied,)
    assert links(owner, snapshot) == set()


def test_links_are_unproven_where_a_permission_set_was_not_described(owner: IamCustomer) -> None:
    arn, *_ = owner.seeded.permission_sets.values()
    owner.aws.faults.answer("DescribePermissionSet", "ValidationException", where=about(arn))
    snapshot = owner.read(scopes=BOTH)

    assert snapshot.endings[LINKS] == "failed"
    assert "could not be described" in snapshot.failures[LINKS].message


def test_links_are_unproven_without_an_instance(owner: IamCustomer) -> None:
    owner.seeded.remove_instance()
    snapshot = owner.read(scopes=BOTH)

    assert links(owner, snapshot) == set()
    assert "no IAM Identity Center instance" in snapshot.failures[LINKS].message


def test_account_without_permission_set_roles_has_nothing_to_link(owner: IamCustomer) -> None:
    owner.seeded.remove_instance()
    snapshot = owner.reseed(IamAccount(users=(IamUser("ana"),))).read(scopes=BOTH)

    assert (snapshot.endings[LINKS], snapshot.failures) == ("complete", {})


# --- which of several roles of one name -----------------------------------------------------------------------------

CASES = yaml.safe_load((Path(__file__).parents[2] / "data" / "cases" / "accounts-and-verdicts.yaml").read_text())
FORMER = next(case for case in CASES if case["case"] == "center-role-of-former-instance")
# boto3 returns moments, not texts.
FORMER_ROLES = [{**role, "CreateDate": datetime.fromisoformat(role["CreateDate"])} for role in FORMER["roles"]]
LAST_YEAR, THIS_YEAR = datetime(2025, 6, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
OLD, NEW = "AWSSSO_00000000aaaaaaaa_DO_NOT_DELETE", "AWSSSO_00000000bbbbbbbb_DO_NOT_DELETE"


def former_roles(**changes: Any) -> dict[str, ProvisionedRole]:
    """The roles of the case from public sources, by the end of their names; `aa` is the former instance's."""
    found = {role["RoleName"][-2:]: find_provisioned_role({**role, **changes}) for role in FORMER_ROLES}
    return {end: role for end, role in found.items() if role is not None}


def made(permission_set: str, provider: str | None, region: str = "eu-west-1", year: int = 2026) -> ProvisionedRole:
    name = f"AWSReservedSSO_{permission_set}_0000000000000000"
    return ProvisionedRole(permission_set, name, region, provider, f"{year}-06-01T00:00:00+00:00")


def test_role_of_a_former_instance_is_not_linked() -> None:
    names = {FORMER["permission_set"]["name"]: None}
    for instance, linked in (
        (CenterInstance("eu-west-1"), "bb"),
        (CenterInstance("us-east-1"), "aa"),
        (CenterInstance(None, datetime(2022, 1, 1, tzinfo=UTC)), "bb"),
        (CenterInstance("ap-south-1"), None),
    ):
        links = plan_links(former_roles(), names, instance)
        assert links == Links({"AdministratorAccess": linked} if linked else {}), instance
    # The creation time of the permission set decides, whatever Region the instance is in.
    assert plan_links(
        former_roles(), {"AdministratorAccess": datetime(2023, 1, 1, tzinfo=UTC)}, CenterInstance()
    ).by_permission_set == {"AdministratorAccess": "bb"}


def test_indistinguishable_providers_are_named_and_none_is_linked() -> None:
    region = {"Path": "/aws-reserved/sso.amazonaws.com/eu-west-1/"}
    for roles, instance in (
        (former_roles(), CenterInstance()),
        (former_roles(**region), CenterInstance("eu-west-1")),
    ):
        links = plan_links(roles, {"AdministratorAccess": None}, instance)
        assert links.by_permission_set == {}
        for role in roles.values():
            assert role.name in (links.undecided or "")
            assert str(role.provider) in (links.undecided or "")


PLANS: dict[
    str, tuple[dict[str, ProvisionedRole], dict[str, datetime | None], datetime | None, dict[str, str] | None]
] = {
    "one provider": ({"1": made("A", NEW), "2": made("B", NEW)}, {"A": None, "B": None}, None, {"A": "1", "B": "2"}),
    "one provider, with a set that does not exist": (
        {"1": made("A", NEW), "2": made("X", NEW)},
        {"A": None},
        None,
        {"A": "1"},
    ),
    "a provider with a set that does not exist, beside a complete one": (
        {"1": made("A", OLD), "2": made("X", OLD), "3": made("A", NEW)},
        {"A": None},
        None,
        {"A": "3"},
    ),
    "two complete providers": ({"1": made("A", OLD), "2": made("B", NEW)}, {"A": None, "B": None}, None, None),
    "two providers with sets that do not exist": (
        {"1": made("A", OLD), "2": made("X", OLD), "3": made("A", NEW), "4": made("Y", NEW)},
        {"A": None},
        None,
        None,
    ),
    "a provider with one role older than the instance": (
        {"1": made("A", OLD, year=2024), "2": made("B", OLD), "3": made("A", NEW)},
        {"A": None, "B": None},
        LAST_YEAR,
        {"A": "3"},
    ),
    "one provider, all of it older than the instance": ({"1": made("A", OLD, year=2024)}, {"A": None}, LAST_YEAR, None),
    "a role older than its permission set": (
        {"1": made("A", OLD, year=2024), "2": made("A", NEW)},
        {"A": LAST_YEAR},
        None,
        {"A": "2"},
    ),
    "a role as old as its permission set": ({"1": made("A", NEW)}, {"A": THIS_YEAR}, None, {"A": "1"}),
    "another Region's instance": ({"1": made("A", NEW, "us-west-2")}, {"A": None}, None, {}),
    "no name in common": ({"1": made("X", NEW)}, {"A": None}, None, {}),
    "a role whose provider is unknown": ({"1": made("A", None)}, {"A": None}, None, None),
    "one set with two roles of one provider": (
        {"1": made("A", NEW), "2": made("A", NEW), "3": made("B", NEW)},
        {"A": None, "B": None},
        None,
        None,
    ),
}


@pytest.mark.parametrize("plan", PLANS)
def test_role_is_linked_only_where_instance_and_name_agree(plan: str) -> None:
    roles, names, since, right = PLANS[plan]
    links = plan_links(roles, names, CenterInstance("eu-west-1", since))
    if right is None:
        assert links.undecided is not None
        assert "A" not in links.by_permission_set
    else:
        assert links == Links(right)
    assert len(set(links.by_permission_set.values())) == len(links.by_permission_set)


def test_role_names_its_permission_set_region_and_provider() -> None:
    found = [find_provisioned_role(role) for role in FORMER_ROLES]
    assert [(each.permission_set, each.region, each.provider) for each in found if each] == [
        ("AdministratorAccess", "us-east-1", OLD),
        ("AdministratorAccess", "eu-west-1", NEW),
    ]
    without = {**FORMER_ROLES[0], "AssumeRolePolicyDocument": "%7B"}
    assert find_provisioned_role(without) == replace(found[0], provider=None) if found[0] else False


def test_roles_of_two_instances_in_one_account_are_distinguished_by_region(owner: IamCustomer) -> None:
    roles = (
        provisioned_role("Administrator", "us-east-1", "0000000000000001"),
        provisioned_role("Administrator", "eu-west-1", "0000000000000002"),
        provisioned_role("Reader", "us-east-1", "0000000000000001"),
    )
    snapshot = owner.reseed(IamAccount(roles=roles)).read(scopes=BOTH)

    assert links(owner, snapshot) == {link(owner, "Administrator", roles[1].name)}
    assert snapshot.endings[LINKS] == "complete"


def test_indistinguishable_roles_of_two_instances_fail_the_links_by_name(owner: IamCustomer) -> None:
    roles = tuple(provisioned_role("Administrator", provider=f"000000000000000{n}") for n in (1, 2))
    snapshot = owner.reseed(IamAccount(roles=roles)).read(scopes=BOTH)

    assert links(owner, snapshot) == set()
    assert snapshot.endings[LINKS] == "failed"
    assert all(role.name in snapshot.failures[LINKS].message for role in roles)
    assert {owner.role(role.name) for role in roles} <= snapshot.of("entitlement").keys()


def settled(owner: IamCustomer, **described: Any) -> Entitlement:
    """Read an organisation with one permission set, `One`."""
    account_id = owner.account_id
    owner.settle(
        replace(owner.seeded.organisation, permission_sets=(PermissionSet("One", **described),), assignments=())
    )
    owner.iam = owner.aws.seed_iam(account_id, ACCOUNT)
    entitlement: Entitlement = owner.read(scopes=BOTH).of("entitlement")[owner.seeded.permission_sets["One"]]
    return entitlement


def test_permission_set_has_the_verdict_of_its_aws_policies_and_lists_unseen_ones(
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
def test_permission_set_is_never_reported_as_harmless(
    owner: IamCustomer, described: dict[str, Any], unseen: str
) -> None:
    open_ = settled(owner, **described)

    assert open_.privileged is None
    assert open_.attributes["privilege_undecided"] == list(open_.privileged_reasons)
    assert unseen in repr(open_.privileged_reasons)


@pytest.mark.parametrize("policy", ["AdministratorAccess", "PowerUserAccess", "job-function/DatabaseAdministrator"])
def test_unread_aws_policy_is_judged_by_the_copy_and_reported_as_such(owner: IamCustomer, policy: str) -> None:
    name = policy.rpartition("/")[2]
    copy = f"{name} was judged by the connector's copy of AWS's policies of {COPIES_DATE}."
    settled(owner, managed_policies=(f"arn:aws:iam::aws:policy/{policy}",))
    for scopes in (["identity-center"], BOTH):
        one = owner.read(scopes=scopes).of("entitlement")[owner.seeded.permission_sets["One"]]
        is_read = scopes == BOTH and name == "AdministratorAccess"
        assert (one.privileged, one.privileged_reasons[-1] == copy) == (True, not is_read)


def test_permission_set_has_a_full_verdict_without_iam(owner: IamCustomer) -> None:
    settled(owner, managed_policies=(ADMINISTRATOR,))
    snapshot = owner.read(scopes=["identity-center"])
    one = snapshot.of("entitlement")[owner.seeded.permission_sets["One"]]

    assert (one.privileged, one.name) == (True, "One")
    assert RecordKey(type="entitlement", id=owner.role("admin")) not in snapshot.records


@pytest.mark.parametrize("scope", ["iam/policies", "iam/groups", "iam/users", "iam/roles", "iam/trust"])
def test_links_are_not_proven_after_a_list_of_roles_that_ended_early(owner: IamCustomer, scope: str) -> None:
    connector = owner.connector(scopes=BOTH)
    pages = connector.list_accounts(frozenset())
    assert isinstance(pages, Generator)
    assert any(page.scope == scope and page.records for page in pages)
    with suppress(MemoryError):
        pages.throw(MemoryError())
        list(pages)
    endings = [page.ending for page in connector.list_entitlements(frozenset()) if page.scope == LINKS]
    assert set(endings) - {None} == {"failed"}
