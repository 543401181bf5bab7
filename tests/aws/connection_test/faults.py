"""Faults: what is broken in a role, which checks must report it with which message, and how to repair it.

If ``repair`` is None, the test applies the printed fix as it stands; otherwise a person must act by its message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ploy_connector_aws.aws.features import FEATURES, features_of
from ploy_connector_aws.aws.permissions import ACTIONS, DIRECT_ASSIGNMENTS, Action
from ploy_connector_aws.config import IAM, SCOPE_DEPENDENCIES
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
    issues: Mapping[str, str]
    message: str
    repair: Act | None = None
    setting: Mapping[str, Any] = field(default_factory=lambda: {"scopes": (IAM,)})
    is_blocked: bool = False


def reset(role: BrokenRole) -> None:
    role.aws.faults.reset()


def scp(*actions: str) -> Act:
    deny = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": list(actions), "Resource": "*"}]}
    return lambda role: role.aws.accounts.set_service_control_policies(role.account_id, [FULL_AWS_ACCESS, deny])


def remove_scps(role: BrokenRole) -> None:
    role.aws.accounts.set_service_control_policies(role.account_id, None)


def _bound(role: BrokenRole) -> None:
    needed = [action for each in role.policy["Statement"] for action in each["Action"]]
    needed.remove("identitystore:ListGroups")
    role.set_boundary({"Effect": "Allow", "Action": needed, "Resource": "*"})


def scope_writes(role: BrokenRole) -> None:
    writes = ["identitystore:CreateGroupMembership", "identitystore:DeleteGroupMembership"]
    role.remove_actions(*writes)
    one_group = f"arn:aws:identitystore:::group/{role.seeded.groups['admins']}"
    others = [f"arn:aws:identitystore:::{kind}/*" for kind in ("user", "membership")]
    store = f"arn:aws:identitystore::{role.account_id}:identitystore/{role.seeded.identity_store_id}"
    role.add_statement({"Effect": "Allow", "Action": writes, "Resource": [one_group, *others, store]})


def _forget_memberships(role: BrokenRole) -> None:
    delete = "identitystore:DeleteGroupMembership"
    role.remove_actions(delete)
    resources = [f"arn:aws:identitystore:::{kind}/*" for kind in ("user", "group")]
    resources.append("arn:aws:identitystore::*:identitystore/*")
    role.add_statement({"Effect": "Allow", "Action": [delete], "Resource": resources})


def _disable_key(role: BrokenRole) -> None:
    for service in ("identitystore", "sso"):
        for action in ACTIONS:
            if action.iam.startswith(f"{service}:") and action.iam != "sso:ListInstances":
                reason = "KMS_DISABLED" if service == "identitystore" else "KMS_DisabledException"
                role.aws.faults.answer(action.iam, "ValidationException", members={"Reason": reason})


def decrypt_for(*services: str) -> dict[str, Any]:
    hosts = [f"{service}.*.amazonaws.com" for service in services]
    condition = {"StringLike": {"kms:ViaService": hosts}}
    return {"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": "*", "Condition": condition}


def _encrypt_and_allow_one_service(role: BrokenRole) -> None:
    role.encrypt()
    role.add_statement(decrypt_for("identitystore"))


def _encrypt_without_key_policy(role: BrokenRole) -> None:
    role.encrypt(key_policy_allows=False)
    role.add_statement(decrypt_for("identitystore", "sso"))


def _switch_direct_assignments_on(role: BrokenRole) -> None:
    role.more["direct_assignments"] = True


def member_account() -> dict[str, Any]:
    """Settings of an account of the organization that does not own the instance."""
    account_id = fresh_account_id()
    accounts = (*ORGANISATION.accounts, Account(account_id, "own"))
    made = replace(ORGANISATION, owner_account_id=MANAGEMENT, accounts=accounts)
    return {"account_id": account_id, "organisation": made}


def _scopes_for(action: Action) -> tuple[str, ...]:
    first = features_of(action)[0]
    needs = next(each.needs for each in FEATURES if each.name == first)
    return tuple(dict.fromkeys((*needs, *((first,) if first in SCOPE_DEPENDENCIES else ()), IAM)))


def _without(action: Action) -> Fault:
    # If the role itself cannot be read, it is unknown whom it admits.
    unread = {"trust-policy": "warning"} if action.iam == "iam:GetAccountAuthorizationDetails" else {}
    return Fault(
        lambda role: role.remove_actions(action.iam),
        {f"permission:{action.iam}": "failed", **unread},
        action.iam if "Delete" not in action.iam else "do not allow it",
        setting={"scopes": _scopes_for(action)},
    )


MISSING_PERMISSIONS: dict[str, Fault] = {f"without {action.iam}": _without(action) for action in ACTIONS}
"""Each permission, removed in turn."""

OTHER_FAULTS: dict[str, Fault] = {
    "the role itself cannot be read, as IAM is left out": Fault(
        lambda role: None,
        {"trust-policy": "warning"},
        "could not be read, so it is unknown whom it admits beside Ploy",
        setting={"scopes": ("dynamodb/tables",)},
    ),
    "the role itself was not read once": Fault(
        lambda role: role.aws.faults.throttle(1, "iam:GetAccountAuthorizationDetails"),
        {"trust-policy": "warning", "permission:iam:GetAccountAuthorizationDetails": "failed"},
        "could not be read, so it is unknown whom it admits beside Ploy",
        reset,
    ),
    "the role may not use the key": Fault(
        lambda role: role.encrypt(),
        {"permission:kms:Decrypt": "failed"},
        "customer managed key",
        setting=DIRECTORY,
    ),
    "the role may use the key through one of two services": Fault(
        _encrypt_and_allow_one_service,
        {"permission:kms:Decrypt": "failed"},
        "customer managed key",
        setting=DIRECTORY,
    ),
    "the key does not admit the role": Fault(
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
        remove_scps,
        setting=DIRECTORY,
    ),
    "the boundary does not allow": Fault(
        _bound,
        {"permission:identitystore:ListGroups": "failed"},
        "by the role's permissions boundary",
        setting=DIRECTORY,
    ),
    "a Deny of the role's own": Fault(
        lambda role: role.add_statement(
            {"Effect": "Deny", "Action": ["iam:ListUsers", "ec2:RunInstances"], "Resource": "*"}
        ),
        {"permission:iam:ListUsers": "failed"},
        "by a Deny statement in the role's own policies",
    ),
    "a Deny of a write": Fault(
        lambda role: role.add_statement(
            {"Effect": "Deny", "Action": ["identitystore:DeleteGroupMembership"], "Resource": "*"}
        ),
        {"permission:identitystore:DeleteGroupMembership": "failed"},
        "The role's own policies deny it",
        setting=DIRECTORY,
    ),
    "something that AWS does not name": Fault(
        lambda role: role.aws.faults.deny("iam:ListRoles"),
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
        lambda role: role.attach("AdministratorAccess"),
        {"unneeded-permissions": "warning"},
        "AdministratorAccess allows every action (*)",
    ),
    "ReadOnlyAccess": Fault(
        lambda role: role.attach("ReadOnlyAccess"), {"unneeded-permissions": "warning"}, "ReadOnlyAccess allows "
    ),
    "a wildcard": Fault(
        lambda role: role.add_statement({"Effect": "Allow", "Action": ["identitystore:*"], "Resource": "*"}),
        {"unneeded-permissions": "warning"},
        "PloyAccess allows identitystore:*",
    ),
    "everything but": Fault(
        lambda role: role.add_statement({"Effect": "Allow", "NotAction": ["s3:*"], "Resource": "*"}),
        {"unneeded-permissions": "warning"},
        "everything but s3:*",
    ),
    "any key in the account": Fault(
        lambda role: role.add_statement({"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": "*"}),
        {"unneeded-permissions": "warning"},
        "PloyAccess allows kms:Decrypt",
    ),
    "no instance": Fault(
        lambda role: role.seeded.remove_instance(),
        {"find-instance": "warning"},
        "no IAM Identity Center instance",
        setting=DIRECTORY,
    ),
    "an account instance": Fault(
        lambda role: None,
        {"find-instance": "warning"},
        "It is an account instance",
        setting={"organisation": replace(ORGANISATION, kind="account", permission_sets=(), assignments=())},
    ),
    "a member account": Fault(
        lambda role: None,
        {"find-instance": "failed"},
        "this account is a member that may only see its people and groups",
        setting=member_account(),
    ),
    "the instance is not active": Fault(
        lambda role: setattr(role.seeded.instance.moto, "status", "DELETE_IN_PROGRESS"),
        {"find-instance": "failed"},
        "is not active",
        lambda role: setattr(role.seeded.instance.moto, "status", "ACTIVE"),
        setting=DIRECTORY,
    ),
    "the Region is not enabled": Fault(
        lambda role: role.aws.accounts.disable_regions(role.account_id, role.region),
        {"region": "failed"},
        "the Region is not enabled for the AWS account",
        setting={"scopes": (IAM, "dynamodb/tables", "sqs/queues"), "region": "eu-south-1"},
    ),
    "AWS throttles one call": Fault(
        lambda role: role.aws.faults.throttle(1, "dynamodb:ListTables"),
        {"permission:dynamodb:ListTables": "failed"},
        "AWS throttled dynamodb:ListTables",
        reset,
        setting={"scopes": (IAM, "dynamodb/tables")},
    ),
    "AWS is broken in one place": Fault(
        lambda role: role.aws.faults.fail(1, "iam:ListGroups"),
        {"permission:iam:ListGroups": "failed"},
        "AWS had an internal error",
        reset,
    ),
}
"""Roles that only Ploy can assume, with something missing, unneeded or wrong."""
