"""Conditions of policy statements: AWS's operators as a table, and their evaluation."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .patterns import Context, matches, matches_arn, substituted

Test = Callable[[str, str], bool]


def _ignoring_case(pattern: str, value: str) -> bool:
    return pattern.casefold() == value.casefold()


def _numbers(compare: Callable[[float, float], bool]) -> Test:
    def test(pattern: str, value: str) -> bool:
        try:
            return compare(float(value), float(pattern))
        except ValueError:
            return False

    return test


def _dates(compare: Callable[[datetime, datetime], bool]) -> Test:
    def test(pattern: str, value: str) -> bool:
        try:
            return compare(datetime.fromisoformat(value), datetime.fromisoformat(pattern))
        except (ValueError, TypeError):
            return False

    return test


def _address(pattern: str, value: str) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return False


@dataclass(frozen=True)
class Operator:
    """The test of one value, and whether the operator negates it."""

    test: Test
    negated: bool = False


# By name, and by that of the negated operator.
_TESTS: Mapping[tuple[str, str | None], Test] = {
    ("StringEquals", "StringNotEquals"): str.__eq__,
    ("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"): _ignoring_case,
    ("StringLike", "StringNotLike"): matches,
    ("NumericEquals", "NumericNotEquals"): _numbers(float.__eq__),
    ("NumericLessThan", None): _numbers(float.__lt__),
    ("NumericLessThanEquals", None): _numbers(float.__le__),
    ("NumericGreaterThan", None): _numbers(float.__gt__),
    ("NumericGreaterThanEquals", None): _numbers(float.__ge__),
    ("DateEquals", "DateNotEquals"): _dates(datetime.__eq__),
    ("DateLessThan", None): _dates(datetime.__lt__),
    ("DateLessThanEquals", None): _dates(datetime.__le__),
    ("DateGreaterThan", None): _dates(datetime.__gt__),
    ("DateGreaterThanEquals", None): _dates(datetime.__ge__),
    ("Bool", None): _ignoring_case,
    ("IpAddress", "NotIpAddress"): _address,
    # ArnEquals and ArnLike behave identically (IAM user guide, "ARN condition operators").
    ("ArnEquals", "ArnNotEquals"): matches_arn,
    ("ArnLike", "ArnNotLike"): matches_arn,
}
OPERATORS: Mapping[str, Operator] = {
    name: Operator(test, negated=bool(is_negated))
    for names, test in _TESTS.items()
    for is_negated, name in enumerate(names)
    if name
}

_QUANTIFIERS = {"ForAllValues": all, "ForAnyValue": any}


@dataclass(frozen=True)
class Condition:
    """One operator applied to one key. `operator` is None when it is not in the table: it never holds."""

    key: str
    values: tuple[str, ...]
    operator: Operator | None
    is_null_check: bool
    quantifier: str | None
    if_exists: bool

    def holds(self, context: Context) -> bool:
        """True if the request meets the condition."""
        found = context.get(self.key)
        if self.is_null_check:
            return any((value.lower() == "true") == (not found) for value in self.values)
        if self.operator is None:
            return False
        if not found:
            return self._holds_without_value(self.operator)
        patterns = [text for text in (substituted(value, context) for value in self.values) if text is not None]
        operator = self.operator
        answers = (any(operator.test(text, value) for text in patterns) != operator.negated for value in found)
        # Without a quantifier, no value may match a negated operator, and one value must match a plain one.
        quantified = _QUANTIFIERS[self.quantifier or ("ForAllValues" if operator.negated else "ForAnyValue")]
        return quantified(answers)

    def _holds_without_value(self, operator: Operator) -> bool:
        """AWS: an absent key makes a condition false, a negated one true, `IfExists` and `ForAllValues` true."""
        if self.if_exists:
            return True
        if self.quantifier is not None:
            return self.quantifier == "ForAllValues"
        return operator.negated


def to_conditions(block: Mapping[str, Mapping[str, Any]]) -> tuple[Condition, ...]:
    """The conditions of a statement's `Condition` element, all of which must hold."""
    return tuple(
        _to_condition(operator, key, values) for operator, keys in block.items() for key, values in keys.items()
    )


def _to_condition(text: str, key: str, values: Any) -> Condition:
    quantifier, _, name = text.rpartition(":")
    name, if_exists = name.removesuffix("IfExists"), name.endswith("IfExists")
    known_quantifier = quantifier in _QUANTIFIERS or not quantifier
    return Condition(
        key=key.lower(),
        values=tuple(_text(value) for value in (values if isinstance(values, list) else [values])),
        operator=OPERATORS.get(name) if known_quantifier else None,
        is_null_check=name == "Null" and not quantifier,
        quantifier=quantifier or None,
        if_exists=if_exists,
    )


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
