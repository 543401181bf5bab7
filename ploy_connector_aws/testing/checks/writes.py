"""Checks of ``grant`` and ``revoke``: tier 2."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ploy_connector_aws.host.change_check import Kind
from ploy_connector_aws.reference import Key
from ploy_connector_aws.spec import (
    AccessChange,
    AccessPath,
    Grant,
    InvalidAnswerError,
    NotFoundError,
    RecordKey,
    RejectedError,
    TemporaryError,
)
from ploy_connector_aws.spec.records import grant_id, to_json
from ploy_connector_aws.testing.access_paths import MOST_SEARCHED, GrantPath, find_paths, opened_by
from ploy_connector_aws.testing.faults import keys_of
from ploy_connector_aws.testing.reading import Reading
from ploy_connector_aws.testing.results import NotTestedError, Problem
from ploy_connector_aws.testing.validation import Validation
from ploy_connector_aws.testing.writes import Attempt, CutTrial, Moment, Step


def find_unbelievable_answers(validation: Validation) -> Iterator[Problem]:
    """Find answers that a host does not believe."""
    for step, attempt in validation.trials.cycle.attempts.items():
        if isinstance(attempt.error, InvalidAnswerError):
            yield _problem(attempt, f"{_sentence(step)}: {attempt.error.message}")


def find_ineffective_grants(validation: Validation) -> Iterator[Problem]:
    """Find a grant that has no effect, or reports another one."""
    yield from _find_ineffective(validation.trials.cycle.attempts["grant"])


def find_ineffective_revokes(validation: Validation) -> Iterator[Problem]:
    """Find a revoke that has no effect, or reports another one."""
    yield from _find_ineffective(_require_effect(validation, "grant", "revoke"))


def find_unrepeatable_grants(validation: Validation) -> Iterator[Problem]:
    """Find grants of what is held that do not answer so."""
    for step in ("same grant again", "another grant of the same"):
        yield from _find_unrepeatable(_require_effect(validation, "grant", step), step)
    cycle = validation.trials.cycle
    yield from _find_doubles(cycle.attempts["same grant again"], cycle.readings["revoke previewed"])


def find_unrepeatable_revokes(validation: Validation) -> Iterator[Problem]:
    """Find revokes of what is not held that do not answer so."""
    for step in ("same revoke again", "another revoke of the same"):
        yield from _find_unrepeatable(_require_effect(validation, "revoke", step), step)


def find_previews_that_write(validation: Validation) -> Iterator[Problem]:
    """Find previews that change something, at the source or in the lists."""
    cycle = validation.trials.cycle
    for step, attempt in cycle.attempts.items():
        if attempt.request.preview and attempt.was_held != attempt.held:
            yield _problem(attempt, f"{_sentence(step)}: the source has changed.")
    readings = cycle.readings
    yield from _find_differences(readings["before"], readings["previewed"], "a preview of a grant changed the lists")
    after = readings["revoke previewed"]
    yield from _find_differences(readings["granted"], after, "a preview of a revoke changed the lists")


def find_vague_previews(validation: Validation) -> Iterator[Problem]:
    """Find previews that do not name the grant that would change."""
    cycle = validation.trials.cycle
    for step in ("preview of a grant", "preview of a revoke"):
        attempt = cycle.attempts[step] if step == "preview of a grant" else _require_effect(validation, "grant", step)
        change = _answer_to_preview(attempt)
        if isinstance(change, Problem):
            yield change
        elif change is not None and cycle.key.id not in {edge.id for edge in _wanted(attempt, change)}:
            yield _problem(attempt, f"{_sentence(step)}: it does not name the grant that would change.")


def find_idle_previews(validation: Validation) -> Iterator[Problem]:
    """Find previews of what is so already that name a change."""
    steps: tuple[tuple[Step, Step], ...] = (
        ("grant", "preview of a grant of what is held"),
        ("revoke", "preview of a revoke of what is not held"),
    )
    for effect, step in steps:
        attempt = _require_effect(validation, effect, step)
        change = _answer_to_preview(attempt)
        if isinstance(change, Problem):
            yield change
        elif change is not None and (change.added or change.removed):
            yield _problem(attempt, f"{_sentence(step)}: added and removed must be empty, as nothing would change.")


def find_unlisted_edges(validation: Validation) -> Iterator[Problem]:
    """Find what a grant added and the lists give otherwise."""
    cycle = validation.trials.cycle
    attempt, change = _require_effect(validation, "grant", "grant"), cycle.change("grant")
    reading = cycle.readings["granted"]
    for edge in change.added:
        found = {seen.page.scope: record for seen, record in reading.records() if record.key == edge.key}
        if not found:
            yield _problem(attempt, "It reported that the grant was added, and no list has it.")
        elif change.scope not in found:
            scopes = ", ".join(map(repr, sorted(found)))
            yield _problem(attempt, f"Its scope is {change.scope!r}; the lists have the grant in {scopes}.")
        elif all(to_json(record) != to_json(edge) for record in found.values()):
            record = found[change.scope]
            message = f"It added {to_json(edge).decode()}; the lists have {to_json(record).decode()}."
            yield _problem(attempt, message)
    listed = {key for key in keys_of(reading) - keys_of(cycle.readings["previewed"]) if key[0] == "grant"}
    for key in sorted(listed - {("grant", edge.id) for edge in change.added}):
        yield _problem(attempt, f"The lists have a new {key[0]} {key[1]!r}, which is not in added.")


def find_lasting_edges(validation: Validation) -> Iterator[Problem]:
    """Find what a revoke removed and the lists still have, or had elsewhere."""
    cycle = validation.trials.cycle
    attempt, change = _require_effect(validation, "revoke", "revoke"), cycle.change("revoke")
    before, after = cycle.readings["revoke previewed"], keys_of(cycle.readings["revoked"])
    for edge in change.removed:
        scopes = {seen.page.scope for seen, record in before.records() if record.key == edge.key}
        if ("grant", edge.id) in after:
            yield _problem(attempt, "It reported that the grant was removed, and the lists still have it.")
        elif scopes and change.scope not in scopes:
            names = ", ".join(map(repr, sorted(scopes)))
            yield _problem(attempt, f"Its scope is {change.scope!r}; the lists had the grant in {names}.")


def find_changed_others(validation: Validation) -> Iterator[Problem]:
    """Find other grants that a grant or a revoke changed."""
    cycle = validation.trials.cycle
    own = ("grant", cycle.key.id)
    moments: tuple[tuple[Moment, Moment, Kind], ...] = (
        ("before", "granted", "grant"),
        ("revoke previewed", "revoked", "revoke"),
    )
    for before, after, step in moments:
        kept = {key for key in keys_of(cycle.readings[before]) if key[0] == "grant"} - {own}
        for _, id_ in sorted(kept - keys_of(cycle.readings[after])):
            yield Problem(f"grant {id_!r}", f"A {step} of another one removed it.", hook=step)


def find_fallen_entitlements(validation: Validation) -> Iterator[Problem]:
    """Find what is not read any more after its last holder lost it."""
    cycle = validation.trials.cycle
    _require_effect(validation, "revoke", "revoke")
    before, after = cycle.readings["before"], cycle.readings["revoked"]
    keys: tuple[Key, ...] = (("account", cycle.account_id), ("entitlement", cycle.entitlement_id))
    for type_, id_ in keys:
        if (type_, id_) not in keys_of(after):
            yield Problem(f"{type_} {id_!r}", "The lists lack it after the last holder lost the entitlement.")
    ended = {seen.page.scope for seen in before.pages if seen.ending == "complete"}
    for scope in sorted(ended - {seen.page.scope for seen in after.pages if seen.ending == "complete"}):
        yield Problem(f"scope {scope!r}", "It does not end complete after the last holder lost the entitlement.")


def find_accepted_ids(validation: Validation) -> Iterator[Problem]:
    """Find requests with unknown ids that are not refused, or change something."""
    attempts, before, after = validation.trials.unknown
    known = {record.id for _, record in before.records()}
    for attempt in attempts:
        unknown = "account" if attempt.request.account_id not in known else "entitlement"
        if not isinstance(attempt.error, NotFoundError | RejectedError):
            message = f"The {unknown} does not exist, and NotFoundError is expected; {_came_out(attempt)}."
            yield _problem(attempt, message)
    yield from _find_differences(before, after, "requests with unknown ids changed the lists")


def find_wrong_opened_paths(validation: Validation) -> Iterator[Problem]:
    """Find what a grant opens by the lists and not by its answer, or the reverse."""
    trial = validation.trials.paths
    change = trial.granted.require()
    through, _ = _split_paths(trial.granted, trial.reading)
    yield from _compare(trial.granted, "opened_paths", change.opened_paths, through, change.effects_complete)


def find_wrong_closed_paths(validation: Validation) -> Iterator[Problem]:
    """Find what a revoke closes by the lists and not by its answer, or the reverse."""
    trial = validation.trials.paths
    change = trial.revoked.require()
    through, _ = _split_paths(trial.revoked, trial.reading)
    yield from _compare(trial.revoked, "closed_paths", change.closed_paths, through, change.effects_complete)


def find_wrong_remaining_paths(validation: Validation) -> Iterator[Problem]:
    """Find what remains after a revoke by the lists and not by its answer, or the reverse."""
    trial = validation.trials.paths
    if not trial.has_other_path:
        raise NotTestedError("no two grantable entitlements of the source open the same")
    change = trial.revoked.require()
    _, others = _split_paths(trial.revoked, trial.reading)
    is_complete = change.remaining_paths_complete
    yield from _compare(trial.revoked, "remaining_paths", change.remaining_paths, others, is_complete)


def find_wrong_answers_to_cuts_before(validation: Validation) -> Iterator[Problem]:
    """Find answers that contradict the source after a write that it has not made."""
    yield from _find_wrong_answers(validation.trials.cut_before)


def find_wrong_answers_to_cuts_after(validation: Validation) -> Iterator[Problem]:
    """Find answers that contradict the source after a write whose response was lost."""
    yield from _find_wrong_answers(validation.trials.cut_after)


def find_late_writes(validation: Validation) -> Iterator[Problem]:
    """Find writes that begin after the end of the lease."""
    for attempt in validation.trials.late:
        if attempt.held != attempt.was_held:
            yield _problem(attempt, "write_before has passed, and it wrote to the source.")
        elif attempt.error is None:
            yield _problem(attempt, f"write_before has passed, and TemporaryError is expected; {_came_out(attempt)}.")


def _find_ineffective(attempt: Attempt) -> Iterator[Problem]:
    wanted = attempt.kind == "grant"
    if isinstance(attempt.error, InvalidAnswerError):
        raise NotTestedError(f"a {attempt.kind} gave no answer that a host believes")
    if attempt.was_held == wanted:
        raise NotTestedError(f"the source was changed before the {attempt.kind}")
    if attempt.error is not None:
        yield _problem(attempt, f"It failed: {attempt.error.message}")
    elif attempt.held != wanted:
        state = "does not have" if wanted else "still has"
        yield _problem(attempt, f"{_came_out(attempt).capitalize()}, and the source {state} the grant.")
    elif attempt.change is not None and attempt.change.outcome != "applied":
        yield _problem(attempt, f"It changed the source; {_came_out(attempt)} and not 'applied'.")


def _find_unrepeatable(attempt: Attempt, step: Step) -> Iterator[Problem]:
    if isinstance(attempt.error, InvalidAnswerError):
        raise NotTestedError(f"a {attempt.kind} gave no answer that a host believes")
    if attempt.change is None or attempt.change.outcome != "already_in_effect":
        message = f"{_sentence(step)}: 'already_in_effect' is expected; {_came_out(attempt)}."
        yield _problem(attempt, message)
    if attempt.held != attempt.was_held:
        yield _problem(attempt, f"{_sentence(step)}: the source has changed.")


def _find_doubles(attempt: Attempt, reading: Reading) -> Iterator[Problem]:
    """Find a grant that the lists have twice, as it was made twice."""
    edge = grant_id("account", attempt.request.account_id, attempt.request.entitlement_id)
    scopes = [seen.page.scope for seen, record in reading.records() if record.key == RecordKey(type="grant", id=edge)]
    if len(scopes) > len(set(scopes)):
        yield _problem(attempt, f"It was made {len(scopes)} times: the lists have it as often.")


def _find_wrong_answers(trial: CutTrial) -> Iterator[Problem]:
    """Judge pairs of a request that met a fault, and the same request again."""
    if trial.reading is not None:
        yield from _find_doubles(trial.attempts[0], trial.reading)
    for number, attempt in enumerate(trial.attempts):
        wanted = attempt.kind == "grant"
        when = "the request was repeated" if number % 2 else "the write was cut"
        is_invalid = isinstance(attempt.error, InvalidAnswerError)
        if attempt.change is not None:
            if attempt.held != wanted:
                yield _problem(attempt, f"When {when}, {_came_out(attempt)}, and the source does not show it.")
        elif number % 2 and not is_invalid:
            yield _problem(attempt, f"The repeated request did not succeed after a cut; {_came_out(attempt)}.")
        elif not is_invalid and not isinstance(attempt.error, TemporaryError):
            yield _problem(attempt, f"TemporaryError is expected when {when}; {_came_out(attempt)}.")
        elif isinstance(attempt.error, TemporaryError) and attempt.error.changed_nothing and attempt.held == wanted:
            yield _problem(attempt, f"When {when}, it raised changed_nothing=True, and the source has changed.")


def _require_effect(validation: Validation, effect: Step, step: Step) -> Attempt:
    """Return the attempt of a step, if a grant or revoke before it had its effect at the source."""
    cycle = validation.trials.cycle
    cycle.require_effect(effect)
    return cycle.attempts[step]


def _answer_to_preview(attempt: Attempt) -> AccessChange | Problem | None:
    """Return the answer to a preview, what is wrong with it, or None where another rule says that."""
    if isinstance(attempt.error, InvalidAnswerError):
        return None
    if attempt.change is None:
        return _problem(attempt, f"A preview is expected to answer; {_came_out(attempt)}.")
    return attempt.change


def _wanted(attempt: Attempt, change: AccessChange) -> tuple[Grant, ...]:
    return change.added if attempt.kind == "grant" else change.removed


def _find_differences(before: Reading, after: Reading, what: str) -> Iterator[Problem]:
    """Yield records that only one of two reads has."""
    for type_, id_ in sorted(keys_of(before) ^ keys_of(after)):
        change = "appeared" if (type_, id_) in keys_of(after) else "is gone"
        yield Problem(f"{type_} {id_!r}", f"It {change}: {what}.")


def _split_paths(attempt: Attempt, reading: Reading) -> tuple[list[GrantPath], list[GrantPath]]:
    """Return the paths to an entitlement and to what it opens, by the lists: those through its grant, and others."""
    request = attempt.request
    grants = [record for _, record in reading.records() if isinstance(record, Grant)]
    targets = {request.entitlement_id, *opened_by(grants, request.entitlement_id)}
    edge = grant_id("account", request.account_id, request.entitlement_id)
    paths, is_complete = find_paths(grants, request.account_id, targets)
    if not is_complete:
        raise NotTestedError(f"the account has more than {MOST_SEARCHED:,} paths of access")
    return [path for path in paths if path[0].id == edge], [path for path in paths if path[0].id != edge]


def _compare(
    attempt: Attempt, name: str, given: Iterable[AccessPath], expected: Sequence[GrantPath], is_complete: bool
) -> Iterator[Problem]:
    """Compare paths of an answer with those of the lists. One that is the beginning of another may be left out."""
    found = {_to_ids(path.grants): path.grants for path in given}
    known = {_to_ids(path): path for path in expected}
    for ids in found.keys() - known.keys():
        yield _problem(attempt, f"Its {name} have a path that the lists do not have: {_describe(found[ids])}.")
    beginnings = {ids[:count] for ids in known for count in range(1, len(ids))}
    if is_complete:
        for ids in known.keys() - found.keys() - beginnings:
            if len(ids) > 1 or name == "remaining_paths":
                message = f"Its {name} are complete, and lack a path that the lists have: {_describe(known[ids])}."
                yield _problem(attempt, message)


def _to_ids(path: Iterable[Grant]) -> tuple[str, ...]:
    return tuple(grant.id for grant in path)


def _describe(path: Sequence[Grant]) -> str:
    return " → ".join(repr(each) for each in (path[0].principal_id, *(grant.entitlement_id for grant in path)))


def _came_out(attempt: Attempt) -> str:
    """Describe an answer or an error."""
    if attempt.change is not None:
        return f"its outcome is {attempt.change.outcome!r}"
    error = attempt.error
    return f"it raised {type(error).__name__}: {error.message.rstrip('.')}" if error else "it gave nothing"


def _sentence(step: str) -> str:
    return step[0].upper() + step[1:]


def _problem(attempt: Attempt, message: str) -> Problem:
    request = attempt.request
    where = f"{attempt.kind} of {request.entitlement_id!r} to {request.account_id!r}"
    where = where.replace(" to ", " from ", 1) if attempt.kind == "revoke" else where
    return Problem(where, message, hook=attempt.kind)
