"""All checks of one connection test: made at the same time where they do not need each other, told in one order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from ploy_connector_aws.aws.client.session import INTERACTIVE, ReadSession
from ploy_connector_aws.aws.permissions import KMS_DECRYPT
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import Check, ConnectionReport, ConnectorContext, Failure, Progress, ignore_progress

from .assume_role_checks import read_entry
from .checks import skipped
from .directory_probes import LIST_INSTANCES, Directory, probe_directory
from .evaluation import OwnRole
from .instance_check import FIND_INSTANCE, classify_instance
from .kms_check import KMS_FEATURE
from .permission_checks import REGION, Evidence, name_of
from .probe import Probed
from .report import OF_DIRECTORY, judge, judge_so_far
from .required import is_needed, listed_actions
from .role import read_own_role
from .service_probes import SERVICES, Results
from .trust_policy_check import TRUST_POLICY
from .unneeded import UNNEEDED

PAUSES_SECONDS = (1.0, 2.0)
"""Between attempts to enter a role that may have been made just now."""

_THREADS = 12


def diagnose(
    config: AwsConfig,
    pauses: Sequence[float] = PAUSES_SECONDS,
    sleep: Callable[[float], object] = time.sleep,
    context: ConnectorContext | None = None,
    progress: Progress = ignore_progress,
) -> ConnectionReport:
    """Try everything that the settings need. Nothing is changed in AWS.

    Args:
        config: The integration's settings.
        pauses: Seconds to wait before each further attempt to enter the role.
        sleep: Sleeps.
        context: The organisation it works for, and counters of its calls.
        progress: Takes the checks so far.
    """
    session = ReadSession(config, "check", INTERACTIVE, context=context)
    try:
        entry = read_entry(session, pauses, sleep)
        progress(entry.checks)
        failed_check = entry.failed_check
        others = _leave_out(config, failed_check) if failed_check else _examine(session, entry.checks, progress)
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


def _examine(session: ReadSession, entered: Sequence[Check], progress: Progress) -> Iterator[Check]:
    """Try all parts at the same time; report what is certain whenever one is done."""
    wanted = {action.iam: action for action in listed_actions(session.config) if is_needed(action, session.config)}
    with ThreadPoolExecutor(_THREADS) as threads:
        own_role = threads.submit(_read_own_role, session)
        directory = threads.submit(_probe_directory, session, wanted.keys()) if LIST_INSTANCES in wanted else None
        services = {
            client: threads.submit(
                _probe_service, session, client, {iam for iam, action in wanted.items() if action.client == client}
            )
            for client in SERVICES
            if any(action.client == client for action in wanted.values())
        }
        under_way: set[Future[Any]] = {own_role, *services.values(), *([directory] if directory else [])}
        while under_way:
            under_way = wait(under_way, return_when=FIRST_COMPLETED).not_done
            if under_way and own_role.done():
                tried = {client for client, each in services.items() if each.done()}
                seen = directory.result() if directory and directory.done() else None
                facts = _gather(session.config, own_role.result(), [services[each].result() for each in tried], seen)
                waiting = ({action.client for action in wanted.values()} - tried) - (OF_DIRECTORY if seen else set())
                progress((*entered, *judge_so_far(facts, waiting)))
    seen = directory.result() if directory else Directory()
    return judge(_gather(session.config, own_role.result(), [each.result() for each in services.values()], seen))


def _gather(
    config: AwsConfig,
    own_role: tuple[OwnRole | None, Failure | None],
    services: Iterable[Results],
    directory: Directory | None,
) -> Evidence:
    seen = directory or Directory()
    probed = {action: each for results in (*services, seen.probed) for action, each in results.items()}
    role, unread = own_role
    try:
        kind = classify_instance(config, seen, role)
    except Exception:  # noqa: BLE001 - the role's policies are only one witness, and each check says what it makes of them
        kind = classify_instance(config, seen, None)
    return Evidence(config, probed, seen, kind, role, unread)


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
