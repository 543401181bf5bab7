"""Pages hold at most 100 items, and their tokens outlive what they point at."""

from __future__ import annotations

from typing import Any

import pytest

from ploy_connector_aws.sandbox.aws import Group, Organisation, PermissionSet, Person, SeededOrganisation
from tests.sandbox.aws.customer import Customer, refusal

PEOPLE = tuple(f"p{number:03d}" for number in range(101))


@pytest.fixture
def seeded(customer: Customer) -> SeededOrganisation:
    return customer.aws.seed(
        Organisation(
            owner_account_id=customer.account_id,
            people=tuple(Person(name) for name in PEOPLE),
            groups=(Group("Staff", members=PEOPLE),),
            permission_sets=tuple(PermissionSet(f"set-{number}") for number in range(3)),
        )
    )


@pytest.fixture
def store(customer: Customer, seeded: SeededOrganisation) -> Any:
    return customer.session("identitystore")


def pages(client: Any, operation: str, key: str, **parameters: Any) -> list[int]:
    return [len(page[key]) for page in client.get_paginator(operation).paginate(**parameters)]


def test_a_page_holds_a_hundred_unless_fewer_are_asked_for(store: Any, seeded: SeededOrganisation) -> None:
    where = {"IdentityStoreId": seeded.identity_store_id}
    of_staff = {**where, "GroupId": seeded.groups["Staff"]}
    assert pages(store, "list_users", "Users", **where) == [100, 1]
    assert pages(store, "list_group_memberships", "GroupMemberships", **of_staff) == [100, 1]
    assert pages(store, "list_users", "Users", **where, PaginationConfig={"PageSize": 50}) == [50, 50, 1]


def test_pages_overlap_nowhere_and_miss_nothing(store: Any, seeded: SeededOrganisation) -> None:
    seen: list[str] = []
    for page in store.get_paginator("list_users").paginate(
        IdentityStoreId=seeded.identity_store_id, PaginationConfig={"PageSize": 7}
    ):
        seen += [user["UserId"] for user in page["Users"]]
    assert len(seen) == 101
    assert set(seen) == set(seeded.users.values())


@pytest.mark.parametrize("size", [0, -1, 101, 5000, "ten"])
def test_a_page_size_out_of_range_is_refused(store: Any, seeded: SeededOrganisation, size: Any) -> None:
    refused = refusal(store.list_users, IdentityStoreId=seeded.identity_store_id, MaxResults=size)
    assert refused.code == "ValidationException"


def test_a_token_of_another_operation_or_of_nobody_is_refused(store: Any, seeded: SeededOrganisation) -> None:
    where = {"IdentityStoreId": seeded.identity_store_id}
    token = store.list_users(**where, MaxResults=1)["NextToken"]
    for wrong in ("x", "eA==", "ÿ"):
        assert refusal(store.list_users, **where, NextToken=wrong).code == "ValidationException"
    assert refusal(store.list_groups, **where, NextToken=token).code == "ValidationException"


def test_a_token_goes_on_when_everything_around_it_was_deleted(store: Any, seeded: SeededOrganisation) -> None:
    """moto answers InvalidToken when the item that the token names is gone."""
    where = {"IdentityStoreId": seeded.identity_store_id}
    names = {identifier: name for name, identifier in seeded.users.items()}
    ordered = sorted(names)
    first = store.list_users(**where, MaxResults=10)
    assert [user["UserId"] for user in first["Users"]] == ordered[:10]
    for identifier in ordered[9:12]:
        seeded.delete_user(names[identifier])
    second = store.list_users(**where, MaxResults=10, NextToken=first["NextToken"])
    assert [user["UserId"] for user in second["Users"]] == ordered[12:22]


def test_permission_sets_are_paged_as_well(customer: Customer, seeded: SeededOrganisation) -> None:
    sso = customer.session("sso-admin")
    sizes = pages(
        sso, "list_permission_sets", "PermissionSets", InstanceArn=seeded.instance_arn, PaginationConfig={"PageSize": 2}
    )
    assert sizes == [2, 1]
