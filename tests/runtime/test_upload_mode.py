"""When a run is sent as a delta, and when in full."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.sync.upload import FULL_EVERY, MOST_DELTAS, choose_mode, note_answer

from .records import START

ANSWER = wire.CommitAnswer(status="committed", generation=1)


@dataclass(frozen=True)
class Case:
    """What is known of the last sync and of the platform when the next run was read."""

    deltas: int = 0
    full_at: datetime | None = START
    matches_platform: bool = True
    generation: int | None = 1
    at_platform: int = 1
    is_compared: bool = True
    flags: wire.Flags = wire.Flags()  # noqa: RUF009 - frozen
    read_at: datetime = START + timedelta(minutes=15)


def next_run(store: Store, case: Case) -> Run:
    base = store.begin("base", START)
    store.update(
        base,
        matches_platform=int(case.matches_platform),
        deltas=case.deltas,
        full_at=case.full_at.isoformat() if case.full_at else None,
    )
    store.set_state(base, "committed", generation=case.generation)
    run = store.begin("next", case.read_at)
    store.update(run, base=base.number if case.is_compared else None)
    return run


@pytest.mark.parametrize(
    ("case", "mode"),
    [
        (Case(), "delta"),
        (Case(deltas=MOST_DELTAS - 1), "delta"),
        (Case(deltas=MOST_DELTAS), "full"),
        (Case(read_at=START + FULL_EVERY - timedelta(seconds=1)), "delta"),
        (Case(read_at=START + FULL_EVERY), "full"),
        (Case(full_at=None), "full"),
        (Case(matches_platform=False), "full"),
        (Case(is_compared=False), "full"),
        (Case(at_platform=2), "full"),
        (Case(flags=wire.Flags(full_requested=True)), "full"),
    ],
)
def test_a_delta_is_sent_only_against_what_the_platform_is_known_to_hold(store: Store, case: Case, mode: str) -> None:
    run = next_run(store, case)
    assert choose_mode(store, run, wire.HelloAnswer(generation=case.at_platform, flags=case.flags)) == mode


def test_the_first_run_is_sent_in_full(store: Store) -> None:
    assert choose_mode(store, store.begin("first", START), wire.HelloAnswer()) == "full"


@pytest.mark.parametrize(
    ("case", "answer", "matches_platform"),
    [
        (Case(), ANSWER.model_copy(update={"generation": 2, "unproven_scopes": 3}), True),
        (Case(matches_platform=False), ANSWER.model_copy(update={"generation": 2, "unproven_scopes": 3}), False),
        (Case(matches_platform=False), ANSWER.model_copy(update={"generation": 2}), True),
        (Case(), ANSWER.model_copy(update={"generation": 3, "unproven_scopes": 3}), False),
        (Case(is_compared=False), ANSWER.model_copy(update={"generation": 2, "unproven_scopes": 3}), False),
    ],
)
def test_a_run_matches_the_platform_only_where_both_kept_the_same(
    store: Store, case: Case, answer: wire.CommitAnswer, matches_platform: bool
) -> None:
    run = next_run(store, case)
    note_answer(store, run, answer)
    assert store.baseline is not None
    assert (store.baseline.number, store.baseline.matches_platform) == (run.number, matches_platform)


def test_deltas_are_counted_until_the_next_full_one(store: Store) -> None:
    run = next_run(store, Case(deltas=3))
    store.update(run, mode="delta")
    note_answer(store, run, ANSWER.model_copy(update={"generation": 2}))
    base = store.baseline
    assert base is not None
    assert (base.deltas, base.full_at) == (4, START)
    later = store.begin("later", START + timedelta(hours=1))
    store.update(later, base=base.number, mode="full")
    note_answer(store, later, ANSWER.model_copy(update={"generation": 3}))
    assert store.baseline is not None
    assert (store.baseline.deltas, store.baseline.full_at) == (0, START + timedelta(hours=1))
