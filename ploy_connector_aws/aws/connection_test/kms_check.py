"""The customer's own key, with which IAM Identity Center may be encrypted: whether it is used, and who may use it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from ploy_connector_aws.aws.permissions import KMS_DECRYPT, render_statement
from ploy_connector_aws.aws.policy.documents import Condition, Statement
from ploy_connector_aws.aws.policy.patterns import Pattern, covers
from ploy_connector_aws.aws.policy.trust import covers_action
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import Check, PermissionDeniedError

from .checks import failed, skipped
from .directory_probes import LIST_INSTANCES, Directory
from .evaluation import OwnRole, evaluate
from .fixes import render_fix
from .instance_check import is_about_key

KMS_FEATURE = "IAM Identity Center with a key of the customer's own"

_KEYS = "arn:aws:kms:*:*:key/*"
_USERS = ("sso", "identitystore")
_HOSTS = tuple(Pattern(f"{each}.*.amazonaws.com") for each in _USERS)
"""In whose name Identity Center uses a key."""

_VIA_SERVICE = "kms:viaservice"
_VIA_IDENTITY_CENTER = Condition(
    operator="StringLike",
    quantifier=None,
    if_exists=False,
    key="kms:ViaService",
    values=tuple(host.text for host in _HOSTS),
    value_count=len(_HOSTS),
    has_wildcard=True,
    matches_anything=False,
)


def check_key(name: str, directory: Directory, role: OwnRole | None, config: AwsConfig) -> Check:
    """Say whether an encryption key of the customer's own keeps AWS from answering.

    Args:
        name: The check's name.
        directory: What was seen of IAM Identity Center.
        role: The role's own policies, where they could be read.
        config: The integration's settings.
    """
    of_directory = [probed for action, probed in directory.probed.items() if action != LIST_INSTANCES]
    stumbled = next((probed.error for probed in of_directory if is_about_key(probed)), None)
    if stumbled is None:
        if not any(probed.is_allowed for probed in of_directory):
            return skipped(name, "Not tried, as nothing of IAM Identity Center was answered.", feature=KMS_FEATURE)
        message = "No call was refused for the sake of an encryption key."
        return Check(name=name, outcome="passed", message=message, feature=KMS_FEATURE, method="probed")
    check = failed(name, stumbled, feature=KMS_FEATURE, method="probed")
    if not isinstance(stumbled, PermissionDeniedError) or role is None or role.undecided:
        return check
    return check.model_copy(update={"fix": _render_fix(directory, role, config)})


def is_for_key(statement: Statement) -> bool:
    """Whether a statement allows to decrypt what Identity Center encrypted, or with one key, and nothing else."""
    actions = statement.actions
    if actions.is_negated or {text.lower() for text in actions.texts} != {KMS_DECRYPT.lower()}:
        return False
    resources = statement.resources.texts if statement.resources and not statement.resources.is_negated else ()
    is_one_key = len(resources) == 1 and ":key/" in resources[0] and not {"*", "?"} & set(resources[0])
    return is_one_key or any(map(_is_via_identity_center, statement.conditions))


def via_identity_center(conditions: Iterable[Condition]) -> tuple[Condition, ...] | None:
    """Narrow conditions so that nobody meets them who does not come by way of Identity Center; None if nobody does."""
    found = [each for each in conditions if _is_via_service(each)]
    for each in found:
        hosts = [host.text for host in _HOSTS if any(covers(Pattern(value), host) for value in each.values)]
        within = [value for value in each.values if any(covers(host, Pattern(value)) for host in _HOSTS)]
        if not hosts and not within:
            return None
        narrowed = replace(each, values=tuple(dict.fromkeys([*hosts, *within])))
        conditions = [narrowed if other is each else other for other in conditions]
    return (*conditions, *(() if found else (_VIA_IDENTITY_CENTER,)))


def _is_via_identity_center(condition: Condition) -> bool:
    """Whether a condition keeps everybody away from a key who does not come by way of Identity Center."""
    return _is_via_service(condition) and all(
        any(covers(host, Pattern(value)) for host in _HOSTS) for value in condition.values
    )


def _is_via_service(condition: Condition) -> bool:
    """Whether a condition asks by way of which service a key is used, and is not met where it is by none."""
    return (
        condition.key.lower() == _VIA_SERVICE
        and condition.operator in ("StringEquals", "StringEqualsIgnoreCase", "StringLike")
        and not condition.if_exists
        and condition.quantifier != "ForAllValues"
    )


def _render_fix(directory: Directory, role: OwnRole, config: AwsConfig) -> str:
    statement = json.loads(render_statement([KMS_DECRYPT]))
    in_key = json.dumps({**statement, "Principal": {"AWS": config.role_arn}}, separators=(",", ":"))
    evaluation = evaluate(role, KMS_DECRYPT, (_KEYS,))
    region = directory.instance.primary_region if directory.instance else config.region
    if evaluation.effect == "allowed" or (not evaluation.denials and _lets_identity_center(role, region)):
        return f"The role's own policies allow it. Add this statement to the policy of the key: {in_key}"
    first = render_fix(KMS_DECRYPT, evaluation, role, config)
    return f"{first} If it then still fails, add this one to the policy of the key: {in_key}"


def _lets_identity_center(role: OwnRole, region: str) -> bool:
    """Whether the role's policies, and its boundary, allow every key to Identity Center, as far as conditions tell."""
    hosts = [Pattern(f"{each}.{region}.amazonaws.com") for each in _USERS]
    layers = (role.policies, *([(role.boundary,)] if role.boundary else []))
    return all(
        any(
            _lets_through(statement, host)
            for each in layer
            for statement in each.policy.statements
            if statement.is_allow and covers_action(statement, KMS_DECRYPT)
        )
        for layer in layers
        for host in hosts
    )


def _lets_through(statement: Statement, host: Pattern) -> bool:
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
