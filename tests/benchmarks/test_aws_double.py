"""The double of AWS answers as the local AWS does, page by page; and a sync of it gives what its data states."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from benchmarks.aws_double import AwsDouble, Rules, to_json
from benchmarks.organisations import Dataset, Size, identity_center, truth
from benchmarks.scenarios import Site, sites, unchanged_sync
from ploy_connector_aws.sandbox.aws import Account, Assignment, Group, Organisation, PermissionSet, Person
from tests.sandbox.aws.conftest import aws, clock, customer
from tests.sandbox.aws.customer import REGION, Customer, _session

__all__ = ["aws", "clock", "customer"]

SMALL = Size(users=23, groups=7, memberships=40, permission_sets=3, accounts=2, pairs=5, assignments=17)
PEOPLE = tuple(Person(f"person-{number}", email=f"{number}@example.com", title="Engineer") for number in range(7))
ARN = "arn:aws:iam::aws:policy/ReadOnlyAccess"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with sites() as running:
        yield running


def client(site: Site, service: str) -> Any:
    return _session.client(
        service, endpoint_url=site._url, region_name=REGION, aws_access_key_id="A", aws_secret_access_key="b"
    )


def read_pages(client: Any, operation: str, name: str, **parameters: Any) -> list[list[Any]]:
    """Each page of a list, with three rows at most."""
    paginator = client.get_paginator(operation)
    return [
        [to_plain(row) for row in page[name]]
        for page in paginator.paginate(**parameters, PaginationConfig={"PageSize": 3})
    ]


def to_plain(value: Any) -> Any:
    """A member of an answer, as the double gets it: moments in seconds."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, Mapping):
        return {name: to_plain(inner) for name, inner in value.items()}
    return [to_plain(each) for each in value] if isinstance(value, list) else value


def read_all(store: Any, admin: Any) -> dict[str, Any]:
    """All that a sync reads of Identity Center, page by page."""
    (instance,) = (row for page in read_pages(admin, "list_instances", "Instances") for row in page)
    of_store, of_admin = (
        {"IdentityStoreId": instance["IdentityStoreId"]},
        {"InstanceArn": instance["InstanceArn"]},
    )
    users = read_pages(store, "list_users", "Users", **of_store)
    groups = read_pages(store, "list_groups", "Groups", **of_store)
    sets = read_pages(admin, "list_permission_sets", "PermissionSets", **of_admin)
    arns = [arn for page in sets for arn in page]
    principals = [("USER", row["UserId"]) for page in users for row in page]
    principals += [("GROUP", row["GroupId"]) for page in groups for row in page]
    return {
        "instance": instance,
        "users": users,
        "groups": groups,
        "members": {
            id_: read_pages(store, "list_group_memberships", "GroupMemberships", **of_store, GroupId=id_)
            for kind, id_ in principals
            if kind == "GROUP"
        },
        "sets": sets,
        "details": {
            arn: to_plain(admin.describe_permission_set(**of_admin, PermissionSetArn=arn)["PermissionSet"])
            for arn in arns
        },
        "managed": {
            arn: read_pages(
                admin,
                "list_managed_policies_in_permission_set",
                "AttachedManagedPolicies",
                **of_admin,
                PermissionSetArn=arn,
            )
            for arn in arns
        },
        "assignments": {
            (kind, id_): read_pages(
                admin,
                "list_account_assignments_for_principal",
                "AccountAssignments",
                **of_admin,
                PrincipalType=kind,
                PrincipalId=id_,
            )
            for kind, id_ in principals
        },
    }


def rows(pages: list[list[Any]]) -> list[Any]:
    return [row for page in pages for row in page]


def without_membership_ids(answers: dict[str, Any]) -> dict[str, Any]:
    """The answers with the members of a group and the assignments of a principal in one order, and no id of its own."""
    names = ("IdentityStoreId", "GroupId", "MemberId")
    return {
        **answers,
        "members": {
            id_: (
                [len(page) for page in pages],
                sorted(str({name: row[name] for name in names}) for row in rows(pages)),
            )
            for id_, pages in answers["members"].items()
        },
        "assignments": {
            key: ([len(page) for page in pages], sorted(str(sorted(row.items())) for row in rows(pages)))
            for key, pages in answers["assignments"].items()
        },
    }


def test_the_double_answers_as_the_local_aws(site: Site, customer: Customer) -> None:
    account = Account(customer.account_id, "main")
    customer.aws.seed(
        Organisation(
            owner_account_id=customer.account_id,
            people=PEOPLE,
            groups=(
                Group("Staff", "All", tuple(each.key for each in PEOPLE)),
                Group("Few", "Some", (PEOPLE[0].key,)),
                Group("None", "Nothing"),
            ),
            permission_sets=(PermissionSet("Read", "d", managed_policies=(ARN,)), PermissionSet("Other", "d")),
            accounts=(account,),
            assignments=(
                Assignment(account.id, "Read", "Staff"),
                Assignment(account.id, "Other", PEOPLE[1].key, to_group=False),
            ),
        )
    )
    session = customer.assume(customer.role())
    expected = read_all(customer.client("identitystore", session), customer.client("sso-admin", session))
    data = Dataset(
        instance=expected["instance"],
        users=rows(expected["users"]),
        groups=rows(expected["groups"]),
        members={id_: [row["MemberId"]["UserId"] for row in rows(each)] for id_, each in expected["members"].items()},
        permission_sets={arn: expected["details"][arn] for arn in rows(expected["sets"])},
        managed_policies={arn: rows(pages) for arn, pages in expected["managed"].items()},
        customer_policies={arn: [] for arn in rows(expected["sets"])},
        assignments=[
            (row["AccountId"], row["PermissionSetArn"], row["PrincipalType"], row["PrincipalId"])
            for (kind, id_), pages in expected["assignments"].items()
            for row in rows(pages)
            if (row["PrincipalType"], row["PrincipalId"]) == (kind, id_)
        ],
    )
    play(site, data)
    found = read_all(client(site, "identitystore"), client(site, "sso-admin"))
    assert without_membership_ids(found) == without_membership_ids(expected)


def test_assignments_by_pair_are_those_by_principal(site: Site) -> None:
    data = identity_center(SMALL)
    play(site, data, allows_optional=True)
    admin, of = client(site, "sso-admin"), {"InstanceArn": data.instance["InstanceArn"]}
    found = set()
    for arn in data.permission_sets:
        accounts = read_pages(
            admin, "list_accounts_for_provisioned_permission_set", "AccountIds", **of, PermissionSetArn=arn
        )
        for account_id in rows(accounts):
            pages = read_pages(
                admin,
                "list_account_assignments",
                "AccountAssignments",
                **of,
                AccountId=account_id,
                PermissionSetArn=arn,
            )
            assert rows(pages)
            found |= {(account_id, arn, row["PrincipalType"], row["PrincipalId"]) for row in rows(pages)}
    assert found == set(data.assignments)
    play(site, data)
    with pytest.raises(ClientError, match="AccessDeniedException"):
        admin.list_account_assignments(**of, AccountId="1" * 12, PermissionSetArn=next(iter(data.permission_sets)))


def test_each_quota_has_a_rate_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_text(to_json(identity_center(SMALL)))
    seconds = [0.0]
    double = AwsDouble(lambda: seconds[0])
    double.set_rules(Rules(dataset=str(path), calls_per_second=2))

    def statuses(service: str, operation: str, number: int) -> list[int]:
        return [double.answer(service, operation, {})[0] for _ in range(number)]

    assert statuses("identitystore", "ListUsers", 3) == [200, 200, 400]
    assert statuses("sso", "ListPermissionSets", 3) == [200, 200, 400]
    seconds[0] = 0.5
    assert statuses("identitystore", "ListUsers", 2) == [200, 400]
    assert (double.throttled, len(double.calls)) == (3, 5)
    seconds[0] = 100
    assert statuses("identitystore", "ListUsers", 3) == [200, 200, 400], "a pause saves up one second's calls only"


def test_token_of_another_list_and_too_large_a_page_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_text(to_json(identity_center(SMALL)))
    double = AwsDouble()
    double.set_rules(Rules(dataset=str(path)))
    _, _, body = double.answer("identitystore", "ListUsers", {"MaxResults": 2})
    token = json.loads(body)["NextToken"]
    assert double.answer("identitystore", "ListUsers", {"MaxResults": 2, "NextToken": token})[0] == 200
    assert double.answer("identitystore", "ListGroups", {"MaxResults": 2, "NextToken": token})[0] == 400
    assert double.answer("identitystore", "ListUsers", {"MaxResults": 101})[0] == 400


@pytest.mark.soak
def test_sync_of_the_double_gives_its_truth_and_a_wrong_record_is_found(site: Site) -> None:
    found = {row.name.rpartition(": ")[2]: row for row in unchanged_sync(site, SMALL, allows_optional=False)}
    assert found["AWS calls"].value > SMALL.users
    assert site.sink.modes == ["full", "delta", "delta", "delta", "delta"]
    data = identity_center(SMALL, version=1)
    site.check_records(data)
    assert truth(data) != truth(identity_center(SMALL))
    with pytest.raises(RuntimeError, match="missing"):
        site.check_records(identity_center(SMALL))
    data.users.pop()
    with pytest.raises(RuntimeError, match=r"account: missing \[\], extra \[\("):
        site.check_records(data)


def play(site: Site, data: Dataset, **rules: Any) -> None:
    """Have the double answer from these rows, without a sync."""
    site.play(data, **rules)
    site.apply_rules()
