"""Broken roles: what is broken, which checks must say so and in which words, and how it is mended.

Where ``mend`` is None, the fix that is printed is applied as it stands; elsewhere a person must act by its words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ploy_connector_aws.aws.features import FEATURES, features_of
from ploy_connector_aws.aws.permissions import ACTIONS, DIRECT_ASSIGNMENTS, Action
from ploy_connector_aws.config import IAM, SCOPE_NEEDS
from ploy_connector_aws.sandbox.aws import (
    FULL_AWS_ACCESS,
    Account,
    fresh_account_id,
)
from tests.aws.conftest import ORGANISATION

from .conftest import MANAGEMENT, BrokenRole

DIRECTORY = {"scopes": ("identity-center", IAM)}

Act = Callable[[BrokenRole], object]


@dataclass(frozen=True)
class Fault:
    """One broken role."""

    break_it: Act
    troubles: Mapping[str, str]
    says: str
    mend: Act | None = None
    setting: Mapping[str, Any] = field(default_factory=lambda: {"scopes": (IAM,)})
    is_blocked: bool = False


def reset(patient: BrokenRole) -> None:
    patient.aws.faults.reset()


def scp(*actions: str) -> Act:
    deny = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": list(actions), "Resource": "*"}]}
    return lambda patient: patient.aws.accounts.set_service_control_policies(
        patient.account_id, [FULL_AWS_ACCESS, deny]
    )


def lift_scps(patient: BrokenRole) -> None:
    patient.aws.accounts.set_service_control_policies(patient.account_id, None)


def _bound(patient: BrokenRole) -> None:
    needed = [action for each in patient.policy["Statement"] for action in each["Action"]]
    needed.remove("identitystore:ListGroups")
    patient.bound_by({"Effect": "Allow", "Action": needed, "Resource": "*"})


def scope_writes(patient: BrokenRole) -> None:
    writes = ["identitystore:CreateGroupMembership", "identitystore:DeleteGroupMembership"]
    patient.take_away(*writes)
    one_group = f"arn:aws:identitystore:::group/{patient.seeded.groups['admins']}"
    others = [f"arn:aws:identitystore:::{kind}/*" for kind in ("user", "membership")]
    store = f"arn:aws:identitystore::{patient.account_id}:identitystore/{patient.seeded.identity_store_id}"
    patient.add_statement({"Effect": "Allow", "Action": writes, "Resource": [one_group, *others, store]})


def _forget_memberships(patient: BrokenRole) -> None:
    delete = "identitystore:DeleteGroupMembership"
    patient.take_away(delete)
    resources = [f"arn:aws:identitystore:::{kind}/*" for kind in ("user", "group")]
    resources.append("arn:aws:identitystore::*:identitystore/*")
    patient.add_statement({"Effect": "Allow", "Action": [delete], "Resource": resources})


def _disable_key(patient: BrokenRole) -> None:
    for service in ("identitystore", "sso"):
        for action in ACTIONS:
            if action.iam.startswith(f"{service}:") and action.iam != "sso:ListInstances":
                reason = "KMS_DISABLED" if service == "identitystore" else "KMS_DisabledException"
                patient.aws.faults.answer(action.iam, "ValidationException", members={"Reason": reason})


def decrypt_for(*services: str) -> dict[str, Any]:
    hosts = [f"{service}.*.amazonaws.com" for service in services]
    condition = {"StringLike": {"kms:ViaService": hosts}}
    return {"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": "*", "Condition": condition}


def _encrypt_and_allow_one_service(patient: BrokenRole) -> None:
    patient.encrypt()
    patient.add_statement(decrypt_for("identitystore"))


def _encrypt_without_key_policy(patient: BrokenRole) -> None:
    patient.encrypt(policy_lets_in=False)
    patient.add_statement(decrypt_for("identitystore", "sso"))


def _switch_direct_assignments_on(patient: BrokenRole) -> None:
    patient.more["direct_assignments"] = True


def away_from_the_owner() -> dict[str, Any]:
    """An account of the organization that is not the one which owns the instance."""
    account_id = fresh_account_id()
    accounts = (*ORGANISATION.accounts, Account(account_id, "own"))
    made = replace(ORGANISATION, owner_account_id=MANAGEMENT, accounts=accounts)
    return {"account_id": account_id, "organisation": made}


def _scopes_for(action: Action) -> tuple[str, ...]:
    first = features_of(action)[0]
    needs = next(each.needs for each in FEATURES if each.name == first)
    return tuple(dict.fromkeys((*needs, *((first,) if first in SCOPE_NEEDS else ()), IAM)))


def _without(action: Action) -> Fault:
    # Where the role itself cannot be read, whom it lets in is not known either.
    unread = {"trust-policy": "warning"} if action.iam == "iam:GetAccountAuthorizationDetails" else {}
    return Fault(
        lambda patient: patient.take_away(action.iam),
        {f"permission:{action.iam}": "failed", **unread},
        action.iam if "Delete" not in action.iam else "do not allow it",
        setting={"scopes": _scopes_for(action)},
    )


MISSING_PERMISSIONS: dict[str, Fault] = {f"without {action.iam}": _without(action) for action in ACTIONS}
"""Each permission removed in turn."""

OTHER_FAULTS: dict[str, Fault] = {
    "the role itself cannot be read, as IAM is left out": Fault(
        lambda patient: None,
        {"trust-policy": "warning"},
        "could not be read, so whom it lets in beside Ploy",
        setting={"scopes": ("dynamodb/tables",)},
    ),
    "the role itself was not read for once": Fault(
        lambda patient: patient.aws.faults.throttle(1, "iam:GetAccountAuthorizationDetails"),
        {"trust-policy": "warning", "permission:iam:GetAccountAuthorizationDetails": "failed"},
        "could not be read, so whom it lets in beside Ploy",
        reset,
    ),
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
        reset,
        setting=DIRECTORY,
    ),
    "a service control policy denies": Fault(
        scp("identitystore:ListGroups"),
        {"permission:identitystore:ListGroups": "failed"},
        "by a service control policy of the organization",
        lift_scps,
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
        reset,
    ),
    "writes on one group only": Fault(
        scope_writes,
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
        "do not allow it on arn:aws:identitystore:::membership/*",
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
        "AWS throttled dynamodb:ListTables",
        reset,
        setting={"scopes": (IAM, "dynamodb/tables")},
    ),
    "AWS is broken in one place": Fault(
        lambda patient: patient.aws.faults.fail(1, "iam:ListGroups"),
        {"permission:iam:ListGroups": "failed"},
        "AWS had an internal error",
        reset,
    ),
}
"""The role is entered by Ploy alone, and something is missing, too much, or another than it should be."""
