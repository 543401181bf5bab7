"""Faults: roles that Ploy cannot assume, and roles that others than Ploy can assume, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ploy_connector_aws.sandbox.aws import PLOY_ACCOUNT_ID, ploy_trust_policy
from tests.aws.conftest import EXTERNAL_ID

from .conftest import MANAGEMENT, BrokenRole
from .faults import Act, Fault, reset

PLOY = {"AWS": f"arn:aws:iam::{PLOY_ACCOUNT_ID}:root"}
OTHER_ID = "another-external-id-0001"
ACCOUNT = "444444444444"
EXACT = {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}


def _trust(condition: Mapping[str, Any] | None, *issues: str, message: str, principal: Any = None) -> Fault:
    return _opened(lambda role: role.trust_under(condition, principal), *issues, message=message)


def _also_trust(message: str, **statement: Any) -> Fault:
    """Trust another principal beside Ploy."""
    beside = {"Effect": "Allow", "Action": "sts:AssumeRole", **statement}
    return _opened(lambda role: role.trust(*ploy_trust_policy(EXTERNAL_ID)["Statement"], beside), message=message)


def _opened(open_it: Act, *issues: str, message: str) -> Fault:
    return Fault(open_it, dict.fromkeys((*issues, "trust-policy"), "failed"), message, is_blocked=True)


def _trust_under(*statements: Mapping[str, Any]) -> Act:
    return lambda role: role.trust(*ploy_trust_policy(EXTERNAL_ID)["Statement"], *statements)


def _unread(condition: Mapping[str, Any], check: str, message: str) -> Fault:
    """Open a role that no check can read, because the settings leave out IAM."""

    return Fault(
        lambda role: role.trust_under(condition),
        {check: "failed", "trust-policy": "warning"},
        message,
        setting={"scopes": ("dynamodb/tables",)},
        is_blocked=True,
    )


def _entry(break_it: Act, message: str, repair: Act | None = None, check: str = "assume-role") -> Fault:
    return Fault(break_it, {check: "failed"}, message, repair)


def _deny_entry(text: str) -> Act:
    message = f"User: ploy is not authorized to perform: sts:AssumeRole on resource: role {text}"
    return lambda role: role.aws.faults.answer("AssumeRole", "AccessDenied", status=403, message=message)


def _right_trust(role: BrokenRole) -> None:
    role.restore_trust()


def _be_another_caller(role: BrokenRole) -> None:
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}
    _set_credentials(role, role.aws.accounts.create_user(ACCOUNT, "other", allow))


def _restore_credentials(role: BrokenRole) -> None:
    _set_credentials(role, role.aws.caller_credentials)


def _set_credentials(role: BrokenRole, key: Any) -> None:
    role.monkeypatch.setenv("AWS_ACCESS_KEY_ID", key.access_key_id)
    role.monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key.secret_access_key)


def _forget_credentials(role: BrokenRole) -> None:
    role.monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    role.monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")


def _move_role_to_another_account(role: BrokenRole) -> None:
    role.aws.accounts.delete_role(role.role_arn)
    role.aws.create_integration_role(MANAGEMENT, EXTERNAL_ID)


BROKEN_ENTRIES: dict[str, Fault] = {
    "the trust policy requires another external id": _entry(
        lambda role: role.trust_under({"StringEquals": {"sts:ExternalId": OTHER_ID}}),
        "AWS does not state which",
    ),
    "the trust policy asks for MFA": _entry(
        lambda role: role.trust_under({**EXACT, "Bool": {"aws:MultiFactorAuthPresent": "true"}}),
        "requires something that Ploy does not provide (such as MFA or an IP address)",
    ),
    "the trust policy asks for an address": _entry(
        lambda role: role.trust_under({**EXACT, "IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}),
        "requires something that Ploy does not provide (such as MFA or an IP address)",
    ),
    "the trust policy denies Ploy": _entry(
        _trust_under({"Effect": "Deny", "Principal": "*", "Action": "sts:*"}),
        "its trust policy denies Ploy",
    ),
    "the role does not exist": _entry(
        lambda role: role.aws.accounts.delete_role(role.role_arn),
        "the role does not exist",
        lambda role: role.make_role(),
    ),
    "the role trusts another account": _entry(
        lambda role: role.trust_under(EXACT, {"AWS": f"arn:aws:iam::{MANAGEMENT}:root"}),
        "it does not trust Ploy's account",
    ),
    "the role only exists in another account": _entry(
        _move_role_to_another_account,
        "the role does not exist",
        lambda role: role.make_role(),
    ),
    "Ploy's own policies do not allow it": _entry(
        _deny_entry("because no identity-based policy allows the sts:AssumeRole action"),
        "nothing is wrong with the role",
        reset,
    ),
    "Ploy's organization denies it": _entry(
        _deny_entry("with an explicit deny in a service control policy"), "of Ploy's own organization", reset
    ),
    "the customer's organization denies it": _entry(
        _deny_entry("with an explicit deny in a resource control policy"), "of the customer's organization", reset
    ),
    "STS is switched off in the Region": _entry(
        lambda role: role.aws.accounts.switch_sts_off(role.account_id, role.region),
        "STS is switched off for the AWS account in the Region of the settings",
        lambda role: role.aws.accounts.switch_sts_off(role.account_id),
    ),
    "STS throttles": _entry(lambda role: role.aws.faults.throttle(1, "AssumeRole"), "AWS throttled the request", reset),
    "Ploy's own secret key is wrong": _entry(
        lambda role: role.monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong"),
        "AWS rejected Ploy's own credentials",
        _restore_credentials,
        "own-credentials",
    ),
    "Ploy has no credentials of its own": _entry(
        _forget_credentials, "could not be found or are incomplete", _restore_credentials, "own-credentials"
    ),
    "Ploy's own profile does not exist": _entry(
        lambda role: role.monkeypatch.setenv("AWS_PROFILE", "missing"),
        "could not be found or are incomplete",
        lambda role: role.monkeypatch.delenv("AWS_PROFILE"),
        "own-credentials",
    ),
    "the Region is not enabled for Ploy's own account": _entry(
        lambda role: role.aws.accounts.disable_regions(PLOY_ACCOUNT_ID, role.region),
        "it is not enabled for Ploy's own AWS account",
        lambda role: role.aws.accounts.disable_regions(PLOY_ACCOUNT_ID),
        "own-credentials",
    ),
    "Ploy's own credentials belong to another account": Fault(
        _be_another_caller,
        {"own-credentials": "warning", "assume-role": "failed"},
        f"belong to the AWS account {ACCOUNT}",
        _restore_credentials,
    ),
}
"""Roles that cannot be assumed. AWS gives the same answer for many of them."""

OPEN_DOORS: dict[str, Fault] = {
    "StringLike with everything": _trust(
        {"StringLike": {"sts:ExternalId": "*"}}, "external-id-exact", message="StringLike with a wildcard"
    ),
    "no condition": _trust(None, "external-id-required", "external-id-exact", message="without an external ID"),
    "a condition that is met without the key": _trust(
        {"StringEqualsIfExists": {"sts:ExternalId": EXTERNAL_ID}},
        "external-id-required",
        message="StringEqualsIfExists is also met without any external ID",
    ),
    "a condition for all of no values": _trust(
        {"ForAllValues:StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
        "external-id-required",
        message="ForAllValues:StringEquals is also met without any external ID",
    ),
    "any external id but one": _trust(
        {"StringNotEquals": {"sts:ExternalId": OTHER_ID}},
        "external-id-required",
        "external-id-exact",
        message="StringNotEquals does not require one exact external ID",
    ),
    "the beginning of an external id": _trust(
        {"StringLike": {"sts:ExternalId": f"{EXTERNAL_ID[:8]}*"}},
        "external-id-exact",
        message="with the last character of the external ID changed",
    ),
    "the end of an external id": _trust(
        {"StringLike": {"sts:ExternalId": f"?{EXTERNAL_ID[1:]}"}},
        "external-id-exact",
        message="with the first character of the external ID changed",
    ),
    "the beginning and the end of an external id": _trust(
        {"StringLike": {"sts:ExternalId": f"{EXTERNAL_ID[:8]}*{EXTERNAL_ID[-8:]}"}},
        message="StringLike with a wildcard",
    ),
    "the beginning of an external id, unread": _unread(
        {"StringLike": {"sts:ExternalId": f"{EXTERNAL_ID[:-1]}*"}},
        "external-id-exact",
        "with the last character of the external ID changed",
    ),
    "the end of an external id, unread": _unread(
        {"StringLike": {"sts:ExternalId": f"*{EXTERNAL_ID[1:]}"}},
        "external-id-exact",
        "with the first character of the external ID changed",
    ),
    "a Deny that does not mean Ploy": _opened(
        lambda role: role.trust(
            {"Effect": "Allow", "Principal": PLOY, "Action": "sts:AssumeRole"},
            {
                "Effect": "Deny",
                "NotPrincipal": PLOY,
                "Action": "sts:AssumeRole",
                "Condition": {"StringNotEquals": {"sts:ExternalId": EXTERNAL_ID}},
            },
        ),
        "external-id-required",
        "external-id-exact",
        message="It admits Ploy without an external ID.",
    ),
    "another account with more than one external id": _also_trust(
        f"arn:aws:iam::{MANAGEMENT}:root, of another AWS account, by more than one external ID or by none",
        Principal={"AWS": MANAGEMENT},
        Condition={"StringLike": {"sts:ExternalId": "acme-*"}},
    ),
    "every subject of an identity provider": _also_trust(
        "oidc-provider/token.actions.githubusercontent.com for every subject of that provider",
        Principal={"Federated": f"arn:aws:iam::{MANAGEMENT}:oidc-provider/token.actions.githubusercontent.com"},
        Action="sts:AssumeRoleWithWebIdentity",
        Condition={"StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}},
    ),
    "a list with another external id": _trust(
        {"StringEquals": {"sts:ExternalId": [EXTERNAL_ID, OTHER_ID]}}, message="other external IDs, too"
    ),
    "everyone with the external id": _trust(EXACT, message="everyone (Principal *)", principal="*"),
    "everyone but one": _also_trust(
        "everyone except those it names (NotPrincipal)",
        NotPrincipal={"AWS": [f"arn:aws:iam::{MANAGEMENT}:root", *PLOY.values()]},
    ),
    "another account without an external id": _also_trust(
        f"arn:aws:iam::{MANAGEMENT}:root, of another AWS account, without an external ID",
        Principal={"AWS": MANAGEMENT},
    ),
    "an administrator of the account itself": Fault(
        lambda role: role.trust(
            *ploy_trust_policy(EXTERNAL_ID)["Statement"],
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{role.account_id}:role/Admin"},
                "Action": "sts:AssumeRole",
            },
        ),
        {"trust-policy": "warning"},
        "It admits arn:aws:iam::",
    ),
    "an exact condition with an inexact operator": Fault(
        lambda role: role.trust_under({"StringLike": {"sts:ExternalId": EXTERNAL_ID}}),
        {"trust-policy": "warning"},
        "StringEquals is the exact operator",
    ),
}
"""Roles that can be assumed, and not only by Ploy with this external ID."""
