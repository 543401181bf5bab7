"""The verdict on each action: what its call showed, weighed against what the role's own policies say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ploy_connector_aws.aws.client.errors import DeniedByOrganizationError, RegionNotEnabledError
from ploy_connector_aws.aws.permissions import EXPLANATIONS, KMS_DECRYPT, Action
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import Check, Failure, PermissionDeniedError

from .checks import failed, skipped
from .directory_probes import LIST_INSTANCES, OF_ADMINISTRATORS, Directory
from .evaluation import Evaluation, OwnRole, evaluate
from .fixes import render_fix
from .instance_check import FIND_INSTANCE, InstanceKind, is_about_key, is_plainly_denied
from .probe import Probed
from .required import SELF_READ, is_needed
from .resources import is_of_resources, resources_of
from .trust_policy_check import TRUST_POLICY
from .write_probes import CREATE, DELETE

REGION = "region"

_NOT_TRIED = "It was not tried, as that could change something."
_TRIED_ON_NOBODY = "It was tried for a made-up group and user, which are none of those, and AWS denied it."
_NOT_SEEN = "Policies of the organization, and that of an encryption key, cannot be seen."
_PARTLY = "The role's own policies allow it on some resources or under conditions only"
_IF_MEANT = "Leave it if that is meant to be. Else:"


@dataclass(frozen=True)
class Evidence:
    """All that was seen, for weighing.

    `role` is None where the role's own policies could not be read, `unread` then says why.
    """

    config: AwsConfig
    probed: Mapping[str, Probed]
    directory: Directory
    kind: InstanceKind
    role: OwnRole | None
    unread: Failure | None = None

    @property
    def fix_of_unread(self) -> str:
        """What lets the role's own policies be read."""
        of_permission = self.unread.fix if self.unread and self.unread.missing_permissions else None
        return of_permission or "Test the connection again."


def name_of(action: str) -> str:
    """The name of an action's check."""
    return f"permission:{action}"


def check_permission(action: Action, facts: Evidence) -> Check:
    """Say whether the role has one permission."""
    name, feature = name_of(action.iam), action.feature
    if not is_needed(action, facts.config):
        why = f", but for reading the role itself: see {TRUST_POLICY}" if action.iam == SELF_READ else ""
        return skipped(name, f"Not needed, as the settings leave out what it is for{why}.", feature=feature)
    why_not = _why_not_tried(action, facts)
    if why_not is not None:
        return skipped(name, why_not, feature=feature)
    probed = facts.probed.get(action.iam)
    evaluation = _evaluate(action, facts)
    if probed is None:
        return _judge_evaluation(action, evaluation, facts, _NOT_TRIED)
    if isinstance(probed.error, PermissionDeniedError):
        return _judge_denial(action, probed.error, evaluation, facts)
    if probed.error is not None:
        return failed(name, probed.error, feature=feature, method="probed")
    # AWS may look at what exists before it looks at the permission (AWS.md section 10.2).
    if not probed.is_certain and evaluation and evaluation.effect in ("not_allowed", "denied"):
        return _judge_evaluation(action, evaluation, facts, probed.seen)
    if not probed.is_certain and action.access == "write" and (evaluation is None or evaluation.effect == "unknown"):
        return _judge_unproven(action, probed, facts)
    if is_of_resources(action.iam):
        answered = _evaluate(action, facts, was_answered=True)
        if answered and answered.effect not in ("allowed", "unknown"):
            return _judge_answer(action, answered, facts)
    return Check(name=name, outcome="passed", message=probed.seen, feature=feature, method="probed")


def _evaluate(action: Action, facts: Evidence, *, was_answered: bool = False) -> Evaluation | None:
    if facts.role is None:
        return None
    resources = resources_of(action.iam, facts.config, facts.directory.instance)
    return evaluate(facts.role, action.iam, resources, was_answered=was_answered)


def _why_not_tried(action: Action, facts: Evidence) -> str | None:
    """Say what else keeps an action from being judged; the check of that has the fix."""
    is_of_identity_center = action.client in ("identitystore", "sso-admin")
    if is_of_identity_center and action.iam != LIST_INSTANCES and facts.directory.instance is None:
        found = facts.directory.probed.get(LIST_INSTANCES)
        why = f"as {name_of(LIST_INSTANCES)} failed" if found and found.error else "as there is no instance"
        return f"Not tried, {why}."
    probed = facts.probed.get(action.iam, Probed())
    if isinstance(probed.error, RegionNotEnabledError):
        return f"AWS did not look at it: see {REGION}."
    if action.iam == LIST_INSTANCES and probed.error and not isinstance(probed.error, PermissionDeniedError):
        return f"It is not known: see {FIND_INSTANCE}."
    if is_about_key(probed):
        return f"The encryption key kept AWS from answering: see {name_of(KMS_DECRYPT)}."
    if facts.kind == "account" and action.iam in OF_ADMINISTRATORS and probed.error:
        return f"AWS does not have it for an account instance: see {FIND_INSTANCE}."
    return _why_not_as_member(action, probed, facts)


def _why_not_as_member(action: Action, probed: Probed, facts: Evidence) -> str | None:
    """AWS denies a plain member account all of these whatever its policies say, so the policies alone are looked at."""
    instance = facts.directory.instance
    is_of_administrators = action.iam in OF_ADMINISTRATORS or action.access == "write"
    is_of_another = instance is not None and instance.owner_account_id not in (facts.config.account_id, None)
    if not is_of_administrators or not is_of_another or facts.kind == "delegated":
        return None
    created = facts.probed.get(CREATE, Probed())
    is_denied = is_plainly_denied(probed) or (action.iam == DELETE and is_plainly_denied(created))
    evaluation = _evaluate(action, facts)
    if not is_denied or evaluation is None or evaluation.effect not in ("allowed", "partly"):
        return None
    return (
        "The role's own policies allow it. AWS denies it all the same, as it does to an account that does not "
        f"administer the organization's instance: see {FIND_INSTANCE}."
    )


def _judge_evaluation(action: Action, evaluation: Evaluation | None, facts: Evidence, tried: str) -> Check:
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
        fix = f"{_IF_MEANT} {_fix_of(action, evaluation, facts)}"
        return Check(name=name, outcome="warning", message=message, fix=fix, feature=feature, method="evaluated")
    return Check(
        name=name,
        outcome="failed",
        message=f"The role's own policies {_verb(evaluation)}. {_without(action)}",
        fix=_fix_of(action, evaluation, facts),
        missing_permissions=(action.iam,),
        feature=feature,
        method="evaluated",
    )


def _judge_unproven(action: Action, probed: Probed, facts: Evidence) -> Check:
    """Judge a write that was asked for of what does not exist, where the role's own policies tell nothing of it."""
    if facts.role is None:
        lost, why, fix = "read", facts.unread.message if facts.unread else "", facts.fix_of_unread
    else:
        names = ", ".join(each.name for each in facts.role.held if each.policy.unsupported)
        lost, why = "understood", facts.role.undecided[0]
        fix = f"Look at the policies that could not be understood ({names}), mend them, and test the connection again."
    message = (
        f"{probed.seen} That does not prove the permission, as AWS may look at what exists first, and the role's own "
        f"policies could not be {lost}. {why}"
    )
    return Check(name=name_of(action.iam), outcome="warning", message=message.rstrip(), fix=fix, feature=action.feature)


def _judge_denial(
    action: Action, error: PermissionDeniedError, evaluation: Evaluation | None, facts: Evidence
) -> Check:
    """Judge a call that AWS denied: the role's own policies tell where to mend it."""
    effect = evaluation.effect if evaluation else "unknown"
    if action.access == "write" and effect == "partly" and is_plainly_denied(Probed(error=error)):
        return _judge_evaluation(action, evaluation, facts, _TRIED_ON_NOBODY)
    check = failed(name_of(action.iam), error, feature=action.feature, method="probed")
    message, fix = error.message, error.fix
    if evaluation is not None and effect in ("not_allowed", "denied"):
        fix = _fix_of(action, evaluation, facts)
        if isinstance(error, DeniedByOrganizationError):
            message += f" The role's own policies {_verb(evaluation)}, either."
            fix = f"{fix} Besides: {error.fix}"
    elif is_plainly_denied(Probed(error=error)) and effect == "allowed":
        message += " The role's own policies allow it, so something else denies it, which AWS does not name."
        fix = (
            "If the policies were changed within the last minute, try again. Otherwise a person who manages the "
            "organization must look whether one of its policies denies it."
        )
    elif evaluation is not None and effect == "partly" and not isinstance(error, DeniedByOrganizationError):
        message += f" {_PARTLY}."
        fix = _fix_of(action, evaluation, facts)
    return check.model_copy(update={"message": f"{message} {_without(action)}", "fix": fix})


def _judge_answer(action: Action, evaluation: Evaluation, facts: Evidence) -> Check:
    """Judge a call that AWS answered on one thing, where the role's own policies do not allow it on all."""
    message = (
        f"AWS answered the call for one thing. {_PARTLY}; for anything else it is denied."
        if evaluation.effect == "partly"
        else f"AWS answered the call for one thing, but the role's own policies {_verb(evaluation)}. They may have "
        "been changed just now."
    )
    return Check(
        name=name_of(action.iam),
        outcome="warning",
        message=f"{message} {_without(action)}",
        fix=f"{_IF_MEANT} {_fix_of(action, evaluation, facts)}",
        feature=action.feature,
        method="evaluated",
    )


def _verb(evaluation: Evaluation) -> str:
    if evaluation.effect == "denied":
        return "take it away"
    lacking = evaluation.lacking if evaluation.is_short else evaluation.boundary_lacking
    return f"do not allow it on {', '.join(lacking)}" if lacking else "do not allow it"


def _fix_of(action: Action, evaluation: Evaluation, facts: Evidence) -> str | None:
    return render_fix(action.iam, evaluation, facts.role, facts.config) if facts.role else None


def _without(action: Action) -> str:
    return f"Without it: {EXPLANATIONS[action.iam].impact_if_missing}"
