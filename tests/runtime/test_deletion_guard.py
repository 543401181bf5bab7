"""When a person must look before removals become visible."""

from __future__ import annotations

import pytest

from ploy_connector_aws.runtime.snapshot.compare import Changes
from ploy_connector_aws.runtime.sync.deletion_guard import hold_reasons


def accounts(before: int, removed: int, added: int = 0) -> Changes:
    return Changes(
        before={"account": before} if before else {},
        removed={"account": removed} if removed else {},
        after={"account": before - removed + added} if before - removed + added else {},
    )


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        (accounts(0, 0, 50), ()),
        (accounts(100, 9), ()),
        (accounts(20, 9), ()),
        (accounts(100, 10), ()),
        (accounts(100, 20), ()),
        (accounts(100, 21), ("21 of 100 records of type account would be removed",)),
        (accounts(49, 10), ("10 of 49 records of type account would be removed",)),
        (accounts(50, 10), ()),
        (accounts(9, 9), ()),
        (accounts(10, 10), ("there were 10 records of type account, and now there would be none",)),
        (accounts(10, 10, 10), ("10 of 10 records of type account would be removed",)),
        (Changes(removed={"account": 10}), ("10 of 0 records of type account would be removed",)),
        (Changes(withdrawn=1), ("1 records would be withdrawn because their scopes were switched off",)),
    ],
)
def test_the_guard_asks_for_a_person(changes: Changes, reasons: tuple[str, ...]) -> None:
    assert hold_reasons(changes) == reasons


def test_findings_are_left_out() -> None:
    all_gone = Changes(before={"finding": 20, "account": 2}, removed={"finding": 20}, after={"account": 2})
    most_gone = Changes(before={"finding": 20}, removed={"finding": 12}, after={"finding": 8})
    assert hold_reasons(all_gone) == hold_reasons(most_gone) == ()


def test_each_record_type_is_guarded_on_its_own() -> None:
    changes = Changes(
        before={"account": 1000, "grant": 40},
        removed={"account": 100, "grant": 10},
        after={"account": 900, "grant": 30},
    )
    assert hold_reasons(changes) == ("10 of 40 records of type grant would be removed",)
