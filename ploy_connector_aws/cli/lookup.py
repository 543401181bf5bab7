"""Finds the account and the entitlement that a command names, in the last sync."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from ploy_connector_aws.graph.values import StoredRecord
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay
from ploy_connector_aws.spec import RecordKey

from .exit_codes import UnknownNameError
from .output import join_names

MOST_NAMES = 10
"""So many names are listed in a message."""


def find_account(picture: Overlay | None, typed: str) -> str:
    """Return the id of the account with this id, user name or e-mail address.

    Args:
        picture: The last sync; None where there was none. Then the text is an id, which the source knows or not.
        typed: What was typed.

    Raises:
        UnknownNameError: The last sync read everything and knows no such account, or it knows several.
    """
    found = picture.find_accounts(typed) if picture else []
    if picture is None or (not found and _is_partial(picture)):
        return typed
    if not found:
        raise unknown_account(picture, typed)
    return _only([(record.id, str(record.content.get("username") or record.id)) for record in found], "account", typed)


def unknown_account(picture: Overlay, typed: str) -> UnknownNameError:
    """Describe an account that does not exist, with those that were probably meant."""
    names = {
        name
        for record in picture.records("account")
        for name in (record.content.get("username"), *(each["address"] for each in record.content.get("emails", ())))
        if name
    }
    return UnknownNameError(
        f"There is no account with the id, user name or address {typed!r}.", fix=_find_meant(typed, names)
    )


def find_entitlement(picture: Overlay | None, typed: str, account_id: str) -> str:
    """Return the id of the entitlement with this id or name.

    Args:
        picture: The last sync; None where there was none. Then the text is an id, which the source knows or not.
        typed: What was typed.
        account_id: The account whose access is to be changed; an error names what it holds.

    Raises:
        UnknownNameError: The last sync read everything and knows no such entitlement, or it knows several.
    """
    if picture is None:
        return typed
    text, names, found = typed.casefold(), set[str](), list[tuple[str, str]]()
    for record in picture.records("entitlement"):
        name = str(record.content["name"])
        names.add(name)
        if text in (record.id.casefold(), name.casefold()):
            found.append((record.id, f"{record.content['kind']} {name}"))
    if found:
        return _only(found, "entitlement", typed)
    if _is_partial(picture):
        return typed
    held = join_names(_held_names(picture, account_id), MOST_NAMES) or "nothing"
    raise UnknownNameError(
        f"There is no entitlement with the id or name {typed!r}. {_name_of(picture, account_id)} has: {held}.",
        fix=_find_meant(typed, names),
    )


def _only(found: list[tuple[str, str]], what: str, typed: str) -> str:
    if len(found) > 1:
        names = ", ".join(f"{name} ({id_})" for id_, name in found[:5])
        raise UnknownNameError(f"There are {len(found)} {what}s of the name {typed!r}; say the id: {names}.")
    return found[0][0]


def _is_partial(picture: Overlay) -> bool:
    """Whether the last sync could not read everything, so that it may not know what exists."""
    return any(scope.unproven_since for scope in picture.run.scopes())


def _held_names(picture: Overlay, account_id: str) -> list[str]:
    """Return the names of what an account holds directly, those of groups first."""
    ids = {
        record.content["entitlement_id"]
        for record in picture.records("grant")
        if (record.content["principal_kind"], record.content["principal_id"]) == ("account", account_id)
    }
    records = [picture.record(RecordKey(type="entitlement", id=id_)) for id_ in ids]
    found = [(record.content["kind"] != "group", str(record.content["name"])) for record in records if record]
    return [name for _, name in sorted(found)]


def _name_of(picture: Overlay, account_id: str) -> str:
    record: StoredRecord | None = picture.record(RecordKey(type="account", id=account_id))
    content = record.content if record else {}
    return str(content.get("username") or content.get("display_name") or account_id)


def _find_meant(typed: str, names: Iterable[str]) -> str:
    folded = {name.casefold(): name for name in sorted(names)}
    near = get_close_matches(typed.casefold(), folded, n=3)
    meant = f"did you mean {' or '.join(folded[each] for each in near)}? " if near else ""
    return f"{meant}What is new in the source is known after ploy-connector sync"
