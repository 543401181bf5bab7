"""All checks of one connection test: made at the same time where they do not need each other, told in one order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor

from ploy_connector_aws.aws.errors import RegionNotEnabled
from ploy_connector_aws.aws.permissions import KMS_DECRYPT
from ploy_connector_aws.aws.session import SHORT, ReadSession
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import Check, ConnectionReport, Failure, Serving, tell_checks

from .directory import LIST_INSTANCES, Directory, probe_directory
from .entry import read_entry
from .evaluation import OwnRole
from .excess import UNNEEDED, check_excess
from .findings import failed, skipped
from .instance import FIND_INSTANCE, check_instance, tell_kind
from .needs import is_needed, listed_actions
from .own_role import read_own_role
from .permissions import KMS_FEATURE, REGION, Facts, check_key, check_permission, name_of
from .probes import Probed
from .services import SERVICES, Results
from .trust_policy import TRUST_POLICY, check_trust_policy

PAUSES_SECONDS = (1.0, 2.0)
"""Between attempts to enter a role that may have been made just now."""

_THREADS = 12


def diagnose(
    config: AwsConfig,
    pauses: Sequence[float] = PAUSES_SECONDS,
    wait: Callable[[float], object] = time.sleep,
    serving: Serving | None = None,
) -> ConnectionReport:
    """Try everything that the settings need. Nothing is changed in AWS.

    Args:
        config: The integration's settings.
        pauses: Seconds to wait before each further attempt to enter the role.
        wait: Sleeps.
        serving: For whom it is tried.
    """
    session = ReadSession(config, "check", SHORT, serving=serving)
    try:
        entry = read_entry(session, pauses, wait)
        tell_checks(entry.checks)
        others = _leave_out(config, entry.failed_check) if entry.failed_check else _examine(session)
        return ConnectionReport(checks=(*entry.checks, *others))
    finally:
        session.close()


def _leave_out(config: AwsConfig, failed_check: str) -> Iterator[Check]:
    """Without the role, nothing else can be tried."""
    names = (TRUST_POLICY, REGION, FIND_INSTANCE)
    why = f"Not tried, as {failed_check} failed."
    yield from (skipped(name, why) for name in names)
    yield from (skipped(name_of(action.iam), why, feature=action.feature) for action in listed_actions(config))
    yield skipped(name_of(KMS_DECRYPT), why, feature=KMS_FEATURE)
    yield skipped(UNNEEDED, why)


def _examine(session: ReadSession) -> Iterator[Check]:
    config = session.config
    wanted = {action.iam: action for action in listed_actions(config) if is_needed(action, config)}
    with ThreadPoolExecutor(_THREADS) as threads:
        own_role = threads.submit(_read_own_role, session)
        directory = threads.submit(_probe_directory, session, wanted.keys()) if LIST_INSTANCES in wanted else None
        services = [
            threads.submit(
                _probe_service, session, client, {iam for iam, action in wanted.items() if action.client == client}
            )
            for client in SERVICES
            if any(action.client == client for action in wanted.values())
        ]
    role, unread = own_role.result()
    seen = directory.result() if directory else Directory()
    probed = _merge([each.result() for each in services], seen)
    facts = Facts(config, probed, seen, tell_kind(config, seen, role), role, unread)
    yield _judge_trust(facts)
    yield _judge_region(facts)
    yield check_instance(config, seen, facts.kind)
    yield from (check_permission(action, facts) for action in listed_actions(config))
    yield check_key(facts)
    yield check_excess(role, config) if role else _skip_unread(UNNEEDED, facts)


def _read_own_role(session: ReadSession) -> tuple[OwnRole | None, Failure | None]:
    try:
        return read_own_role(session), None
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and the calls tell the rest
        return None, Failure.from_error(error)


def _probe_directory(session: ReadSession, wanted: Set[str]) -> Directory:
    try:
        return probe_directory(session, wanted)
    except Exception as error:  # noqa: BLE001 - one broken part must not hide what the others showed
        return Directory(probed={LIST_INSTANCES: Probed(error=error)})


def _probe_service(session: ReadSession, client: str, wanted: Set[str]) -> Results:
    try:
        return SERVICES[client](session)
    except Exception as error:  # noqa: BLE001 - one broken part must not hide what the others showed
        return {action: Probed(error=error) for action in wanted}


def _merge(results: Sequence[Results], directory: Directory) -> Mapping[str, Probed]:
    return {action: probed for each in (*results, directory.probed) for action, probed in each.items()}


def _judge_trust(facts: Facts) -> Check:
    if facts.role is None:
        return _skip_unread(TRUST_POLICY, facts)
    return check_trust_policy(facts.role.trust_document, facts.config)


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
