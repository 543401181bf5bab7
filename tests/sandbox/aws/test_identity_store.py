"""The Identity Store answers as AWS does where moto does not."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from ploy_connector_aws.sandbox.aws import Account, ExternalId, Group, Organisation, Person, SeededOrganisation
from tests.sandbox.aws.customer import Customer, Denied, refusal

DIRECTORY_ID = r"[0-9a-f]{10}-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
UNKNOWN = "1234567890-3f2504e0-4f89-41d3-9a0c-0305e82c3301"
MEMBER_ACCOUNT = "222233334444"

ANNA = Person(
    "anna",
    "Anna",
    "Berg",
    display_name="Anna B.",
    email="anna@x.example",
    title="Engineer",
    status="DISABLED",
    external_ids=(ExternalId("https://scim.aws.com/1", "00u1"),),
    created_at=datetime(2025, 2, 3, tzinfo=UTC),
    birthdate="1990-01-01",
    address="Street 1",
    phone="+47 1",
    photo="https://x.example/anna.png",
)
BARE = Person(None, "No", "Name", status=None, created_at=None)


@pytest.fixture
def seeded(customer: Customer) -> SeededOrganisation:
    return customer.aws.seed(
        Organisation(
            owner_account_id=customer.account_id,
            people=(ANNA, BARE, Person("otto")),
            groups=(
                Group("Staff", "All of us", ("anna", "otto")),
                Group("okta-x", external_ids=(ExternalId("https://scim.aws.com/1", "00g1"),), created_at=None),
            ),
            accounts=(Account(MEMBER_ACCOUNT, "member"),),
        )
    )


@pytest.fixture
def store(customer: Customer, seeded: SeededOrganisation) -> Any:
    return customer.session("identitystore")


def test_users_are_shown_whole(store: Any, seeded: SeededOrganisation) -> None:
    answer = store.list_users(IdentityStoreId=seeded.identity_store_id)
    users = {user["UserId"]: user for user in answer["Users"]}
    anna, bare = users[seeded.users["anna"]], users[seeded.users["No Name"]]
    assert len({user.pop("Revision") for user in users.values()}) == 3
    assert anna == {
        "IdentityStoreId": seeded.identity_store_id,
        "UserId": seeded.users["anna"],
        "UserArn": f"arn:aws:identitystore:::user/{seeded.users['anna']}",
        "UserName": "anna",
        "Name": {"GivenName": "Anna", "FamilyName": "Berg"},
        "DisplayName": "Anna B.",
        "Title": "Engineer",
        "Emails": [{"Value": "anna@x.example", "Type": "work", "Primary": True}],
        "Addresses": [{"Formatted": "Street 1", "Type": "home"}],
        "PhoneNumbers": [{"Value": "+47 1", "Type": "mobile"}],
        "Photos": [{"Value": "https://x.example/anna.png", "Type": "photo"}],
        "Birthdate": "1990-01-01",
        "UserStatus": "DISABLED",
        "ExternalIds": [{"Issuer": "https://scim.aws.com/1", "Id": "00u1"}],
        "CreatedAt": datetime(2025, 2, 3, tzinfo=UTC),
    }
    assert bare == {
        "IdentityStoreId": seeded.identity_store_id,
        "UserId": seeded.users["No Name"],
        "UserArn": f"arn:aws:identitystore:::user/{seeded.users['No Name']}",
        "Name": {"GivenName": "No", "FamilyName": "Name"},
        "DisplayName": "No Name",
    }


def test_a_described_user_is_the_listed_one(store: Any, seeded: SeededOrganisation) -> None:
    listed = store.list_users(IdentityStoreId=seeded.identity_store_id)["Users"]
    for user in listed:
        described = store.describe_user(IdentityStoreId=seeded.identity_store_id, UserId=user["UserId"])
        del described["ResponseMetadata"]
        assert described == user


def test_groups_show_who_manages_them(store: Any, seeded: SeededOrganisation) -> None:
    groups = {
        group["DisplayName"]: group for group in store.list_groups(IdentityStoreId=seeded.identity_store_id)["Groups"]
    }
    for group in groups.values():
        del group["Revision"]
    assert groups == {
        "Staff": {
            "IdentityStoreId": seeded.identity_store_id,
            "GroupId": seeded.groups["Staff"],
            "GroupArn": f"arn:aws:identitystore:::group/{seeded.groups['Staff']}",
            "DisplayName": "Staff",
            "Description": "All of us",
            "CreatedAt": datetime(2025, 1, 10, 9, tzinfo=UTC),
        },
        "okta-x": {
            "IdentityStoreId": seeded.identity_store_id,
            "GroupId": seeded.groups["okta-x"],
            "GroupArn": f"arn:aws:identitystore:::group/{seeded.groups['okta-x']}",
            "DisplayName": "okta-x",
            "ExternalIds": [{"Issuer": "https://scim.aws.com/1", "Id": "00g1"}],
        },
    }


def test_memberships(store: Any, seeded: SeededOrganisation) -> None:
    answer = store.list_group_memberships(IdentityStoreId=seeded.identity_store_id, GroupId=seeded.groups["Staff"])
    assert {row["MembershipId"]: row for row in answer["GroupMemberships"]} == {
        membership_id: {
            "IdentityStoreId": seeded.identity_store_id,
            "MembershipId": membership_id,
            "MembershipArn": f"arn:aws:identitystore:::membership/{membership_id}",
            "GroupId": group_id,
            "MemberId": {"UserId": user_id},
        }
        for (group_id, user_id), membership_id in seeded.memberships.items()
    }
    empty = store.list_group_memberships(IdentityStoreId=seeded.identity_store_id, GroupId=seeded.groups["okta-x"])
    assert (empty["GroupMemberships"], "NextToken" in empty) == ([], False)


def test_ids_follow_awss_patterns_and_may_be_given_as_arns(store: Any, seeded: SeededOrganisation) -> None:
    assert re.fullmatch(r"d-[0-9a-f]{10}", seeded.identity_store_id)
    for identifier in [*seeded.users.values(), *seeded.groups.values(), *seeded.memberships.values()]:
        assert re.fullmatch(DIRECTORY_ID, identifier)
        assert identifier.startswith(seeded.identity_store_id.removeprefix("d-"))
    by_arn = store.describe_user(
        IdentityStoreId=seeded.instance.store_arn,
        UserId=f"arn:aws:identitystore:::user/{seeded.users['anna']}",
    )
    assert by_arn["UserId"] == seeded.users["anna"]


def test_a_membership_can_be_made_found_and_ended(store: Any, seeded: SeededOrganisation) -> None:
    where = {"IdentityStoreId": seeded.identity_store_id}
    member = {**where, "GroupId": seeded.groups["okta-x"], "MemberId": {"UserId": seeded.users["anna"]}}
    made = store.create_group_membership(**member)
    found = store.get_group_membership_id(**member)
    assert (
        made["MembershipId"]
        == found["MembershipId"]
        == seeded.memberships[seeded.groups["okta-x"], seeded.users["anna"]]
    )
    assert re.fullmatch(DIRECTORY_ID, made["MembershipId"])
    assert refusal(store.create_group_membership, **member) == Denied(
        "ConflictException",
        400,
        "Member and Group relationship already exists.",
        {"Reason": "UNIQUENESS_CONSTRAINT_VIOLATION"},
    )
    store.delete_group_membership(**where, MembershipId=made["MembershipId"])
    assert refusal(store.get_group_membership_id, **member).members["ResourceType"] == "GROUP_MEMBERSHIP"
    assert refusal(store.delete_group_membership, **where, MembershipId=made["MembershipId"]) == missing(
        "GROUP_MEMBERSHIP", made["MembershipId"]
    )


def test_what_is_missing_is_named(store: Any, seeded: SeededOrganisation) -> None:
    where = {"IdentityStoreId": seeded.identity_store_id}
    staff, anna = seeded.groups["Staff"], seeded.users["anna"]
    no_user: dict[str, Any] = {**where, "GroupId": staff, "MemberId": {"UserId": UNKNOWN}}
    no_group: dict[str, Any] = {**where, "GroupId": UNKNOWN, "MemberId": {"UserId": anna}}
    assert refusal(store.describe_user, **where, UserId=UNKNOWN) == missing("USER", UNKNOWN)
    assert refusal(store.list_group_memberships, **where, GroupId=UNKNOWN) == missing("GROUP", UNKNOWN)
    for operation in (store.get_group_membership_id, store.create_group_membership):
        assert refusal(operation, **no_user) == missing("USER", UNKNOWN)
        assert refusal(operation, **no_group) == missing("GROUP", UNKNOWN)


def test_a_store_is_not_made_by_asking_for_it(customer: Customer, store: Any, seeded: SeededOrganisation) -> None:
    assert refusal(store.list_users, IdentityStoreId="d-0000000000") == missing("IDENTITY_STORE", "d-0000000000")
    elsewhere = customer.client("identitystore", customer.assume(customer.role(role_name="R")), "us-east-1")
    identifier = seeded.identity_store_id
    assert refusal(elsewhere.list_users, IdentityStoreId=identifier) == missing("IDENTITY_STORE", identifier)


def test_a_member_account_reads_the_directory_but_does_not_write_and_a_stranger_sees_nothing(
    customer: Customer, seeded: SeededOrganisation
) -> None:
    member = Customer(customer.aws, MEMBER_ACCOUNT, customer.clients)
    stranger = Customer(customer.aws, clients=customer.clients)
    role = member.role(role_name=f"of-{customer.account_id}")
    reader = member.client("identitystore", member.assume(role))
    where = {"IdentityStoreId": seeded.identity_store_id}
    assert len(reader.list_users(**where)["Users"]) == 3
    write = {**where, "GroupId": seeded.groups["okta-x"], "MemberId": {"UserId": seeded.users["anna"]}}
    assert refusal(reader.create_group_membership, **write).code == "AccessDeniedException"
    some = next(iter(seeded.memberships.values()))
    assert refusal(reader.delete_group_membership, **where, MembershipId=some).code == "AccessDeniedException"
    outside = stranger.session("identitystore")
    assert refusal(outside.list_users, **where) == missing("IDENTITY_STORE", seeded.identity_store_id)


def test_deleting_a_user_or_group_ends_its_memberships(store: Any, seeded: SeededOrganisation) -> None:
    where = {"IdentityStoreId": seeded.identity_store_id}
    seeded.delete_user("anna")
    rows = store.list_group_memberships(**where, GroupId=seeded.groups["Staff"])["GroupMemberships"]
    assert [row["MemberId"]["UserId"] for row in rows] == [seeded.users["otto"]]
    assert refusal(store.describe_user, **where, UserId=seeded.users["anna"]) == missing("USER", seeded.users["anna"])
    seeded.delete_group("Staff")
    assert seeded.memberships == {}
    assert [group["DisplayName"] for group in store.list_groups(**where)["Groups"]] == ["okta-x"]


def test_groups_are_found_by_their_exact_name(store: Any, seeded: SeededOrganisation) -> None:
    def named(name: str, path: str = "DisplayName") -> dict[str, Any]:
        return {
            "IdentityStoreId": seeded.identity_store_id,
            "Filters": [{"AttributePath": path, "AttributeValue": name}],
        }

    assert [group["GroupId"] for group in store.list_groups(**named("Staff"))["Groups"]] == [seeded.groups["Staff"]]
    assert store.list_groups(**named("staff"))["Groups"] == []
    assert refusal(store.list_groups, **named("Staff", "Description")).code == "ValidationException"


def test_deprecated_filters_are_refused_rather_than_ignored(store: Any, seeded: SeededOrganisation) -> None:
    filters = [{"AttributePath": "UserName", "AttributeValue": "anna"}]
    refused = refusal(store.list_users, IdentityStoreId=seeded.identity_store_id, Filters=filters)
    assert (refused.code, refused.status) == ("NotKnownToTheSandbox", 501)


def missing(kind: str, identifier: str) -> Denied:
    members = {"ResourceType": kind, "ResourceId": identifier}
    return Denied("ResourceNotFoundException", 400, f"{kind} not found.", members)
