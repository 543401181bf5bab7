"""Quick runs and soaks: which tests run, with which random examples, and for how long.

``make test`` plays the quick suite: random examples are the same in every run. ``--soak`` plays what is long instead:
tests with the ``soak`` marker, and every property with many random examples. See ``docs/explanation/testing.md``.
"""

from __future__ import annotations

import functools
import random
import time
import unittest
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings, stateful
from hypothesis.errors import FlakyStrategyDefinition, UnsatisfiedAssumption

QUICK_SEED = "quick"
SHARES = 10
"""One property takes at most this share of the time that is given to a soak."""

NOT_PLAYED = "no time was left of"
_SEED = "soak_seed"

# The speed of a machine is no property of the code: no deadline, and no check that examples come fast.
_ANY_SPEED: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile(
    "quick", **_ANY_SPEED, derandomize=True, database=None, max_examples=25, stateful_step_count=25
)
settings.register_profile(
    "soak", **_ANY_SPEED, database=None, print_blob=True, max_examples=400, stateful_step_count=40
)

_T = TypeVar("_T")

_started = time.monotonic()


def cheap(play: Callable[..., None]) -> Callable[..., None]:
    """Play a property whose examples take milliseconds three times as often as others."""
    return settings(max_examples=3 * settings().max_examples)(play)


def costly(**more: Any) -> Callable[[_T], _T]:
    """Play a property or a state machine whose examples take a second a third as often as others.

    Args:
        more: Other settings of Hypothesis for it.
    """
    return settings(max_examples=settings().max_examples // 3, **more)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--soak", action="store_true", help="play the long tests, with random examples by --hypothesis-seed"
    )
    parser.addoption("--soak-seconds", type=float, default=3300, help="after which no further long test is begun")


def configure(config: pytest.Config) -> None:
    """Choose the profile, and the seed of a soak where none is given: a worker gets what its controller chose."""
    option = config.option
    settings.load_profile("soak" if option.soak else "quick")
    if option.soak and option.hypothesis_seed is None:
        chosen = getattr(config, "workerinput", {}).get(_SEED)
        option.hypothesis_seed = chosen or str(random.SystemRandom().randrange(2**32))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Send the seed to a worker of pytest-xdist, which gets nothing but the arguments of the command otherwise."""
    node.workerinput[_SEED] = node.config.option.hypothesis_seed


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [_replay(config)] if config.option.soak else []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is long, without a selection: the checks over the whole run stay on. In a soak, keep nothing else."""
    if not config.option.soak:
        for item in items:
            if item.get_closest_marker("soak"):
                item.add_marker(pytest.mark.skip(reason="long: run with --soak"))
        return
    long = [item for item in items if item.get_closest_marker("soak") or _is_property(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(long)])
    random.Random(config.option.hypothesis_seed).shuffle(long)
    items[:] = long
    seconds = config.option.soak_seconds / SHARES
    for item in filter(_is_property, long):
        _limit(getattr(getattr(item, "obj", None), "hypothesis", None), seconds)
    _limit_state_machines(seconds)


def skip_without_time(item: pytest.Item) -> None:
    """Skip a long test for which no time is left."""
    budget = item.config.option.soak_seconds
    if item.config.option.soak and time.monotonic() - _started > budget:
        pytest.skip(f"{NOT_PLAYED} {budget:g} seconds")


def report(terminalreporter: Any, config: pytest.Config) -> None:
    """Name the long tests that were not played for lack of time, and how to play the same again."""
    if not config.option.soak:
        return
    skipped = terminalreporter.stats.get("skipped", [])
    names = [each.nodeid for each in skipped if NOT_PLAYED in str(each.longrepr)]
    for name in sorted(names):
        terminalreporter.line(f"Not played: {name}")
    terminalreporter.line(f"{len(names)} long tests were not played. To play the same again: {_replay(config)}")


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Chance for a test that is no property: the same in every quick run, by the seed in a soak."""
    seed = request.config.option.hypothesis_seed or QUICK_SEED
    return random.Random(f"{seed} {request.node.nodeid}")


def _replay(config: pytest.Config) -> str:
    return f"make soak SEED={config.option.hypothesis_seed} SOAK_SECONDS={config.option.soak_seconds:g}"


def _is_property(item: pytest.Item) -> bool:
    return is_hypothesis_test(getattr(item, "obj", None))


class _TimeIsUp(unittest.SkipTest):
    """Ends the playing of a state machine: Hypothesis lets through at once what skips a test."""


def _limit_state_machines(seconds: float) -> None:
    """Play each state machine for so long; its test is made by Hypothesis when it is run."""
    make = stateful.get_state_machine_test

    def make_limited(*args: Any, **kwargs: Any) -> Callable[..., None]:
        made: Any = make(*args, **kwargs)
        _limit(made.hypothesis, seconds, ends_at_once=True)

        def play() -> None:
            try:
                made()
            except (_TimeIsUp, FlakyStrategyDefinition):  # the latter, too: the last history was no whole one
                if not made.hypothesis.inner_test.is_over:
                    raise

        return play

    stateful.get_state_machine_test = make_limited


def _limit(handle: Any, seconds: float, *, ends_at_once: bool = False) -> None:
    """Play a property for so long; what Hypothesis generates after that passes at once.

    Once an example has failed, time is no matter: Hypothesis plays it again to shrink it.

    Args:
        handle: What Hypothesis keeps about the property; None for a state machine, whose test is made later.
        seconds: For how long.
        ends_at_once: End the test instead. A state machine cannot pass without a step.
    """
    if handle is None or hasattr(handle.inner_test, "is_over"):
        return
    play: Callable[..., None] = handle.inner_test
    ends_at: float | None = None
    has_failed = False

    @functools.wraps(play)
    def limited(*args: Any, **kwargs: Any) -> None:
        nonlocal ends_at, has_failed
        ends_at = ends_at or time.monotonic() + seconds
        if time.monotonic() > ends_at and not has_failed:
            limited.is_over = True  # type: ignore[attr-defined]
            if ends_at_once:
                raise _TimeIsUp("the share of the time is used up")
            return
        try:
            play(*args, **kwargs)
        except UnsatisfiedAssumption:
            raise
        except Exception:
            has_failed = True
            raise

    limited.is_over = False  # type: ignore[attr-defined]
    handle.inner_test = limited
