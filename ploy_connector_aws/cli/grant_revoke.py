"""``ploy-connector grant`` and ``revoke``: one verified change of access, with the paths that it opens or closes."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console

from ploy_connector_aws.host import Connector, change_access
from ploy_connector_aws.host.change_check import Kind
from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.integration import open_connector, open_platform, read_operator_settings
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.runtime.snapshot.state_file import is_there, translate_errors
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay
from ploy_connector_aws.runtime.tasks.access_graph import ANY_STATE, AccessGraph
from ploy_connector_aws.runtime.tasks.coordinator import PAUSED, READ_ONLY
from ploy_connector_aws.runtime.tasks.journal import Journal
from ploy_connector_aws.spec import (
    AccessChange,
    AccessPath,
    AccessRequest,
    HookFailedError,
    InvalidAnswerError,
    RecordKey,
    RejectedError,
    TemporaryError,
)
from ploy_connector_aws.spec.records import RecordType

from .check import WORKER_ID
from .exit_codes import Exit
from .options import AsJson, ConfigFile, ConnectorName, Debug
from .output import console, print_json, print_more, text
from .snapshot_view import display_name, find_account, find_entitlement

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="An id, a user name or an e-mail address.")]
Entitlement = Annotated[str, typer.Argument(metavar="ENTITLEMENT", help="An id or a name.")]
Reason = Annotated[str | None, typer.Option("--reason", help="The reason of the change; the connector gets it.")]
Preview = Annotated[bool, typer.Option("--preview", help="Show what would happen, and change nothing.")]


def _make_command(kind: Kind, summary: str) -> Callable[..., Exit]:
    """Make the command of a kind of change; the two differ in nothing else."""

    def change(
        account: Account,
        entitlement: Entitlement,
        preview: Preview = False,
        reason: Reason = None,
        config: ConfigFile = None,
        connector: ConnectorName = None,
        json: AsJson = False,
        debug: Debug = False,
    ) -> Exit:
        settings = read_operator_settings(config, connector, debug=debug)
        opened = open_connector(settings).connector
        if not opened.implements(kind):
            title = opened.installed.manifest.title
            raise RejectedError(f"The connector {title} cannot {kind} access.", reason="not_supported")
        if not preview:
            _check_allowed(settings)
        with Journal(settings.tasks_path) as journal, _last_sync(settings, journal) as view:
            account_id = find_account(view, account)
            entitlement_id = find_entitlement(view, entitlement, account_id)
            request = AccessRequest(
                request_id=f"order-{uuid.uuid4().hex}",
                account_id=account_id,
                entitlement_id=entitlement_id,
                reason=reason,
                preview=preview,
            )
            done = _apply(opened, kind, request, settings, journal)
            if json:
                print_json({"order": kind, **_to_json(request, done)})
            else:
                print_change(console(), kind, request, done, view)
        return Exit.OK

    change.__name__, change.__doc__ = kind, summary
    return change


grant = _make_command("grant", "Give one account one entitlement, and verify that it holds it.")
revoke = _make_command(
    "revoke", "Take one entitlement from one account, verify that it is gone, and report what remains open."
)


def _apply(
    connector: Connector, kind: Kind, request: AccessRequest, settings: OperatorSettings, journal: Journal
) -> AccessChange:
    """Call the hook with what the last sync knows, and record the verified change.

    Raises:
        ConnectorError: As the hook specification describes; the message states whether access may have changed.
        HookFailedError: As above.
    """
    account_id, entitlement_id = request.account_id, request.entitlement_id
    with closing(AccessGraph(settings.snapshot_path)) as graph:
        known = graph.find(account_id, entitlement_id, journal.verified(account_id))
    if journal.was_changed(account_id, entitlement_id, request.request_id):
        known = known.model_copy(update={"states": ANY_STATE})
    if not request.preview:
        journal.begin_change(request.request_id, account_id, entitlement_id)
    try:
        change = change_access(connector, kind, request.model_copy(update={"known": known}), lambda: datetime.now(UTC))
    except TemporaryError as error:
        raise _as_unknown(error, kind, preview=request.preview) from None
    except HookFailedError as error:
        raise _as_unknown_failure(error, kind, preview=request.preview) from error
    journal.keep_verified(request.request_id, change)
    return change


def _check_allowed(settings: OperatorSettings) -> None:
    """Ask Ploy whether this integration may be changed, if there is a token for the question.

    Raises:
        RejectedError: It is paused or read-only.
        PlatformError: Ploy did not answer.
    """
    if not settings.has_token:
        return
    with open_platform(settings) as platform:
        request = wire.LeaseRequest(request_id=uuid.uuid4().hex, worker_id=WORKER_ID, max_tasks=0)
        flags = platform.lease_tasks(settings.integration.id, request).flags
    for blocker, is_set in ((PAUSED, flags.paused), (READ_ONLY, flags.read_only)):
        if is_set:
            raise RejectedError(
                f"{blocker.message} Nothing was changed.",
                reason=blocker.code,
                fix="change it on Ploy's integrations page",
            )


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


def _to_json(request: AccessRequest, change: AccessChange) -> dict[str, Any]:
    fields = {"request_id", "account_id", "entitlement_id", "reason", "preview"}
    return {**request.model_dump(mode="json", include=fields), "change": change.model_dump(mode="json")}


_HEADLINES: dict[tuple[Kind, str], str] = {
    ("grant", "applied"): "[bold green]✓ Granted:[/] {account} now holds {entitlement}.",
    ("grant", "already_in_effect"): "[bold green]✓ No change:[/] {account} already held {entitlement}.",
    ("grant", "previewed"): "[bold cyan]Preview, nothing was changed:[/] {account} would get {entitlement}.",
    ("grant", "nothing"): "[bold cyan]Preview:[/] {account} already holds {entitlement}; nothing would change.",
    ("revoke", "applied"): "[bold green]✓ Revoked:[/] {account} no longer holds {entitlement}.",
    ("revoke", "already_in_effect"): "[bold green]✓ No change:[/] {account} did not hold {entitlement}.",
    ("revoke", "previewed"): "[bold cyan]Preview, nothing was changed:[/] {account} would lose {entitlement}.",
    ("revoke", "nothing"): "[bold cyan]Preview:[/] {account} does not hold {entitlement}; nothing would change.",
}
"""By kind and outcome; 'nothing' is a preview without changes."""

_EFFECTS: dict[tuple[Kind, str], str] = {
    ("grant", "applied"): "Opened paths:",
    ("grant", "already_in_effect"): "Open paths:",
    ("grant", "previewed"): "Paths that it would open:",
    ("revoke", "applied"): "Closed paths:",
    ("revoke", "already_in_effect"): "Paths that are closed without it:",
    ("revoke", "previewed"): "Paths that it would close:",
}


def print_change(
    out: Console,
    kind: Kind,
    request: AccessRequest,
    change: AccessChange,
    view: Overlay | None,
    *,
    most_invisible: int | None = None,
) -> None:
    """Print what was done and, after a revoke, what remains open.

    Args:
        out: The console.
        kind: Whether it was a grant or a revoke.
        request: The request.
        change: The connector's answer.
        view: Where names are looked up; None prints ids.
        most_invisible: How many kinds of path that cannot be read are printed; None for all.
    """

    def name(type_: RecordType, id_: str) -> str:
        return text(display_name(view.record(RecordKey(type=type_, id=id_)) if view else None, id_))

    is_preview_without_change = change.outcome == "previewed" and not (change.added or change.removed)
    names = {
        "account": f"[bold]{name('account', request.account_id)}[/]",
        "entitlement": f"[bold]{name('entitlement', request.entitlement_id)}[/]",
    }
    headline = _HEADLINES[kind, "nothing" if is_preview_without_change else change.outcome]
    out.print(headline.format(**names), soft_wrap=True)
    if change.verified_at is not None:
        out.print(f"  Verified by reading it back at {change.verified_at:%Y-%m-%d %H:%M:%S} UTC.")
    paths = change.opened_paths if kind == "grant" else change.closed_paths
    _print_paths(out, _EFFECTS[kind, change.outcome], paths, name)
    if not change.effects_complete:
        out.print("  [yellow]More paths may be opened or closed: not everything could be read.[/]")
    if kind == "revoke":
        _print_remaining(out, change, name, most_invisible)
    for warning in change.warnings:
        out.print(f"  [yellow]![/] {text(warning)}", soft_wrap=True)


def _print_remaining(
    out: Console, change: AccessChange, name: Callable[[RecordType, str], str], most_invisible: int | None
) -> None:
    as_of = f" as of {change.as_of:%Y-%m-%d %H:%M} UTC" if change.as_of else ""
    if change.remaining_paths:
        _print_paths(out, "[bold]Still open[/] by other paths:", change.remaining_paths, name)
    elif change.remaining_paths_complete:
        out.print(f"  No other path to the same access is known{as_of}.")
    if not change.remaining_paths_complete:
        out.print("  [yellow]Other paths may exist: not everything could be read.[/]")
    elif change.remaining_paths:
        out.print(f"  No others are known{as_of}.")
    if change.sessions_end_by is not None:
        out.print(f"  Sessions issued before may live until {change.sessions_end_by:%Y-%m-%d %H:%M} UTC.")
    else:
        out.print("  [yellow]Unknown how long sessions issued before may live.[/]")
    if change.invisible_paths:
        out.print("  [dim]Paths that cannot be read, if there are any:[/]")
        shown = change.invisible_paths[:most_invisible]
        for each in shown:
            out.print(f"    [dim]• {text(each)}[/]", soft_wrap=True)
        print_more(out, len(change.invisible_paths) - len(shown), indent="    ")


def _print_paths(out: Console, title: str, paths: Iterable[AccessPath], name: Callable[[RecordType, str], str]) -> None:
    lines = sorted(" → ".join(name("entitlement", grant.entitlement_id) for grant in path.grants) for path in paths)
    if lines:
        out.print(f"  {title}")
    for line in lines:
        out.print(f"    • {line}", soft_wrap=True)
