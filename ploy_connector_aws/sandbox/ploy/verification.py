"""Which integrations may be used, by the connection tests that the platform asked for; and what blocks a task now."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from typing import Literal, NamedTuple, TypeAlias

from pydantic import JsonValue

from ploy_connector_aws.host.blockers import PLATFORM, Blocker
from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec import ConnectionReport, Manifest

from .problems import ProblemError
from .registry import ISSUED_SETTING, Block, ForbiddenError, IntegrationRow, Registry
from .reports import CheckRow, Reports


class Verification:
    """Verifies integrations during set-up and suspends those with a blocking check.

    Until its settings have passed a test, and again after they change, an integration gets nothing but checks: no sync
    and no change of access. A check counts for the settings that it was ordered for, and only a runtime that has read
    them gets it. A block ends only when the very check that set it passes. So no page and no call leads past a failed
    test.
    """

    def __init__(self, registry: Registry, reports: Reports) -> None:
        self._registry = registry
        self._reports = reports
        self._beginning = threading.Lock()
        self._judging = threading.Lock()

    def begin(self, organisation_id: str, connector: str) -> str:
        """Begin the set-up of a connector; return the integration's id. The generated settings never change later.

        A set-up in which nothing was entered yet is used again, so that a repeated request creates no second one.

        Raises:
            ForbiddenError: No runtime of this organisation has the connector, or its manifest has no wizard.
        """
        manifest = self._reports.manifests(organisation_id).get(connector)
        if manifest is None or manifest.wizard is None:
            raise ForbiddenError("No runtime has a connector of this name that can be set up here.")
        with self._beginning:
            for row in self._registry.integrations():
                integration = row.integration
                is_of_it = (integration.organisation, integration.connector) == (organisation_id, connector)
                if is_of_it and row.is_untouched and row.issued == issued_by(manifest):
                    return integration.id
            return self._registry.create_integration(
                organisation_id, connector, issued=issued_by(manifest), is_finished=False
            ).id

    def enter(
        self,
        integration_id: str,
        settings: Mapping[str, JsonValue],
        features: Collection[str] | None = None,
    ) -> None:
        """Set what a person entered; None resets a setting to its default. Changed settings must pass a test again.

        Raises:
            ForbiddenError: A setting is among them that only the platform generates.
        """
        self._registry.change_settings(integration_id, settings, must_be_tested=True)
        if features is not None:
            self._registry.set_features(integration_id, features)

    def require(self, row: IntegrationRow) -> None:
        """Reject a call for an integration whose settings have not passed a test.

        Raises:
            ProblemError: They have not.
        """
        if not row.is_verified:
            raise ProblemError("set_up_unfinished")

    def ended(self, integration_id: str, task_id: str, report: ConnectionReport) -> None:
        """Judge the report with which a check task ended."""
        check = self._reports.ended(integration_id, task_id, report)
        if check is None:
            return  # deleted, as newer checks took its place
        with self._judging:
            if not self._block(integration_id, check) and check.revision and report.checks and report.is_usable:
                self._registry.verify(integration_id, check.revision)

    def report(self, integration_id: str, progress: wire.CheckProgress) -> wire.CheckStatus:
        """Take a runtime's report of a test. It can suspend an integration, and never verify one."""
        check, is_new = self._reports.report(integration_id, progress)
        if is_new and check.is_final and check.report.is_blocked:
            with self._judging:
                self._block(integration_id, check)
        return wire.CheckStatus(check_id=progress.check_id, number=check.number, is_final=check.is_final)

    def _block(self, integration_id: str, check: CheckRow) -> bool:
        """Suspend an integration while a test blocks it or an earlier block lasts; return whether it is suspended."""
        before, found = self._registry.integration(integration_id).block, check.report.blockers()
        if before is None:
            checks = found
        elif check.began_at >= before.since:
            checks = check.report.blockers(before.checks)
        else:  # ordered before the block, so it proves nothing about the time since
            checks = tuple({each.name: each for each in (*before.checks, *found)}.values())
        if found:
            before = Block(checks=checks, since=check.reported_at, is_of_own_settings=check.revision is None)
        if checks and before is not None:
            self._registry.suspend(integration_id, check.revision, before.model_copy(update={"checks": checks}))
        return bool(checks)


def issued_by(manifest: Manifest) -> set[str]:
    """Return the settings that the platform generates for a connector.

    An external ID is always one of them, whatever the manifest declares: an organisation that could choose it could
    choose another organisation's.
    """
    properties = manifest.config_schema.get("properties")
    known = set(properties) if isinstance(properties, Mapping) else set()
    generated = manifest.wizard.generated_fields() if manifest.wizard else set()
    return generated | ({ISSUED_SETTING} & known)


_Request: TypeAlias = Literal["check", "sync", "preview", "change"]

_EVERYTHING: frozenset[_Request] = frozenset(("check", "sync", "preview", "change"))


class _Gate(NamedTuple):
    """A state of an integration in which its runtime gets no task of some kinds."""

    code: str
    message: str
    stops: frozenset[_Request]
    applies: Callable[[IntegrationRow], bool]


_GATES = (
    _Gate(
        "switched_off",
        "The integration is switched off: no runtime serves it.",
        _EVERYTHING,
        lambda row: not row.is_enabled,
    ),
    _Gate(
        "paused",
        "The integration is paused: no tests, syncs, grants or revokes until it is resumed.",
        _EVERYTHING,
        lambda row: row.flags.paused,
    ),
    _Gate(
        "blocked",
        "A connection test found that another party can use this connection too. No syncs, grants or revokes until a "
        "test confirms the fix.",
        _EVERYTHING - {"check"},
        lambda row: row.block is not None,
    ),
    _Gate(
        "not_verified",
        "These settings have not passed a connection test. No syncs, grants or revokes until one passes.",
        _EVERYTHING - {"check"},
        lambda row: not row.is_verified,
    ),
    _Gate(
        "read_only",
        "The integration is read-only: no grants or revokes until changes are allowed again.",
        frozenset(("change",)),
        lambda row: row.flags.read_only,
    ),
)
"""All gates; one that stops more comes before one that stops less."""


def blockers(row: IntegrationRow, kind: wire.TaskKind, preview: bool = False) -> tuple[Blocker, ...]:
    """Return everything that blocks a task, the widest first; none where a runtime gets it."""
    request: _Request = kind if kind in ("check", "sync") else "preview" if preview else "change"
    return tuple(
        Blocker(PLATFORM, gate.code, gate.message, row.block.since if gate.code == "blocked" and row.block else None)
        for gate in _GATES
        if request in gate.stops and gate.applies(row)
    )


def find_blocker(row: IntegrationRow, kind: wire.TaskKind, preview: bool = False) -> Blocker | None:
    """Return the widest blocker of a task; None where a runtime gets it."""
    return next(iter(blockers(row, kind, preview)), None)


def require_unblocked(row: IntegrationRow, kind: wire.TaskKind, preview: bool = False) -> None:
    """Reject a task that no runtime would get now.

    Reject instead of queueing: a queued task would run whenever someone clears the flag, long after the requester's
    intent.

    Raises:
        ForbiddenError: Something blocks the task.
    """
    blocker = find_blocker(row, kind, preview)
    if blocker is not None:
        raise ForbiddenError(blocker.message)
