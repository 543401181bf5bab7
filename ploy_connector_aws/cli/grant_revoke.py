"""``ploy-connector grant`` and ``revoke``: one verified change of access, with the paths that it opens or closes."""

from __future__ import annotations

import os
import pwd
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from ploy_connector_aws.graph.effects import Effects, find_effects, why_not_grantable
from ploy_connector_aws.graph.preview import preview_from
from ploy_connector_aws.host import Connector, change_access
from ploy_connector_aws.host.change_check import Kind
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import PlatformError, PlatformUnavailableError
from ploy_connector_aws.platform.retry import RetryPolicy
from ploy_connector_aws.runtime.integration import open_connector, open_platform, read_operator_settings
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.runtime.snapshot.state_file import is_there, translate_errors
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay
from ploy_connector_aws.runtime.tasks.access_graph import ANY_STATE, AccessGraph
from ploy_connector_aws.runtime.tasks.coordinator import PAUSED, READ_ONLY
from ploy_connector_aws.runtime.tasks.journal import Journal
from ploy_connector_aws.runtime.tasks.local_changes import INTERRUPTED, LocalChanges, report_changes
from ploy_connector_aws.spec import (
    AccessChange,
    AccessRequest,
    ConnectorError,
    Failure,
    HookFailedError,
    InvalidAnswerError,
    PloyError,
    RejectedError,
    TemporaryError,
)
from ploy_connector_aws.spec.labels import Labels

from .check import WORKER_ID
from .descriptions import print_effects
from .exit_codes import Exit
from .output import console, print_json, shown_progress, text
from .prompts import Prompt
from .snapshot_view import find_account, find_entitlement
from .stdout import stream

BRIEF_RETRY = RetryPolicy(max_attempts=2, first_wait_seconds=0.1)
"""For calls to Ploy while a person waits for something else: what they would send is kept."""


def change(
    kind: Kind,
    account: str,
    entitlement: str,
    config: Path | None,
    connector: str | None,
    *,
    preview: bool,
    yes: bool,
    reason: str | None,
    as_json: bool,
    debug: bool,
) -> Exit:
    """Grant or revoke one entitlement of one account, and print what was verified.

    On a terminal a preview is printed and confirmed first.

    Raises:
        typer.BadParameter: It would have to be confirmed, and no person can be asked.
    """
    is_asked = not (preview or yes)
    if is_asked and as_json:
        raise typer.BadParameter(
            "needs --yes or --preview, because it cannot ask for confirmation; nothing was changed", param_hint="--json"
        )
    if is_asked and not (sys.stdin.isatty() and stream().isatty()):
        raise typer.BadParameter(
            "Nothing was changed: there is no terminal on which to confirm the change. Add --yes to make it, or "
            "--preview to see what it would do."
        )
    settings = read_operator_settings(config, connector, debug=debug)
    with shown_progress("Preparing", quiet=as_json):
        opening = open_connector(settings).connector
    with opening as opened:
        if not opened.implements(kind):
            title = opened.installed.manifest.title
            raise RejectedError(f"The connector {title} cannot {kind} access.", reason="not_supported")
        warning = None if preview else _check_allowed(settings)
        with Journal(settings.tasks_path) as journal, _last_sync(settings, journal) as view:
            labels = Labels(opened.installed.manifest.labels)
            account_id = find_account(view, account, labels, holding=entitlement if kind == "revoke" else None)
            entitlement_id = find_entitlement(view, entitlement, account_id, labels)
            if kind == "grant":
                _require_grantable(view, account_id)
            request = AccessRequest(
                request_id=f"order-{uuid.uuid4().hex}",
                account_id=account_id,
                entitlement_id=entitlement_id,
                reason=reason or None,
            )
            made = _Change(opened, kind, request, settings, journal, view)
            out = console()
            if warning and not as_json:
                out.print(f"[yellow]![/] {text(warning)}", soft_wrap=True)
            if preview or is_asked:
                with shown_progress("Reading the access", quiet=as_json):
                    previewed, rejection = made.preview()
                if as_json:
                    rejected = rejection and {
                        "code": rejection.reason,
                        "message": rejection.message,
                        "fix": rejection.fix,
                    }
                    print_json({**made.to_json(previewed), "rejected": rejected})
                else:
                    print_effects(out, previewed)
                    if rejection and rejection.fix:
                        out.print(f"  [bold]Fix:[/] {text(rejection.fix)}", soft_wrap=True)
                if preview:
                    return Exit.REFUSED if rejection else Exit.OK
                if rejection:
                    raise rejection
                if not Prompt(out).ask_yes(f"{kind.capitalize()} it?", default=False):
                    out.print("Nothing was changed.")
                    return Exit.USAGE
            with shown_progress("Changing the access, and reading it back", quiet=as_json):
                done = made.apply()
            if not as_json:
                print_effects(out, done, reason=request.reason)
            error = made.report()
            if as_json:
                print_json({**made.to_json(done), "reported": settings.has_token and error is None})
            else:
                _print_reported(out, settings, error)
    return Exit.OK


@dataclass(frozen=True)
class _Change:
    """One change: previewed, applied, kept on record, and reported to Ploy."""

    connector: Connector
    kind: Kind
    request: AccessRequest
    settings: OperatorSettings
    journal: Journal
    view: Overlay | None

    def preview(self) -> tuple[Effects, RejectedError | None]:
        """Call the hook for a preview; where it rejects the change, make the preview from the last sync.

        Returns:
            The preview, and why the connector would not make the change.

        Raises:
            ConnectorError: There is no preview; of a rejection, as there was no sync.
        """
        try:
            return self._to_effects(self._call(is_preview=True)), None
        except RejectedError as error:
            if self.view is None:
                raise
            change = preview_from(
                self.view.graph(),
                self.kind,
                self.request.account_id,
                self.request.entitlement_id,
                is_complete=not any(scope.unproven_since for scope in self.view.run.scopes()),
                as_of=self.view.run.reading_started_at,
            )
            return self._to_effects(change, error.message), error

    def apply(self) -> Effects:
        """Call the hook, and record what was verified.

        Raises:
            ConnectorError: As the hook specification describes; the message states whether access may have changed.
            HookFailedError: As above.
        """
        changes, request = LocalChanges(self.journal), self.request
        report = wire.ChangeReport(
            id=request.request_id,
            kind=self.kind,
            account_id=request.account_id,
            entitlement_id=request.entitlement_id,
            reason=request.reason,
            operator=_find_operator(),
            requested_at=_now(),
            failure=INTERRUPTED,
        )
        with changes.changing(report):
            try:
                change = self._call(is_preview=False)
            except (TemporaryError, HookFailedError) as error:
                if isinstance(error, TemporaryError) and error.changed_nothing:
                    changes.withdraw(report.id)
                else:
                    changes.end(report, _to_unknown(error))
                    self.report()
                raise
            except ConnectorError:  # nothing was written: as with tasks
                changes.withdraw(report.id)
                raise
            changes.end(report, change)
        return self._to_effects(change)

    def report(self) -> PloyError | None:
        """Report this change, and earlier ones, to Ploy; return why this one waits.

        Nothing is raised: it would hide the result of the change.
        """
        try:
            return report_unreported(self.settings, self.journal).get(self.request.request_id)
        except PloyError as error:
            return error

    def to_json(self, effects: Effects) -> dict[str, Any]:
        """The request and its result as JSON values."""
        fields = {"request_id", "account_id", "entitlement_id", "reason"}
        return {
            "order": self.kind,
            **self.request.model_dump(mode="json", include=fields),
            "preview": effects.is_preview,
            "change": effects.change.model_dump(mode="json"),
            "at_the_same_places": [
                {
                    "place": each.place.id if each.place else None,
                    "entitlements": [step.id for step in each.steps],
                    "privileged": each.is_privileged,
                    "unproven": each.is_unproven,
                }
                for each in effects.kept
            ],
        }

    def _call(self, *, is_preview: bool) -> AccessChange:
        request, journal = self.request, self.journal
        account_id, entitlement_id = request.account_id, request.entitlement_id
        with closing(AccessGraph(self.settings.snapshot_path)) as graph:
            known = graph.find(account_id, entitlement_id, journal.verified(account_id))
        if journal.was_changed(account_id, entitlement_id, request.request_id):
            known = known.model_copy(update={"states": ANY_STATE})
        called = request.model_copy(update={"known": known, "preview": is_preview})
        try:
            return change_access(self.connector, self.kind, called, _now)
        except TemporaryError as error:
            raise _as_unknown(error, self.kind, preview=is_preview) from None
        except HookFailedError as error:
            raise _as_unknown_failure(error, self.kind, preview=is_preview) from error

    def _to_effects(self, change: AccessChange, blocker: str | None = None) -> Effects:
        return find_effects(
            self.view.graph() if self.view else None,
            self.kind,
            self.request.account_id,
            self.request.entitlement_id,
            change,
            place_kind=Labels(self.connector.installed.manifest.labels).place_kind,
            blocker=blocker,
        )


def report_unreported(settings: OperatorSettings, journal: Journal) -> dict[str, PlatformError]:
    """Report the changes that commands made here and Ploy does not have; return why some wait, by id."""
    changes = LocalChanges(journal)
    if not settings.has_token or not changes.unreported():
        return {}
    with open_platform(settings, retry=BRIEF_RETRY) as platform:
        return report_changes(changes, platform, settings.integration.id, _now)


def _find_operator() -> str | None:
    """Return the name of the operating system's user, by the user id: variables may say anything."""
    with suppress(KeyError):
        return pwd.getpwuid(os.getuid()).pw_name[:256] or None
    return None


def _now() -> datetime:
    return datetime.now(UTC)


def _require_grantable(view: Overlay | None, account_id: str) -> None:
    """Reject a grant to an account that the last sync shows as disabled or as fixed.

    Raises:
        RejectedError: It is.
    """
    account = view.graph().record("account", account_id) if view else None
    if view and (reason := why_not_grantable(account.content if account else {})):
        as_of = f"{view.run.reading_started_at:%Y-%m-%d %H:%M} UTC"
        raise RejectedError(
            f"{reason} This is as of the last sync, {as_of}. Nothing was changed.",
            reason="account_not_grantable",
            fix="change it in the source first, then run ploy-connector sync",
        )


def _check_allowed(settings: OperatorSettings) -> str | None:
    """Ask Ploy whether this integration may be changed, if there is a token for the question.

    Returns:
        A warning where Ploy did not answer: then the change is made, and reported later.

    Raises:
        RejectedError: It is paused or read-only.
        PlatformError: Ploy rejected the question.
    """
    if not settings.has_token:
        return None
    with open_platform(settings, retry=BRIEF_RETRY) as platform:
        request = wire.LeaseRequest(request_id=uuid.uuid4().hex, worker_id=WORKER_ID, max_tasks=0)
        try:
            flags = platform.lease_tasks(settings.integration.id, request).flags
        except PlatformUnavailableError as error:
            return f"{error.message} It is unknown whether the integration is paused or read-only."
    for blocker, is_set in ((PAUSED, flags.paused), (READ_ONLY, flags.read_only)):
        if is_set:
            raise RejectedError(
                f"{blocker.message} Nothing was changed.",
                reason=blocker.code,
                fix="change it on Ploy's integrations page",
            )
    return None


@contextmanager
def _last_sync(settings: OperatorSettings, journal: Journal) -> Iterator[Overlay | None]:
    """The last committed sync with later changes; None without one."""
    if not is_there(settings.snapshot_path):
        yield None
        return
    with translate_errors(settings.snapshot_path), Store(settings.snapshot_path) as store, store.reading():
        yield Overlay(store.baseline, journal.verified()) if store.baseline else None


def _as_unknown(error: TemporaryError, kind: Kind, *, preview: bool) -> TemporaryError:
    if preview or error.changed_nothing:
        return error
    return TemporaryError(
        f"Unknown whether the {kind} took effect. {error.message}",
        retry_after_seconds=error.retry_after_seconds,
        fix="run the same command again: it reads first, and changes only what is needed",
        request_id=error.request_id,
    )


def _as_unknown_failure(error: HookFailedError, kind: Kind, *, preview: bool) -> HookFailedError:
    """Add that access may have changed: the connector failed, or its answer cannot be true."""
    if preview and not isinstance(error, InvalidAnswerError):
        return error
    cause = error.message[:1].upper() + error.message[1:]
    unknown = type(error)(f"Unknown whether the {kind} took effect. {cause}")
    unknown.fix = "check in the source whether the account holds the access, and report this to the connector's author"
    return unknown


def _to_unknown(error: TemporaryError | HookFailedError) -> Failure:
    """Describe for Ploy a change of which it is unknown whether it took effect."""
    failure = Failure.from_error(error)
    return failure.model_copy(update={"code": INTERRUPTED.code, "fix": INTERRUPTED.fix})


def _print_reported(out: Console, settings: OperatorSettings, error: PloyError | None) -> None:
    if not settings.has_token:
        out.print("[dim]Kept in the history of this machine; without a token it is not reported to Ploy.[/]")
    elif error is None:
        out.print("[dim]Reported to Ploy.[/]")
    else:
        out.print(
            f"[bold yellow]Not reported to Ploy yet:[/] {text(error.message)} It is kept, and reported by the service "
            "or by the next grant, revoke or sync on this machine.",
            soft_wrap=True,
        )
