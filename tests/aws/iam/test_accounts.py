"""IAM users and roles as accounts, over HTTP from the local AWS."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ploy_connector_aws.aws import grantability
from ploy_connector_aws.aws.iam.records import to_user
from ploy_connector_aws.aws.policy.privileges import judge
from ploy_connector_aws.sandbox.aws import IamAccount, IamGroup, IamPolicy, IamUser
from ploy_connector_aws.sandbox.aws.iam_account import allowing
from ploy_connector_aws.spec import Account, RecordKey
from tests.aws.policy.test_cases import VERDICTS
from tests.aws.tampering import in_xml

from .conftest import ACCOUNT, ADMINISTRATOR, SIGNED_IN, IamCustomer
from .test_reader import read_tampered

CREATED = datetime(2025, 1, 11, 9, tzinfo=UTC)
UNREADABLE = {"access_keys": "unknown", "console_password": "unknown"}
JUDGED = judge([]).to_attributes()


def test_user_has_every_field_and_unreadable_ones_are_unknown(owner: IamCustomer) -> None:
    own = f"arn:aws:iam::{owner.account_id}"
    users = {id_: each for id_, each in owner.read_iam().of("account").items() if each.kind != "service"}

    assert {id_: users[id_] for id_ in (owner.user("ana"), owner.user("untagged"))} == {
        owner.user("ana"): Account(
            id=owner.user("ana"),
            kind="human",
            username="ana",
            status="unknown",
            mfa="unknown",
            created_at=CREATED,
            last_login_at=SIGNED_IN,
            source="iam",
            resource_id=owner.account_id,
            not_grantable_reason=grantability.IAM_ACCOUNT,
            tags={"user-type": "Person", "team": "web"},
            # Its group may change policies, and its boundary keeps it from that.
            privileged=False,
            attributes={
                "arn": f"{own}:user/people/ana",
                "path": "/people/",
                "permissions_boundary": f"{own}:policy/Fence",
                **UNREADABLE,
                **JUDGED,
            },
        ),
        # Optional fields missing: no tags, no boundary, no password ever used.
        owner.user("untagged"): Account(
            id=owner.user("untagged"),
            kind="unknown",
            username="untagged",
            created_at=CREATED,
            source="iam",
            resource_id=owner.account_id,
            not_grantable_reason=grantability.IAM_ACCOUNT,
            privileged=False,
            attributes={"arn": f"{own}:user/untagged", "path": "/", **UNREADABLE, **JUDGED},
        ),
    }


def test_roles_are_service_accounts_and_aws_created_ones_are_recognised(owner: IamCustomer) -> None:
    own = f"arn:aws:iam::{owner.account_id}"
    accounts = owner.read_iam().of("account", "service")

    assert accounts[owner.role("app")] == Account(
        id=owner.role("app"),
        kind="service",
        username="app",
        created_at=CREATED,
        source="iam",
        resource_id=owner.account_id,
        not_grantable_reason=grantability.IAM_ACCOUNT,
        tags={"team": "web"},
        privileged=False,
        attributes={
            "arn": f"{own}:role/app",
            "path": "/",
            "description": "Runs the app",
            "role_type": "instance_profile",
            "max_session_seconds": 7200,
            "last_used_at": SIGNED_IN.isoformat(),
            "last_used_region": "eu-west-1",
            "instance_profiles": [f"{own}:instance-profile/app-servers"],
        },
    )
    provisioned = next(name for name in owner.iam.roles if name.startswith("AWSReservedSSO_"))
    assert {
        name: (accounts[owner.role(name)].attributes.get("role_type"), accounts[owner.role(name)].managed_by)
        for name in ("app", "admin", "AWSServiceRoleForSupport", provisioned)
    } == {
        "app": ("instance_profile", None),
        "admin": (None, None),
        "AWSServiceRoleForSupport": ("service_linked", "support.amazonaws.com"),
        provisioned: ("identity_center", "sso.amazonaws.com"),
    }


@pytest.mark.parametrize(
    ("tags", "kind"),
    [
        ({"Type": "person"}, "human"),
        ({"identity_type": "Employee"}, "human"),
        ({"Account Type": "Service Account"}, "service"),
        ({"kind": "bot"}, "service"),
        ({"kind": "bot", "type": "machine"}, "service"),
        ({"kind": "bot", "type": "human"}, "unknown"),
        ({"kind": "something else"}, "unknown"),
        ({"team": "human"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_tags_decide_whether_a_user_is_a_person_or_a_machine(tags: dict[str, str], kind: str) -> None:
    user = {"UserId": "AIDA1", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    assert to_user("111122223333", user, {}).kind == kind


def test_user_recreated_under_its_name_is_another_account(owner: IamCustomer) -> None:
    before = owner.user("ana")
    first = owner.read_iam()
    second = owner.reseed(ACCOUNT).read_iam()

    assert before in first.of("account")
    assert before not in second.of("account")
    assert second.of("account")[owner.user("ana")].username == "ana"


def test_all_policies_of_a_user_count_together_within_its_boundary(owner: IamCustomer) -> None:
    """The case of two harmless policies, with the two halves of the escalation in every place a policy can be."""
    case = VERDICTS["verdict-user-two-harmless-policies"]["account"]
    runs, passes = (
        allowing(*statement["Action"])
        for policy in case["Policies"]
        for statement in policy["PolicyVersionList"][0]["Document"]
    )
    functions = allowing("lambda:CreateFunction")
    policies = (IamPolicy("runs", runs), IamPolicy("passes", passes), IamPolicy("edge", allowing("ec2:*", "s3:*")))
    groups = (IamGroup("runners", managed_policies=("runs",)), IamGroup("passers", inline_policies={"own": passes}))
    users = (
        IamUser("attached", managed_policies=("runs", "passes")),
        IamUser("inline", inline_policies={"one": passes, "two": functions}),
        IamUser("by-group", managed_policies=("passes",), groups=("runners",)),
        IamUser("by-groups", groups=("runners", "passers")),
        IamUser("half", groups=("runners",)),
        IamUser("bounded", managed_policies=("runs", "passes"), boundary="edge"),
        IamUser("bounded-by-all", managed_policies=("runs", "passes"), boundary=ADMINISTRATOR),
    )
    accounts = owner.reseed(IamAccount(policies=policies, groups=groups, users=users)).read_iam().of("account")

    judged = {user.name: accounts[owner.user(user.name)] for user in users}
    privileged = {name: each.privileged for name, each in judged.items()}
    assert privileged == {**dict.fromkeys(judged, True), "half": False, "bounded": False}
    assert {name for name, each in judged.items() if each.privileged_reasons} == {
        name for name, is_so in privileged.items() if is_so
    }
    reasons = {name: repr(each.attributes["privilege_reasons"]) for name, each in judged.items() if each.privileged}
    assert {name for name, text in reasons.items() if "'pass-role-ec2'" in text} == reasons.keys() - {"inline"}
    assert "'pass-role-lambda'" in reasons["inline"]


def test_user_with_an_unread_group_is_partial_and_never_harmless(
    owner: IamCustomer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tamper = in_xml("GetAccountAuthorizationDetails", r"<GroupDetailList>.*</GroupDetailList>", "")
    owner.reseed(IamAccount(groups=(IamGroup("team"),), users=(IamUser("ana", groups=("team",)), IamUser("bo"))))
    snapshot = read_tampered(owner, monkeypatch, tamper)

    ana = snapshot.partial[RecordKey(type="account", id=owner.user("ana"))]
    assert (ana.privileged, "group team" in repr(ana.attributes["privilege_undecided"])) == (None, True)
    assert snapshot.of("account")[owner.user("bo")].privileged is False


def test_account_of_a_role_has_the_verdict_of_its_entitlement(owner: IamCustomer) -> None:
    snapshot = owner.read_iam()
    for name in owner.iam.roles:
        account, role = snapshot.of("account")[owner.role(name)], snapshot.of("entitlement")[owner.role(name)]
        assert (account.privileged, account.privileged_reasons) == (role.privileged, role.privileged_reasons)
