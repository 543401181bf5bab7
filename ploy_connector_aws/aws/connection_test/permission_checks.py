"""Checks of each permission, from its call and the role's own policies, and of the Region of the settings."""

from __future__ import annotations

from ploy_connector_aws.aws.account_names import ORGANIZATIONS_REGION
from ploy_connector_aws.aws.client.errors import DeniedByOrganizationError, RegionNotEnabledError
from ploy_connector_aws.aws.permissions import ACCOUNT_NAMES, EXPLANATIONS, KMS_DECRYPT, Action
from ploy_connector_aws.spec import Check, PermissionDeniedError
from ploy_connector_aws.spec.reports import CheckOutcome

from .evaluation import Evaluation, evaluate, has_resources, is_needed, listed_actions, render_fix, resources_of
from .evidence import (
    CREATE,
    DELETE,
    LIST_INSTANCES,
    OF_ADMINISTRATORS,
    SELF_READ,
    Evidence,
    ProbeResult,
    check_name,
    failed,
    skipped,
)
from .instance_checks import FIND_INSTANCE
from .probes import IAM_REGION
from .trust_policy_check import TRUST_POLICY

REGION = "region"

OF_DIRECTORY = frozenset({"identitystore", "sso-admin"})
"""The clients of IAM Identity Center, which one probe covers."""

_NOT_TRIED = "It was not tried, because the call could change something."
_TRIED_ON_MADE_UP = "It was tried for a made-up group and user, which are none of those, and AWS denied it."
_NOT_VISIBLE = "Policies of the organization, and that of an encryption key, are not visible."
_PARTLY = "The role's own policies allow it on some resources or under conditions only"
_IF_INTENDED = "Leave it if this is intended. Otherwise:"


def check_permission(action: Action, evidence: Evidence) -> Check:
    """Report whether the role has one permission. One that only adds names is never a reason not to use the role."""
    check = _check_permission(action, evidence)
    if action in ACCOUNT_NAMES and check.outcome == "failed":
        return check.model_copy(update={"outcome": "warning"})
    return check


def _check_permission(action: Action, evidence: Evidence) -> Check:
    name, feature = check_name(action.iam), action.feature
    if not is_needed(action, evidence.config):
        why = f", except for reading the role itself: see {TRUST_POLICY}" if action.iam == SELF_READ else ""
        return skipped(name, f"Not needed: the settings leave out what it is for{why}.", feature=feature)
    reason = _skip_reason(action, evidence)
    if reason is not None:
        return skipped(name, reason, feature=feature)
    result = evidence.results.get(action.iam)
    evaluation = _evaluate(action, evidence)
    if result is None:
        return _from_evaluation(action, evaluation, evidence, _NOT_TRIED)
    if isinstance(result.error, PermissionDeniedError):
        return _from_denial(action, result.error, evaluation, evidence)
    if result.error is not None:
        return failed(name, result.error, feature=feature, method="probed")
    # AWS may check the existence before the permission (AWS.md section 10.2).
    if not result.is_certain and evaluation and evaluation.effect in ("not_allowed", "denied"):
        return _from_evaluation(action, evaluation, evidence, result.message)
    if not result.is_certain and action.access == "write" and (evaluation is None or evaluation.effect == "unknown"):
        return _unproven(action, result, evidence)
    if has_resources(action.iam):
        answered = _evaluate(action, evidence, was_answered=True)
        if answered and answered.effect not in ("allowed", "unknown"):
            return _from_answer(action, answered, evidence)
    return Check(name=name, outcome="passed", message=result.message, feature=feature, method="probed")


def _evaluate(action: Action, evidence: Evidence, *, was_answered: bool = False) -> Evaluation | None:
    if evidence.role is None:
        return None
    resources = resources_of(action.iam, evidence.config, evidence.directory.instance)
    return evaluate(evidence.role, action.iam, resources, was_answered=was_answered)


def _skip_reason(action: Action, evidence: Evidence) -> str | None:
    """Return what else keeps an action from being checked; the check of that has the fix."""
    is_of_identity_center = action.client in OF_DIRECTORY
    if is_of_identity_center and action.iam != LIST_INSTANCES and evidence.directory.instance is None:
        found = evidence.directory.results.get(LIST_INSTANCES)
        reason = f"{check_name(LIST_INSTANCES)} failed" if found and found.error else "there is no instance"
        return f"Not tried, because {reason}."
    result = evidence.results.get(action.iam, ProbeResult())
    if isinstance(result.error, RegionNotEnabledError):
        return f"AWS did not check it: see {REGION}."
    if action.iam == LIST_INSTANCES and result.error and not isinstance(result.error, PermissionDeniedError):
        return f"Unknown: see {FIND_INSTANCE}."
    if result.is_about_key:
        return f"The encryption key kept AWS from answering: see {check_name(KMS_DECRYPT)}."
    if evidence.kind == "account" and action.iam in OF_ADMINISTRATORS and result.error:
        return f"AWS does not offer it for an account instance: see {FIND_INSTANCE}."
    return _member_skip_reason(action, result, evidence)


def _member_skip_reason(action: Action, result: ProbeResult, evidence: Evidence) -> str | None:
    """AWS denies all of these to a plain member account whatever its policies allow, so only the policies count."""
    instance = evidence.directory.instance
    is_of_administrators = action.iam in OF_ADMINISTRATORS or action.access == "write"
    is_of_another = instance is not None and instance.owner_account_id not in (evidence.config.account_id, None)
    if not is_of_administrators or not is_of_another or evidence.kind == "delegated":
        return None
    created = evidence.results.get(CREATE, ProbeResult())
    is_denied = result.is_plainly_denied or (action.iam == DELETE and created.is_plainly_denied)
    evaluation = _evaluate(action, evidence)
    if not is_denied or evaluation is None or evaluation.effect not in ("allowed", "partly"):
        return None
    return (
        "The role's own policies allow it. AWS still denies it, as it does to every account that does not administer "
        f"the organization's instance: see {FIND_INSTANCE}."
    )


def _from_evaluation(action: Action, evaluation: Evaluation | None, evidence: Evidence, tried: str) -> Check:
    """Decide by the role's own policies; `tried` is the message about what the call showed."""
    if evaluation is None:
        message = f"The role's own policies could not be read, and nothing else shows it. {evidence.read_problem}"
        return skipped(check_name(action.iam), message.rstrip())
    if evaluation.effect == "allowed":
        return _evaluated(action, "passed", f"The role's own policies allow it. {tried} {_NOT_VISIBLE}")
    if evaluation.effect == "unknown":
        undecided = evidence.role.unsupported[0] if evidence.role and evidence.role.unsupported else ""
        message = f"The role's own policies could not be understood, and nothing else shows it. {undecided}"
        return _evaluated(action, "warning", message)
    fix = _fix_of(action, evaluation, evidence)
    if evaluation.effect == "partly":
        message = f"{_PARTLY}; elsewhere it is denied. {tried} {_NOT_VISIBLE}"
        return _evaluated(action, "warning", message, f"{_IF_INTENDED} {fix}")
    message = f"The role's own policies {_describe_lack(evaluation)}. {_impact(action)}"
    return _evaluated(action, "failed", message, fix).model_copy(update={"missing_permissions": (action.iam,)})


def _evaluated(action: Action, outcome: CheckOutcome, message: str, fix: str | None = None) -> Check:
    name = check_name(action.iam)
    return Check(name=name, outcome=outcome, message=message, fix=fix, feature=action.feature, method="evaluated")


def _unproven(action: Action, result: ProbeResult, evidence: Evidence) -> Check:
    """Report a write that was tried on what does not exist, if the role's own policies show nothing about it."""
    if evidence.role is None:
        problem, reason, fix = "read", evidence.read_problem, evidence.read_fix
    else:
        names = ", ".join(each.name for each in evidence.role.all_policies if each.policy.unsupported)
        problem, reason = "understood", evidence.role.unsupported[0]
        fix = f"Correct the policies that could not be understood ({names}), and test the connection again."
    message = (
        f"{result.message} That does not prove the permission, because AWS may check the existence first, and the "
        f"role's own policies could not be {problem}. {reason}"
    )
    name = check_name(action.iam)
    return Check(name=name, outcome="warning", message=message.rstrip(), fix=fix, feature=action.feature)


def _from_denial(
    action: Action, error: PermissionDeniedError, evaluation: Evaluation | None, evidence: Evidence
) -> Check:
    """Report a call that AWS denied; the role's own policies show what to change."""
    effect = evaluation.effect if evaluation else "unknown"
    is_plain = ProbeResult(error=error).is_plainly_denied
    if action.access == "write" and effect == "partly" and is_plain:
        return _from_evaluation(action, evaluation, evidence, _TRIED_ON_MADE_UP)
    check = failed(check_name(action.iam), error, feature=action.feature, method="probed")
    message, fix = error.message, error.fix
    if evaluation is not None and effect in ("not_allowed", "denied"):
        fix = _fix_of(action, evaluation, evidence)
        if isinstance(error, DeniedByOrganizationError):
            message += f" Also, the role's own policies {_describe_lack(evaluation)}."
            fix = f"{fix} Besides: {error.fix}"
    elif is_plain and effect == "allowed":
        message += " The role's own policies allow it, so something else denies it, which AWS does not name."
        fix = (
            "If the policies were changed within the last minute, try again. Otherwise ask a person who manages the "
            "organization whether one of its policies denies it."
        )
    elif evaluation is not None and effect == "partly" and not isinstance(error, DeniedByOrganizationError):
        message += f" {_PARTLY}."
        fix = _fix_of(action, evaluation, evidence)
    return check.model_copy(update={"message": f"{message} {_impact(action)}", "fix": fix})


def _from_answer(action: Action, evaluation: Evaluation, evidence: Evidence) -> Check:
    """Report a call that AWS answered for one resource, if the role's own policies do not allow it for all."""
    message = (
        f"AWS answered the call for one resource. {_PARTLY}; for any other it is denied."
        if evaluation.effect == "partly"
        else f"AWS answered the call for one resource, but the role's own policies {_describe_lack(evaluation)}. They "
        "may have been changed just now."
    )
    fix = f"{_IF_INTENDED} {_fix_of(action, evaluation, evidence)}"
    return _evaluated(action, "warning", f"{message} {_impact(action)}", fix)


def _describe_lack(evaluation: Evaluation) -> str:
    if evaluation.effect == "denied":
        return "deny it"
    missing = evaluation.missing_resources if evaluation.lacks_allow else evaluation.boundary_missing_resources
    return f"do not allow it on {', '.join(missing)}" if missing else "do not allow it"


def _fix_of(action: Action, evaluation: Evaluation, evidence: Evidence) -> str | None:
    return render_fix(action.iam, evaluation, evidence.role, evidence.config) if evidence.role else None


def _impact(action: Action) -> str:
    return f"Without it: {EXPLANATIONS[action.iam].impact_if_missing}"


def check_region(evidence: Evidence) -> Check:
    """Report whether AWS knows the role's sessions in the Region of the settings.

    AWS gives the same answer in a Region that is not enabled and for sessions that were revoked; its answers in other
    Regions show which of the two it is.
    """
    region = evidence.config.region
    error = next(
        (each.error for each in evidence.results.values() if isinstance(each.error, RegionNotEnabledError)), None
    )
    if error is None:
        tried = _results_in(region, evidence)
        # AWS may throttle, or fail, before it verifies the session: only these two prove that it knows the session.
        if any(each.error is None or isinstance(each.error, PermissionDeniedError) for each in tried):
            message = f"AWS knows the role's sessions in {region}, the Region of the settings."
            return Check(name=REGION, outcome="passed", message=message, method="probed")
        reason = "AWS answered no call there" if tried else "nothing is read there"
        return skipped(REGION, f"Unknown whether AWS knows the role's sessions in {region}, because {reason}.")
    is_everywhere = all(isinstance(each.error, RegionNotEnabledError) for each in evidence.results.values())
    if is_everywhere and evidence.role is None:
        return failed(REGION, error)
    return Check(
        name=REGION,
        outcome="failed",
        message=f"AWS does not know the role's sessions in {region}, the Region of the settings, but does elsewhere: "
        "the Region is not enabled for the AWS account.",
        fix=f"Enable {region} for the AWS account, or name an enabled Region in the settings.",
        request_id=error.request_id,
        method="probed",
    )


def _results_in(region: str, evidence: Evidence) -> list[ProbeResult]:
    """Return the results of the calls to a Region. IAM and IAM Identity Center are called in Regions of their own."""
    instance = evidence.directory.instance
    of_directory = instance.primary_region if instance else None
    elsewhere = {"iam": IAM_REGION, "organizations": ORGANIZATIONS_REGION, **dict.fromkeys(OF_DIRECTORY, of_directory)}
    clients = {action.iam: action.client for action in listed_actions(evidence.config)}
    return [
        result
        for iam, result in evidence.results.items()
        # ListInstances is called in the Region of the settings, wherever the instance then is.
        if iam == LIST_INSTANCES or elsewhere.get(clients[iam], region) == region
    ]
