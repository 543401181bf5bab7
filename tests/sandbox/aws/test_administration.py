"""Keys of the customer's own, delegated administrators, and Regions where STS is switched off."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ploy_connector_aws.sandbox.aws import Account, CustomerKey, Group, Organisation, Person, SeededOrganisation
from tests.sandbox.aws.customer import EXTERNAL_ID, Customer, Denied, allow, policy, refusal

KEY = CustomerKey("arn:aws:kms:eu-west-1:111122223333:key/1")
MESSAGE = "You do not have sufficient access to perform this action."
VIA_STORE = {"Condition": {"StringLike": {"kms:ViaService": "identitystore.*.amazonaws.com"}}}
ORGANISATION = Organisation("", people=(Person("ana"),), groups=(Group("admins"),))


def seed(customer: Customer, **more: Any) -> SeededOrganisation:
    return customer.aws.seed(replace(ORGANISATION, owner_account_id=customer.account_id, **more))


def refusals(customer: Customer, seeded: SeededOrganisation, permissions: Any, name: str) -> dict[str, Denied | None]:
    """How one read of each service is answered with a customer's key."""
    credentials = customer.assume(customer.role(permissions, role_name=name))
    calls = {
        "identitystore": ("list_users", {"IdentityStoreId": seeded.identity_store_id}),
        "sso-admin": ("list_permission_sets", {"InstanceArn": seeded.instance_arn}),
    }
    return {
        service: _refusal(getattr(customer.client(service, credentials), operation), parameters)
        for service, (operation, parameters) in calls.items()
    }


def _refusal(call: Any, parameters: dict[str, str]) -> Denied | None:
    try:
        return refusal(call, **parameters)
    except AssertionError:
        return None


def test_without_the_key_every_read_is_denied_in_the_form_of_its_service(customer: Customer) -> None:
    seeded = seed(customer)
    seeded.encrypt_with(KEY)

    assert refusals(customer, seeded, allow("identitystore:*", "sso:*"), "Ploy") == {
        "identitystore": Denied("AccessDeniedException", 400, MESSAGE, {"Reason": "KMS_ACCESS_DENIED"}),
        "sso-admin": Denied("AccessDeniedException", 400, MESSAGE, {"Reason": "KMS_AccessDeniedException"}),
    }


def test_the_key_is_used_in_the_name_of_a_service(customer: Customer) -> None:
    seeded = seed(customer)
    seeded.encrypt_with(KEY)
    reads = {"Effect": "Allow", "Action": ["identitystore:*", "sso:*"], "Resource": "*"}
    for_store = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*", **VIA_STORE}
    found = refusals(customer, seeded, policy(reads, for_store), "Ploy")

    assert (found["identitystore"], found["sso-admin"] is None) == (None, False)


def test_the_key_must_let_the_role_in_as_well(customer: Customer) -> None:
    seeded = seed(customer)
    seeded.encrypt_with(replace(KEY, policy_lets_in=False))

    assert None not in refusals(customer, seeded, allow("*"), "Ploy").values()
    seeded.encrypt_with(None)
    assert set(refusals(customer, seeded, allow("*"), "Other").values()) == {None}


@pytest.mark.parametrize("is_delegated", [False, True])
def test_a_delegated_administrator_may_what_a_member_may_not(customer: Customer, is_delegated: bool) -> None:
    owner = Customer(customer.aws)
    seeded = seed(
        owner,
        accounts=(Account(customer.account_id, "member"),),
        delegated_administrators=(customer.account_id,) if is_delegated else (),
    )
    credentials = customer.assume(customer.role())
    store = customer.client("identitystore", credentials)
    admin = customer.client("sso-admin", credentials)
    writing = {
        "IdentityStoreId": seeded.identity_store_id,
        "GroupId": seeded.groups["admins"],
        "MemberId": {"UserId": seeded.users["ana"]},
    }

    assert len(store.list_users(IdentityStoreId=seeded.identity_store_id)["Users"]) == 1
    if is_delegated:
        assert admin.list_permission_sets(InstanceArn=seeded.instance_arn)["PermissionSets"] == []
        assert store.create_group_membership(**writing)["MembershipId"] in seeded.memberships.values()
    else:
        denied = Denied("AccessDeniedException", 400, MESSAGE)
        assert refusal(admin.list_permission_sets, InstanceArn=seeded.instance_arn) == denied
        assert refusal(store.create_group_membership, **writing) == denied


def test_where_sts_is_switched_off_nobody_becomes_a_role_of_the_account(customer: Customer) -> None:
    role_arn = customer.role()
    asked = {"RoleArn": role_arn, "RoleSessionName": "x1", "ExternalId": EXTERNAL_ID}
    customer.aws.accounts.switch_sts_off(customer.account_id, "eu-west-1")

    found = refusal(customer.sts.assume_role, **asked)
    assert (found.code, found.status) == ("RegionDisabledException", 403)
    other = customer.client("sts", customer.ploy, region="eu-central-1")
    assert other.assume_role(**asked)["AssumedRoleUser"]
    customer.aws.accounts.switch_sts_off(customer.account_id)
    assert customer.sts.assume_role(**asked)["AssumedRoleUser"]
