"""The kit judged: the good connector keeps every rule, and each planted fault breaks its rules and no others."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any

import pytest

from ploy_connector_aws.spec import ConnectorContext, Page
from ploy_connector_aws.testing import RULES, Driver, Rule, Validation
from ploy_connector_aws.testing.validation import MEASUREMENTS
from tests.testing.directory import DIRECTORY, MEMBERS, StaffDriver
from tests.testing.fault_plants import FAULT_PLANTS, MORE_PLANTS, Plant
from tests.testing.plants import PLANTS, list_people_of_all_reads, list_people_once, many_people, plant
from tests.testing.staff import SETTINGS, Staff

TIER_0 = tuple(rule for rule in RULES if rule.tier == 0)
WITH_DRIVER = tuple(rule for rule in RULES if rule.tier > 0)


def broken_rules(connector: type, rules: Sequence[Rule], driver: type[Driver] | None = None) -> set[str]:
    """The rules that a connector breaks."""
    with Validation(connector, SETTINGS, driver) as validation:
        results = [validation.check(rule) for rule in rules]
    return {result.rule.id for result in results if result.outcome in ("failed", "warning")}


def test_ids_of_rules_are_unique_and_their_texts_are_sentences() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert [rule.id for rule in RULES if not (rule.proves.endswith(".") and rule.fix.endswith("."))] == []


def test_the_good_connector_keeps_every_rule_that_needs_no_driver() -> None:
    with Validation(Staff, SETTINGS) as validation:
        results = [validation.check(rule) for rule in TIER_0]
        assert validation.reads == validation.plan.reads
    assert [str(each) for each in results if each.outcome not in ("passed", "skipped")] == []
    assert [each.rule.id for each in results if each.outcome == "skipped"] == ["memory-is-bounded"]


def test_without_a_driver_its_rules_are_skipped_with_the_reason() -> None:
    with Validation(Staff, SETTINGS) as validation:
        results = [validation.check(rule) for rule in WITH_DRIVER]
        assert validation.reads <= 1
    assert {(each.outcome, each.reason) for each in results} == {
        ("skipped", "there is no driver that changes the source")
    }


def test_a_driver_without_methods_skips_the_rules_that_need_them() -> None:
    with Validation(Staff, SETTINGS, Driver) as validation:
        results = [validation.check(rule) for rule in WITH_DRIVER]
    assert {each.outcome for each in results} == {"skipped"}
    methods = {each.reason.rpartition(" ")[2] for each in results if each.reason}
    assert methods <= {name for name in vars(Driver) if not name.startswith("_")}
    assert len(methods) >= 8


def test_the_good_connector_keeps_every_rule_with_a_driver_and_the_source_is_as_before() -> None:
    with Validation(Staff, SETTINGS, StaffDriver) as validation:
        _ = validation.driver
        before = copy.deepcopy(vars(DIRECTORY))
        results = [validation.check(rule) for rule in RULES]
        assert {**vars(DIRECTORY), "calls": 0} == {**before, "calls": 0}
        plan = validation.plan
        assert plan.reads < validation.reads <= plan.reads + plan.driven_reads
        assert str(plan).endswith("The rules with a driver change it, and read it at most 37 times more.")
    assert [str(each) for each in results if each.outcome not in ("passed", "skipped")] == []
    assert [each.rule.id for each in results if each.outcome == "skipped"] == ["memory-is-bounded"]


class BrokenDriver(StaffDriver):
    """Its method ``holds`` fails."""

    def holds(self, account_id: str, entitlement_id: str) -> bool:
        raise LookupError("no such table")


def test_an_exception_of_the_driver_names_its_line_and_everything_is_undone() -> None:
    (rule,) = (rule for rule in RULES if rule.id == "grants-take-effect")
    with Validation(Staff, SETTINGS, BrokenDriver) as validation:
        result = validation.check(rule)
        assert (DIRECTORY.people[-1], *DIRECTORY.members) == ("u-6", *MEMBERS)
    place = r"^It raised an exception: LookupError: no such table, at testing/test_judge.py line \d+$"
    assert (result.outcome, result.problems[0].where) == ("failed", "driver")
    assert re.match(place, result.problems[0].message)


def test_a_connector_of_many_records_keeps_the_rule_about_memory() -> None:
    (rule,) = (rule for rule in RULES if rule.id == "memory-is-bounded")
    with Validation(plant(people=many_people).connector, SETTINGS) as validation:
        result = validation.check(rule)
        assert len(validation.second.held) == MEASUREMENTS
    assert result.outcome == "passed", str(result)


def test_every_rule_has_a_planted_fault() -> None:
    assert (*PLANTS, *FAULT_PLANTS) == tuple(rule.id for rule in RULES)


@pytest.mark.parametrize("rule", PLANTS)
def test_a_planted_fault_breaks_its_rule_and_no_others(rule: str) -> None:
    plant = PLANTS[rule]
    assert broken_rules(plant.connector, TIER_0) == {rule, *plant.also}


@pytest.mark.parametrize("rule", FAULT_PLANTS)
def test_a_planted_fault_that_a_driver_shows_breaks_its_rule_and_no_others_of_the_tier(rule: str) -> None:
    plant = FAULT_PLANTS[rule]
    (tier,) = {each.tier for each in RULES if each.id == rule}
    rules = [each for each in RULES if each.tier == tier]
    assert broken_rules(plant.connector, rules, plant.driver) == {rule, *plant.also}


@pytest.mark.soak
@pytest.mark.parametrize(("rule", "plant"), [*FAULT_PLANTS.items(), *MORE_PLANTS])
def test_a_planted_fault_that_a_driver_shows_breaks_its_rule_and_no_others(rule: str, plant: Plant) -> None:
    assert broken_rules(plant.connector, RULES, plant.driver) == {rule, *plant.also}


@pytest.mark.soak
@pytest.mark.parametrize("rule", PLANTS)
def test_a_planted_fault_breaks_no_more_rules_with_a_driver(rule: str) -> None:
    plant = PLANTS[rule]
    broken = broken_rules(plant.connector, TIER_0, StaffDriver)
    assert {rule} <= broken <= {rule, *plant.also}


@pytest.mark.parametrize(
    ("people", "where", "message"),
    [
        (list_people_once, "6 of 6 records of type account", "Unless the source deleted them, the reads share state."),
        (list_people_of_all_reads, "account 'u-1'", "Three reads list it 2, 3 and 4 times."),
    ],
)
def test_state_of_the_class_is_found(people: Callable[..., Iterator[Page]], where: str, message: str) -> None:
    (rule,) = (rule for rule in RULES if rule.id == "reads-leave-nothing-behind")
    with Validation(plant(people=people).connector, SETTINGS) as validation:
        problem = validation.check(rule).problems[0]
    assert (problem.where, problem.message.endswith(message)) == (where, True), problem.message


def repeat_after_errors(self: Staff, skip: Set[str]) -> Iterator[Page]:
    """List the first page again for ever, once an exception was raised."""
    for page in Staff.people(self, skip):
        failed = False
        while True:
            try:
                yield page.model_copy(update={"complete": False} if failed else {})
            except OSError:
                failed = True
            if not failed:
                break


def test_a_list_without_end_after_an_exception_is_found() -> None:
    (rule,) = (rule for rule in RULES if rule.id == "cut-by-exception")
    with Validation(plant(people=repeat_after_errors).connector, SETTINGS) as validation:
        problem = validation.check(rule).problems[0]
    assert problem.place.startswith("hook list_accounts, testing/staff.py line ")
    cut = "after page 1 of list_accounts, an exception (ConnectionResetError) was raised in the hook"
    assert problem.message == f"It gives pages without end: {cut}."


def test_each_instance_is_closed_once() -> None:
    open_instances: list[Staff] = []

    def configure(self: Staff, config: Mapping[str, Any], context: ConnectorContext) -> None:
        Staff.configure(self, config, context)
        open_instances.append(self)

    def close(self: Staff) -> None:
        open_instances.remove(self)

    assert broken_rules(plant(configure=configure, close=close).connector, RULES, StaffDriver) == set()
    assert open_instances == []
