"""The broken roles: what is broken, which checks must say so and in which words, and how it is mended.

Where ``mend`` is None, the fix that is printed is applied as it stands; elsewhere a person must act by its words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ploy_connector_aws.aws.diagnosis.needs import FEATURE_SCOPES
from ploy_connector_aws.aws.permissions import ACTIONS, DIRECT_ASSIGNMENTS
from ploy_connector_aws.config import IAM, SCOPE_NEEDS
from ploy_connector_aws.sandbox.aws import (
    FULL_AWS_ACCESS,
    PLOY_ACCOUNT_ID,
    Account,
    fresh_account_id,
    ploy_trust_policy,
)
from tests.aws.conftest import EXTERNAL_ID, ORGANISATION

from .conftest import MANAGEMENT, Patient

PLOY = {"AWS": f"arn:aws:iam::{PLOY_ACCOUNT_ID}:root"}
OTHER_ID = "another-external-id-0001"
ACCOUNT = "444444444444"
EXACT = {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}

DIRECTORY = {"scopes": ("identity-center", IAM)}

Act = Callable[[Patient], object]


@dataclass(frozen=True)
class Fault:
    """One broken role."""

    break_it: Act
    troubles: Mapping[str, str]
    says: str
    mend: Act | None = None
    setting: Mapping[str, Any] = field(default_factory=lambda: {"scopes": (IAM,)})
    is_blocked: bool = False


def _trust(condition: Mapping[str, Any] | None, *troubles: str, says: str, principal: Any = None) -> Fault:
    return Fault(
        lambda patient: patient.trust_by(condition, principal),
        dict.fromkeys((*troubles, "trust-policy"), "failed"),
        says,
        is_blocked=True,
    )


def _entry(break_it: Act, says: str, mend: Act, check: str = "assume-role") -> Fault:
    return Fault(break_it, {check: "failed"}, says, mend)


def _deny_entry(text: str) -> Act:
    message = f"User: ploy is not authorized to perform: sts:AssumeRole on resource: role {text}"
    return lambda patient: patient.aws.faults.answer("AssumeRole", "AccessDenied", status=403, message=message)


def _reset(patient: Patient) -> None:
    patient.aws.faults.reset()


def _right_trust(patient: Patient) -> None:
    patient.right_trust()


def _be_somebody_else(patient: Patient) -> None:
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}
    _be(patient, patient.aws.accounts.create_user(ACCOUNT, "somebody", allow))


def _be_ploy(patient: Patient) -> None:
    _be(patient, patient.aws.caller_credentials)


def _be(patient: Patient, key: Any) -> None:
    patient.monkeypatch.setenv("AWS_ACCESS_KEY_ID", key.access_key_id)
    patient.monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key.secret_access_key)


def _forget_credentials(patient: Patient) -> None:
    patient.monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    patient.monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")


def _scp(*actions: str) -> Act:
    deny = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": list(actions), "Resource": "*"}]}
    return lambda patient: patient.aws.accounts.set_service_control_policies(
        patient.account_id, [FULL_AWS_ACCESS, deny]
    )


def _lift_scps(patient: Patient) -> None:
    patient.aws.accounts.set_service_control_policies(patient.account_id, None)


def _bound(patient: Patient) -> None:
    needed = [action for each in patient.policy["Statement"] for action in each["Action"]]
    needed.remove("identitystore:ListGroups")
    patient.bound_by({"Effect": "Allow", "Action": needed, "Resource": "*"})


def _scope_writes(patient: Patient) -> None:
    writes = ["identitystore:CreateGroupMembership", "identitystore:DeleteGroupMembership"]
    patient.take_away(*writes)
    one_group = f"arn:aws:identitystore:::group/{patient.seeded.groups['admins']}"
    others = [f"arn:aws:identitystore:::{kind}/*" for kind in ("user", "membership")]
    store = f"arn:aws:identitystore::{patient.account_id}:identitystore/{patient.seeded.identity_store_id}"
    patient.add_statement({"Effect": "Allow", "Action": writes, "Resource": [one_group, *others, store]})


def _forget_memberships(patient: Patient) -> None:
    delete = "identitystore:DeleteGroupMembership"
    patient.take_away(delete)
    resources = [f"arn:aws:identitystore:::{kind}/*" for kind in ("user", "group")]
    resources.append("arn:aws:identitystore::*:identitystore/*")
    patient.add_statement({"Effect": "Allow", "Action": [delete], "Resource": resources})


def _disable_key(patient: Patient) -> None:
    for service in ("identitystore", "sso"):
        for action in ACTIONS:
            if action.iam.startswith(f"{service}:") and action.iam != "sso:ListInstances":
                reason = "KMS_DISABLED" if service == "identitystore" else "KMS_DisabledException"
                patient.aws.faults.answer(action.iam, "ValidationException", members={"Reason": reason})


def _decrypt_for(*services: str) -> dict[str, Any]:
    hosts = [f"{service}.*.amazonaws.com" for service in services]
    condition = {"StringLike": {"kms:ViaService": hosts}}
    return {"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": "*", "Condition": condition}


def _encrypt_and_allow_one_service(patient: Patient) -> None:
    patient.encrypt()
    patient.add_statement(_decrypt_for("identitystore"))


def _encrypt_without_key_policy(patient: Patient) -> None:
    patient.encrypt(policy_lets_in=False)
    patient.add_statement(_decrypt_for("identitystore", "sso"))


def _move_role_to_another_account(patient: Patient) -> None:
    patient.aws.accounts.delete_role(patient.role_arn)
    patient.aws.create_integration_role(MANAGEMENT, EXTERNAL_ID)


def _switch_direct_assignments_on(patient: Patient) -> None:
    patient.more["direct_assignments"] = True


def away_from_the_owner() -> dict[str, Any]:
    """An account of the organization that is not the one which owns the instance."""
    account_id = fresh_account_id()
    accounts = (*ORGANISATION.accounts, Account(account_id, "own"))
    made = replace(ORGANISATION, owner_account_id=MANAGEMENT, accounts=accounts)
    return {"account_id": account_id, "organisation": made}


BROKEN_ENTRIES: dict[str, Fault] = {
    "the trust policy requires another external id": _entry(
        lambda patient: patient.trust_by({"StringEquals": {"sts:ExternalId": OTHER_ID}}),
        "AWS does not say which",
        _right_trust,
    ),
    "the role does not exist": _entry(
        lambda patient: patient.aws.accounts.delete_role(patient.role_arn),
        "the role does not exist",
        lambda patient: patient.make_role(),
    ),
    "the role trusts another account": _entry(
        lambda patient: patient.trust_by(EXACT, {"AWS": f"arn:aws:iam::{MANAGEMENT}:root"}),
        "it does not trust Ploy's account",
        _right_trust,
    ),
    "the role only exists in another account": _entry(
        _move_role_to_another_account,
        "the role does not exist",
        lambda patient: patient.make_role(),
    ),
    "Ploy's own policies do not allow it": _entry(
        _deny_entry("because no identity-based policy allows the sts:AssumeRole action"),
        "nothing is wrong with the role",
        _reset,
    ),
    "Ploy's organization denies it": _entry(
        _deny_entry("with an explicit deny in a service control policy"), "of Ploy's own organization", _reset
    ),
    "the customer's organization denies it": _entry(
        _deny_entry("with an explicit deny in a resource control policy"), "of the customer's organization", _reset
    ),
    "STS is switched off in the Region": _entry(
        lambda patient: patient.aws.accounts.switch_sts_off(patient.account_id, patient.region),
        "STS is switched off for the AWS account in the Region of the settings",
        lambda patient: patient.aws.accounts.switch_sts_off(patient.account_id),
    ),
    "STS throttles": _entry(
        lambda patient: patient.aws.faults.throttle(1, "AssumeRole"), "AWS throttled the request", _reset
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
        {"StringLike": {"sts:ExternalId": f"{EXTERNAL_ID[:8]}*"}}, says="StringLike with a wildcard"
    ),
    "a list with another external id": _trust(
        {"StringEquals": {"sts:ExternalId": [EXTERNAL_ID, OTHER_ID]}}, says="other external IDs, too"
    ),
    "everybody with the external id": _trust(EXACT, says="everybody (Principal *)", principal="*"),
    "everybody but one": Fault(
        lambda patient: patient.trust(
            *ploy_trust_policy(EXTERNAL_ID)["Statement"],
            {
                "Effect": "Allow",
                "NotPrincipal": {"AWS": [f"arn:aws:iam::{MANAGEMENT}:root", *PLOY.values()]},
                "Action": "sts:AssumeRole",
            },
        ),
        {"trust-policy": "failed"},
        "everybody but those it names (NotPrincipal)",
        is_blocked=True,
    ),
    "another account without an external id": Fault(
        lambda patient: patient.trust(
            *ploy_trust_policy(EXTERNAL_ID)["Statement"],
            {"Effect": "Allow", "Principal": {"AWS": MANAGEMENT}, "Action": "sts:AssumeRole"},
        ),
        {"trust-policy": "failed"},
        f"arn:aws:iam::{MANAGEMENT}:root, of another AWS account, without an external ID",
        is_blocked=True,
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


def _scopes_for(action_scopes: tuple[str, ...]) -> tuple[str, ...]:
    first = action_scopes[0]
    return tuple(dict.fromkeys((*SCOPE_NEEDS[first], first, IAM)))


def _without(action: str, feature: str) -> Fault:
    return Fault(
        lambda patient: patient.take_away(action),
        {f"permission:{action}": "failed"},
        action if "Delete" not in action else "do not allow it",
        setting={"scopes": _scopes_for(FEATURE_SCOPES[feature])},
    )


MISSING_PERMISSIONS: dict[str, Fault] = {
    f"without {action.iam}": _without(action.iam, action.feature) for action in ACTIONS
}
"""Each permission removed in turn."""

OTHER_FAULTS: dict[str, Fault] = {
    "the key's use is not allowed to the role": Fault(
        lambda patient: patient.encrypt(),
        {"permission:kms:Decrypt": "failed"},
        "customer managed key",
        setting=DIRECTORY,
    ),
    "the key's use is allowed to one of two services": Fault(
        _encrypt_and_allow_one_service,
        {"permission:kms:Decrypt": "failed"},
        "customer managed key",
        setting=DIRECTORY,
    ),
    "the key does not let the role in": Fault(
        _encrypt_without_key_policy,
        {"permission:kms:Decrypt": "failed"},
        "customer managed key",
        setting=DIRECTORY,
    ),
    "the key is disabled": Fault(
        _disable_key,
        {"permission:kms:Decrypt": "failed"},
        "customer managed key",
        _reset,
        setting=DIRECTORY,
    ),
    "a service control policy denies": Fault(
        _scp("identitystore:ListGroups"),
        {"permission:identitystore:ListGroups": "failed"},
        "by a service control policy of the organization",
        _lift_scps,
        setting=DIRECTORY,
    ),
    "the boundary does not allow": Fault(
        _bound,
        {"permission:identitystore:ListGroups": "failed"},
        "by the role's permissions boundary",
        setting=DIRECTORY,
    ),
    "a Deny of the role's own": Fault(
        lambda patient: patient.add_statement(
            {"Effect": "Deny", "Action": ["iam:ListUsers", "ec2:RunInstances"], "Resource": "*"}
        ),
        {"permission:iam:ListUsers": "failed"},
        "by a Deny statement in the role's own policies",
    ),
    "a Deny of a write": Fault(
        lambda patient: patient.add_statement(
            {"Effect": "Deny", "Action": ["identitystore:DeleteGroupMembership"], "Resource": "*"}
        ),
        {"permission:identitystore:DeleteGroupMembership": "failed"},
        "The role's own policies take it away",
        setting=DIRECTORY,
    ),
    "something that AWS does not name": Fault(
        lambda patient: patient.aws.faults.deny("iam:ListRoles"),
        {"permission:iam:ListRoles": "failed"},
        "something else denies it, which AWS does not name",
        _reset,
    ),
    "writes on one group only": Fault(
        _scope_writes,
        {
            "permission:identitystore:CreateGroupMembership": "warning",
            "permission:identitystore:DeleteGroupMembership": "warning",
        },
        "on some resources or under conditions only",
        setting=DIRECTORY,
    ),
    "deleting without the memberships": Fault(
        _forget_memberships,
        {"permission:identitystore:DeleteGroupMembership": "failed"},
        "do not allow it on arn:*:identitystore:::membership/*",
        setting=DIRECTORY,
    ),
    "direct assignments without their permissions": Fault(
        _switch_direct_assignments_on,
        {f"permission:{action.iam}": "failed" for action in DIRECT_ASSIGNMENTS},
        "The role's own policies do not allow it",
        setting=DIRECTORY,
    ),
    "AdministratorAccess": Fault(
        lambda patient: patient.attach("AdministratorAccess"),
        {"unneeded-permissions": "warning"},
        "AdministratorAccess allows every action (*)",
    ),
    "ReadOnlyAccess": Fault(
        lambda patient: patient.attach("ReadOnlyAccess"), {"unneeded-permissions": "warning"}, "ReadOnlyAccess allows "
    ),
    "a wildcard": Fault(
        lambda patient: patient.add_statement({"Effect": "Allow", "Action": ["identitystore:*"], "Resource": "*"}),
        {"unneeded-permissions": "warning"},
        "PloyAccess allows identitystore:*",
    ),
    "everything but": Fault(
        lambda patient: patient.add_statement({"Effect": "Allow", "NotAction": ["s3:*"], "Resource": "*"}),
        {"unneeded-permissions": "warning"},
        "everything but s3:*",
    ),
    "any key in the account": Fault(
        lambda patient: patient.add_statement({"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": "*"}),
        {"unneeded-permissions": "warning"},
        "PloyAccess allows kms:Decrypt",
    ),
    "no instance": Fault(
        lambda patient: patient.seeded.remove_instance(),
        {"find-instance": "warning"},
        "no IAM Identity Center instance",
        setting=DIRECTORY,
    ),
    "an account instance": Fault(
        lambda patient: None,
        {"find-instance": "warning"},
        "It is an account instance",
        setting={"organisation": replace(ORGANISATION, kind="account", permission_sets=(), assignments=())},
    ),
    "a member account": Fault(
        lambda patient: None,
        {"find-instance": "failed"},
        "this account is a member that may only see its people and groups",
        setting=away_from_the_owner(),
    ),
    "the instance is not active": Fault(
        lambda patient: setattr(patient.seeded.instance.moto, "status", "DELETE_IN_PROGRESS"),
        {"find-instance": "failed"},
        "is not active",
        lambda patient: setattr(patient.seeded.instance.moto, "status", "ACTIVE"),
        setting=DIRECTORY,
    ),
    "the Region is not enabled": Fault(
        lambda patient: patient.aws.accounts.disable_regions(patient.account_id, patient.region),
        {"region": "failed"},
        "the Region is not enabled for the AWS account",
        setting={"scopes": (IAM, "dynamodb/tables", "sqs/queues"), "region": "eu-south-1"},
    ),
    "AWS throttles one call": Fault(
        lambda patient: patient.aws.faults.throttle(1, "dynamodb:ListTables"),
        {"permission:dynamodb:ListTables": "failed"},
        "AWS throttled the call ListTables",
        _reset,
        setting={"scopes": (IAM, "dynamodb/tables")},
    ),
    "AWS is broken in one place": Fault(
        lambda patient: patient.aws.faults.fail(1, "iam:ListGroups"),
        {"permission:iam:ListGroups": "failed"},
        "AWS had an internal error",
        _reset,
    ),
}
"""The role is entered by Ploy alone, and something is missing, too much, or another than it should be."""
