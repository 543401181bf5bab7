"""Which integrations may be used: those whose settings passed a connection test that the platform itself asked for."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping

from pydantic import JsonValue

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec import ConnectionReport, Manifest

from .problems import ProblemError
from .registry import ISSUED_SETTING, Block, ForbiddenError, IntegrationRow, Registry
from .reports import Reports, SeenCheck


class Verification:
    """Takes integrations in by their set-up, and puts those out that somebody else could use as well.

    Until its settings have passed a test, and again from when they are changed, an integration gets nothing but checks:
    no sync is taken of it, no access is changed. A check counts for the settings that it was ordered for, and is given
    out only to a runtime that has read them; a block of them ends only when the very check that set it passes. So
    nobody can get past a test that failed, whatever page or call is used.
    """

    def __init__(self, registry: Registry, notices: Reports) -> None:
        self._registry = registry
        self._notices = notices
        self._beginning = threading.Lock()
        self._judging = threading.Lock()

    def begin(self, organisation_id: str, connector: str) -> str:
        """Begin to set up a connector; the integration's id. What the host makes is made now, and never changes.

        Where a set-up of it was begun and nothing answered yet, it is that one: who asks twice means one.

        Raises:
            ForbiddenError: No runtime of this organisation has such a connector, or it says nothing of its set-up.
        """
        manifest = self._notices.manifests(organisation_id).get(connector)
        if manifest is None or manifest.wizard is None:
            raise ForbiddenError("No runtime has a connector of this name that can be set up here.")
        with self._beginning:
            for enabled in self._registry.integrations():
                integration = enabled.integration
                is_of_it = (integration.organisation, integration.connector) == (organisation_id, connector)
                if is_of_it and enabled.is_untouched and enabled.issued == issued_by(manifest):
                    return integration.id
            return self._registry.create_integration(
                organisation_id, connector, {}, issued=issued_by(manifest), is_finished=False
            )

    def answer(
        self,
        integration_id: str,
        settings: Mapping[str, JsonValue],
        features: Collection[str] | None = None,
    ) -> None:
        """Set what a person answered; None takes a setting back to its default. What differs must be tested anew.

        Raises:
            ForbiddenError: Something is among the settings that only the platform makes.
        """
        self._registry.change_settings(integration_id, settings, must_be_tested=True)
        if features is not None:
            self._registry.set_features(integration_id, features)

    def note_step(self, integration_id: str, step_id: str) -> None:
        """Remember the step of the set-up at which a person goes on."""
        self._registry.note_step(integration_id, step_id)

    def require(self, enabled: IntegrationRow) -> None:
        """Refuse whatever an integration that has not passed its test may not do.

        Raises:
            ProblemError: It has not.
        """
        if not enabled.is_verified:
            raise ProblemError("set_up_unfinished")

    def ended(self, integration_id: str, task_id: str, report: ConnectionReport) -> None:
        """Judge the report with which a check task ended."""
        seen = self._notices.ended(integration_id, task_id, report)
        if seen is None:
            return  # so many were made since that it was forgotten
        with self._judging:
            if not self._block(integration_id, seen) and seen.revision and report.checks and report.is_usable:
                self._registry.admit(integration_id, seen.revision)

    def report(self, integration_id: str, progress: wire.CheckProgress) -> wire.CheckStatus:
        """Take what a runtime says of a test. It can put an integration out, and never take one in."""
        seen, is_news = self._notices.report(integration_id, progress)
        if is_news and seen.is_final and seen.report.is_blocked:
            with self._judging:
                self._block(integration_id, seen)
        return wire.CheckStatus(check_id=progress.check_id, number=seen.number, is_final=seen.is_final)

    def _block(self, integration_id: str, seen: SeenCheck) -> bool:
        """Refuse the use as long as a test says so, or does not end what an earlier one said; whether it is refused."""
        enabled, found = self._registry.integration(integration_id), seen.report.blockers()
        before = enabled.block if enabled else None
        if before is None:
            checks = found
        elif seen.began_at >= before.since:
            checks = seen.report.blockers(before.checks)
        else:  # it was ordered before the block, and says nothing of the time since
            checks = tuple({check.name: check for check in (*before.checks, *found)}.values())
        if found:
            before = Block(checks=checks, since=seen.said_at, is_of_own_settings=seen.revision is None)
        if checks and before is not None:
            self._registry.refuse_use(integration_id, seen.revision, before.model_copy(update={"checks": checks}))
        return bool(checks)


def issued_by(manifest: Manifest) -> set[str]:
    """The settings that the platform makes for a connector. An external id is among them, whatever the manifest says:
    an organisation that could choose it could name another one's.
    """
    properties = manifest.config_schema.get("properties")
    known = set(properties) if isinstance(properties, Mapping) else set()
    made = manifest.wizard.generated_fields() if manifest.wizard else set()
    return made | ({ISSUED_SETTING} & known)
