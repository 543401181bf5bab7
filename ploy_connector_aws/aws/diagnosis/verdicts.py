"""All checks of an entered role, from what was seen: in one order, whether all of it was seen or only some so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from functools import partial

from ploy_connector_aws.aws.errors import RegionNotEnabled
from ploy_connector_aws.aws.permissions import KMS_DECRYPT, Action
from ploy_connector_aws.spec import Check

from .excess import UNNEEDED, check_excess
from .findings import failed, skipped
from .instance import FIND_INSTANCE, check_instance
from .needs import is_needed, listed_actions
from .permissions import REGION, Facts, check_key, check_permission, name_of
from .trust_policy import TRUST_POLICY, check_trust_policy

OF_DIRECTORY = frozenset({"identitystore", "sso-admin"})
"""The clients of IAM Identity Center, which is tried as one."""


def judge(facts: Facts) -> Iterator[Check]:
    """Make all checks, once everything was seen."""
    yield _guarded(TRUST_POLICY, _judge_trust, facts)
    yield _guarded(REGION, _judge_region, facts)
    yield _guarded(FIND_INSTANCE, _judge_instance, facts)
    yield from (_judge_permission(action, facts) for action in listed_actions(facts.config))
    yield _guarded(name_of(KMS_DECRYPT), check_key, facts)
    yield _guarded(UNNEEDED, _judge_excess, facts)


def judge_so_far(facts: Facts, waiting: Set[str]) -> Iterator[Check]:
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
        yield _guarded(name_of(KMS_DECRYPT), check_key, facts)
    yield _guarded(UNNEEDED, _judge_excess, facts)


def _guarded(name: str, judge: Callable[[Facts], Check], facts: Facts, feature: str | None = None) -> Check:
    """Make one check; where that fails, as AWS told what nobody expected, the others are told all the same."""
    try:
        return judge(facts)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not hide what the other checks show
        check = failed(name, error, feature=feature)
        return check.model_copy(update={"message": f"It could not be found out: {check.message}."})


def _judge_permission(action: Action, facts: Facts) -> Check:
    return _guarded(name_of(action.iam), partial(check_permission, action), facts, action.feature)


def _judge_instance(facts: Facts) -> Check:
    return check_instance(facts.config, facts.directory, facts.kind)


def _judge_trust(facts: Facts) -> Check:
    if facts.role is None:
        return _skip_unread(TRUST_POLICY, facts)
    return check_trust_policy(facts.role.trust_document, facts.config)


def _judge_excess(facts: Facts) -> Check:
    return check_excess(facts.role, facts.config) if facts.role else _skip_unread(UNNEEDED, facts)


def _skip_unread(name: str, facts: Facts) -> Check:
    why = facts.unread.message if facts.unread else ""
    return skipped(name, f"The role itself could not be read. {why}".rstrip())


def _judge_region(facts: Facts) -> Check:
    """The same answer means a Region that is not enabled and sessions that were revoked; other answers tell which."""
    region = facts.config.region
    unknown = next((each.error for each in facts.probed.values() if isinstance(each.error, RegionNotEnabled)), None)
    if unknown is None:
        message = f"AWS knows the role's sessions in {region}, the Region of the settings."
        return Check(name=REGION, outcome="passed", message=message, method="probed")
    if not any(not isinstance(each.error, RegionNotEnabled) for each in facts.probed.values()) and facts.role is None:
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
