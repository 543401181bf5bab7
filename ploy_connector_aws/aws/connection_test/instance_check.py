"""Which instance of IAM Identity Center the role sees, and what AWS lets this account do with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from ploy_connector_aws.aws.client.errors import DeniedByOtherPolicyError
from ploy_connector_aws.aws.identity_center.instance import Instance
from ploy_connector_aws.aws.permissions import KMS_DECRYPT
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import Check, PermissionDeniedError, RejectedError

from .checks import failed, skipped
from .directory_probes import LIST_INSTANCES, OF_ADMINISTRATORS, Directory
from .evaluation import OwnRole, evaluate
from .probe import Probed

FIND_INSTANCE = "find-instance"

InstanceKind: TypeAlias = Literal["none", "own", "account", "delegated", "member", "foreign"]
"""'own' is the organization's, in its management account; 'foreign' the organization's, seen from an account of which
it is not known whether it administers it."""

_ORGANIZATIONS = (
    "use the organization's management account, or an account that is a delegated administrator of IAM Identity Center"
)
_LEAVE_OUT = "leave identity-center/permission-sets and identity-center/assignments out of the setting 'scopes'"


def classify_instance(config: AwsConfig, directory: Directory, role: OwnRole | None) -> InstanceKind:
    """Tell what the instance is to this account. AWS does not say it; how it answers does.

    Args:
        config: The integration's settings.
        directory: What was seen.
        role: The role's own policies, where they could be read.
    """
    instance = directory.instance
    if instance is None:
        return "none"
    probed = {action: directory.probed[action] for action in OF_ADMINISTRATORS if action in directory.probed}
    if instance.owner_account_id in (config.account_id, None):
        has_no_sets = any(_is_not_taken(each) for each in probed.values())
        return "account" if instance.is_account_instance or has_no_sets else "own"
    if any(each.is_allowed and each.is_certain for each in probed.values()):
        return "delegated"
    if role is not None and any(
        is_plainly_denied(each) and evaluate(role, action).effect in ("allowed", "partly")
        for action, each in probed.items()
    ):
        return "member"
    return "foreign"


def is_plainly_denied(probed: Probed) -> bool:
    """Whether AWS denied the call and named nothing else than the permission."""
    error = probed.error
    is_denied = isinstance(error, PermissionDeniedError) and not isinstance(error, DeniedByOtherPolicyError)
    return is_denied and not is_about_key(probed)


def is_about_key(probed: Probed) -> bool:
    """Whether it was the encryption key that AWS stumbled over."""
    error = probed.error
    is_denied = isinstance(error, PermissionDeniedError) and error.actions == (KMS_DECRYPT,)
    return is_denied or (isinstance(error, RejectedError) and error.reason == "kms_key_unusable")


def _is_not_taken(probed: Probed) -> bool:
    return isinstance(probed.error, RejectedError) and probed.error.reason == "invalid_request"


def check_instance(config: AwsConfig, directory: Directory, kind: InstanceKind) -> Check:
    """Say which instance was found."""
    found = directory.probed.get(LIST_INSTANCES)
    if found is None:
        return skipped(FIND_INSTANCE, "The settings leave IAM Identity Center out.")
    if isinstance(found.error, PermissionDeniedError):
        return skipped(FIND_INSTANCE, f"Not tried, as {LIST_INSTANCES} is denied.")
    if found.error is not None:
        return failed(FIND_INSTANCE, found.error)
    if directory.instance is None:
        return Check(
            name=FIND_INSTANCE,
            outcome="warning",
            message="The AWS account sees no IAM Identity Center instance in any Region, so there are no people, "
            "groups, permission sets and assignments to read.",
            fix=f"If the organization has one, {_ORGANIZATIONS}; otherwise leave identity-center out of the setting "
            "'scopes'.",
        )
    check = _SAY[kind](config, directory.instance)
    return _with_others(check, directory.instance, is_organizations=kind in ("delegated", "member", "foreign"))


def _with_others(check: Check, instance: Instance, *, is_organizations: bool) -> Check:
    """Name the instances that the role sees besides; without the organization's, another one may be meant."""
    if not instance.not_chosen:
        return check
    message = f"{check.message} Not read: {', '.join(instance.not_chosen)}."
    if is_organizations:
        return check.model_copy(update={"message": message})
    fix = "If another instance is meant, set 'region' to its Region or use the AWS account that it belongs to."
    return check.model_copy(
        update={
            "outcome": "warning" if check.outcome == "passed" else check.outcome,
            "message": message,
            "fix": f"{check.fix} {fix}" if check.fix else fix,
        }
    )


def _own(config: AwsConfig, instance: Instance) -> Check:
    return _passed(f"{_where(config, instance)} It belongs to this AWS account.")


def _account(config: AwsConfig, instance: Instance) -> Check:
    return Check(
        name=FIND_INSTANCE,
        outcome="warning",
        message=f"{_where(config, instance)} It is an account instance, not the organization's: it has people and "
        "groups, but nobody enters an AWS account through it, so there are no permission sets and assignments to read.",
        fix=f"If the organization's instance is meant, {_ORGANIZATIONS}; otherwise {_LEAVE_OUT}.",
    )


def _delegated(config: AwsConfig, instance: Instance) -> Check:
    return _passed(
        f"{_where(config, instance)} It belongs to the organization's management account "
        f"{instance.owner_account_id}, and this account is a delegated administrator of it. Permission sets that are "
        "used in the management account itself cannot be changed from here."
    )


def _member(config: AwsConfig, instance: Instance) -> Check:
    return Check(
        name=FIND_INSTANCE,
        outcome="failed",
        message=f"{_where(config, instance)} It belongs to the organization's management account "
        f"{instance.owner_account_id}, and this account is a member that may only see its people and groups: AWS "
        "denies it permission sets, assignments, and changes of groups, whatever the role's policies allow.",
        fix=f"To read them, {_ORGANIZATIONS}; or {_LEAVE_OUT}.",
    )


def _foreign(config: AwsConfig, instance: Instance) -> Check:
    return _passed(
        f"{_where(config, instance)} It belongs to the organization's management account "
        f"{instance.owner_account_id}. Whether this account is a delegated administrator of it could not be seen."
    )


def _passed(message: str) -> Check:
    return Check(name=FIND_INSTANCE, outcome="passed", message=message)


def _where(config: AwsConfig, instance: Instance) -> str:
    if instance.primary_region == config.region:
        return f"The IAM Identity Center instance {instance.arn} was found in the Region {config.region}."
    return (
        f"IAM Identity Center has its primary Region not in {config.region}, the Region of the settings, but in "
        f"{instance.primary_region}, where it is read (instance {instance.arn})."
    )


_SAY: dict[InstanceKind, Callable[[AwsConfig, Instance], Check]] = {
    "own": _own,
    "account": _account,
    "delegated": _delegated,
    "member": _member,
    "foreign": _foreign,
}
