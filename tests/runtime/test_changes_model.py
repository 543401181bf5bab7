"""Random histories of runs, compared with a plain model of the rule that says when a record goes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hypothesis import given
from hypothesis import strategies as st

from ploy_connector_aws.runtime.store import Store
from ploy_connector_aws.spec import Page
from tests.soak import cheap

from .pictures import DENIED, account, commit, picture

Ending = Literal["complete", "failed", "gone", "excluded", "open"]

TREE = {"r": None, "r/a": "r", "r/b": "r", "r/a/1": "r/a", "r/a/2": "r/a", "s": None, "s/1": "s"}
IDS = ("u", "v", "w")
ENDINGS: dict[Ending, dict[str, Any]] = {
    "complete": {"complete": True},
    "failed": {"failure": DENIED},
    "gone": {"gone": True},
    "excluded": {"excluded": True},
    "open": {},
}


@dataclass(frozen=True)
class Reading:
    """How one scope went in one run; not announced where it is missing."""

    ending: Ending
    full: frozenset[str] = frozenset()
    partial: frozenset[str] = frozenset()


@dataclass
class Model:
    """The rule in plain words: which scope last said that a record exists, and with what content."""

    words: dict[tuple[str, str], int | None] = field(default_factory=dict)

    def run(self, number: int, readings: dict[str, Reading]) -> None:
        known = self.picture()
        words = {
            (scope, id): content for (scope, id), content in self.words.items() if not self._is_proven(scope, readings)
        }
        for scope, reading in readings.items():
            for id in reading.partial | reading.full:
                is_read = any(id in each.full for each in readings.values())
                words[scope, id] = number if is_read else known.get(id)
        self.words = words

    def _is_proven(self, scope: str, readings: dict[str, Reading]) -> bool:
        if scope in readings:
            return readings[scope].ending in ("complete", "gone", "excluded")
        parent = TREE[scope]
        return parent is not None and self._is_proven(parent, readings)

    def picture(self) -> dict[str, int | None]:
        """By id, the number of the run whose content must be shown; None: never read in full."""
        newest: dict[str, int | None] = {}
        for (_, id), content in self.words.items():
            newest[id] = max((newest.get(id), content), key=lambda value: -1 if value is None else value)
        return newest


def pages(number: int, readings: dict[str, Reading]) -> list[Page]:
    made = []
    for scope, reading in readings.items():
        made.append(
            Page(
                scope=scope,
                parent=TREE[scope],
                records=tuple(account(id, f"as of {number}") for id in sorted(reading.full)),
                partial=tuple(account(id) for id in sorted(reading.partial - reading.full)),
                **ENDINGS[reading.ending],
            )
        )
    return made


READINGS = st.dictionaries(
    st.sampled_from(sorted(TREE)),
    st.builds(
        Reading,
        ending=st.sampled_from(["complete", "complete", "complete", "failed", "gone", "excluded", "open"]),
        full=st.frozensets(st.sampled_from(IDS)),
        partial=st.frozensets(st.sampled_from(IDS)),
    ),
)


def with_parents(readings: dict[str, Reading]) -> dict[str, Reading]:
    """A scope is announced by its parent, so the parent was announced too."""
    for scope in sorted(readings):
        while (parent := TREE[scope]) is not None and parent not in readings:
            readings = {parent: Reading("open"), **readings}
            scope = parent
    return readings


@cheap
@given(st.lists(READINGS.map(with_parents), min_size=1, max_size=6))
def test_every_committed_picture_is_the_one_that_the_rule_gives(history: list[dict[str, Reading]]) -> None:
    model = Model()
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "one.sqlite") as store:
        for number, readings in enumerate(history, start=1):
            commit(store, *pages(number, readings))
            model.run(number, readings)
            shown = {key.removeprefix("account "): content for key, (_, content) in picture(store).items()}
            wanted = model.picture()
            assert set(shown) == set(wanted)
            for id, content in wanted.items():
                assert shown[id].get("display_name") == (None if content is None else f"as of {content}")
