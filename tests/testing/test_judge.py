"""The kit judged: the good connector keeps every rule, and each planted fault breaks its rules and no others."""

from __future__ import annotations

import pytest

from ploy_connector_aws.testing import RULES, Validation
from ploy_connector_aws.testing.validation import MEASUREMENTS
from tests.testing.plants import PLANTS, many_people, plant
from tests.testing.staff import SETTINGS, Staff


def broken_rules(connector: type) -> set[str]:
    """The rules that a connector breaks."""
    with Validation(connector, SETTINGS) as validation:
        results = [validation.check(rule) for rule in RULES]
    return {result.rule.id for result in results if result.outcome in ("failed", "warning")}


def test_ids_of_rules_are_unique_and_their_texts_are_sentences() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert [rule.id for rule in RULES if not (rule.proves.endswith(".") and rule.fix.endswith("."))] == []


def test_the_good_connector_keeps_every_rule() -> None:
    with Validation(Staff, SETTINGS) as validation:
        results = [validation.check(rule) for rule in RULES]
        assert validation.reads == validation.plan.reads
    assert [str(each) for each in results if each.outcome not in ("passed", "skipped")] == []
    assert [each.rule.id for each in results if each.outcome == "skipped"] == ["memory-is-bounded"]


def test_a_connector_of_many_records_keeps_the_rule_about_memory() -> None:
    (rule,) = (rule for rule in RULES if rule.id == "memory-is-bounded")
    with Validation(plant(people=many_people).connector, SETTINGS) as validation:
        result = validation.check(rule)
        assert len(validation.second.held) == MEASUREMENTS
    assert result.outcome == "passed", str(result)


def test_every_rule_has_a_planted_fault() -> None:
    assert PLANTS.keys() == {rule.id for rule in RULES if rule.tier == 0}


@pytest.mark.parametrize("rule", PLANTS)
def test_a_planted_fault_breaks_its_rule_and_no_others(rule: str) -> None:
    plant = PLANTS[rule]
    assert broken_rules(plant.connector) == {rule, *plant.also}
