"""What a grant or a revoke changes for an account, and what the account can still do at the same places.

``find_effects`` combines the answer of a connector, which was read live, with a generation; ``Effects.lines`` puts it
into words, for command line and pages alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Literal, NamedTuple, TypeAlias

from ploy_connector_aws.spec import AccessChange
from ploy_connector_aws.spec.records import RecordType

from .chains import MOST_CHAINS
from .privilege import Named, Place, Privilege
from .search import FoundRecord
from .view import GraphView

Kind: TypeAlias = Literal["grant", "revoke"]
Style: TypeAlias = Literal["plain", "name", "privileged", "unproven", "link"]
LineKind: TypeAlias = Literal["headline", "text", "heading", "item", "warning", "note"]

_ACCOUNTS: tuple[RecordType, ...] = ("account",)

MOST_NAMED = 5
"""Of one place, a line names at most this many entitlements."""

DISABLED = "The account is disabled: its access can be revoked, and nothing can be granted."


class Part(NamedTuple):
    """A part of a line."""

    text: str
    style: Style = "plain"
    moment: datetime | None = None
    """A moment in place of the text."""


class Line(NamedTuple):
    """One line about a change."""

    kind: LineKind
    parts: tuple[Part, ...]


class Reached(NamedTuple):
    """One entitlement that an account reaches, and one path to it."""

    steps: tuple[Named, ...]
    """From the entitlement that the account holds to this one."""
    is_privileged: bool | None
    """None where that was not judged."""
    is_unproven: bool = False

    @property
    def place(self) -> Place | None:
        """The resource that the entitlement is in."""
        return self.steps[-1].place

    def parts(self, *, in_place: bool = False) -> tuple[Part, ...]:
        """Return its name and, in brackets, through which others it is reached.

        Args:
            in_place: Whether the line names the place already.
        """
        *through, end = self.steps
        name = end.own_name if in_place else end.full_name
        via = f" ({' → '.join(each.full_name for each in through)})" if through else " (directly)"
        return (
            Part(name, "name"),
            Part(via),
            *self.badges,
        )

    @property
    def badges(self) -> tuple[Part, ...]:
        """Return what a person must see beside the name."""
        privileged = (Part(" "), Part("privileged", "privileged")) if self.is_privileged else ()
        return (*privileged, *((Part(" "), Part("unproven", "unproven")) if self.is_unproven else ()))


_HEADLINES: dict[tuple[Kind, str], tuple[str, str]] = {
    ("grant", "applied"): ("Granted:", "{} now holds {}."),
    ("grant", "already_in_effect"): ("No change:", "{} already held {}."),
    ("grant", "previewed"): ("Preview, nothing was changed:", "{} would get {}."),
    ("grant", "nothing"): ("Preview:", "{} already holds {}; nothing would change."),
    ("revoke", "applied"): ("Revoked:", "{} no longer holds {}."),
    ("revoke", "already_in_effect"): ("No change:", "{} did not hold {}."),
    ("revoke", "previewed"): ("Preview, nothing was changed:", "{} would lose {}."),
    ("revoke", "nothing"): ("Preview:", "{} does not hold {}; nothing would change."),
}
"""By kind and outcome; 'nothing' is a preview without changes."""

_PATHS: dict[tuple[Kind, str], tuple[str, str]] = {
    ("grant", "applied"): ("Opened paths:", "It opened nothing else."),
    ("grant", "already_in_effect"): ("Open paths:", "It opens nothing else."),
    ("grant", "previewed"): ("Paths that it would open:", "It would open nothing else."),
    ("revoke", "applied"): ("Closed paths:", "It closed nothing else."),
    ("revoke", "already_in_effect"): ("Paths that are closed without it:", "Nothing else is closed without it."),
    ("revoke", "previewed"): ("Paths that it would close:", "It would close nothing else."),
}
"""By kind and outcome: the heading of the paths, and what stands in place of none."""

_STILL: dict[tuple[Kind, bool], tuple[str, str]] = {
    ("grant", True): ("Already enters", "Already reaches"),
    ("grant", False): ("Also enters", "Also reaches"),
    ("revoke", True): ("Would still enter", "Would still reach"),
    ("revoke", False): ("Still enters", "Still reaches"),
}
"""By kind, and whether it is a preview: the verb with a place, and with another resource or none."""


@dataclass(frozen=True)
class Effects:
    """What a change does, or would do."""

    kind: Kind
    change: AccessChange
    account: str
    """The account's name; of two with one name with the user name."""
    entitlement: str
    privilege: Privilege | None
    """The entitlement's; None where it is unknown."""
    is_disabled: bool
    changed: tuple[Reached, ...]
    """What is opened or closed, privileged ones first."""
    kept: tuple[Reached, ...]
    """What the account reaches at the same places without what is changed, privileged ones first."""
    kept_complete: bool
    """Whether the generation shows all of these; of those to the changed access itself, the answer decides."""
    as_of: datetime | None
    """The time as of which the kept paths are complete."""
    place_kind: str | None
    """The kind of resource that is the place."""
    blocker: str | None = None
    """Why the connector would not make the change; what it would do is then as of the generation."""

    @property
    def is_preview(self) -> bool:
        """Whether nothing was changed."""
        return self.change.outcome == "previewed"

    @property
    def changes_something(self) -> bool:
        """Whether it is no preview without changes."""
        return not self.is_preview or bool(self.change.added or self.change.removed)

    def lines(self) -> Iterator[Line]:
        """Put everything into lines, the most important first."""
        change = self.change
        outcome = change.outcome if self.changes_something else "nothing"
        title, sentence = _HEADLINES[self.kind, outcome]
        before, between, after = sentence.split("{}")
        names = Part(self.account, "name"), Part(between), Part(self.entitlement, "name")
        if self.blocker is not None:
            title = title.replace("Preview", "Preview from the last sync", 1)
        yield Line("headline", (Part(title), Part(f" {before}"), *names, Part(after)))
        if self.blocker is not None:
            yield Line("warning", (Part(f"This connector would not make this change. {self.blocker}"),))
        if self.privilege and self.privilege.is_privileged:
            verb, what = self.privilege.describe_as_verb()
            yield Line("text", (Part(f"{self.entitlement} {verb} "), Part(what, "privileged")))
        if change.verified_at is not None:
            yield Line(
                "text", (Part("Verified by reading it back at "), Part("", moment=change.verified_at), Part("."))
            )
        if self.is_disabled:
            yield Line("warning", (Part(DISABLED),))
        if self.changes_something:
            yield from self._changed_lines()
        else:
            yield Line("text", (Part("Where the last sync shows otherwise, the next one corrects it."),))
        yield from self._kept_lines()
        may_have_sessions = bool(change.closed_paths) or not change.effects_complete
        if self.kind == "revoke" and self.changes_something and may_have_sessions:
            yield self._session_line()
        if change.invisible_paths:
            count = len(change.invisible_paths)
            what = f"{count} {'kind' if count == 1 else 'kinds'} of path cannot be seen, if there are any:"
            yield Line("note", (Part(f"{what} "), Part("what cannot be seen", "link")))
        for warning in change.warnings:
            yield Line("warning", (Part(warning),))

    def _changed_lines(self) -> Iterator[Line]:
        heading, nothing = _PATHS[self.kind, self.change.outcome]
        if self.changed:
            yield Line("heading", (Part(heading),))
            for each in self.changed:
                names = " → ".join(step.full_name for step in each.steps)
                yield Line("item", (Part(names, "name"), *each.badges))
        elif self.change.effects_complete:
            yield Line("text", (Part(nothing),))
        if not self.change.effects_complete:
            yield Line("warning", (Part("More paths may be opened or closed: not everything could be read."),))

    def _kept_lines(self) -> Iterator[Line]:
        as_of = (Part(" as of "), Part("", moment=self.as_of)) if self.as_of else ()
        place, other = _STILL[self.kind, self.is_preview]
        for where, rows in groupby(self.kept, key=lambda each: each.place):
            group = list(rows)
            is_place = where is not None and self.place_kind in (None, where.kind)
            parts = [Part(f"{place if is_place else other} ")]
            parts += [Part(where.name, "name"), Part(" as ")] if where else []
            for number, each in enumerate(group[:MOST_NAMED]):
                parts += [Part(", ")] if number else []
                parts += each.parts(in_place=where is not None)
            if len(group) > MOST_NAMED:
                parts.append(Part(f", and {len(group) - MOST_NAMED} more"))
            yield Line("warning" if self.kind == "revoke" else "text", tuple(parts))
        if self.kind == "revoke":
            if not self.change.remaining_paths_complete:
                yield Line("warning", (Part("Other paths may exist: not everything could be read."),))
            elif self.change.remaining_paths:
                yield Line("text", (Part("No others are known"), *as_of, Part(".")))
            else:
                yield Line("text", (Part("No other path to the same access is known"), *as_of, Part(".")))
        if not self.kept_complete:
            yield Line("warning", (Part("What else the account reaches at the same places is not fully known."),))

    def _session_line(self) -> Line:
        if self.change.has_sessions is False:
            return Line("text", (Part("Access ends at once: the source issues no sessions."),))
        if self.change.sessions_end_by is None:
            return Line("warning", (Part("It is unknown how long existing sessions stay valid."),))
        moment = Part("", moment=self.change.sessions_end_by)
        return Line("text", (Part("Existing sessions may stay valid until "), moment, Part(".")))


def find_effects(
    view: GraphView | None,
    kind: Kind,
    account_id: str,
    entitlement_id: str,
    change: AccessChange,
    *,
    place_kind: str | None = None,
    blocker: str | None = None,
) -> Effects:
    """Combine a connector's answer with what a generation shows of the account.

    What leads to the changed access itself comes from the answer, which was read live; what else the account reaches
    at the same places, from the generation.

    Args:
        view: The generation with later changes; None without one: then names are ids.
        kind: The kind of change.
        account_id: The account.
        entitlement_id: The entitlement.
        change: The connector's answer.
        place_kind: The kind of resource that is the place; None where the connector marks none.
        blocker: Why the connector would not make the change, whose effects are then as of the generation.
    """
    live = change.opened_paths if kind == "grant" else change.closed_paths
    chains = [tuple(grant.entitlement_id for grant in path.grants) for path in live]
    others = [tuple(grant.entitlement_id for grant in path.grants) for path in change.remaining_paths]
    account = view.record("account", account_id) if view else None
    reader = _Reader(view, account_id, entitlement_id)
    ends = {chain[-1] for chain in chains} | {entitlement_id}
    kept = reader.kept(kind, ends, others)
    return Effects(
        kind,
        change,
        account_name(view, account) if account else account_id,
        reader.named([entitlement_id])[0].full_name,
        view.privileges("entitlement", [entitlement_id]).get(entitlement_id) if view else None,
        account is not None and account.content.get("status") == "disabled",
        reader.reached((chain, False) for chain in chains),
        kept,
        view is not None and not reader.is_cut,
        change.as_of,
        place_kind,
        blocker,
    )


def account_name(view: GraphView | None, account: FoundRecord) -> str:
    """Return the name of an account; where others have the same, with its user name or its id."""
    content = account.content
    name = str(content.get("display_name") or content.get("username") or account.id)
    if view is None or len(view.resolve(name, _ACCOUNTS).matches) < 2:
        return name
    username = content.get("username")
    return f"{name} ({username if username and username != name else account.id})"


def why_not_grantable(account: Mapping[str, Any]) -> str | None:
    """Return why nothing can be granted to an account with this content; None where something can."""
    reason: str | None = account.get("not_grantable_reason")
    return DISABLED if reason is None and account.get("status") == "disabled" else reason


class _Reader:
    """Names chains of entitlements, and finds those of an account at some places."""

    def __init__(self, view: GraphView | None, account_id: str, entitlement_id: str) -> None:
        self._view = view
        self._account_id = account_id
        self._entitlement_id = entitlement_id
        self.is_cut = False
        """Whether paths were left out because there are too many."""

    def named(self, ids: Iterable[str]) -> tuple[Named, ...]:
        """Name entitlements; an unknown one by its id."""
        ids = tuple(ids)
        found = self._view.named("entitlement", ids) if self._view else {}
        return tuple(found.get(id_) or Named("entitlement", id_, id_, "unknown") for id_ in ids)

    def reached(self, chains: Iterable[tuple[tuple[str, ...], bool]]) -> tuple[Reached, ...]:
        """Name chains, and sort them: by place, those with privileged access first; then by name.

        Args:
            chains: The entitlements of each chain, and whether it is unproven.
        """
        chains = list(dict.fromkeys(chains))
        ends = {chain[-1] for chain, _ in chains}
        privileges = self._view.privileges("entitlement", ends) if self._view else {}
        found = [
            Reached(self.named(chain), _is_privileged(privileges.get(chain[-1])), is_unproven)
            for chain, is_unproven in chains
        ]
        places = {each.place for each in found if each.is_privileged}
        return tuple(
            sorted(
                found,
                key=lambda each: (
                    each.place not in places,
                    each.place.name if each.place else "",
                    each.place.id if each.place else "",
                    not each.is_privileged,
                    [step.name for step in each.steps],
                    [step.id for step in each.steps],
                ),
            )
        )

    def kept(self, kind: Kind, ends: set[str], others: list[tuple[str, ...]]) -> tuple[Reached, ...]:
        """Return what an account reaches at the places of a change without the entitlement that is changed.

        Args:
            kind: The kind of change.
            ends: The entitlements that are opened or closed.
            others: The other chains to these that were read live, after a revoke.
        """
        found: list[tuple[tuple[str, ...], bool]] = [(chain, False) for chain in others]
        if self._view is None:
            return self.reached(found)
        places = {each.place.id for each in self.named(ends) if each.place}
        paths = self._view.paths_of(self._account_id)
        rest = [path for path in paths if path.entitlement_ids[0] != self._entitlement_id]
        at_places = {
            each.id
            for each in self.named({path.entitlement_ids[-1] for path in rest})
            if each.place and each.place.id in places
        }
        # To the changed entitlements themselves a revoke was followed by a live search.
        wanted = at_places - ends if kind == "revoke" else at_places
        found += [(path.entitlement_ids, path.is_unproven) for path in rest if path.entitlement_ids[-1] in wanted]
        firsts = Counter(end for _, end in {(path.entitlement_ids[0], path.entitlement_ids[-1]) for path in paths})
        self.is_cut = any(id_ in wanted and firsts[id_] >= MOST_CHAINS for id_ in paths.more_to)
        return self.reached(_shortest(found))


def _shortest(chains: Iterable[tuple[tuple[str, ...], bool]]) -> list[tuple[tuple[str, ...], bool]]:
    """Keep one chain for each pair of the first entitlement and the last: the first that is listed."""
    kept: dict[tuple[str, str], tuple[tuple[str, ...], bool]] = {}
    for chain, is_unproven in chains:
        kept.setdefault((chain[0], chain[-1]), (chain, is_unproven))
    return list(kept.values())


def _is_privileged(privilege: Privilege | None) -> bool | None:
    return privilege.is_privileged if privilege else None
