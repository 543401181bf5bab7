"""The verdict on each action: what its call showed, weighed against what the role's own policies say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ploy_connector_aws.aws.errors import RegionNotEnabled
from ploy_connector_aws.aws.iam.patterns import Pattern, overlaps
from ploy_connector_aws.aws.iam.policies import Condition
from ploy_connector_aws.aws.iam.trust import covers_action
from ploy_connector_aws.aws.permissions import EXPLANATIONS, KMS_DECRYPT, Action, render_statement
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import Check, Failure, PermissionMissing

from .directory import LIST_INSTANCES, OF_ADMINISTRATORS, Directory
from .evaluation import Evaluation, OwnRole, evaluate
from .findings import failed, skipped
from .instance import FIND_INSTANCE, InstanceKind, is_about_key, is_plainly_denied
from .needs import is_needed
from .probes import Probed
from .writes import CREATE, DELETE, RESOURCES

REGION = "region"
KMS_FEATURE = "IAM Identity Center with a key of the customer's own"

_NOT_TRIED = "It was not tried, as that could change something."
_TRIED_ON_NOBODY = "It was tried for a made-up group and user, which are none of those, and AWS denied it."
_NOT_SEEN = "Policies of the organization, and that of an encryption key, cannot be seen."
_KEY_USERS = (Pattern("sso.*.amazonaws.com"), Pattern("identitystore.*.amazonaws.com"))
"""In whose name Identity Center uses a key."""

_EQUALITIES = ("StringEquals", "StringLike")

_PARTLY = "The role's own policies allow it on some resources or under conditions only"


@dataclass(frozen=True)
class Facts:
    """All that was seen, for weighing.

    `role` is None where the role's own policies could not be read, `unread` then says why.
    """

    config: AwsConfig
    probed: Mapping[str, Probed]
    directory: Directory
    kind: InstanceKind
    role: OwnRole | None
    unread: Failure | None = None


def name_of(action: str) -> str:
    """The name of an action's check."""
    return f"permission:{action}"


def check_permission(action: Action, facts: Facts) -> Check:
    """Say whether the role has one permission."""
    name, feature = name_of(action.iam), action.feature
    if not is_needed(action, facts.config):
        return skipped(name, "Not needed, as the settings leave out what it is for.", feature=feature)
    why_not = _why_not_tried(action, facts)
    if why_not is not None:
        return skipped(name, why_not, feature=feature)
    probed = facts.probed.get(action.iam)
    evaluation = evaluate(facts.role, action.iam, RESOURCES.get(action.iam, ("*",))) if facts.role else None
    if probed is None:
        return _judge_evaluation(action, evaluation, facts, _NOT_TRIED)
    if isinstance(probed.error, PermissionMissing):
        return _judge_denial(action, probed.error, evaluation, facts)
    if probed.error is not None:
        return failed(name, probed.error, feature=feature, method="probed")
    if not probed.is_certain and evaluation and evaluation.effect in ("not_allowed", "denied"):
        # AWS may look at what exists before it looks at the permission (AWS.md section 10.2).
        return _judge_evaluation(action, evaluation, facts, probed.seen)
    return Check(name=name, outcome="passed", message=probed.seen, feature=feature, method="probed")


def _why_not_tried(action: Action, facts: Facts) -> str | None:
    """Say what else keeps an action from being judged; the check of that has the fix."""
    is_of_identity_center = action.client in ("identitystore", "sso-admin")
    if is_of_identity_center and action.iam != LIST_INSTANCES and facts.directory.instance is None:
        found = facts.directory.probed.get(LIST_INSTANCES)
        why = f"as {name_of(LIST_INSTANCES)} failed" if found and found.error else "as there is no instance"
        return f"Not tried, {why}."
    probed = facts.probed.get(action.iam, Probed())
    if isinstance(probed.error, RegionNotEnabled):
        return f"AWS did not look at it: see {REGION}."
    if action.iam == LIST_INSTANCES and probed.error and not isinstance(probed.error, PermissionMissing):
        return f"It is not known: see {FIND_INSTANCE}."
    if is_about_key(probed):
        return f"The encryption key kept AWS from answering: see {name_of(KMS_DECRYPT)}."
    if facts.kind == "account" and action.iam in OF_ADMINISTRATORS and probed.error:
        return f"AWS does not have it for an account instance: see {FIND_INSTANCE}."
    return _why_not_as_member(action, probed, facts)


def _why_not_as_member(action: Action, probed: Probed, facts: Facts) -> str | None:
    """AWS denies a plain member account all of these whatever its policies say, so the policies alone are looked at."""
    instance, role = facts.directory.instance, facts.role
    is_of_administrators = action.iam in OF_ADMINISTRATORS or action.access == "write"
    is_of_another = instance is not None and instance.owner_account_id not in (facts.config.account_id, None)
    if not is_of_administrators or not is_of_another or facts.kind == "delegated" or role is None:
        return None
    created = facts.probed.get(CREATE, Probed())
    is_denied = is_plainly_denied(probed) or (action.iam == DELETE and is_plainly_denied(created))
    if not is_denied or evaluate(role, action.iam, RESOURCES.get(action.iam, ("*",))).effect not in (
        "allowed",
        "partly",
    ):
        return None
    return (
        "The role's own policies allow it. AWS denies it all the same, as it does to an account that does not "
        f"administer the organization's instance: see {FIND_INSTANCE}."
    )


def _judge_evaluation(action: Action, evaluation: Evaluation | None, facts: Facts, tried: str) -> Check:
    """Judge by the role's own policies, beside which a sentence says what trying it has shown."""
    name, feature = name_of(action.iam), action.feature
    if evaluation is None:
        why = facts.unread.message if facts.unread else ""
        return skipped(name, f"The role's own policies could not be read, and nothing else tells it. {why}".rstrip())
    if evaluation.effect == "allowed":
        message = f"The role's own policies allow it. {tried} {_NOT_SEEN}"
        return Check(name=name, outcome="passed", message=message, feature=feature, method="evaluated")
    if evaluation.effect == "unknown":
        undecided = facts.role.undecided[0] if facts.role and facts.role.undecided else ""
        message = f"The role's own policies could not be understood, and nothing else tells it. {undecided}"
        return Check(name=name, outcome="warning", message=message, feature=feature, method="evaluated")
    if evaluation.effect == "partly":
        message = f"{_PARTLY}; anywhere else it is denied. {tried} {_NOT_SEEN}"
        fix = f"Leave it if that is meant to be; else add this statement to the role's policy: {_statement(action)}"
        return Check(name=name, outcome="warning", message=message, fix=fix, feature=feature, method="evaluated")
    what = "take it away" if evaluation.effect == "denied" else "do not allow it"
    on = f" on {', '.join(evaluation.lacking)}" if evaluation.lacking else ""
    return Check(
        name=name,
        outcome="failed",
        message=f"The role's own policies {what}{on}. {_without(action)}",
        fix=_fix_of(action, evaluation),
        missing_permissions=(action.iam,),
        feature=feature,
        method="evaluated",
    )


def _judge_denial(action: Action, error: PermissionMissing, evaluation: Evaluation | None, facts: Facts) -> Check:
    """Judge a call that AWS denied: the role's own policies tell where to mend it."""
    effect = evaluation.effect if evaluation else "unknown"
    if action.access == "write" and effect == "partly" and is_plainly_denied(Probed(error=error)):
        return _judge_evaluation(action, evaluation, facts, _TRIED_ON_NOBODY)
    check = failed(name_of(action.iam), error, feature=action.feature, method="probed")
    message, fix = error.message, error.fix
    if evaluation is not None and effect in ("not_allowed", "denied"):
        fix = _fix_of(action, evaluation)
    elif is_plainly_denied(Probed(error=error)) and effect == "allowed":
        message += " The role's own policies allow it, so something else denies it, which AWS does not name."
        fix = (
            "If the policies were changed within the last minute, try again. Otherwise a person who manages the "
            "organization must look whether one of its policies denies it."
        )
    elif is_plainly_denied(Probed(error=error)) and effect == "partly":
        message += f" {_PARTLY}."
        fix = f"Add this statement to the role's policy: {_statement(action)}"
    return check.model_copy(update={"message": f"{message} {_without(action)}", "fix": fix})


def _fix_of(action: Action, evaluation: Evaluation) -> str:
    where = f"the permissions boundary {evaluation.policy}" if evaluation.is_boundary else "the role's policy"
    if evaluation.effect == "denied":
        holder = where if evaluation.is_boundary else f"the role's policy {evaluation.policy}"
        return f"Take {action.iam} out of the Deny statement in {holder}; an Allow cannot outweigh it."
    return f"Add this statement to {where}: {_statement(action)}"


def _statement(action: Action) -> str:
    return render_statement([action.iam])


def _without(action: Action) -> str:
    return f"Without it: {EXPLANATIONS[action.iam].without}"


def _allows_key(role: OwnRole) -> bool:
    """Whether the role's policies allow to decrypt what Identity Center encrypted, as far as conditions tell."""
    effect = evaluate(role, KMS_DECRYPT).effect
    conditions = [
        statement.conditions
        for each in role.policies
        for statement in each.policy.statements
        if statement.is_allow and covers_action(statement, KMS_DECRYPT)
    ]
    return effect == "partly" and all(
        any(all(_lets_through(condition, host) for condition in each) for each in conditions) for host in _KEY_USERS
    )


def _lets_through(condition: Condition, host: Pattern) -> bool:
    is_about_service = condition.key.lower() == "kms:viaservice" and condition.operator in (
        "StringEquals",
        "StringLike",
    )
    return is_about_service and any(overlaps(Pattern(value), host) for value in condition.values)


def check_key(facts: Facts) -> Check:
    """Say whether an encryption key of the customer's own keeps AWS from answering."""
    name = name_of(KMS_DECRYPT)
    of_directory = [probed for action, probed in facts.directory.probed.items() if action != LIST_INSTANCES]
    stumbled = next((probed.error for probed in of_directory if is_about_key(probed)), None)
    if stumbled is None:
        if not any(probed.is_allowed for probed in of_directory):
            return skipped(name, "Not tried, as nothing of IAM Identity Center was answered.", feature=KMS_FEATURE)
        message = "No call was refused for the sake of an encryption key."
        return Check(name=name, outcome="passed", message=message, feature=KMS_FEATURE, method="probed")
    check = failed(name, stumbled, feature=KMS_FEATURE, method="probed")
    if isinstance(stumbled, PermissionMissing) and facts.role:
        statement = render_statement([KMS_DECRYPT])
        is_allowed = evaluate(facts.role, KMS_DECRYPT).effect == "allowed" or _allows_key(facts.role)
        in_key = json.dumps(
            {**json.loads(statement), "Principal": {"AWS": facts.config.role_arn}}, separators=(",", ":")
        )
        fix = (
            f"The role's own policies allow it. Add this statement to the policy of the key: {in_key}"
            if is_allowed
            else f"Add this statement to the role's policy: {statement} If it then still fails, add this one to the "
            f"policy of the key: {in_key}"
        )
        return check.model_copy(update={"fix": fix})
    return check
