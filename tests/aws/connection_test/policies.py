"""Roles whose policies say it in other words: some are in order, and some are broken where it is hard to see."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ploy_connector_aws.config import IAM
from ploy_connector_aws.sandbox.aws.accounts import make_aws_policy_known

from .conftest import KEY_ARN, BrokenRole
from .faults import DIRECTORY, Act, Fault, decrypt_for, lift_scps, scp

GUARDED = {"Condition": {"StringEquals": {"aws:RequestedRegion": ["eu-west-1", "us-east-1"]}}}
NOT_THERE = {"Condition": {"StringNotEquals": {"aws:RequestedRegion": ["eu-west-1", "us-east-1"]}}}
TABLES = {"scopes": (IAM, "dynamodb/tables")}


def needed(patient: BrokenRole, *but: str) -> list[str]:
    """All actions that the settings need, but some."""
    return [action for each in patient.needed_policy()["Statement"] for action in each["Action"] if action not in but]


def deny(*actions: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": list(actions), "Resource": "*", **more}


def _add(*statements: dict[str, Any]) -> Act:
    return lambda patient: patient.set_policy(*patient.policy["Statement"], *statements)


def _ours(patient: BrokenRole) -> dict[str, list[str]]:
    """By the kind of a service, what a customer names who means this instance and nothing else."""
    instance_id = patient.seeded.instance_arn.rpartition("/")[2]
    return {
        "identitystore": [
            *(f"arn:aws:identitystore:::{kind}/*" for kind in ("user", "group", "membership")),
            f"arn:aws:identitystore::{patient.account_id}:identitystore/{patient.seeded.identity_store_id}",
        ],
        "sso": [patient.seeded.instance_arn, f"arn:aws:sso:::permissionSet/{instance_id}/*", "arn:aws:sso:::account/*"],
    }


def _limit(patient: BrokenRole, *resources: str, to: Iterable[str]) -> None:
    """Allow some actions on these resources only."""
    actions = list(to)
    patient.take_away(*actions)
    patient.add_statement({"Effect": "Allow", "Action": actions, "Resource": list(resources)})


def _name_everything(patient: BrokenRole) -> None:
    patient.more["direct_assignments"] = True
    for service, resources in _ours(patient).items():
        actions = [each for each in needed(patient, "sso:ListInstances") if each.startswith(f"{service}:")]
        _limit(patient, *resources, to=actions)


def _allow_all_but_deny_the_rest(patient: BrokenRole) -> None:
    rest = {"Effect": "Deny", "NotAction": needed(patient), "Resource": "*"}
    patient.set_policy({"Effect": "Allow", "Action": ["*"], "Resource": "*"}, rest)


def _in_two_regions(patient: BrokenRole) -> None:
    patient.set_policy(*({**each, **GUARDED} for each in patient.policy["Statement"]))


def _decrypt_with(*keys: str, action: str = "kms:Decrypt", **more: Any) -> Act:
    statement = {"Effect": "Allow", "Action": [action], "Resource": list(keys), **more}

    def allow(patient: BrokenRole) -> None:
        patient.encrypt()
        patient.add_statement(statement)

    return allow


RIGHT_ROLES: dict[str, tuple[Act, dict[str, Any]]] = {
    "everything on this instance and nothing else": (_name_everything, DIRECTORY),
    "everything allowed, and all but what is needed denied": (_allow_all_but_deny_the_rest, DIRECTORY),
    "reads in two Regions only": (_in_two_regions, {"scopes": (IAM, "dynamodb/tables", "ecs/clusters")}),
    "a Deny outside of two Regions": (_add(deny("*", **NOT_THERE)), {**DIRECTORY, "more": {"change_groups": False}}),
    "exactly the key": (_decrypt_with(KEY_ARN), DIRECTORY),
    "a Deny of what is not needed": (_add(deny("ec2:*", "iam:Pass*")), DIRECTORY),
}
"""No false alarm: they say in other words what the guide's policy says."""


def _members_of_some(patient: BrokenRole) -> None:
    groups = [f"arn:aws:identitystore:::group/{group_id}" for group_id in patient.seeded.groups.values()]
    others = [each for each in _ours(patient)["identitystore"] if "group" not in each]
    _limit(patient, *groups, *others, to=["identitystore:ListGroupMemberships"])


def _some_permission_sets(patient: BrokenRole) -> None:
    sets = list(patient.seeded.permission_sets.values())
    _limit(patient, *sets, patient.seeded.instance_arn, to=["sso:DescribePermissionSet"])


def _everything_but_one(patient: BrokenRole) -> None:
    but = {"Effect": "Deny", "NotAction": needed(patient, "iam:ListUsers"), "Resource": "*"}
    patient.set_policy({"Effect": "Allow", "Action": needed(patient), "Resource": "*"}, but)


def _bound_by_aws(name: str) -> Act:
    def bind(patient: BrokenRole) -> None:
        arn = f"arn:aws:iam::aws:policy/{name}"
        make_aws_policy_known(patient.account_id, arn)
        patient.aws.accounts.role(patient.role_arn).permissions_boundary_arn = arn

    return bind


def _scp_and_lacking(patient: BrokenRole) -> None:
    patient.take_away("identitystore:ListGroups")
    scp("identitystore:ListGroups")(patient)


def _follow_and_lift(patient: BrokenRole) -> None:
    report = patient.examine()
    patient.apply(next(check for check in report.checks if check.name == "permission:identitystore:ListGroups"))
    lift_scps(patient)


def _deny_twice(patient: BrokenRole) -> None:
    patient.add_statement(deny("iam:ListUsers"))
    patient.bound_by({"Effect": "Allow", "Action": needed(patient), "Resource": "*"}, deny("iam:ListU*", "ec2:*"))


def _boundary_without_key(patient: BrokenRole) -> None:
    patient.encrypt()
    patient.add_statement(decrypt_for("identitystore", "sso"))
    patient.bound_by({"Effect": "Allow", "Action": needed(patient), "Resource": "*"})


def _deny_key(patient: BrokenRole) -> None:
    patient.encrypt()
    patient.set_policy(*patient.policy["Statement"], decrypt_for("identitystore", "sso"), deny("kms:*"))


def _wide_in_one_store(patient: BrokenRole) -> None:
    _limit(
        patient,
        *_ours(patient)["identitystore"],
        to=[each for each in needed(patient) if each.startswith("identitystore:")],
    )
    *others, limited = patient.policy["Statement"]
    patient.set_policy(*others, {**limited, "Action": ["identitystore:*"]})


def _failed(action: str) -> dict[str, str]:
    return {f"permission:{action}": "failed"}


OTHER_KEY = KEY_ARN.replace("0b1d2c3e", "0c1d2c3e")

BROKEN_POLICIES: dict[str, Fault] = {
    "members of some groups only": Fault(
        _members_of_some,
        {"permission:identitystore:ListGroupMemberships": "warning"},
        "AWS answered the call for one thing. The role's own policies allow it on some resources or under conditions",
        setting=DIRECTORY,
    ),
    "some permission sets only": Fault(
        _some_permission_sets,
        {"permission:sso:DescribePermissionSet": "warning"},
        "AWS answered the call for one thing",
        setting=DIRECTORY,
    ),
    "a Deny of one group's members": Fault(
        lambda patient: patient.add_statement(
            deny("identitystore:ListGroupMemberships", Resource=["arn:aws:identitystore:::group/none"])
        ),
        {"permission:identitystore:ListGroupMemberships": "warning"},
        "AWS answered the call for one thing",
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
        lambda patient: patient.attach("AWSCompromisedKeyQuarantineV3"),
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
    "AWS's own boundary, and a write that nobody tries": Fault(
        _bound_by_aws("ReadOnlyAccess"),
        {**_failed("identitystore:CreateGroupMembership"), **_failed("identitystore:DeleteGroupMembership")},
        "The role's own policies do not allow it",
        setting=DIRECTORY,
    ),
    "a service control policy denies what the role lacks, too": Fault(
        _scp_and_lacking,
        _failed("identitystore:ListGroups"),
        "The role's own policies do not allow it, either.",
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
"""Named exactly, and mended by the fix as it is printed."""
