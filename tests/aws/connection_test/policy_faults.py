"""Roles with policies that differ from the guide's: some are correct, and some have faults that are hard to see."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ploy_connector_aws.config import IAM
from ploy_connector_aws.sandbox.aws.accounts import make_aws_policy_known

from .conftest import KEY_ARN, BrokenRole
from .faults import DIRECTORY, Act, Fault, decrypt_for, remove_scps, scp

GUARDED = {"Condition": {"StringEquals": {"aws:RequestedRegion": ["eu-west-1", "us-east-1"]}}}
NOT_THERE = {"Condition": {"StringNotEquals": {"aws:RequestedRegion": ["eu-west-1", "us-east-1"]}}}
TABLES = {"scopes": (IAM, "dynamodb/tables")}


def needed(role: BrokenRole, *but: str) -> list[str]:
    """Return all actions that the settings need, except some."""
    return [action for each in role.needed_policy()["Statement"] for action in each["Action"] if action not in but]


def deny(*actions: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": list(actions), "Resource": "*", **more}


def _add(*statements: dict[str, Any]) -> Act:
    return lambda role: role.set_policy(*role.policy["Statement"], *statements)


def _ours(role: BrokenRole) -> dict[str, list[str]]:
    """Return, by service, the resources that a customer lists who means this instance and nothing else."""
    instance_id = role.seeded.instance_arn.rpartition("/")[2]
    return {
        "identitystore": [
            *(f"arn:aws:identitystore:::{kind}/*" for kind in ("user", "group", "membership")),
            f"arn:aws:identitystore::{role.account_id}:identitystore/{role.seeded.identity_store_id}",
        ],
        "sso": [role.seeded.instance_arn, f"arn:aws:sso:::permissionSet/{instance_id}/*", "arn:aws:sso:::account/*"],
    }


def _limit(role: BrokenRole, *resources: str, to: Iterable[str]) -> None:
    """Allow some actions on these resources only."""
    actions = list(to)
    role.remove_actions(*actions)
    role.add_statement({"Effect": "Allow", "Action": actions, "Resource": list(resources)})


def _name_everything(role: BrokenRole) -> None:
    role.more["direct_assignments"] = True
    for service, resources in _ours(role).items():
        actions = [each for each in needed(role, "sso:ListInstances") if each.startswith(f"{service}:")]
        _limit(role, *resources, to=actions)


def _allow_all_but_deny_the_rest(role: BrokenRole) -> None:
    rest = {"Effect": "Deny", "NotAction": needed(role), "Resource": "*"}
    role.set_policy({"Effect": "Allow", "Action": ["*"], "Resource": "*"}, rest)


def _in_two_regions(role: BrokenRole) -> None:
    role.set_policy(*({**each, **GUARDED} for each in role.policy["Statement"]))


def _decrypt_with(*keys: str, action: str = "kms:Decrypt", **more: Any) -> Act:
    statement = {"Effect": "Allow", "Action": [action], "Resource": list(keys), **more}

    def allow(role: BrokenRole) -> None:
        role.encrypt()
        role.add_statement(statement)

    return allow


RIGHT_ROLES: dict[str, tuple[Act, dict[str, Any]]] = {
    "everything on this instance and nothing else": (_name_everything, DIRECTORY),
    "everything allowed, and all but what is needed denied": (_allow_all_but_deny_the_rest, DIRECTORY),
    "reads in two Regions only": (_in_two_regions, {"scopes": (IAM, "dynamodb/tables", "ecs/clusters")}),
    "a Deny outside of two Regions": (_add(deny("*", **NOT_THERE)), {**DIRECTORY, "more": {"change_groups": False}}),
    "exactly the key": (_decrypt_with(KEY_ARN), DIRECTORY),
    "a Deny of what is not needed": (_add(deny("ec2:*", "iam:Pass*")), DIRECTORY),
}
"""No false alarm: they allow what the guide's policy allows."""


def _members_of_some(role: BrokenRole) -> None:
    groups = [f"arn:aws:identitystore:::group/{group_id}" for group_id in role.seeded.groups.values()]
    others = [each for each in _ours(role)["identitystore"] if "group" not in each]
    _limit(role, *groups, *others, to=["identitystore:ListGroupMemberships"])


def _some_permission_sets(role: BrokenRole) -> None:
    sets = list(role.seeded.permission_sets.values())
    _limit(role, *sets, role.seeded.instance_arn, to=["sso:DescribePermissionSet"])


def _everything_but_one(role: BrokenRole) -> None:
    but = {"Effect": "Deny", "NotAction": needed(role, "iam:ListUsers"), "Resource": "*"}
    role.set_policy({"Effect": "Allow", "Action": needed(role), "Resource": "*"}, but)


def _bound_by_aws(name: str) -> Act:
    def bind(role: BrokenRole) -> None:
        arn = f"arn:aws:iam::aws:policy/{name}"
        make_aws_policy_known(role.account_id, arn)
        role.aws.accounts.role(role.role_arn).permissions_boundary_arn = arn

    return bind


def _scp_and_lacking(role: BrokenRole) -> None:
    role.remove_actions("identitystore:ListGroups")
    scp("identitystore:ListGroups")(role)


def _follow_and_lift(role: BrokenRole) -> None:
    report = role.run_test()
    role.apply(next(check for check in report.checks if check.name == "permission:identitystore:ListGroups"))
    remove_scps(role)


def _deny_twice(role: BrokenRole) -> None:
    role.add_statement(deny("iam:ListUsers"))
    role.set_boundary({"Effect": "Allow", "Action": needed(role), "Resource": "*"}, deny("iam:ListU*", "ec2:*"))


def _boundary_without_key(role: BrokenRole) -> None:
    role.encrypt()
    role.add_statement(decrypt_for("identitystore", "sso"))
    role.set_boundary({"Effect": "Allow", "Action": needed(role), "Resource": "*"})


def _deny_key(role: BrokenRole) -> None:
    role.encrypt()
    role.set_policy(*role.policy["Statement"], decrypt_for("identitystore", "sso"), deny("kms:*"))


def _wide_in_one_store(role: BrokenRole) -> None:
    _limit(
        role,
        *_ours(role)["identitystore"],
        to=[each for each in needed(role) if each.startswith("identitystore:")],
    )
    *others, limited = role.policy["Statement"]
    role.set_policy(*others, {**limited, "Action": ["identitystore:*"]})


def _failed(action: str) -> dict[str, str]:
    return {f"permission:{action}": "failed"}


OTHER_KEY = KEY_ARN.replace("0b1d2c3e", "0c1d2c3e")

BROKEN_POLICIES: dict[str, Fault] = {
    "members of some groups only": Fault(
        _members_of_some,
        {"permission:identitystore:ListGroupMemberships": "warning"},
        "AWS answered the call for one resource. The role's own policies allow it on some resources",
        setting=DIRECTORY,
    ),
    "some permission sets only": Fault(
        _some_permission_sets,
        {"permission:sso:DescribePermissionSet": "warning"},
        "AWS answered the call for one resource",
        setting=DIRECTORY,
    ),
    "a Deny of one group's members": Fault(
        lambda role: role.add_statement(
            deny("identitystore:ListGroupMemberships", Resource=["arn:aws:identitystore:::group/none"])
        ),
        {"permission:identitystore:ListGroupMemberships": "warning"},
        "AWS answered the call for one resource",
        setting=DIRECTORY,
    ),
    "a Deny of all but what it names": Fault(
        _everything_but_one, _failed("iam:ListUsers"), "by a Deny statement in the role's own policies"
    ),
    "a Deny with a wildcard": Fault(
        _add(deny("iam:ListU*", "ec2:RunInstances")),
        _failed("iam:ListUsers"),
        "by a Deny statement in the role's own policies",
    ),
    "a Deny under a condition": Fault(
        _add(deny("iam:ListUsers", Condition={"StringEquals": {"aws:RequestedRegion": "us-east-1"}})),
        _failed("iam:ListUsers"),
        "by a Deny statement in the role's own policies",
    ),
    "a Deny of a write under a condition": Fault(
        _add(deny("identitystore:DeleteGroupMembership", Condition={"Bool": {"aws:ViaAWSService": "true"}})),
        {"permission:identitystore:DeleteGroupMembership": "warning"},
        "on some resources or under conditions only",
        setting=DIRECTORY,
    ),
    "a Deny in AWS's own policy": Fault(
        lambda role: role.attach("AWSCompromisedKeyQuarantineV3"),
        _failed("iam:ListUsers"),
        "by a Deny statement in the role's own policies",
    ),
    "two Denies, of the role and of its boundary": Fault(
        _deny_twice, _failed("iam:ListUsers"), "AWS denied it by", setting=TABLES
    ),
    "AWS's own boundary": Fault(
        _bound_by_aws("IAMReadOnlyAccess"),
        _failed("dynamodb:ListTables"),
        "by the role's permissions boundary",
        setting=TABLES,
    ),
    "AWS's own boundary, and a write that is not tried": Fault(
        _bound_by_aws("ReadOnlyAccess"),
        {**_failed("identitystore:CreateGroupMembership"), **_failed("identitystore:DeleteGroupMembership")},
        "The role's own policies do not allow it",
        setting=DIRECTORY,
    ),
    "a service control policy denies what the role lacks, too": Fault(
        _scp_and_lacking,
        _failed("identitystore:ListGroups"),
        "Also, the role's own policies do not allow it.",
        _follow_and_lift,
        setting=DIRECTORY,
    ),
    "another key than the one that is used": Fault(
        _decrypt_with(OTHER_KEY), _failed("kms:Decrypt"), "customer managed key", setting=DIRECTORY
    ),
    "the key in another Region": Fault(
        _decrypt_with("*", Condition={"StringLike": {"kms:ViaService": ["sso.us-*", "identitystore.us-*"]}}),
        {**_failed("kms:Decrypt"), "unneeded-permissions": "warning"},
        "customer managed key",
        setting=DIRECTORY,
    ),
    "the boundary lacks the key": Fault(
        _boundary_without_key, _failed("kms:Decrypt"), "customer managed key", setting=DIRECTORY
    ),
    "a Deny of the key": Fault(_deny_key, _failed("kms:Decrypt"), "customer managed key", setting=DIRECTORY),
    "every key for every service": Fault(
        _decrypt_with("*", Condition={"StringLike": {"kms:ViaService": "*.amazonaws.com"}}),
        {"unneeded-permissions": "warning"},
        "PloyAccess allows kms:Decrypt",
        setting=DIRECTORY,
    ),
    "a wildcard in one store": Fault(
        _wide_in_one_store,
        {"unneeded-permissions": "warning"},
        "PloyAccess allows identitystore:*",
        setting=DIRECTORY,
    ),
}
"""Faults that the test names exactly, and that the printed fix repairs."""
