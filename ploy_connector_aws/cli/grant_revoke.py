"""``ploy-connector grant`` and ``revoke``: one change of access, verified, and what it opened or left open."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from ploy_connector_aws.host import change_access
from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.integration import open_connector, open_platform
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.runtime.snapshot.state_file import is_there, translate_errors
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay
from ploy_connector_aws.runtime.tasks.access_graph import ANY_STATE, AccessGraph
from ploy_connector_aws.runtime.tasks.journal import Journal
from ploy_connector_aws.spec import (
    AccessChange,
    AccessRequest,
    HookFailedError,
    InvalidAnswerError,
    RejectedError,
    TemporaryError,
)

from .change_output import Order, print_change
from .exit_codes import Exit
from .lookup import find_account, find_entitlement
from .opening import read_operator_settings
from .options import AsJson, ConfigFile, ConnectorName, Debug
from .output import console, print_json

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="An id, a user name or an e-mail address.")]
What = Annotated[str, typer.Argument(metavar="ENTITLEMENT", help="An id or a name.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Why; it is handed to the connector.")]
Preview = Annotated[bool, typer.Option("--preview", help="Only say what would happen; nothing is changed.")]


def grant(
    account: Account,
    entitlement: What,
    preview: Preview = False,
    reason: Reason = None,
    config: ConfigFile = None,
    connector: ConnectorName = None,
    json: AsJson = False,
    debug: Debug = False,
) -> Exit:
    """Give one account one entitlement, and read back that it holds it."""
    settings = read_operator_settings(config, connector, debug=debug)
    return _order(settings, "grant", account, entitlement, preview=preview, reason=reason, as_json=json)


def revoke(
    account: Account,
    entitlement: What,
    preview: Preview = False,
    reason: Reason = None,
    config: ConfigFile = None,
    connector: ConnectorName = None,
    json: AsJson = False,
    debug: Debug = False,
) -> Exit:
    """Take one entitlement from one account, read back that it is gone, and say what remains open."""
    settings = read_operator_settings(config, connector, debug=debug)
    return _order(settings, "revoke", account, entitlement, preview=preview, reason=reason, as_json=json)


def _order(
    settings: OperatorSettings,
    order: Order,
    account: str,
    entitlement: str,
    *,
    preview: bool,
    reason: str | None,
    as_json: bool,
) -> Exit:
    opened = open_connector(settings)
    if not opened.connector.implements(order):
        title = opened.connector.installed.manifest.title
        raise RejectedError(f"The connector {title} cannot {order} access.", reason="not_supported")
    if not preview:
        _check_allowed(settings)
    with Journal(settings.tasks_path) as journal, closing(AccessGraph(settings.snapshot_path)) as known_access:
        with _picture(settings, journal) as picture:
            account_id = find_account(picture, account)
            entitlement_id = find_entitlement(picture, entitlement, account_id)
            known = known_access.find(account_id, entitlement_id, journal.verified(account_id))
            request_id = f"order-{uuid.uuid4().hex}"
            was_changed = journal.was_changed(account_id, entitlement_id, request_id)
            request = AccessRequest(
                request_id=request_id,
                account_id=account_id,
                entitlement_id=entitlement_id,
                reason=reason,
                preview=preview,
                known_entitlement=known.entitlement,
                known_paths=known.paths,
                known_paths_complete=known.is_complete,
                known_opened=known.opened,
                known_states=ANY_STATE if was_changed else known.states,
                known_as_of=known.as_of,
            )
            if not preview:
                journal.begin_change(request_id, account_id, entitlement_id)
            try:
                change = change_access(opened.connector, order, request, lambda: datetime.now(UTC))
            except TemporaryError as error:
                raise _explained(error, order, preview=preview) from None
            except HookFailedError as error:
                raise _of_unknown_effect(error, order, preview=preview) from error
            journal.keep_verified(request.request_id, change)
            if as_json:
                print_json({"order": order, **_to_json(request, change)})
            else:
                print_change(console(), order, request, change, picture)
    return Exit.OK


def _check_allowed(settings: OperatorSettings) -> None:
    """Ask Ploy whether this integration may be changed, where there is a token to ask with.

    Raises:
        RejectedError: It is paused or read-only.
        PlatformError: Ploy did not say.
    """
    if not settings.has_token:
        return
    with open_platform(settings) as platform:
        request = wire.LeaseRequest(request_id=uuid.uuid4().hex, worker_id="command-line", max_tasks=0)
        flags = platform.lease_tasks(settings.integration.id, request).flags
    for name, is_set in (("paused", flags.paused), ("read-only", flags.read_only)):
        if is_set:
            raise RejectedError(
                f"The integration is {name} at Ploy, so nothing is changed.",
                reason=name.replace("-", "_"),
                fix="change it on Ploy's integrations page",
            )


@contextmanager
def _picture(settings: OperatorSettings, journal: Journal) -> Iterator[Overlay | None]:
    """The last committed sync with what was changed since; None where there is none."""
    if not is_there(settings.snapshot_path):
        yield None
        return
    with translate_errors(settings.snapshot_path), Store(settings.snapshot_path) as store, store.reading():
        yield Overlay(store.baseline, journal.verified()) if store.baseline else None


def _explained(error: TemporaryError, order: str, *, preview: bool) -> TemporaryError:
    if preview or error.changed_nothing:
        return error
    return TemporaryError(
        f"It is not known whether the {order} took effect. {error.message}",
        retry_after_seconds=error.retry_after_seconds,
        fix="run the same command again: it looks first, and changes only what is needed",
        request_id=error.request_id,
    )


def _of_unknown_effect(error: HookFailedError, order: Order, *, preview: bool) -> HookFailedError:
    """Say that a change may have been made, where the connector failed or gave an answer that cannot be true."""
    if preview and not isinstance(error, InvalidAnswerError):
        return error
    said = error.message[:1].upper() + error.message[1:]
    unknown = type(error)(f"It is not known whether the {order} took effect. {said}")
    unknown.fix = (
        "look at the source whether the account holds the access now, and report this to the connector's author"
    )
    return unknown


def _to_json(request: AccessRequest, change: AccessChange) -> dict[str, Any]:
    asked = request.model_dump(mode="json", include={"request_id", "account_id", "entitlement_id", "reason", "preview"})
    return {**asked, "change": change.model_dump(mode="json")}
