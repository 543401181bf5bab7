"""The local AWS's IAM: pages, shapes and what each operation leaves out, as in AWS."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from ploy_connector_aws.sandbox.aws import IamAccount, IamGroup, IamPolicy, IamRole, IamUser
from ploy_connector_aws.sandbox.aws.iam_account import OWN_ACCOUNT, allowing, trusting
from tests.sandbox.aws.customer import Customer, refusal

USED = datetime(2026, 3, 1, 10, 30, tzinfo=UTC)
MADE = datetime(2025, 1, 11, 9, tzinfo=UTC)
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
TRUST = trusting(AWS=f"arn:aws:iam::{OWN_ACCOUNT}:root")
ACCOUNT = IamAccount(
    policies=(IamPolicy("own", allowing("s3:GetObject"), "/p/", "Ours"), IamPolicy("spare", allowing("s3:*"))),
    groups=(IamGroup("staff", managed_policies=(READ_ONLY,)),),
    users=(
        IamUser("ana", "/x/", ("staff",), ("own",), {"in": allowing("sqs:*")}, "spare", {"a": "b"}, MADE, USED),
        IamUser("bo"),
    ),
    roles=(
        IamRole(
            "app", TRUST, "/", "An app", ("own",), {}, "spare", {"c": "d"}, MADE, USED, "eu-west-1", 7200, ("app",)
        ),
        IamRole("bare", TRUST),
    ),
)


def paged(call: Any, member: str, **parameters: Any) -> tuple[list[Any], list[int]]:
    """All rows, and how many each page had."""
    rows: list[Any] = []
    sizes = []
    marker: dict[str, str] = {}
    while True:
        answer = call(**parameters, **marker)
        rows += answer[member]
        sizes.append(len(answer[member]))
        if not answer["IsTruncated"]:
            assert "Marker" not in answer
            return rows, sizes
        marker = {"Marker": answer["Marker"]}


@pytest.fixture
def iam(customer: Customer) -> Any:
    customer.aws.seed_iam(customer.account_id, ACCOUNT)
    return customer.session("iam")


def test_a_user_has_its_last_login_in_the_list_and_all_the_rest_in_the_details(customer: Customer, iam: Any) -> None:
    arn = f"arn:aws:iam::{customer.account_id}"
    (listed, _), (detailed, _) = iam.list_users()["Users"], _details(iam, "User")["UserDetailList"]
    identity = {
        "Path": "/x/",
        "UserName": "ana",
        "UserId": listed["UserId"],
        "Arn": f"{arn}:user/x/ana",
        "CreateDate": MADE,
    }

    assert listed["UserId"].startswith("AIDA")
    assert listed == {**identity, "PasswordLastUsed": USED}
    assert detailed == {
        **identity,
        "GroupList": ["staff"],
        "AttachedManagedPolicies": [{"PolicyName": "own", "PolicyArn": f"{arn}:policy/p/own"}],
        "UserPolicyList": [{"PolicyName": "in", "PolicyDocument": allowing("sqs:*")}],
        "PermissionsBoundary": {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": f"{arn}:policy/spare"},
        "Tags": [{"Key": "a", "Value": "b"}],
    }


def test_a_role_has_its_description_in_the_list_and_its_last_use_in_the_details(customer: Customer, iam: Any) -> None:
    arn = f"arn:aws:iam::{customer.account_id}"
    listed = next(role for role in iam.list_roles()["Roles"] if role["RoleName"] == "app")
    detailed = next(role for role in _details(iam, "Role")["RoleDetailList"] if role["RoleName"] == "app")
    trust = trusting(AWS=f"{arn}:root")
    identity = {
        "Path": "/",
        "RoleName": "app",
        "RoleId": listed["RoleId"],
        "Arn": f"{arn}:role/app",
        "CreateDate": MADE,
    }
    trusted = {**identity, "AssumeRolePolicyDocument": trust}
    (profile,) = detailed["InstanceProfileList"]

    assert listed == {**trusted, "Description": "An app", "MaxSessionDuration": 7200}
    assert (profile["Arn"], profile["Roles"]) == (f"{arn}:instance-profile/app", [trusted])
    assert detailed == {
        **trusted,
        "InstanceProfileList": [profile],
        "RolePolicyList": [],
        "AttachedManagedPolicies": [{"PolicyName": "own", "PolicyArn": f"{arn}:policy/p/own"}],
        "PermissionsBoundary": {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": f"{arn}:policy/spare"},
        "Tags": [{"Key": "c", "Value": "d"}],
        "RoleLastUsed": {"LastUsedDate": USED, "Region": "eu-west-1"},
    }


def test_members_without_a_value_are_left_out(iam: Any) -> None:
    assert "PasswordLastUsed" not in iam.list_users()["Users"][1]
    bare = next(role for role in _details(iam, "Role")["RoleDetailList"] if role["RoleName"] == "bare")
    assert (bare["RoleLastUsed"], "PermissionsBoundary" in bare) == ({}, False)
    assert "Description" not in next(role for role in iam.list_roles()["Roles"] if role["RoleName"] == "bare")


def test_policies_have_their_documents_in_the_details_only(customer: Customer, iam: Any) -> None:
    arn = f"arn:aws:iam::{customer.account_id}:policy"
    local = _details(iam, "LocalManagedPolicy")["Policies"]
    everything = iam.list_policies()["Policies"]

    assert {(each["Arn"], each["AttachmentCount"], each["PermissionsBoundaryUsageCount"]) for each in everything} == {
        (f"{arn}/p/own", 2, 0),
        (f"{arn}/spare", 0, 2),
        (READ_ONLY, 1, 0),
    }
    assert all("PolicyVersionList" not in each for each in everything)
    assert {each["Arn"]: each["PolicyVersionList"][0]["Document"] for each in local} == {
        f"{arn}/p/own": allowing("s3:GetObject"),
        f"{arn}/spare": allowing("s3:*"),
    }
    attached = iam.list_policies(OnlyAttached=True, Scope="Local")["Policies"]
    assert [each["Arn"] for each in attached] == [f"{arn}/p/own"]
    assert [each["Arn"] for each in _details(iam, "AWSManagedPolicy")["Policies"]] == [READ_ONLY]


def test_every_list_is_in_every_answer_and_one_marker_walks_them_all(iam: Any) -> None:
    members = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
    sizes: list[tuple[int, ...]] = []
    marker: dict[str, str] = {}
    while True:
        answer = iam.get_account_authorization_details(MaxItems=2, **marker)
        sizes.append(tuple(len(answer[member]) for member in members))
        if not answer["IsTruncated"]:
            break
        marker = {"Marker": answer["Marker"]}

    assert sizes == [(2, 0, 0, 0), (0, 1, 1, 0), (0, 0, 2, 0), (0, 0, 0, 2), (0, 0, 0, 1)]


def test_pages_are_cut_as_asked_and_at_a_hundred_unasked(customer: Customer) -> None:
    customer.aws.seed_iam(customer.account_id, IamAccount(users=tuple(IamUser(f"u{number}") for number in range(250))))
    iam = customer.session("iam")

    assert paged(iam.list_users, "Users")[1] == [100, 100, 50]
    rows, sizes = paged(iam.list_users, "Users", MaxItems=240)
    assert (len({row["UserId"] for row in rows}), sizes) == (250, [240, 10])
    customer.aws.faults.empty_pages()
    assert paged(iam.list_users, "Users", MaxItems=240) == (rows, [0, 240, 0, 10])


@pytest.mark.parametrize("parameters", [{"MaxItems": 0}, {"MaxItems": 1001}, {"Marker": "made-up"}])
def test_what_iam_does_not_take_is_refused(iam: Any, parameters: dict[str, Any]) -> None:
    assert refusal(iam.list_roles, **parameters).code == "ValidationError"
    assert refusal(iam.list_users, PathPrefix="/x/").code == "NotKnownToTheSandbox"


def test_seeding_again_replaces_what_was_there_by_others(customer: Customer, iam: Any) -> None:
    before = iam.list_users()["Users"][0]["UserId"]
    customer.aws.seed_iam(customer.account_id, IamAccount(users=(IamUser("ana"),)))
    (ana,) = iam.list_users()["Users"]

    assert ana["UserId"] != before
    assert iam.list_groups()["Groups"] == []
    assert [policy["AttachmentCount"] for policy in iam.list_policies(OnlyAttached=True)["Policies"]] == []


def test_a_large_account_is_answered_fast(customer: Customer) -> None:
    number = range(5000)
    seeded = IamAccount(
        groups=tuple(IamGroup(f"g{each}") for each in range(300)),
        users=tuple(IamUser(f"u{each}", groups=(f"g{each % 300}",)) for each in number),
        roles=tuple(IamRole(f"r{each}", TRUST, instance_profiles=(f"p{each}",)) for each in number),
    )
    started = time.process_time()
    customer.aws.seed_iam(customer.account_id, seeded)
    iam = customer.session("iam")
    answer = iam.get_account_authorization_details(MaxItems=1000, Filter=["Role"])

    assert len(answer["RoleDetailList"]) == 1000
    assert time.process_time() - started < 10


def _details(iam: Any, kind: str) -> dict[str, Any]:
    answer: dict[str, Any] = iam.get_account_authorization_details(Filter=[kind])
    return answer
