"""Checks of IAM Identity Center: which instance the role sees, and whether an encryption key prevents its use."""

from __future__ import annotations

import json

from ploy_connector_aws.aws.identity_center.instance import Instance
from ploy_connector_aws.aws.permissions import KMS_DECRYPT, render_statement
from ploy_connector_aws.aws.policy.documents import Condition, Statement
from ploy_connector_aws.aws.policy.patterns import Pattern, covers
from ploy_connector_aws.aws.policy.trust import covers_action
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import Check, PermissionDeniedError
from ploy_connector_aws.spec.reports import CheckOutcome

from .evaluation import evaluate, render_fix
from .evidence import LIST_INSTANCES, Evidence, InstanceKind, OwnRole, check_name, failed, skipped

FIND_INSTANCE = "find-instance"
KMS_FEATURE = "IAM Identity Center with a key of the customer's own"

_ORGANIZATIONS = (
    "use the organization's management account, or an account that is a delegated administrator of IAM Identity Center"
)
_LEAVE_OUT = "leave identity-center/permission-sets and identity-center/assignments out of the setting 'scopes'"

_KEYS = "arn:aws:kms:*:*:key/*"
_KEY_USERS = ("sso", "identitystore")
"""The services of IAM Identity Center that use a key."""

_HOSTS = tuple(Pattern(f"{each}.*.amazonaws.com") for each in _KEY_USERS)
_VIA_SERVICE = "kms:viaservice"


def check_instance(evidence: Evidence) -> Check:
    """Report which instance was found."""
    config, instance = evidence.config, evidence.directory.instance
    found = evidence.directory.results.get(LIST_INSTANCES)
    if found is None:
        return skipped(FIND_INSTANCE, "The settings leave out IAM Identity Center.")
    if isinstance(found.error, PermissionDeniedError):
        return skipped(FIND_INSTANCE, f"Not tried, because {LIST_INSTANCES} is denied.")
    if found.error is not None:
        return failed(FIND_INSTANCE, found.error)
    if instance is None:
        return Check(
            name=FIND_INSTANCE,
            outcome="warning",
            message="The AWS account sees no IAM Identity Center instance in any Region, so there are no people, "
            "groups, permission sets and assignments to read.",
            fix=f"If the organization has one, {_ORGANIZATIONS}; otherwise leave identity-center out of the setting "
            "'scopes'.",
        )
    check = _describe_instance(config, instance, evidence.kind)
    return _with_others(check, instance, is_organizations=evidence.kind in ("delegated", "member", "foreign"))


def _describe_instance(config: AwsConfig, instance: Instance, kind: InstanceKind) -> Check:
    owned = f"It belongs to the organization's management account {instance.owner_account_id}"
    outcome: CheckOutcome = "passed"
    fix = None
    match kind:
        case "account":
            outcome = "warning"
            meaning = (
                "It is an account instance, not the organization's: it has people and groups, but it gives no access "
                "to AWS accounts, so there are no permission sets and assignments to read."
            )
            fix = f"If the organization's instance is meant, {_ORGANIZATIONS}; otherwise {_LEAVE_OUT}."
        case "delegated":
            meaning = (
                f"{owned}, and this account is a delegated administrator of it. Permission sets that are used in the "
                "management account itself cannot be changed from here."
            )
        case "member":
            outcome = "failed"
            meaning = (
                f"{owned}, and this account is a member that may only see its people and groups: AWS denies it "
                "permission sets, assignments, and changes of groups, whatever the role's policies allow."
            )
            fix = f"To read them, {_ORGANIZATIONS}; or {_LEAVE_OUT}."
        case "foreign":
            meaning = f"{owned}. The probes did not show whether this account is a delegated administrator of it."
        case _:
            meaning = "It belongs to this AWS account."
    return Check(name=FIND_INSTANCE, outcome=outcome, message=f"{_where(config, instance)} {meaning}", fix=fix)


def _where(config: AwsConfig, instance: Instance) -> str:
    if instance.primary_region == config.region:
        return f"The IAM Identity Center instance {instance.arn} was found in the Region {config.region}."
    return (
        f"IAM Identity Center has its primary Region not in {config.region}, the Region of the settings, but in "
        f"{instance.primary_region}; the connector reads it there (instance {instance.arn})."
    )


def _with_others(check: Check, instance: Instance, *, is_organizations: bool) -> Check:
    """Name the other instances that the role sees; unless the chosen one is the organization's, one may be meant."""
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


def check_key(evidence: Evidence) -> Check:
    """Report whether an encryption key of the customer's own keeps AWS from answering."""
    name, role = check_name(KMS_DECRYPT), evidence.role
    results = [result for action, result in evidence.directory.results.items() if action != LIST_INSTANCES]
    error = next((result.error for result in results if result.is_about_key), None)
    if error is None:
        if not any(result.is_allowed for result in results):
            message = "Not tried, because AWS answered no call of IAM Identity Center."
            return skipped(name, message, feature=KMS_FEATURE)
        message = "No call was denied because of an encryption key."
        return Check(name=name, outcome="passed", message=message, feature=KMS_FEATURE, method="probed")
    check = failed(name, error, feature=KMS_FEATURE, method="probed")
    if not isinstance(error, PermissionDeniedError) or role is None or role.unsupported:
        return check
    return check.model_copy(update={"fix": _render_key_fix(evidence, role)})


def _render_key_fix(evidence: Evidence, role: OwnRole) -> str:
    config, instance = evidence.config, evidence.directory.instance
    statement = json.loads(render_statement([KMS_DECRYPT]))
    in_key = json.dumps({**statement, "Principal": {"AWS": config.role_arn}}, separators=(",", ":"))
    evaluation = evaluate(role, KMS_DECRYPT, (_KEYS,))
    region = instance.primary_region if instance else config.region
    if evaluation.effect == "allowed" or (not evaluation.denials and _allows_identity_center(role, region)):
        return f"The role's own policies allow it. Add this statement to the policy of the key: {in_key}"
    first = render_fix(KMS_DECRYPT, evaluation, role, config)
    return f"{first} If it then still fails, add this one to the policy of the key: {in_key}"


def _allows_identity_center(role: OwnRole, region: str) -> bool:
    """Whether the role's policies, and its boundary, let Identity Center use every key, as far as conditions show."""
    hosts = [Pattern(f"{each}.{region}.amazonaws.com") for each in _KEY_USERS]
    layers = (role.policies, *([(role.boundary,)] if role.boundary else []))
    return all(
        any(
            _allows_host(statement, host)
            for each in layer
            for statement in each.policy.statements
            if statement.is_allow and covers_action(statement, KMS_DECRYPT)
        )
        for layer in layers
        for host in hosts
    )


def _allows_host(statement: Statement, host: Pattern) -> bool:
    resources = statement.resources
    is_every_key = (
        resources is not None
        and not resources.is_negated
        and any(covers(Pattern(text), Pattern(_KEYS)) for text in resources.texts)
    )
    return is_every_key and all(
        _is_via_service(each) and any(covers(Pattern(value), host) for value in each.values)
        for each in statement.conditions
    )


def is_for_key(statement: Statement) -> bool:
    """Whether a statement allows only to decrypt what Identity Center encrypted, or only with one key."""
    actions = statement.actions
    if actions.is_negated or {text.lower() for text in actions.texts} != {KMS_DECRYPT.lower()}:
        return False
    resources = statement.resources.texts if statement.resources and not statement.resources.is_negated else ()
    is_one_key = len(resources) == 1 and ":key/" in resources[0] and not {"*", "?"} & set(resources[0])
    return is_one_key or any(
        _is_via_service(condition)
        and all(any(covers(host, Pattern(value)) for host in _HOSTS) for value in condition.values)
        for condition in statement.conditions
    )


def _is_via_service(condition: Condition) -> bool:
    """Whether a condition limits the services through which a key is used, and fails for use through none."""
    return (
        condition.key.lower() == _VIA_SERVICE
        and condition.operator in ("StringEquals", "StringEqualsIgnoreCase", "StringLike")
        and not condition.if_exists
        and condition.quantifier != "ForAllValues"
    )
