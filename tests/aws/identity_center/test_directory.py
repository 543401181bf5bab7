"""Reading people, groups and memberships, over HTTP from the local AWS."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from ploy_connector_aws.aws import grantability
from ploy_connector_aws.sandbox.aws import Group, Organisation, Person, about
from ploy_connector_aws.spec import Account, ConnectorContext, Email, Entitlement, ExternalId, Grant, Page, RecordKey
from tests.aws.conftest import ORGANISATION, SCIM, Customer
from tests.aws.snapshot import to_snapshot

MANY = Organisation(
    owner_account_id="",
    people=tuple(Person(f"person{number:03}") for number in range(120)),
    groups=(
        *(Group(f"group{number:03}") for number in range(119)),
        Group("all", members=tuple(f"person{number:03}" for number in range(120))),
    ),
)


def test_people_become_accounts_without_what_is_nobodys_business(customer: Customer) -> None:
    ids = customer.seeded.users

    assert customer.read().of("account") == {
        account.id: account
        for account in (
            Account(
                id=ids["ana"],
                kind="human",
                username="ana",
                display_name="Ana Lima",
                emails=(Email(address="ana@example.com", is_primary=True),),
                status="active",
                created_at=datetime(2025, 1, 15, 9, tzinfo=UTC),
                source="identity-center",
                attributes={"title": "Engineer"},
            ),
            Account(
                id=ids["bo"],
                kind="human",
                username="bo",
                display_name="Bo Berg",
                emails=(Email(address="bo@example.com", is_primary=True),),
                status="disabled",
                created_at=datetime(2025, 1, 15, 9, tzinfo=UTC),
                source="identity-center",
            ),
            # Optional fields missing: no name to log in with, no address, no status, no date.
            Account(id=ids["Cy Crane"], kind="human", display_name="Cy Crane", source="identity-center"),
            Account(
                id=ids["dee"],
                kind="human",
                username="dee",
                display_name="Given Family",
                emails=(Email(address="dee@example.com", is_primary=True),),
                status="active",
                created_at=datetime(2025, 1, 15, 9, tzinfo=UTC),
                external_ids=(ExternalId(issuer=SCIM, id="idp-4"),),
                managed_by=SCIM,
                source="identity-center",
            ),
        )
    }


def test_groups_become_entitlements_with_their_manager(customer: Customer) -> None:
    ids = customer.seeded.groups

    assert customer.read().of("entitlement", "group") == {
        ids["admins"]: Entitlement(
            id=ids["admins"],
            kind="group",
            name="admins",
            description="Those who may",
            grantable=True,
        ),
        ids["everyone"]: Entitlement(
            id=ids["everyone"],
            kind="group",
            name="everyone",
            not_grantable_reason=f"The group is managed by {SCIM}, which may undo what is changed here. Change it "
            "there; or switch on 'change_externally_managed' in the settings.",
            managed_by=SCIM,
        ),
        ids["empty"]: Entitlement(id=ids["empty"], kind="group", name="empty", grantable=True),
    }


def test_where_the_settings_allow_it_a_managed_group_can_be_granted(customer: Customer) -> None:
    everyone = customer.seeded.groups["everyone"]

    snapshot = customer.read(change_externally_managed=True)

    assert snapshot.of("entitlement", "group")[everyone] == Entitlement(
        id=everyone, kind="group", name="everyone", grantable=True, managed_by=SCIM
    )


def test_where_granting_was_left_out_no_group_can_be_granted_whatever_else_is_allowed(customer: Customer) -> None:
    groups = customer.read(change_groups=False, change_externally_managed=True).of("entitlement", "group").values()

    assert {(group.grantable, group.not_grantable_reason) for group in groups} == {(False, grantability.GROUP)}


def test_memberships_become_grants_that_remember_aws_id_of_them(customer: Customer) -> None:
    groups = set(customer.seeded.groups.values())

    grants = [grant for grant in customer.read().of("grant").values() if grant.entitlement_id in groups]

    assert {grant.id: grant for grant in grants} == {
        grant.id: grant
        for grant in (
            Grant(
                principal_kind="account",
                principal_id=user_id,
                entitlement_id=group_id,
                attributes={"membership_id": membership_id},
            )
            for (group_id, user_id), membership_id in customer.seeded.memberships.items()
        )
    }


def test_lists_longer_than_a_page_are_read_to_the_end(customer: Customer) -> None:
    seeded = customer.settle(MANY).seeded
    snapshot = customer.read()

    assert set(snapshot.of("account")) == set(seeded.users.values())
    assert set(snapshot.of("entitlement", "group")) == set(seeded.groups.values())
    assert snapshot.edges == {(user_id, seeded.groups["all"]) for user_id in seeded.users.values()}
    assert snapshot.failures == {}
    assert [len(customer.aws.calls.to(name)) for name in ("ListUsers", "ListGroups")] == [2, 2]


def test_an_empty_directory_is_an_answer(customer: Customer) -> None:
    customer.settle(Organisation(owner_account_id=""))
    snapshot = customer.read()

    assert snapshot.records == {}
    assert snapshot.endings == dict.fromkeys(
        (
            "identity-center",
            "identity-center/users",
            "identity-center/groups",
            "identity-center/permission-sets",
            "identity-center/assignments",
        ),
        "complete",
    )


@pytest.mark.parametrize(
    ("action", "failed"),
    [
        ("identitystore:ListUsers", {"identity-center/users", "identity-center/assignments"}),
        ("identitystore:ListGroups", {"identity-center/groups", "identity-center/assignments"}),
    ],
)
def test_a_denied_list_fails_its_scope_and_what_is_proven_by_it(
    customer: Customer, action: str, failed: set[str]
) -> None:
    customer.aws.faults.deny(action)
    snapshot = customer.read()

    assert snapshot.ended("failed") == failed
    assert snapshot.failures[min(failed - {"identity-center/assignments"})].missing_permissions == (action,)
    assert "list of" in snapshot.failures["identity-center/assignments"].message


def test_denied_memberships_fail_the_members_of_each_group_and_nothing_else(customer: Customer) -> None:
    customer.aws.faults.deny("ListGroupMemberships")
    snapshot = customer.read()

    assert snapshot.ended("failed") == {
        f"identity-center/groups/{group_id}/members" for group_id in customer.seeded.groups.values()
    }
    assert {failure.missing_permissions for failure in snapshot.failures.values()} == {
        ("identitystore:ListGroupMemberships",)
    }
    assert len(snapshot.of("entitlement", "group")) == 3


def test_a_throttled_reading_gives_what_a_calm_one_gives(customer: Customer) -> None:
    calm = customer.read()
    rule = customer.aws.faults.throttle(times=1, each=True)

    throttled = customer.read()

    assert (throttled.records, throttled.endings) == (calm.records, calm.endings)
    assert rule.struck >= 20


def test_pages_that_are_empty_but_have_a_token_are_not_the_end(customer: Customer) -> None:
    calm = customer.read()
    customer.aws.faults.empty_pages()

    assert customer.read() == calm


def test_a_user_made_after_the_users_were_listed_is_described_with_the_first_group(customer: Customer) -> None:
    def hire() -> None:
        customer.seeded.add_person(Person("new", email="new@example.com"))
        customer.seeded.add_member("admins", "new")

    customer.aws.faults.before("ListGroups", hire)
    snapshot = customer.read()

    new = customer.seeded.users["new"]
    assert snapshot.of("account")[new].username == "new"
    assert (new, customer.seeded.groups["admins"]) in snapshot.edges
    assert snapshot.failures == {}


def test_a_membership_left_over_from_a_deleted_user_is_dropped(customer: Customer) -> None:
    # AWS may keep the membership; the local AWS does not, so the user is hidden from the list and from descriptions.
    bo, store = customer.seeded.users["bo"], customer.seeded.instance.store
    customer.seeded.add_member("everyone", "bo")
    groups = [group_id for group_id, user_id in customer.seeded.memberships if user_id == bo]
    user = store.users.pop(bo)
    left_out: list[str] = []
    customer.aws.faults.delay(0.02, "DescribeUser")
    customer.context = ConnectorContext(on_left_out=left_out.append)
    snapshot = customer.read()
    store.users[bo] = user

    assert bo not in {principal for principal, _ in snapshot.edges}
    assert snapshot.retracted == {RecordKey(type="account", id=bo)}
    assert snapshot.failures == {}
    assert [call.parameters["UserId"] for call in customer.aws.calls.to("DescribeUser")] == [bo]
    assert left_out == ["assignment of a deleted principal"] * len(groups)
    assert len(groups) > 1


def test_a_member_nobody_could_list_is_granted_all_the_same(customer: Customer) -> None:
    customer.aws.faults.deny("ListUsers")
    snapshot = customer.read()

    assert (customer.seeded.users["bo"], customer.seeded.groups["admins"]) in snapshot.edges
    assert customer.aws.calls.to("DescribeUser") == []


def test_a_group_deleted_in_mid_sync_is_retracted_and_its_scopes_are_gone(customer: Customer) -> None:
    admins = customer.seeded.groups["admins"]
    members = f"identity-center/groups/{admins}/members"
    is_found_gone = threading.Event()

    def watch(pages: Iterator[Page]) -> Iterator[Page]:
        for page in pages:
            if page.scope == members and page.gone:
                is_found_gone.set()
            yield page

    faults = customer.aws.faults
    faults.before("ListGroupMemberships", lambda: customer.seeded.delete_group("admins"), where=about(admins))
    faults.before("ListPermissionSets", lambda: is_found_gone.wait(30))
    snapshot = to_snapshot(watch(customer.read_pages()))

    assert snapshot.ended("gone") == {
        members,
        f"identity-center/assignments/groups/{admins}",
    }
    assert snapshot.failures == {}
    assert admins not in snapshot.of("entitlement")
    assert admins not in {end for edge in snapshot.edges for end in edge}
    asked = {call.parameters["PrincipalId"] for call in customer.aws.calls.to("ListAccountAssignmentsForPrincipal")}
    assert admins not in asked


def test_a_not_found_that_names_something_else_fails_the_scope(customer: Customer) -> None:
    customer.aws.faults.answer(
        "ListGroupMemberships",
        "ResourceNotFoundException",
        members={"ResourceType": "IDENTITY_STORE", "ResourceId": customer.seeded.identity_store_id},
    )
    snapshot = customer.read()

    assert snapshot.retracted == set()
    assert {snapshot.endings[f"identity-center/groups/{id_}/members"] for id_ in customer.seeded.groups.values()} == {
        "failed"
    }


def test_what_is_read_is_the_same_when_the_accounts_were_not_asked_for_first(customer: Customer) -> None:
    together = customer.read()

    assert to_snapshot(customer.connector().list_entitlements(frozenset())) == together


def test_an_address_is_primary_only_if_aws_marks_it(customer: Customer) -> None:
    """PEERS 10: a peer took the first address for the primary one."""
    customer.seeded.instance.store.users[customer.seeded.users["ana"]].Emails[0].pop("Primary")

    assert customer.read().of("account")[customer.seeded.users["ana"]].emails == (Email(address="ana@example.com"),)


def test_the_organisation_of_these_tests_is_read_without_a_failure(customer: Customer) -> None:
    snapshot = customer.read()

    assert snapshot.failures == {}
    assert len(snapshot.of("account")) == len(ORGANISATION.people)
