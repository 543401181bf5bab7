"""Broken roles that are not entered, and roles that others than Ploy enter as well."""

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


def _trust(condition: Mapping[str, Any] | None, *troubles: str, says: str, principal: Any = None) -> Fault:
    return _opened(lambda patient: patient.trust_by(condition, principal), *troubles, says=says)


def _also_trust(says: str, **statement: Any) -> Fault:
    """Let somebody in beside Ploy."""
    beside = {"Effect": "Allow", "Action": "sts:AssumeRole", **statement}
    return _opened(lambda patient: patient.trust(*ploy_trust_policy(EXTERNAL_ID)["Statement"], beside), says=says)


def _opened(open_it: Act, *troubles: str, says: str) -> Fault:
    return Fault(open_it, dict.fromkeys((*troubles, "trust-policy"), "failed"), says, is_blocked=True)


def _trust_under(*statements: Mapping[str, Any]) -> Act:
    return lambda patient: patient.trust(*ploy_trust_policy(EXTERNAL_ID)["Statement"], *statements)


def _unread(condition: Mapping[str, Any], check: str, says: str) -> Fault:
    """An open door that nobody can see, as the settings leave IAM out and so nothing lets the role be read."""

    return Fault(
        lambda patient: patient.trust_by(condition),
        {check: "failed", "trust-policy": "warning"},
        says,
        setting={"scopes": ("dynamodb/tables",)},
        is_blocked=True,
    )


def _entry(break_it: Act, says: str, mend: Act | None = None, check: str = "assume-role") -> Fault:
    return Fault(break_it, {check: "failed"}, says, mend)


def _deny_entry(text: str) -> Act:
    message = f"User: ploy is not authorized to perform: sts:AssumeRole on resource: role {text}"
    return lambda patient: patient.aws.faults.answer("AssumeRole", "AccessDenied", status=403, message=message)


def _right_trust(patient: BrokenRole) -> None:
    patient.right_trust()


def _be_somebody_else(patient: BrokenRole) -> None:
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}
    _be(patient, patient.aws.accounts.create_user(ACCOUNT, "somebody", allow))


def _be_ploy(patient: BrokenRole) -> None:
    _be(patient, patient.aws.caller_credentials)


def _be(patient: BrokenRole, key: Any) -> None:
    patient.monkeypatch.setenv("AWS_ACCESS_KEY_ID", key.access_key_id)
    patient.monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key.secret_access_key)


def _forget_credentials(patient: BrokenRole) -> None:
    patient.monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    patient.monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")


def _move_role_to_another_account(patient: BrokenRole) -> None:
    patient.aws.accounts.delete_role(patient.role_arn)
    patient.aws.create_integration_role(MANAGEMENT, EXTERNAL_ID)


BROKEN_ENTRIES: dict[str, Fault] = {
    "the trust policy requires another external id": _entry(
        lambda patient: patient.trust_by({"StringEquals": {"sts:ExternalId": OTHER_ID}}),
        "AWS does not state which",
    ),
    "the trust policy asks for MFA": _entry(
        lambda patient: patient.trust_by({**EXACT, "Bool": {"aws:MultiFactorAuthPresent": "true"}}),
        "requires something that Ploy does not provide (such as MFA or an IP address)",
    ),
    "the trust policy asks for an address": _entry(
        lambda patient: patient.trust_by({**EXACT, "IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}),
        "requires something that Ploy does not provide (such as MFA or an IP address)",
    ),
    "the trust policy denies Ploy": _entry(
        _trust_under({"Effect": "Deny", "Principal": "*", "Action": "sts:*"}),
        "its trust policy denies Ploy",
    ),
    "the role does not exist": _entry(
        lambda patient: patient.aws.accounts.delete_role(patient.role_arn),
        "the role does not exist",
        lambda patient: patient.make_role(),
    ),
    "the role trusts another account": _entry(
        lambda patient: patient.trust_by(EXACT, {"AWS": f"arn:aws:iam::{MANAGEMENT}:root"}),
        "it does not trust Ploy's account",
    ),
    "the role only exists in another account": _entry(
        _move_role_to_another_account,
        "the role does not exist",
        lambda patient: patient.make_role(),
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
        lambda patient: patient.aws.accounts.switch_sts_off(patient.account_id, patient.region),
        "STS is switched off for the AWS account in the Region of the settings",
        lambda patient: patient.aws.accounts.switch_sts_off(patient.account_id),
    ),
    "STS throttles": _entry(
        lambda patient: patient.aws.faults.throttle(1, "AssumeRole"), "AWS throttled the request", reset
    ),
    "Ploy's own secret key is wrong": _entry(
        lambda patient: patient.monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong"),
        "AWS rejected Ploy's own credentials",
        _be_ploy,
        "own-credentials",
    ),
    "Ploy has no credentials of its own": _entry(
        _forget_credentials, "could not be found or are incomplete", _be_ploy, "own-credentials"
    ),
    "Ploy's own profile does not exist": _entry(
        lambda patient: patient.monkeypatch.setenv("AWS_PROFILE", "nobody"),
        "could not be found or are incomplete",
        lambda patient: patient.monkeypatch.delenv("AWS_PROFILE"),
        "own-credentials",
    ),
    "the Region is not enabled for Ploy's own account": _entry(
        lambda patient: patient.aws.accounts.disable_regions(PLOY_ACCOUNT_ID, patient.region),
        "it is not enabled for Ploy's own AWS account",
        lambda patient: patient.aws.accounts.disable_regions(PLOY_ACCOUNT_ID),
        "own-credentials",
    ),
    "Ploy's own credentials are somebody else's": Fault(
        _be_somebody_else,
        {"own-credentials": "warning", "assume-role": "failed"},
        f"belong to the AWS account {ACCOUNT}",
        _be_ploy,
    ),
}
"""The role is not entered; AWS's own answer says of many of them the same."""

OPEN_DOORS: dict[str, Fault] = {
    "StringLike with everything": _trust(
        {"StringLike": {"sts:ExternalId": "*"}}, "external-id-exact", says="StringLike with a wildcard"
    ),
    "no condition": _trust(None, "external-id-required", "external-id-exact", says="without an external ID"),
    "a condition that is met without the key": _trust(
        {"StringEqualsIfExists": {"sts:ExternalId": EXTERNAL_ID}},
        "external-id-required",
        says="StringEqualsIfExists is met without any external ID",
    ),
    "a condition for all of no values": _trust(
        {"ForAllValues:StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
        "external-id-required",
        says="ForAllValues:StringEquals is met without any external ID",
    ),
    "any external id but one": _trust(
        {"StringNotEquals": {"sts:ExternalId": OTHER_ID}},
        "external-id-required",
        "external-id-exact",
        says="StringNotEquals does not ask for one exact external ID",
    ),
    "the beginning of an external id": _trust(
        {"StringLike": {"sts:ExternalId": f"{EXTERNAL_ID[:8]}*"}},
        "external-id-exact",
        says="with its own external ID but for the last character",
    ),
    "the end of an external id": _trust(
        {"StringLike": {"sts:ExternalId": f"?{EXTERNAL_ID[1:]}"}},
        "external-id-exact",
        says="with its own external ID but for the first character",
    ),
    "the beginning and the end of an external id": _trust(
        {"StringLike": {"sts:ExternalId": f"{EXTERNAL_ID[:8]}*{EXTERNAL_ID[-8:]}"}}, says="StringLike with a wildcard"
    ),
    "the beginning of an external id, unread": _unread(
        {"StringLike": {"sts:ExternalId": f"{EXTERNAL_ID[:-1]}*"}},
        "external-id-exact",
        "with its own external ID but for the last character",
    ),
    "the end of an external id, unread": _unread(
        {"StringLike": {"sts:ExternalId": f"*{EXTERNAL_ID[1:]}"}},
        "external-id-exact",
        "with its own external ID but for the first character",
    ),
    "a Deny that does not mean Ploy": _opened(
        lambda patient: patient.trust(
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
        says="It lets Ploy in without an external ID.",
    ),
    "another account with more than one external id": _also_trust(
        f"arn:aws:iam::{MANAGEMENT}:root, of another AWS account, by more than one external ID or by none",
        Principal={"AWS": MANAGEMENT},
        Condition={"StringLike": {"sts:ExternalId": "acme-*"}},
    ),
    "whoever an identity provider vouches for": _also_trust(
        "oidc-provider/token.actions.githubusercontent.com for whomever that provider vouches for",
        Principal={"Federated": f"arn:aws:iam::{MANAGEMENT}:oidc-provider/token.actions.githubusercontent.com"},
        Action="sts:AssumeRoleWithWebIdentity",
        Condition={"StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}},
    ),
    "a list with another external id": _trust(
        {"StringEquals": {"sts:ExternalId": [EXTERNAL_ID, OTHER_ID]}}, says="other external IDs, too"
    ),
    "everybody with the external id": _trust(EXACT, says="everybody (Principal *)", principal="*"),
    "everybody but one": _also_trust(
        "everybody but those it names (NotPrincipal)",
        NotPrincipal={"AWS": [f"arn:aws:iam::{MANAGEMENT}:root", *PLOY.values()]},
    ),
    "another account without an external id": _also_trust(
        f"arn:aws:iam::{MANAGEMENT}:root, of another AWS account, without an external ID",
        Principal={"AWS": MANAGEMENT},
    ),
    "an administrator of the account itself": Fault(
        lambda patient: patient.trust(
            *ploy_trust_policy(EXTERNAL_ID)["Statement"],
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{patient.account_id}:role/Admin"},
                "Action": "sts:AssumeRole",
            },
        ),
        {"trust-policy": "warning"},
        "It lets in arn:aws:iam::",
    ),
    "an exact condition in the wrong words": Fault(
        lambda patient: patient.trust_by({"StringLike": {"sts:ExternalId": EXTERNAL_ID}}),
        {"trust-policy": "warning"},
        "where StringEquals is the exact word",
    ),
}
"""The role is entered, and not by Ploy with this external id alone."""
