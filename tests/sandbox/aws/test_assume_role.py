"""Who may assume which role, for how long and with what session policy."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from ploy_connector_aws.sandbox.aws import PLOY_ACCOUNT_ID, fresh_account_id
from tests.sandbox.aws.conftest import Clock
from tests.sandbox.aws.customer import EVERYTHING, EXTERNAL_ID, Customer, Denied, allow, as_credentials, policy, refusal

PLOY_USER = f"arn:aws:iam::{PLOY_ACCOUNT_ID}:user/ploy-connector"
ROOT = f"arn:aws:iam::{PLOY_ACCOUNT_ID}:root"
SESSION = {"RoleSessionName": "ploy-sync-1"}


def trusting(
    principal: Any, *, effect: str = "Allow", action: Any = "sts:AssumeRole", **condition: Any
) -> dict[str, Any]:
    kind = "NotPrincipal" if effect == "Deny-all-but" else "Principal"
    statement = {"Effect": effect.split("-")[0], kind: principal, "Action": action}
    return {**statement, "Condition": condition} if condition else statement


WANTS_ID: Any = {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}
GIVEN = {"ExternalId": EXTERNAL_ID}
TRUST = [
    ("the account and the external id", [trusting({"AWS": ROOT}, **WANTS_ID)], GIVEN, True),
    ("no external id", [trusting({"AWS": ROOT}, **WANTS_ID)], {}, False),
    ("a wrong external id", [trusting({"AWS": ROOT}, **WANTS_ID)], {"ExternalId": "another"}, False),
    ("an external id that is not required", [trusting({"AWS": ROOT})], GIVEN, True),
    ("the account by number", [trusting({"AWS": PLOY_ACCOUNT_ID})], {}, True),
    ("the user by name", [trusting({"AWS": PLOY_USER})], {}, True),
    ("everybody", [trusting("*")], {}, True),
    ("every AWS principal", [trusting({"AWS": "*"})], {}, True),
    ("one of several", [trusting({"AWS": ["111122223333", ROOT]})], {}, True),
    ("another account", [trusting({"AWS": "111122223333"})], {}, False),
    ("another user", [trusting({"AWS": f"{PLOY_USER}-2"})], {}, False),
    ("a service", [trusting({"Service": "ec2.amazonaws.com"})], {}, False),
    ("no wildcard within an ARN", [trusting({"AWS": f"arn:aws:iam::{PLOY_ACCOUNT_ID}:user/*"})], {}, False),
    ("another action", [trusting({"AWS": ROOT}, action="sts:TagSession")], {}, False),
    (
        "StringLike star takes any id",
        [trusting({"AWS": ROOT}, StringLike={"sts:ExternalId": "*"})],
        {"ExternalId": "xx"},
        True,
    ),
    ("StringLike star wants an id", [trusting({"AWS": ROOT}, StringLike={"sts:ExternalId": "*"})], {}, False),
    (
        "IfExists lets a caller without id in",
        [trusting({"AWS": ROOT}, StringEqualsIfExists={"sts:ExternalId": EXTERNAL_ID})],
        {},
        True,
    ),
    (
        "IfExists refuses a wrong id",
        [trusting({"AWS": ROOT}, StringEqualsIfExists={"sts:ExternalId": EXTERNAL_ID})],
        {"ExternalId": "xx"},
        False,
    ),
    ("Null wants no id", [trusting({"AWS": ROOT}, Null={"sts:ExternalId": "true"})], GIVEN, False),
    ("a deny wins", [trusting({"AWS": ROOT}), trusting({"AWS": PLOY_USER}, effect="Deny")], {}, False),
    (
        "a deny of a missing id",
        [trusting({"AWS": ROOT}), trusting("*", effect="Deny", Null={"sts:ExternalId": "true"})],
        {},
        False,
    ),
    (
        "NotPrincipal spares the account it names",
        [trusting({"AWS": ROOT}), trusting({"AWS": [ROOT, PLOY_USER]}, effect="Deny-all-but")],
        {},
        True,
    ),
    (
        "NotPrincipal denies all the others",
        [trusting({"AWS": ROOT}), trusting({"AWS": "111122223333"}, effect="Deny-all-but")],
        {},
        False,
    ),
    ("the session's name", [trusting({"AWS": ROOT}, StringLike={"sts:RoleSessionName": "ploy-*"})], {}, True),
    ("the caller's ARN", [trusting("*", ArnLike={"aws:PrincipalArn": "arn:aws:iam::*:user/ploy-*"})], {}, True),
]


@pytest.mark.parametrize(
    ("statements", "asked", "is_trusted"), [row[1:] for row in TRUST], ids=[row[0] for row in TRUST]
)
def test_the_trust_policy_decides(customer: Customer, statements: Any, asked: Any, is_trusted: bool) -> None:
    role = customer.role()
    customer.aws.accounts.set_trust_policy(role, policy(*statements))
    if is_trusted:
        user = customer.sts.assume_role(RoleArn=role, **SESSION, **asked)["AssumedRoleUser"]
        assert user["Arn"] == f"arn:aws:sts::{customer.account_id}:assumed-role/Ploy/ploy-sync-1"
    else:
        assert refusal(customer.sts.assume_role, RoleArn=role, **SESSION, **asked) == not_allowed(role)


def test_every_reason_gives_one_and_the_same_denial(customer: Customer) -> None:
    role, missing = customer.role(), f"arn:aws:iam::{customer.account_id}:role/Missing"
    untrusting = customer.role(role_name="Other")
    customer.aws.accounts.set_trust_policy(untrusting, policy(trusting({"AWS": "111122223333"})))
    assert refusal(customer.sts.assume_role, RoleArn=role, **SESSION) == not_allowed(role)
    for arn in (missing, untrusting):
        assert refusal(customer.sts.assume_role, RoleArn=arn, **SESSION, **GIVEN) == not_allowed(arn)


def test_across_accounts_the_caller_needs_a_permission_of_its_own(customer: Customer) -> None:
    role = customer.role()
    accounts = customer.aws.accounts
    accounts.set_trust_policy(
        role, policy(trusting({"AWS": f"arn:aws:iam::{PLOY_ACCOUNT_ID}:user/scoped"}, **WANTS_ID))
    )
    cases = {
        "none": allow("s3:*"),
        "another role": allow("sts:AssumeRole", resource=f"{role}2"),
        "denied": policy(*allow("*")["Statement"], {"Effect": "Deny", "Action": "sts:*", "Resource": role}),
        "this role": allow("sts:AssumeRole", resource=role),
    }
    outcomes = {}
    for name, permissions in cases.items():
        key = accounts.create_user(PLOY_ACCOUNT_ID, "scoped", permissions)
        sts = customer.client(
            "sts", {"aws_access_key_id": key.access_key_id, "aws_secret_access_key": key.secret_access_key}
        )
        outcomes[name] = is_answered(sts.assume_role, RoleArn=role, **SESSION, **GIVEN)
    assert outcomes == {"none": False, "another role": False, "denied": False, "this role": True}


def test_within_an_account_being_named_is_enough_but_its_root_is_not(customer: Customer) -> None:
    accounts, account_id = customer.aws.accounts, customer.account_id
    key = accounts.create_user(account_id, "anna", allow("s3:*"))
    sts = customer.client(
        "sts", {"aws_access_key_id": key.access_key_id, "aws_secret_access_key": key.secret_access_key}
    )
    outcomes = {}
    for principal in (f"arn:aws:iam::{account_id}:user/anna", f"arn:aws:iam::{account_id}:root"):
        role = accounts.create_role(
            account_id, principal.rpartition(":")[2].replace("/", "-"), policy(trusting({"AWS": principal}))
        )
        outcomes[principal.rpartition(":")[2]] = is_answered(sts.assume_role, RoleArn=role, **SESSION)
    assert outcomes == {"user/anna": True, "root": False}


def test_tags_and_source_identity_need_the_trust_policy_to_allow_them(customer: Customer) -> None:
    role = customer.role()
    accounts = customer.aws.accounts
    tagged: dict[str, Any] = {"Tags": [{"Key": "team", "Value": "a"}]}
    named: dict[str, Any] = {"SourceIdentity": "anna"}
    accounts.create_user(PLOY_ACCOUNT_ID, "ploy-connector", EVERYTHING)
    for asked, action in ((tagged, "sts:TagSession"), (named, "sts:SetSourceIdentity")):
        accounts.set_trust_policy(role, policy(trusting({"AWS": ROOT})))
        assert refusal(customer.sts.assume_role, RoleArn=role, **SESSION, **asked) == not_allowed(role, action)
        accounts.set_trust_policy(role, policy(trusting({"AWS": ROOT}, action=["sts:AssumeRole", action])))
        assert is_answered(customer.sts.assume_role, RoleArn=role, **SESSION, **asked)


def test_the_answer_holds_credentials_that_work_until_they_expire(customer: Customer, clock: Clock) -> None:
    answer = customer.sts.assume_role(RoleArn=customer.role(path="/vendors/"), DurationSeconds=1800, **SESSION, **GIVEN)
    assert answer["Credentials"]["Expiration"] == clock.now() + timedelta(seconds=1800)
    identity = customer.client("sts", as_credentials(answer)).get_caller_identity()
    assert {name: identity[name] for name in ("Account", "Arn", "UserId")} == {
        "Account": customer.account_id,
        # The path of the role is not part of the session's ARN.
        "Arn": f"arn:aws:sts::{customer.account_id}:assumed-role/Ploy/ploy-sync-1",
        "UserId": answer["AssumedRoleUser"]["AssumedRoleId"],
    }


REFUSED_PARAMETERS = [
    ("too short", {"DurationSeconds": 899}, "ValidationError"),
    ("longer than the role allows", {"DurationSeconds": 3601}, "ValidationError"),
    ("longer than any role", {"DurationSeconds": 43201}, "ValidationError"),
    ("a session name with a space", {"RoleSessionName": "a b"}, "ValidationError"),
    ("an external id with a space", {"ExternalId": "ab cd"}, "ValidationError"),
    ("a source identity of AWS's", {"SourceIdentity": "aws:me"}, "ValidationError"),
    ("a role that is no role", {"RoleArn": "arn:aws:iam::111122223333:user/Ploy"}, "ValidationError"),
    ("a policy that is none", {"Policy": "{}"}, "MalformedPolicyDocument"),
    ("a policy with a principal", {"Policy": json.dumps({"Statement": [trusting("*")]})}, "MalformedPolicyDocument"),
    ("a long policy", {"Policy": json.dumps(allow(*["sso:ListInstances"] * 200))}, "ValidationError"),
]


@pytest.mark.parametrize(
    ("asked", "code"), [row[1:] for row in REFUSED_PARAMETERS], ids=[row[0] for row in REFUSED_PARAMETERS]
)
def test_parameters_that_aws_refuses(customer: Customer, asked: dict[str, Any], code: str) -> None:
    refused = refusal(customer.sts.assume_role, **{"RoleArn": customer.role(), **SESSION, **GIVEN, **asked})
    assert (refused.code, refused.status) == (code, 400)
    assert EXTERNAL_ID not in refused.message


def test_a_policy_of_exactly_2048_characters_is_taken(customer: Customer) -> None:
    text = json.dumps(allow("*"))
    padded = text + " " * (2048 - len(text))
    role = customer.role()
    assert is_answered(customer.sts.assume_role, RoleArn=role, Policy=padded, **SESSION, **GIVEN)
    assert not is_answered(customer.sts.assume_role, RoleArn=role, Policy=f"{padded} ", **SESSION, **GIVEN)


def test_managed_policies_narrow_a_session_together_with_the_inline_one(customer: Customer) -> None:
    role, account_id = customer.role(), customer.account_id
    managed = customer.aws.accounts.create_managed_policy(account_id, "Listing", allow("sso:ListInstances"))
    inline = json.dumps(allow("iam:ListUsers"))
    credentials = customer.assume(role, Policy=inline, PolicyArns=[{"arn": managed}])
    assert customer.client("sso-admin", credentials).list_instances()["Instances"] == []
    iam = customer.client("iam", credentials)
    assert iam.list_users()["Users"] == []
    assert refusal(iam.list_roles).message.endswith("because no session policy allows the iam:ListRoles action")
    unknown = refusal(customer.sts.assume_role, RoleArn=role, **SESSION, **GIVEN, PolicyArns=[{"arn": f"{managed}2"}])
    assert unknown.code == "NoSuchEntity"


def test_a_role_may_allow_longer_sessions_but_a_chained_one_ends_after_an_hour(customer: Customer) -> None:
    role = customer.role(max_session_seconds=43200)
    direct = customer.assume(role, DurationSeconds=43200)
    customer.aws.accounts.set_trust_policy(role, policy(trusting({"AWS": role})))
    chained = customer.client("sts", direct)
    assert is_answered(chained.assume_role, RoleArn=role, **SESSION, DurationSeconds=3600)
    assert refusal(chained.assume_role, RoleArn=role, **SESSION, DurationSeconds=3601) == Denied(
        "ValidationError",
        400,
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
    )


def test_a_role_of_another_partition_is_no_role_here(customer: Customer) -> None:
    arn = f"arn:aws-cn:iam::{fresh_account_id()}:role/Ploy"
    assert refusal(customer.sts.assume_role, RoleArn=arn, **SESSION) == Denied(
        "ValidationError", 400, f"{arn} is invalid"
    )


def not_allowed(role: str, action: str = "sts:AssumeRole") -> Denied:
    return Denied("AccessDenied", 403, f"User: {PLOY_USER} is not authorized to perform: {action} on resource: {role}")


def is_answered(call: Any, **parameters: Any) -> bool:
    try:
        refusal(call, **parameters)
    except AssertionError:
        return True
    return False
