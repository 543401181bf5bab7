"""Reference of a commit: how a run changes the newest generation, in plain Python dictionaries.

It is the contract's section "How a commit is decided" (docs/platform-api.yaml) as code; "rule N" is rule N there. It
was written from the documents alone, so that it can judge a host and a platform.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias, get_args

from .spec.pages import Page, ScopeEnding
from .spec.records import Grant, RecordType, to_json

Key: TypeAlias = tuple[RecordType, str]
"""The type and the id of a record."""

Ids: TypeAlias = dict[RecordType, set[str]]
"""Ids by type; every type is a key."""

Verdict: TypeAlias = Literal["complete", "gone", "absent", "excluded", "unproven"]
"""What a run proves about a scope: its ending, or 'absent' where its parent proves that it was not announced."""

TYPES: tuple[RecordType, ...] = get_args(RecordType)
_GUARDED = tuple(type_ for type_ in TYPES if type_ != "finding")  # rule 12

HOLD_MINIMUM = 10
HOLD_PERCENT = 20
"""Removals beyond this share of a type's records, and of at least the minimum, need approval."""

_BY_ENDING: dict[ScopeEnding | None, Verdict]
_BY_ENDING = {"complete": "complete", "gone": "gone", "excluded": "excluded", "failed": "unproven", None: "unproven"}
_BELOW: dict[Verdict | None, Verdict]
_BELOW = {"complete": "absent", "gone": "absent", "absent": "absent", "excluded": "excluded"}
"""The verdict on a scope that was not announced, by the verdict on its parent; otherwise it is unproven."""


class Scope(NamedTuple):
    """How a scope ended."""

    parent: str | None = None
    ending: ScopeEnding | None = None
    """None where it was not reached."""
    origin: str | None = None
    is_announced: bool = True
    """False in a generation only: an earlier run announced it."""


class Observation(NamedTuple):
    """A record, and scopes that list it. It has no content: two contents are the same if their digests are."""

    type: RecordType
    id: str
    scopes: tuple[str, ...]
    digest: bytes
    is_partial: bool = False
    """Whether the content was not read in full."""
    names: tuple[Key, ...] = ()
    """The principal and the entitlement of a grant."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What is visible: every record once, with the scopes that list it, or listed it at their last reading."""

    scopes: Mapping[str, Scope]
    records: Iterable[Observation]


@dataclass(frozen=True, slots=True)
class Run:
    """What a run read. A record may be observed several times, in any order."""

    scopes: Mapping[str, Scope]
    observations: Iterable[Observation]
    retracted: Set[Key] = frozenset()


class Unproven(NamedTuple):
    """Why an unlisted record is kept: scopes that prove nothing, or a grant that names it."""

    scopes: tuple[str, ...]
    grant: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a commit does."""

    generation: Generation
    """The next generation, which is the base of the next run."""
    added: Ids
    changed: Ids
    removed: Ids
    withdrawn: Ids
    """Removed because a scope was excluded: only once a person has approved."""
    unproven: dict[RecordType, dict[str, Unproven]]
    """The unlisted records that are kept, and why."""
    unproven_scopes: int
    hold_reasons: tuple[str, ...]
    """Why a person must look before this becomes visible; empty where none needs to."""


def compare(base: Generation, run: Run) -> Outcome:
    """Decide what a run changes.

    Args:
        base: The newest generation; ``records`` is iterated once.
        run: What was read; ``observations`` is iterated once, before the base.

    Raises:
        ValueError: A record of the run has no scope, or one that the run did not announce.
    """
    announced = _find_parents(base.scopes, run.scopes)
    verdicts, exchanged = _judge_scopes(base.scopes, announced)
    foreign = {name for name, is_exchanged in exchanged.items() if is_exchanged and verdicts[name] != "excluded"}
    listed = _collect(run.observations, announced, foreign)
    denied = _drop_retracted(listed, run.retracted)

    changed: Ids = {type_: set() for type_ in TYPES}
    removed: Ids = {type_: set() for type_ in TYPES}
    withdrawn: Ids = {type_: set() for type_ in TYPES}
    unproven: dict[RecordType, dict[str, Unproven]] = {type_: {} for type_ in TYPES}
    reasons: dict[tuple[str, ...], Unproven] = {}
    before: Counter[RecordType] = Counter()
    unlisted: list[Observation] = []
    rests_on: set[str] = set()

    def remove(known: Observation) -> None:
        is_withdrawn = any(verdicts[name] == "excluded" for name in known.scopes)
        (withdrawn if is_withdrawn else removed)[known.type].add(known.id)

    for known in base.records:
        type_, id_ = known.type, known.id
        before[type_] += 1
        open_scopes = tuple(name for name in known.scopes if verdicts[name] == "unproven")
        entry = listed.entries[type_].get(id_)
        if entry is not None:  # rules 3 and 4
            if entry.is_partial and not known.is_partial:
                entry.is_partial, entry.digest = False, known.digest
            if entry.digest != known.digest:
                changed[type_].add(id_)
            entry.scopes = listed.share_scopes((*entry.scopes, *open_scopes))
            entry.is_in_base = True
        elif (type_, id_) in denied or any(key in denied for key in known.names):  # rule 5
            removed[type_].add(id_)
        elif open_scopes:  # rule 6
            reason = reasons.setdefault(open_scopes, Unproven(open_scopes))
            unproven[type_][id_] = reason
            listed.add(known._replace(scopes=reason.scopes), is_in_base=True)
        elif type_ in ("account", "entitlement") and not any(verdicts[name] == "gone" for name in known.scopes):
            unlisted.append(known)  # decided once all kept grants are known
        else:
            remove(known)
    grants = listed.find_grants({(known.type, known.id) for known in unlisted})
    for known in unlisted:  # rule 7
        if (grant := grants.get((known.type, known.id))) is None:
            remove(known)
            continue
        unproven[known.type][known.id] = Unproven((), grant)
        kept_scopes = tuple(name for name in known.scopes if verdicts[name] != "complete")
        listed.add(known._replace(scopes=kept_scopes), is_in_base=True)
        rests_on.update(kept_scopes)

    next_scopes = _next_scopes(base.scopes, announced, verdicts, exchanged, rests_on)
    return Outcome(
        Generation(next_scopes, listed),
        {type_: {id_ for id_, entry in listed.entries[type_].items() if not entry.is_in_base} for type_ in TYPES},
        changed,
        removed,
        withdrawn,
        unproven,
        sum(verdicts[name] == "unproven" for name in next_scopes),
        tuple(_find_hold_reasons(before, listed.entries, removed, withdrawn)),
    )


def takes_precedence(
    verified_at: datetime, reading_started_at: datetime, confirmed_at: datetime | None, *, is_proven: bool = True
) -> bool:
    """Return whether a verified change takes precedence over a run, which may prove its scope or not (rule 11)."""
    is_newer = verified_at > reading_started_at or not is_proven
    return is_newer and (confirmed_at is None or confirmed_at < verified_at)


def read_pages(pages: Iterable[Page], before: Mapping[str, Scope] = MappingProxyType({})) -> Run:
    """Convert the pages of a connector, in order, to a run. A record's digest is SHA-256 over its JSON.

    A scope with two different endings, origins (it then has none) or contents of one record has failed. A retraction
    counts against earlier observations.

    Args:
        pages: The pages.
        before: The scopes of the base. Retractions in a scope that was read from another origin do not count.
    """
    pages = list(pages)
    scopes = _read_scopes(pages)
    exchanged = _find_exchanged(before, _find_parents(before, scopes))
    observations: dict[Key, list[Observation]] = {}
    retracted: set[Key] = set()
    for page in pages:
        for records, is_partial in ((page.records, False), (page.partial, True)):
            for record in records:
                names: tuple[Key, ...] = ()
                if isinstance(record, Grant):
                    names = ((record.principal_kind, record.principal_id), ("entitlement", record.entitlement_id))
                digest = hashlib.sha256(to_json(record)).digest()
                observation = Observation(record.record_type, record.id, (page.scope,), digest, is_partial, names)
                observations.setdefault((record.record_type, record.id), []).append(observation)
        if exchanged[page.scope] and scopes[page.scope].ending != "excluded":
            continue
        for key in page.retracted:
            retracted.add((key.type, key.id))
            observations.pop((key.type, key.id), None)
    return Run(scopes, [each for found in observations.values() for each in found], retracted)


def _read_scopes(pages: Iterable[Page]) -> dict[str, Scope]:
    by_scope: defaultdict[str, list[Page]] = defaultdict(list)
    for page in pages:
        by_scope[page.scope].append(page)
    scopes: dict[str, Scope] = {}
    for name, own in by_scope.items():
        endings = {page.ending for page in own if page.ending}
        origins = {page.origin for page in own if page.origin}
        contents = {(each.record_type, each.id, to_json(each)) for page in own for each in page.records}
        is_contradictory = len(contents) > len({each[:2] for each in contents})
        is_contradictory |= len(endings) > 1 or len(origins) > 1
        ending = "failed" if is_contradictory else next(iter(endings), None)
        parent = next((page.parent for page in own if page.parent), None)
        scopes[name] = Scope(parent, ending, origins.pop() if len(origins) == 1 else None)
    return scopes


def _find_hold_reasons(
    before: Mapping[RecordType, int], after: Mapping[RecordType, Collection[str]], removed: Ids, withdrawn: Ids
) -> Iterator[str]:
    """Yield why a person must look first (rules 8 and 10), worded as a runtime does."""
    for type_ in _GUARDED:
        leaving = len(removed[type_]) + len(withdrawn[type_])
        # This includes a type that had the minimum and now has none: all of it would be removed.
        if leaving >= HOLD_MINIMUM and 100 * leaving > HOLD_PERCENT * before[type_]:
            some = f"{leaving} of {before[type_]} records of type {type_} would be removed"
            none = f"there were {before[type_]} records of type {type_}, and now there would be none"
            yield some if after[type_] else none
    if withdrawn_count := sum(len(withdrawn[type_]) for type_ in _GUARDED):
        yield f"{withdrawn_count} records would be withdrawn because their scopes were switched off"


@dataclass(slots=True)
class _Entry:
    """A record of the next generation."""

    is_partial: bool
    content_scope: str
    digest: bytes
    scopes: tuple[str, ...]
    names: tuple[Key, ...]
    is_in_base: bool


class _Records:
    """The records of the next generation by type and id. Equal scopes and keys are stored once, to save memory."""

    def __init__(self) -> None:
        self.entries: dict[RecordType, dict[str, _Entry]] = {type_: {} for type_ in TYPES}
        self._scopes: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._keys: dict[Key, Key] = {}

    def __iter__(self) -> Iterator[Observation]:
        for type_ in TYPES:
            for id_, entry in self.entries[type_].items():
                yield Observation(type_, id_, entry.scopes, entry.digest, entry.is_partial, entry.names)

    def add(self, seen: Observation, *, is_in_base: bool = False) -> None:
        """Add a record, or another observation of one."""
        entries = self.entries[seen.type]
        scopes = self.share_scopes(seen.scopes)
        content_scope = min(scopes, default="")
        if (known := entries.get(seen.id)) is None:
            names = tuple(self._keys.setdefault(key, key) for key in seen.names)
            entries[seen.id] = _Entry(seen.is_partial, content_scope, seen.digest, scopes, names, is_in_base)
            return
        known.is_partial, known.content_scope, known.digest = min(  # rule 4
            (known.is_partial, known.content_scope, known.digest), (seen.is_partial, content_scope, seen.digest)
        )
        known.scopes = self.share_scopes((*known.scopes, *scopes))

    def find_grants(self, named: set[Key]) -> dict[Key, str]:
        """Find the grant with the smallest id that names each record."""
        found: dict[Key, str] = {}
        for id_, grant in self.entries["grant"].items():
            for key in named.intersection(grant.names):
                found[key] = min(id_, found.get(key, id_))
        return found

    def share_scopes(self, scopes: tuple[str, ...]) -> tuple[str, ...]:
        """Sort the names of scopes, each once."""
        names = tuple(sorted(set(scopes))) if len(scopes) > 1 else scopes
        return self._scopes.setdefault(names, names)


def _collect(observations: Iterable[Observation], announced: Collection[str], foreign: Set[str]) -> _Records:
    """Collect the observations of a run, except those from another origin (rule 1)."""
    listed = _Records()
    for seen in observations:
        if not seen.scopes or not all(name in announced for name in seen.scopes):
            raise ValueError(f"The run lists the {seen.type} {seen.id!r} in scopes it did not announce: {seen.scopes}.")
        if own_scopes := tuple(name for name in seen.scopes if name not in foreign):
            listed.add(seen._replace(scopes=own_scopes))
    return listed


def _drop_retracted(listed: _Records, retracted: Set[Key]) -> set[Key]:
    """Drop the grants that name retracted records (rule 5); return all records that are proven absent."""
    denied = {(type_, id_) for type_, id_ in retracted if id_ not in listed.entries[type_]}
    grants = listed.entries["grant"]
    for id_ in [id_ for id_, grant in grants.items() if not denied.isdisjoint(grant.names)] if denied else ():
        del grants[id_]
        denied.add(("grant", id_))
    return denied


def _find_parents(before: Mapping[str, Scope], scopes: Mapping[str, Scope]) -> dict[str, Scope]:
    """Return the announced scopes; one that failed or was not reached keeps the base's parent where it names none."""
    announced = {name: scope for name, scope in scopes.items() if scope.is_announced}
    for name in announced.keys() & before.keys():
        if announced[name].parent is None and announced[name].ending in (None, "failed"):
            announced[name] = announced[name]._replace(parent=before[name].parent)
    return announced


def _judge_scopes(
    before: Mapping[str, Scope], announced: Mapping[str, Scope]
) -> tuple[dict[str, Verdict], dict[str, bool]]:
    """Judge every scope of the base and of the run (rules 1 and 2); also return which have another origin."""
    verdicts, exchanged = dict[str, Verdict](), _find_exchanged(before, announced)
    for name, scope in announced.items():
        is_proven = scope.ending == "excluded" or not exchanged[name]
        verdicts[name] = _BY_ENDING[scope.ending] if is_proven else "unproven"
    for name in before:
        path: dict[str, None] = {}
        above: str | None = name
        while above is not None and above in before and above not in verdicts and above not in path:
            path[above] = None
            above = before[above].parent
        verdict = _BELOW.get(verdicts.get(above or ""), "unproven")
        verdicts.update(dict.fromkeys(path, verdict))
    return verdicts, exchanged


def _find_exchanged(before: Mapping[str, Scope], announced: Mapping[str, Scope]) -> dict[str, bool]:
    """Return which scopes were read from another origin than the base, themselves or a scope above them (rule 1)."""
    exchanged: dict[str, bool] = {}
    for name in announced:
        path: dict[str, None] = {}
        above: str | None = name
        is_exchanged = False
        while above is not None and above not in path and not is_exchanged:
            if above in exchanged:
                is_exchanged = exchanged[above]
                break
            path[above] = None
            scope = announced.get(above, Scope())
            origin = before[above].origin if above in before else None
            is_exchanged = origin is not None and scope.origin != origin and scope.ending != "excluded"
            above = scope.parent if above in announced else before.get(above, scope).parent
        exchanged.update(dict.fromkeys(path, is_exchanged))
    return exchanged


def _next_scopes(
    before: Mapping[str, Scope],
    announced: Mapping[str, Scope],
    verdicts: Mapping[str, Verdict],
    exchanged: Mapping[str, bool],
    rests_on: Iterable[str],
) -> dict[str, Scope]:
    """Return the scopes of the next generation: those of the run, and those of the base still needed (rule 9)."""
    scopes: dict[str, Scope] = {}
    for name, scope in announced.items():
        if exchanged[name]:
            ending = scope.ending if scope.ending in (None, "excluded") else "failed"
            known = before.get(name, Scope())
            parent = None if ending == "excluded" else known.parent
            scope = Scope(scope.parent or parent, ending, known.origin)
        scopes[name] = scope
    parents = [scope.parent for scope in scopes.values()]
    unproven = [name for name in before if name not in announced and verdicts[name] == "unproven"]
    for needed in (*unproven, *parents, *rests_on):
        name_or_none = needed
        while name_or_none is not None and name_or_none not in scopes and name_or_none in before:
            scopes[name_or_none] = before[name_or_none]._replace(ending=None, is_announced=False)
            name_or_none = before[name_or_none].parent
    return scopes
