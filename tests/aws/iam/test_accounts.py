"""IAM users and roles as accounts, over HTTP from the local AWS."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ploy_connector_aws.aws import grantability
from ploy_connector_aws.aws.iam.accounts import to_user
from ploy_connector_aws.aws.iam.privileges import judge
from ploy_connector_aws.spec import Account

from .conftest import ACCOUNT, SIGNED_IN, IamCustomer

CREATED = datetime(2025, 1, 11, 9, tzinfo=UTC)
UNREADABLE = {"access_keys": "unknown", "console_password": "unknown"}
JUDGED = judge([]).to_attributes()


def test_users_are_whole_and_what_cannot_be_read_is_unknown(owner: IamCustomer) -> None:
    own = f"arn:aws:iam::{owner.account_id}"
    users = {id_: each for id_, each in owner.read_iam().of("account").items() if each.kind != "service"}

    assert {id_: users[id_] for id_ in (owner.user("ana"), owner.user("unsaid"))} == {
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
        owner.user("unsaid"): Account(
            id=owner.user("unsaid"),
            kind="unknown",
            username="unsaid",
            created_at=CREATED,
            source="iam",
            resource_id=owner.account_id,
            not_grantable_reason=grantability.IAM_ACCOUNT,
            privileged=False,
            attributes={"arn": f"{own}:user/unsaid", "path": "/", **UNREADABLE, **JUDGED},
        ),
    }


def test_roles_are_service_accounts_and_those_that_aws_made_are_recognised(owner: IamCustomer) -> None:
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
def test_whether_a_user_is_a_person_or_a_machine_is_what_its_tags_say(tags: dict[str, str], kind: str) -> None:
    user = {"UserId": "AIDA1", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    assert to_user("111122223333", user, {}).kind == kind


def test_a_user_that_is_made_again_under_its_name_is_another_account(owner: IamCustomer) -> None:
    before = owner.user("ana")
    first = owner.read_iam()
    second = owner.reseed(ACCOUNT).read_iam()

    assert before in first.of("account")
    assert before not in second.of("account")
    assert second.of("account")[owner.user("ana")].username == "ana"
