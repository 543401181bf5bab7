"""What a change does, and what the account can still do at the same places: found in a generation, and in words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ploy_connector_aws.graph.effects import Effects, Kind, Line, find_effects, why_not_grantable
from ploy_connector_aws.graph.preview import preview_from
from ploy_connector_aws.graph.view import GraphView
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.spec import AccessChange, AccessPath, Account, Entitlement, Grant, Page, Resource
from tests.runtime.records import account, commit, group, membership, nesting

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def role(name: str, place: str | None, *, privileged: bool | None = False) -> Entitlement:
    return Entitlement(
        id=f"{name}@{place}",
        kind="account_role",
        name=f"{name} in {place}",
        resource_id=place,
        privileged=privileged,
        not_grantable_reason="Grant a group.",
    )


ROLES = (role("Admin", "prod", privileged=True), role("Reader", "prod"), role("Reader", "test"), role("Odd", "prod"))
RECORDS = (
    *(Resource(id=place, kind="site", name=f"The {place} site") for place in ("prod", "test")),
    *ROLES,
    *(group(name) for name in ("oncall", "team", "admins", "testers")),
    account("ann", "Ann"),
    nesting("oncall", "Admin@prod"),
    nesting("admins", "Admin@prod"),
    nesting("team", "Reader@prod"),
    nesting("testers", "Reader@test"),
    *(membership("ann", name) for name in ("oncall", "team", "testers")),
)
CLOSED = AccessPath(grants=(membership("ann", "oncall"), nesting("oncall", "Admin@prod")))
REVOKED: dict[str, Any] = {
    "outcome": "previewed",
    "scope": "g",
    "removed": (membership("ann", "oncall"),),
    "closed_paths": (CLOSED,),
    "effects_complete": True,
    "remaining_paths_complete": True,
    "as_of": NOW,
    "sessions_end_by": NOW,
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "one.sqlite") as opened:
        yield opened


def view_of(store: Store, *records: Any) -> GraphView:
    commit(store, Page(scope="all", records=(*RECORDS, *records), complete=True))
    assert store.baseline is not None
    return GraphView(store.connection, store.baseline.tables)


def effects_of(
    view: GraphView | None, kind: Kind = "revoke", entitlement: str = "oncall", account: str = "ann", **fields: Any
) -> Effects:
    change = AccessChange.model_validate({**REVOKED, **fields})
    return find_effects(view, kind, account, entitlement, change, place_kind="site")


def to_text(line: Line) -> str:
    return "".join(f"{part.moment:%H:%M}" if part.moment else part.text for part in line.parts)


def lines_of(effects: Effects) -> list[str]:
    return [to_text(line) for line in effects.lines()]


def test_revoke_lists_what_the_account_still_can_do_at_the_same_place_and_nowhere_else(store: Store) -> None:
    assert lines_of(effects_of(view_of(store))) == [
        "Preview, nothing was changed: Ann would lose oncall.",
        "oncall is privileged through Admin in The prod site",
        "Paths that it would close:",
        "oncall → Admin in The prod site privileged",
        "Would still enter The prod site as Reader (team)",
        "No other path to the same access is known as of 09:00.",
        "Existing sessions may stay valid until 09:00.",
    ]


def test_what_is_privileged_comes_first_and_is_marked(store: Store) -> None:
    path = membership("ann", "zeta"), nesting("zeta", "Admin@prod")
    effects = effects_of(view_of(store, group("zeta"), *path), remaining_paths=(AccessPath(grants=path),))
    lines = lines_of(effects)
    assert "Would still enter The prod site as Admin (zeta) privileged, Reader (team)" in lines
    assert "No others are known as of 09:00." in lines
    assert [each.is_privileged for each in effects.kept] == [True, False]


def test_paths_to_the_revoked_access_come_from_the_live_answer_alone(store: Store) -> None:
    """The snapshot is older than the answer: what it shows of the very same access may be gone."""
    effects = effects_of(view_of(store, membership("ann", "admins")))
    assert [each.steps[-1].id for each in effects.kept] == ["Reader@prod"]


def test_access_to_the_same_place_by_the_revoked_entitlement_alone_is_not_kept(store: Store) -> None:
    view = view_of(store, nesting("oncall", "Odd@prod"))
    assert [each.steps[-1].id for each in effects_of(view).kept] == ["Reader@prod"]


def test_grant_lists_what_the_account_can_do_there_already(store: Store) -> None:
    opened = AccessPath(grants=(membership("ann", "admins"), nesting("admins", "Admin@prod")))
    fields: dict[str, Any] = {"removed": (), "added": (membership("ann", "admins"),), "closed_paths": ()}
    effects = effects_of(view_of(store), "grant", "admins", **fields, opened_paths=(opened,))
    assert lines_of(effects) == [
        "Preview, nothing was changed: Ann would get admins.",
        "admins is privileged through Admin in The prod site",
        "Paths that it would open:",
        "admins → Admin in The prod site privileged",
        "Already enters The prod site as Admin (oncall) privileged, Reader (team)",
    ]


def test_nothing_is_printed_about_sessions_where_nothing_was_opened(store: Store) -> None:
    view = view_of(store)
    assert not any("essions" in line for line in lines_of(effects_of(view, closed_paths=())))
    unknown = lines_of(effects_of(view, closed_paths=(), effects_complete=False, sessions_end_by=None))
    assert "It is unknown how long existing sessions stay valid." in unknown
    assert not any("essions" in line for line in lines_of(effects_of(view, removed=(), effects_complete=False)))


def test_absence_of_sessions_is_reported(store: Store) -> None:
    without = effects_of(view_of(store), has_sessions=False, sessions_end_by=None)
    (line,) = [line for line in without.lines() if "essions" in to_text(line)]
    assert (line.kind, to_text(line)) == ("text", "Access ends at once: the source issues no sessions.")
    with pytest.raises(ValueError, match="does not go with has_sessions=False"):
        effects_of(view_of(store), has_sessions=False)


def test_what_cannot_be_seen_is_one_line_with_a_link(store: Store) -> None:
    (note,) = [
        line for line in effects_of(view_of(store), invisible_paths=("One.", "Two.")).lines() if line.kind == "note"
    ]
    assert to_text(note) == "2 kinds of path cannot be seen, if there are any: what cannot be seen"
    assert note.parts[-1].style == "link"


def test_disabled_account_is_marked_and_nothing_can_be_granted_to_it(store: Store) -> None:
    off = Account(id="off", display_name="Otto", status="disabled")
    effects = effects_of(view_of(store, off), account="off")
    warnings = [to_text(line) for line in effects.lines() if line.kind == "warning"]
    assert (effects.is_disabled, warnings[0].startswith("The account is disabled")) == (True, True)
    assert why_not_grantable(off.model_dump()) == warnings[0]
    assert why_not_grantable(account("ann").model_dump()) is None


def test_two_people_of_one_name_have_their_user_names(store: Store) -> None:
    others = (
        Account(id="a1", display_name="Ada Byron", username="ada.b"),
        Account(id="a2", display_name="ada byron", username="ada.b2"),
    )
    view = view_of(store, *others)
    assert [effects_of(view, account=each.id).account for each in others] == ["Ada Byron (ada.b)", "ada byron (ada.b2)"]
    assert effects_of(view).account == "Ann"


def test_incomplete_answer_is_never_shown_as_none(store: Store) -> None:
    lines = lines_of(effects_of(view_of(store), remaining_paths_complete=False, effects_complete=False, as_of=None))
    assert "More paths may be opened or closed: not everything could be read." in lines
    assert "Other paths may exist: not everything could be read." in lines
    assert not any(line.startswith(("No other", "No others", "It would")) for line in lines)


def test_without_a_snapshot_ids_are_shown_and_other_access_is_unknown() -> None:
    lines = lines_of(effects_of(None))
    assert lines[0] == "Preview, nothing was changed: ann would lose oncall."
    assert "oncall → Admin@prod" in lines
    assert "What else the account reaches at the same places is not fully known." in lines


def test_unproven_path_is_marked(store: Store) -> None:
    view_of(store)
    commit(store, Page(scope="all", records=()), Page(scope="other", complete=True))
    assert store.baseline is not None
    effects = effects_of(GraphView(store.connection, store.baseline.tables))
    assert "Would still enter The prod site as Reader (team) unproven" in lines_of(effects)


def test_other_resources_are_reached_and_long_lists_are_counted(store: Store) -> None:
    roles = [role(f"R{number}", "box") for number in range(7)]
    view = view_of(
        store,
        Resource(id="box", kind="bucket", name="box"),
        *roles,
        group("many"),
        group("one"),
        *(nesting("many", each.id) for each in roles),
        nesting("one", roles[0].id),
        membership("ann", "many"),
        membership("ann", "one"),
    )
    closed = AccessPath(grants=(membership("ann", "one"), nesting("one", roles[0].id)))
    remaining = AccessPath(grants=(membership("ann", "many"), nesting("many", roles[0].id)))
    lines = lines_of(effects_of(view, entitlement="one", closed_paths=(closed,), remaining_paths=(remaining,)))
    names = ", ".join(f"R{number} (many)" for number in range(5))
    assert f"Would still reach box as {names}, and 2 more" in lines


@pytest.mark.parametrize("kind", ["grant", "revoke"])
@pytest.mark.parametrize("outcome", ["applied", "already_in_effect", "previewed"])
def test_each_outcome_has_a_headline(kind: Kind, outcome: str) -> None:
    grants: tuple[Grant, ...] = (membership("ann", "oncall"),)
    fields: dict[str, Any] = {
        "outcome": outcome,
        "verified_at": None if outcome == "previewed" else NOW,
        "added": grants if kind == "grant" else (),
        "removed": grants if kind == "revoke" else (),
    }
    headline, *rest = effects_of(None, kind, **fields).lines()
    assert headline.kind == "headline"
    assert ("Verified by reading it back at 09:00." in map(to_text, rest)) == (outcome != "previewed")


def preview_lines(view: GraphView, kind: Kind, entitlement: str) -> list[str]:
    change = preview_from(view, kind, "ann", entitlement, is_complete=True, as_of=NOW)
    effects = find_effects(
        view, kind, "ann", entitlement, change, place_kind="site", blocker="It is managed elsewhere."
    )
    return lines_of(effects)


def test_what_a_connector_would_not_change_is_previewed_from_the_last_sync(store: Store) -> None:
    view = view_of(store)
    assert preview_lines(view, "revoke", "oncall") == [
        "Preview from the last sync, nothing was changed: Ann would lose oncall.",
        "This connector would not make this change. It is managed elsewhere.",
        "oncall is privileged through Admin in The prod site",
        "Paths that it would close:",
        "oncall → Admin in The prod site privileged",
        "Would still enter The prod site as Reader (team)",
        "No other path to the same access is known as of 09:00.",
        "It is unknown how long existing sessions stay valid.",
    ]
    assert preview_lines(view, "grant", "admins")[:5] == [
        "Preview from the last sync, nothing was changed: Ann would get admins.",
        "This connector would not make this change. It is managed elsewhere.",
        "admins is privileged through Admin in The prod site",
        "Paths that it would open:",
        "admins → Admin in The prod site privileged",
    ]
    assert preview_lines(view, "grant", "oncall")[0] == (
        "Preview from the last sync: Ann already holds oncall; nothing would change."
    )
    assert preview_lines(view, "revoke", "admins")[0] == (
        "Preview from the last sync: Ann does not hold admins; nothing would change."
    )


def test_preview_from_the_last_sync_names_the_other_paths_to_the_same(store: Store) -> None:
    view = view_of(store, membership("ann", "admins"))
    change = preview_from(view, "revoke", "ann", "oncall", is_complete=False, as_of=NOW)
    assert [[grant.entitlement_id for grant in path.grants] for path in change.closed_paths] == [
        ["oncall", "Admin@prod"]
    ]
    assert [[grant.entitlement_id for grant in path.grants] for path in change.remaining_paths] == [
        ["admins", "Admin@prod"]
    ]
    assert (change.effects_complete, change.remaining_paths_complete) == (False, False)
