"""All checks of an entered role, from what was seen: in one order, whether all of it was seen or only some so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from functools import partial

from ploy_connector_aws.aws.client.errors import RegionNotEnabledError
from ploy_connector_aws.aws.permissions import KMS_DECRYPT, Action
from ploy_connector_aws.spec import Check, Failure, PermissionDeniedError

from .checks import failed, skipped
from .directory_probes import LIST_INSTANCES
from .instance_check import FIND_INSTANCE, check_instance
from .kms_check import check_key
from .permission_checks import REGION, Evidence, check_permission, name_of
from .probe import IAM_REGION, Probed
from .required import is_needed, listed_actions
from .trust_policy_check import TRUST_POLICY, check_trust_policy
from .unneeded import UNNEEDED, check_excess

OF_DIRECTORY = frozenset({"identitystore", "sso-admin"})
"""The clients of IAM Identity Center, which is tried as one."""


def judge(facts: Evidence) -> Iterator[Check]:
    """Make all checks, once everything was seen."""
    yield _guarded(TRUST_POLICY, _judge_trust, facts)
    yield _guarded(REGION, _judge_region, facts)
    yield _guarded(FIND_INSTANCE, _judge_instance, facts)
    yield from (_judge_permission(action, facts) for action in listed_actions(facts.config))
    yield _guarded(name_of(KMS_DECRYPT), _judge_key, facts)
    yield _guarded(UNNEEDED, _judge_excess, facts)


def judge_so_far(facts: Evidence, waiting: Set[str]) -> Iterator[Check]:
    """Make the checks that nothing still to be seen can change, in the same order.

    Args:
        facts: What was seen, the role's own policies among it.
        waiting: The clients whose probes are still under way.
    """
    yield _guarded(TRUST_POLICY, _judge_trust, facts)
    if not waiting & OF_DIRECTORY:
        yield _guarded(FIND_INSTANCE, _judge_instance, facts)
    for action in listed_actions(facts.config):
        if action.client not in waiting or not is_needed(action, facts.config):
            yield _judge_permission(action, facts)
    if not waiting & OF_DIRECTORY:
        yield _guarded(name_of(KMS_DECRYPT), _judge_key, facts)
    yield _guarded(UNNEEDED, _judge_excess, facts)


def _guarded(name: str, judge: Callable[[Evidence], Check], facts: Evidence, feature: str | None = None) -> Check:
    """Make one check; where that fails, as AWS told what nobody expected, the others are told all the same."""
    try:
        return judge(facts)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not hide what the other checks show
        check = failed(name, error, feature=feature)
        return check.model_copy(update={"message": f"It could not be found out: {check.message}."})


def _judge_permission(action: Action, facts: Evidence) -> Check:
    return _guarded(name_of(action.iam), partial(check_permission, action), facts, action.feature)


def _judge_instance(facts: Evidence) -> Check:
    return check_instance(facts.config, facts.directory, facts.kind)


def _judge_trust(facts: Evidence) -> Check:
    """Judge the trust policy. Without it there is no second witness, and that is no green light."""
    if facts.role is not None:
        return check_trust_policy(facts.role.trust_document, facts.config)
    unread = facts.unread or Failure(code="internal", message="")
    return Check(
        name=TRUST_POLICY,
        outcome="warning",
        message="The role's own trust policy could not be read, so whom it lets in beside Ploy, and whether an "
        f"external ID other than those that were tried opens it, is not known. {unread.message}".rstrip(),
        fix=facts.fix_of_unread,
        request_id=unread.request_id,
    )


def _judge_key(facts: Evidence) -> Check:
    return check_key(name_of(KMS_DECRYPT), facts.directory, facts.role, facts.config)


def _judge_excess(facts: Evidence) -> Check:
    if facts.role is not None:
        return check_excess(facts.role, facts.config)
    return skipped(UNNEEDED, f"The role's own policies could not be read: see {TRUST_POLICY}.")


def _judge_region(facts: Evidence) -> Check:
    """The same answer means a Region that is not enabled and sessions that were revoked; other answers tell which."""
    region = facts.config.region
    unknown = next(
        (each.error for each in facts.probed.values() if isinstance(each.error, RegionNotEnabledError)), None
    )
    if unknown is None and any(map(_is_answer, _tried_in(region, facts))):
        message = f"AWS knows the role's sessions in {region}, the Region of the settings."
        return Check(name=REGION, outcome="passed", message=message, method="probed")
    if unknown is None:
        why = "nothing that was asked there was answered" if _tried_in(region, facts) else "nothing is read there"
        return skipped(REGION, f"Whether AWS knows the role's sessions in {region} was not seen, as {why}.")
    if (
        not any(not isinstance(each.error, RegionNotEnabledError) for each in facts.probed.values())
        and facts.role is None
    ):
        return failed(REGION, unknown)
    return Check(
        name=REGION,
        outcome="failed",
        message=f"AWS does not know the role's sessions in {region}, the Region of the settings, but does elsewhere: "
        "the Region is not enabled for the AWS account.",
        fix=f"Enable {region} for the AWS account, or name an enabled Region in the settings.",
        request_id=unknown.request_id,
        method="probed",
    )


def _tried_in(region: str, facts: Evidence) -> list[Probed]:
    """What was asked in a Region. IAM and IAM Identity Center are asked in one of their own."""
    instance = facts.directory.instance
    of_directory = instance.primary_region if instance else None
    elsewhere = {"iam": IAM_REGION, **dict.fromkeys(OF_DIRECTORY, of_directory)}
    clients = {action.iam: action.client for action in listed_actions(facts.config)}
    return [
        probed
        for iam, probed in facts.probed.items()
        # ListInstances is asked in the Region of the settings, wherever the instance then is.
        if iam == LIST_INSTANCES or elsewhere.get(clients[iam], region) == region
    ]


def _is_answer(probed: Probed) -> bool:
    """Whether AWS had looked whose the session is: it may throttle, or break, before it does."""
    return probed.error is None or isinstance(probed.error, PermissionDeniedError)
