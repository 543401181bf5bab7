"""The kit judged: the good connector keeps every rule, and each planted fault breaks its rules and no others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ploy_connector_aws.spec import Page, hookimpl
from ploy_connector_aws.testing import RULES, Rule, Validation
from tests.testing.staff import SETTINGS, Staff


def test_ids_of_rules_are_unique_and_their_texts_are_sentences() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert [rule.id for rule in RULES if not (rule.proves.endswith(".") and rule.fix.endswith("."))] == []


@pytest.mark.parametrize("rule", RULES, ids=[rule.id for rule in RULES])
def test_the_good_connector_keeps_each_rule(rule: Rule) -> None:
    with Validation(Staff, SETTINGS) as validation:
        result = validation.check(rule)
    assert result.outcome == "passed", str(result)


class ListsTwice(Staff):
    """Lists its people twice."""

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        pages = list(Staff.list_accounts(self))
        return iter([*pages[:1], *pages])


def test_a_planted_fault_breaks_its_rule() -> None:
    with Validation(ListsTwice, SETTINGS) as validation:
        results = {rule.id: validation.check(rule).outcome for rule in RULES}
    assert results == {"ids-are-unique": "failed"}
