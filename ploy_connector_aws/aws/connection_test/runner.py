"""Connection test: enters the role, probes every permission in parallel, and makes all checks in one order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from ploy_connector_aws.aws.client.session import INTERACTIVE, ReadSession
from ploy_connector_aws.aws.identity_center.assignments.plan import LastRead, recall
from ploy_connector_aws.aws.permissions import BY_PERMISSION_SET, KMS_DECRYPT
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import Check, ConnectionReport, ConnectorContext, Failure, Progress, ignore_progress

from .assignment_check import ASSIGNMENT_CALLS, check_assignment_calls
from .assume_role_checks import check_assume_role
from .evaluation import classify_instance, is_needed, listed_actions
from .evidence import LIST_INSTANCES, Directory, Evidence, OwnRole, ProbeResult, Results, check_name, failed, skipped
from .instance_checks import FIND_INSTANCE, KMS_FEATURE, check_instance, check_key
from .permission_checks import OF_DIRECTORY, REGION, check_permission, check_region
from .probes import SERVICES, probe_directory, read_own_role
from .trust_policy_check import TRUST_POLICY, check_own_trust_policy
from .unneeded_check import UNNEEDED, check_unneeded

PAUSES_SECONDS = (1.0, 2.0)
"""Pauses between attempts to enter a role that may have been created just now."""

_THREADS = 12

_ReadRole: TypeAlias = tuple[OwnRole | None, Failure | None]
"""The role's own policies, or why they could not be read."""


@dataclass(frozen=True)
class CheckStep:
    """One check of the report; `needs` are the clients whose probes may change its result."""

    name: str
    run: Callable[[Evidence], Check]
    needs: frozenset[str] = frozenset()
    feature: str | None = None


def check_steps(config: AwsConfig) -> tuple[CheckStep, ...]:
    """Return all checks of an assumed role, in the order of the report."""
    return (
        CheckStep(TRUST_POLICY, check_own_trust_policy),
        CheckStep(REGION, check_region, OF_DIRECTORY | SERVICES.keys()),
        CheckStep(FIND_INSTANCE, check_instance, OF_DIRECTORY),
        *(
            CheckStep(
                check_name(action.iam),
                partial(check_permission, action),
                frozenset({action.client} if is_needed(action, config) else ()),
                action.feature,
            )
            for action in listed_actions(config)
        ),
        CheckStep(check_name(KMS_DECRYPT), check_key, OF_DIRECTORY, KMS_FEATURE),
        CheckStep(ASSIGNMENT_CALLS, check_assignment_calls, OF_DIRECTORY, BY_PERMISSION_SET[0].feature),
        CheckStep(UNNEEDED, check_unneeded),
    )


def run_checks(evidence: Evidence, pending: Set[str] = frozenset()) -> Iterator[Check]:
    """Make all checks whose result is final.

    Args:
        evidence: What the probes showed, including the role's own policies.
        pending: The clients whose probes are still running.
    """
    for step in check_steps(evidence.config):
        if step.needs.isdisjoint(pending):
            yield _run(step, evidence)


def _run(step: CheckStep, evidence: Evidence) -> Check:
    try:
        return step.run(evidence)
    except Exception as error:  # noqa: BLE001 - an unexpected answer of AWS must not hide the other checks
        check = failed(step.name, error, feature=step.feature)
        return check.model_copy(update={"message": f"The check could not be completed: {check.message}."})


def run_connection_test(
    config: AwsConfig,
    pauses: Sequence[float] = PAUSES_SECONDS,
    sleep: Callable[[float], object] = time.sleep,
    context: ConnectorContext | None = None,
    progress: Progress = ignore_progress,
) -> ConnectionReport:
    """Test everything that the settings need. Nothing is changed in AWS.

    Args:
        config: The integration's settings.
        pauses: Seconds to wait before each further attempt to enter the role.
        sleep: Sleeps.
        context: The organisation that the connector works for, and counters of its calls.
        progress: Called with the checks so far.
    """
    session = ReadSession(config, "check", INTERACTIVE, context=context)
    try:
        entry = check_assume_role(session, pauses, sleep)
        progress(entry.checks)
        if entry.failed_check:
            message = f"Not tried, because {entry.failed_check} failed."
            others = [skipped(step.name, message, feature=step.feature) for step in check_steps(config)]
        else:
            others = list(_check_role(session, entry.checks, progress))
        return ConnectionReport(checks=(*entry.checks, *others))
    finally:
        session.close()


def _check_role(session: ReadSession, entry_checks: Sequence[Check], progress: Progress) -> Iterator[Check]:
    """Run all probes in parallel; report the checks that are final whenever one probe ends."""
    config, last_read = session.config, recall(session.context)
    wanted = {action.iam: action.client for action in listed_actions(config) if is_needed(action, config)}
    clients = set(wanted.values())
    with ThreadPoolExecutor(_THREADS) as threads:
        own_role = threads.submit(_read_own_role, session)
        directory = threads.submit(_probe_directory, session, wanted.keys())
        services = {
            client: threads.submit(_probe_service, session, client, wanted) for client in SERVICES if client in clients
        }
        running: set[Future[Any]] = {own_role, directory, *services.values()}
        while running:
            running = wait(running, return_when=FIRST_COMPLETED).not_done
            if running and own_role.done():
                done = {client: each.result() for client, each in services.items() if each.done()}
                found = directory.result() if directory.done() else None
                pending = clients - done.keys() - (OF_DIRECTORY if found else set())
                evidence = _gather(config, own_role.result(), done.values(), found or Directory(), last_read)
                progress((*entry_checks, *run_checks(evidence, pending)))
    results = [each.result() for each in services.values()]
    return run_checks(_gather(config, own_role.result(), results, directory.result(), last_read))


def _gather(
    config: AwsConfig,
    own_role: _ReadRole,
    services: Iterable[Results],
    directory: Directory,
    last_read: LastRead | None,
) -> Evidence:
    results = {action: each for some in (*services, directory.results) for action, each in some.items()}
    role, read_failure = own_role
    try:
        kind = classify_instance(config, directory, role)
    except Exception:  # noqa: BLE001 - policies that cannot be evaluated must not hide what the probes show
        kind = classify_instance(config, directory, None)
    return Evidence(config, results, directory, kind, role, read_failure, last_read)


def _read_own_role(session: ReadSession) -> _ReadRole:
    try:
        return read_own_role(session), None
    except Exception as error:  # noqa: BLE001 - the checks report it, and the probes show the rest
        return None, Failure.from_error(error)


def _probe_directory(session: ReadSession, wanted: Set[str]) -> Directory:
    if LIST_INSTANCES not in wanted:
        return Directory()
    try:
        return probe_directory(session, wanted)
    except Exception as error:  # noqa: BLE001 - one failed probe must not hide the others
        return Directory(results={LIST_INSTANCES: ProbeResult(error=error)})


def _probe_service(session: ReadSession, client: str, wanted: Mapping[str, str]) -> Results:
    try:
        return SERVICES[client](session)
    except Exception as error:  # noqa: BLE001 - one failed probe must not hide the others
        return {action: ProbeResult(error=error) for action, its_client in wanted.items() if its_client == client}
