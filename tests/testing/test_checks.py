"""Single checks of the kit, with connectors that the planted faults do not cover."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Set
from typing import Any

import pytest

from ploy_connector_aws.spec import Entitlement, Grant, Page
from ploy_connector_aws.testing import RULES, Validation
from ploy_connector_aws.testing.access_paths import MOST_SEARCHED, find_paths
from ploy_connector_aws.testing.results import Result
from tests.testing.plants import Plant, changing, each_record, plant, schema
from tests.testing.staff import SECRET, SETTINGS, Staff

LOG = logging.getLogger("staff")


def check(plant: Plant, *ids: str) -> list[Result]:
    """Test some rules, or all of tier 0."""
    with Validation(plant.connector, SETTINGS) as validation:
        return [validation.check(rule) for rule in RULES if rule.id in ids or (not ids and rule.tier == 0)]


def fail_at_once(error: Exception) -> Callable[..., Iterator[Page]]:
    """A list that fails before its first page."""

    def people(self: Staff, skip: Set[str]) -> Iterator[Page]:
        raise error
        yield

    return people


def log_at_info(self: Staff, skip: Set[str]) -> Iterator[Page]:
    """Log the token at a level that the root logger of a test leaves out."""
    LOG.info("Reading with the token %s.", self.token)
    yield from Staff.people(self, skip)


def log_exception(self: Staff, skip: Set[str]) -> Iterator[Page]:
    """Log an exception whose text has the token."""
    try:
        raise ValueError(self.token)
    except ValueError:
        LOG.warning("The directory is away.", exc_info=True)
    yield from Staff.people(self, skip)


def log_badly(self: Staff, skip: Set[str]) -> Iterator[Page]:
    """Log a text whose arguments do not fit, which no host fails on."""
    LOG.info("Reading %d.", "people")
    yield from Staff.people(self, skip)


def print_at_the_end_of_the_excerpt(self: Staff, skip: Set[str]) -> Iterator[Page]:
    """Print the token where an excerpt of the output ends."""
    print("x" * 70 + SECRET)  # noqa: T201 - the fault
    yield from Staff.people(self, skip)


def test_a_search_for_paths_ends_where_there_are_very_many() -> None:
    def layers(count: int) -> list[Grant]:
        first = [Grant(principal_kind="account", principal_id="u", entitlement_id=f"0-{number}") for number in range(3)]
        return first + [
            Grant(principal_kind="entitlement", principal_id=f"{layer}-{one}", entitlement_id=f"{layer + 1}-{other}")
            for layer in range(count)
            for one, other in itertools.product(range(3), repeat=2)
        ]

    paths, is_complete = find_paths(layers(6), "u", {"6-0"})
    assert (len(paths), is_complete) == (3**6, True)
    paths, is_complete = find_paths(layers(9), "u", {"8-0", "9-0"})
    assert (len(paths) < MOST_SEARCHED, is_complete) == (True, False)


@pytest.mark.parametrize("people", [log_at_info, log_exception])
def test_a_secret_in_the_log_is_found(people: Callable[..., Iterator[Page]]) -> None:
    (result,) = check(plant(people=people), "no-secrets-in-texts")
    assert [each.where for each in result.problems] == ["log of list_accounts"]


def test_other_handlers_get_no_more_than_without_the_kit(caplog: pytest.LogCaptureFixture) -> None:
    root = logging.getLogger()
    before = root.level, list(root.handlers), [each.level for each in root.handlers]
    check(plant(people=log_at_info), "no-secrets-in-texts")
    assert [record for record in caplog.records if record.name == "staff"] == []
    assert (root.level, list(root.handlers), [each.level for each in root.handlers]) == before


def test_a_log_line_that_cannot_be_formatted_ends_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    (result,) = check(plant(people=log_badly), "lists-end-without-error")
    assert result.outcome == "passed", str(result)


def test_no_part_of_a_printed_secret_is_shown() -> None:
    (result,) = check(plant(people=print_at_the_end_of_the_excerpt), "nothing-is-printed")
    assert result.outcome == "failed"
    assert SECRET[:6] not in str(result)


def test_a_connector_whose_lists_fail_at_once_breaks_a_rule() -> None:
    def rooms(self: Staff, skip: Set[str]) -> Iterator[Page]:
        yield from ()

    error = NameError(f"boom {SECRET}")
    planted = plant(people=fail_at_once(error), teams=fail_at_once(error), rooms=rooms)
    results = {each.rule.id: each for each in check(planted)}
    assert results["lists-end-without-error"].outcome == "failed"
    assert {each.outcome for each in results.values()} == {"passed", "failed", "skipped"}


def test_a_role_that_no_list_gives_is_found() -> None:
    def change(record: Any) -> Any:
        return record.model_copy(update={"role_id": "ghost"}) if isinstance(record, Entitlement) else record

    (result,) = check(changing("teams", each_record(change)), "references-name-records")
    assert {each.message for each in result.problems} == {
        "Its role_id names the entitlement 'ghost', which no scope lists."
    }


def test_a_secret_that_may_be_null_counts_as_marked() -> None:
    token = {"title": "Token", "anyOf": [{"type": "string", "writeOnly": True}, {"type": "null"}]}
    (result,) = check(plant(manifest=schema(token=token)), "secrets-are-marked")
    assert result.outcome == "passed", str(result)
