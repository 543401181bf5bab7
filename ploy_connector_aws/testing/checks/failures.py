"""Checks of reads while the source fails, is slow, leaves out or changes: tier 1."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Set

from ploy_connector_aws.reference import Key, compare, read_pages
from ploy_connector_aws.spec import Failure, Finding, Grant, PermissionDeniedError
from ploy_connector_aws.testing.faults import TimedRead, keys_by_scope, keys_of
from ploy_connector_aws.testing.reading import NOTHING, Reading, shorten, summarise
from ploy_connector_aws.testing.results import NotTestedError, Problem
from ploy_connector_aws.testing.validation import Validation

from .cuts import removed_by


def find_unfailed_denials(validation: Validation) -> Iterator[Problem]:
    """Find scopes that ended as if they had been read, though their reading was denied."""
    for denial in validation.faults.denials:
        for ending in sorted(_endings(denial.reading).get(denial.scope, set()) - {"failed"}):
            yield Problem(f"scope {denial.scope!r}", f"It ended {ending!r}, though its reading was denied.")


def find_spread_denials(validation: Validation) -> Iterator[Problem]:
    """Find scopes that were not read because another one was denied."""
    for denial in validation.faults.denials:
        for hook, error in denial.reading.errors.items():
            message = f"It ended with an error when the scope {denial.scope!r} was denied: {error.message}"
            yield Problem(f"hook {hook}", message, hook=hook)
        for scope, missing in _unread(validation, denial.reading, denial.affected):
            yield Problem(f"scope {scope!r}", f"When the scope {denial.scope!r} was denied, it {missing}.")


def find_removals_by_denials(validation: Validation) -> Iterator[Problem]:
    """Find what would be removed because a scope was denied."""
    for denial in validation.faults.denials:
        yield from _losses(validation, denial.reading, f"the scope {denial.scope!r} was denied")


def find_nameless_denials(validation: Validation) -> Iterator[Problem]:
    """Find failures of denied scopes that do not name the missing permissions."""
    known = {permission.name for permission in validation.installed.manifest.permissions}
    for denial in validation.faults.denials:
        failures = [
            (f"scope {seen.page.scope!r}", seen.hook, seen.page.failure)
            for seen in denial.reading.pages
            if seen.page.failure is not None and seen.page.scope == denial.scope
        ]
        failures += [
            (f"hook {hook}", hook, Failure.from_error(error))
            for hook, error in denial.reading.errors.items()
            if isinstance(error, PermissionDeniedError)
        ]
        for where, hook, failure in failures:
            if not failure.missing_permissions:
                message = f"Its failure names no missing permission: {failure.message}"
                yield Problem(where, message, hook=hook)
            for name in failure.missing_permissions:
                if known and name not in known:
                    message = f"It reports {name!r} as missing; manifest.permissions lacks it."
                    yield Problem(where, message, hook=hook)


def find_crashes_by_deletions(validation: Validation) -> Iterator[Problem]:
    """Find errors because a record was deleted during the read."""
    key, reading = validation.faults.deletion
    for hook, error in reading.errors.items():
        yield Problem(f"hook {hook}", f"It failed when {_name(key)} was deleted: {error.message}", hook=hook)
    for seen in reading.pages:
        if seen.page.failure is not None and "failed" not in _endings(validation.first).get(seen.page.scope, set()):
            message = f"It failed when {_name(key)} was deleted: {seen.page.failure.message}"
            yield Problem(f"scope {seen.page.scope!r}", message, hook=seen.hook)


def find_losses_by_deletions(validation: Validation) -> Iterator[Problem]:
    """Find what is lost besides the record that was deleted during the read, and what names it."""
    key, reading = validation.faults.deletion
    gone = {key}
    for _, record in validation.first.records():
        if isinstance(record, Grant) and key in (
            (record.principal_kind, record.principal_id),
            ("entitlement", record.entitlement_id),
        ):
            gone.add(("grant", record.id))
        elif isinstance(record, Finding) and key in {(subject.type, subject.id) for subject in record.subjects}:
            gone.add(("finding", record.id))
    yield from _omissions(validation, reading, f"{_name(key)} was deleted", gone)


def find_throttling_effects(validation: Validation) -> Iterator[Problem]:
    """Find differences between a throttled read and a calm one."""
    reading = validation.faults.throttled
    throttled = summarise(map(shorten, reading.pages))
    first = validation.first_summary
    if (throttled.contents, throttled.scopes) == (first.contents, first.scopes):
        return
    calm = validation.reread()
    for hook, error in reading.errors.items():
        yield Problem(f"hook {hook}", f"It ended with an error: {error.message}", hook=hook)
    for name in sorted(calm.scopes):
        given = throttled.scopes.get(name, frozenset())
        if given != calm.scopes[name]:
            message = f"It ended {_describe(given)}; a calm read ends it {_describe(calm.scopes[name])}."
            yield Problem(f"scope {name!r}", message)
    for type_, id_ in sorted(calm.contents.keys() | throttled.contents.keys()):
        one, other = throttled.contents.get((type_, id_)), calm.contents.get((type_, id_))
        if one != other:
            message = "A throttled read lacks it." if one is None else "A throttled read lists it differently."
            yield validation.about((type_, id_), message)


def find_losses_by_hiding(validation: Validation) -> Iterator[Problem]:
    """Find what would be removed because the source left a record out without an error."""
    for key, reading in validation.faults.hidden:
        yield from _losses(validation, reading, f"the source left out {_name(key)}")


def find_losses_by_cuts(validation: Validation) -> Iterator[Problem]:
    """Find what would be removed because connections were cut."""
    for timed in validation.faults.cut:
        if timed.reading is not None:
            yield from _omissions(validation, timed.reading, timed.fault)


def find_losses_by_slowness(validation: Validation) -> Iterator[Problem]:
    """Find what would be removed because the source was slow."""
    timed = validation.faults.slow
    if timed.reading is None:
        raise NotTestedError("the read did not end while the source was slow")
    yield from _omissions(validation, timed.reading, timed.fault)


def find_endless_reads(validation: Validation) -> Iterator[Problem]:
    """Find reads that do not end in time while the line is cut."""
    yield from _find_endless(validation, validation.faults.cut)


def find_endless_slow_reads(validation: Validation) -> Iterator[Problem]:
    """Find a read that does not end in time while the source is slow."""
    yield from _find_endless(validation, [validation.faults.slow])


def find_lasting_failures(validation: Validation) -> Iterator[Problem]:
    """Find what an instance does not read any more after connections were cut."""
    if any(timed.next_reading is None for timed in validation.faults.cut):
        raise NotTestedError("a read did not end while the line was cut")
    latest = None
    for timed in validation.faults.cut:
        assert timed.next_reading is not None
        lost = validation.first_summary.contents.keys() - keys_of(timed.next_reading)
        if lost and latest is None:
            latest = validation.reread().contents
        for type_, id_ in sorted(lost & (latest or {}).keys()):
            message = f"After a read in which {timed.fault}, the next read of the instance lacks it."
            yield validation.about((type_, id_), message)


def find_missing_additions(validation: Validation) -> Iterator[Problem]:
    """Find a new person who is not listed, or under another id than the source's."""
    added = validation.faults.added
    before = {key for key in validation.first_summary.contents if key[0] == "account"}
    new = {id_ for type_, id_ in keys_of(added.present) if type_ == "account" and (type_, id_) not in before}
    if added.id not in new:
        others = f" New ids are {', '.join(map(repr, sorted(new)))}." if new else ""
        yield Problem(f"account {added.id!r}", f"No list has it after it was made at the source.{others}")
    elif len(new) > 1:
        others = ", ".join(map(repr, sorted(new - {added.id})))
        yield Problem(f"account {added.id!r}", f"One person was made at the source; the lists have also {others}.")


def find_missing_removals(validation: Validation) -> Iterator[Problem]:
    """Find a deleted person who is not removed, and what is removed besides."""
    added = validation.faults.added
    key: Key = ("account", added.id)
    if key not in keys_of(added.present):
        raise NotTestedError("the lists did not have the account that the driver added")
    base = compare(NOTHING, read_pages(seen.page for seen in added.present.pages)).generation
    outcome = compare(base, read_pages((seen.page for seen in added.absent.pages), base.scopes))
    removed = removed_by(outcome)
    if key not in removed:
        kept = key in keys_of(added.absent)
        reason = "The lists still have it." if kept else "No scope that had it proves that it is gone."
        yield Problem(f"account {added.id!r}", f"It is not removed after it was deleted at the source. {reason}")
    yield from _losses(validation, added.absent, f"the account {added.id!r} was deleted", {key})


def _find_endless(validation: Validation, reads: Collection[TimedRead]) -> Iterator[Problem]:
    limit = validation.driver.longest_read_seconds
    for timed in reads:
        if timed.reading is None:
            yield Problem("read", f"It did not end within {limit:g} seconds when {timed.fault}.")


def _losses(validation: Validation, reading: Reading, why: str, gone: Set[Key] = frozenset()) -> Iterator[Problem]:
    """Yield what a read would remove, though the source has it."""
    outcome = validation.outcome_of(seen.page for seen in reading.pages)
    lost = dict.fromkeys(removed_by(outcome), "It would be removed")
    yield from _still_there(validation, lost, why, gone)


def _omissions(validation: Validation, reading: Reading, why: str, gone: Set[Key] = frozenset()) -> Iterator[Problem]:
    """Yield what a read would remove, and what scopes that end complete lack, though the source has it."""
    outcome = validation.outcome_of(seen.page for seen in reading.pages)
    lost = dict.fromkeys(removed_by(outcome), "It would be removed")
    endings, listed = _endings(reading), keys_by_scope(reading)
    for scope, before in keys_by_scope(validation.first).items():
        if "complete" in endings.get(scope, set()):
            for key in before - listed.get(scope, set()):
                lost.setdefault(key, f"The scope {scope!r} ended complete without it")
    yield from _still_there(validation, lost, why, gone)


def _still_there(validation: Validation, lost: Mapping[Key, str], why: str, gone: Set[Key]) -> Iterator[Problem]:
    """Yield what a calm read has."""
    found = {key: message for key, message in lost.items() if key not in gone}
    latest = validation.reread().contents if found else {}
    for key, message in sorted(found.items()):
        if key in latest:
            yield validation.about(key, f"{message} when {why}.")


def _unread(validation: Validation, reading: Reading, denied: Set[str]) -> Iterator[tuple[str, str]]:
    """Yield the other scopes that were complete in the first read and are not now: the name, and how they differ."""
    endings, listed = _endings(reading), keys_by_scope(reading)
    before = keys_by_scope(validation.first)
    for scope, given in _endings(validation.first).items():
        if given != {"complete"} or scope in denied:
            continue
        now = endings.get(scope, set())
        if now != {"complete"}:
            yield scope, f"ended {_describe(now)}"
        elif lost := before.get(scope, set()) - listed.get(scope, set()):
            yield scope, f"lacked {_name(min(lost))}"


def _endings(reading: Reading) -> dict[str, set[str]]:
    """Return how each scope ended."""
    found: dict[str, set[str]] = {}
    for seen in reading.pages:
        found.setdefault(seen.page.scope, set()).update([seen.ending] if seen.ending else [])
    return found


def _describe(endings: Collection[str | None]) -> str:
    return " and ".join(sorted(repr(each) for each in endings)) or "not at all"


def _name(key: Key) -> str:
    return f"{key[0]} {key[1]!r}"
