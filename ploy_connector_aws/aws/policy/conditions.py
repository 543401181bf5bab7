"""Evaluation of conditions without the request: every request meets them, none does, or some do.

Sources: IAM user guide, "IAM JSON policy elements: Condition operators", "Single-valued vs. multivalued context keys"
and "AWS global condition context keys". What is not proven here counts as "some do".
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from .documents import EXTERNAL_ID, Condition
from .patterns import Pattern, covers, matches, overlaps

_CLOCK = frozenset({"aws:currenttime", "aws:epochtime"})
_ISSUED = "aws:tokenissuetime"
_LONGEST_SESSION = timedelta(hours=36)
"""Longest life of temporary credentials: those of GetSessionToken and GetFederationToken (STS API reference)."""
_MARGIN = timedelta(days=1)
"""A date counts as past only when it is past by this much, so that neither clock skew nor time zones matter."""

_ALWAYS_PRESENT = frozenset(
    {
        *_CLOCK,
        *(f"aws:{name}" for name in ("principalarn", "principalaccount", "principaltype", "userid")),
        *(f"aws:{name}" for name in ("securetransport", "requestedregion", "viaawsservice", "principalisawsservice")),
        *("iam:passedtoservice", "iam:policyarn", "ec2:region"),
    }
)
"""Keys that every request has to which they apply."""

_CHOSEN = {"aws:securetransport": "true", "aws:viaawsservice": "false", "aws:principalisawsservice": "false"}
"""Values of keys in a call that the holder makes directly, over TLS."""
_OVER_INTERNET = frozenset({"aws:sourceip", "aws:useragent"})
"""Keys of every call that the holder makes directly, and not through a VPC endpoint."""

_PARTITIONS = ("aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f")
_ARN_KEYS = {
    "aws:principalarn": ("arn:{}:iam::*:*", "arn:{}:sts::*:*"),
    "aws:sourcearn": ("arn:{}:*:*:*:*",),
    "iam:policyarn": ("arn:{}:iam::*:policy/*",),
    "iam:permissionsboundary": ("arn:{}:iam::*:policy/*",),
}
_ID_KEYS = {
    **dict.fromkeys(("aws:principalorgid", "aws:resourceorgid", "aws:sourceorgid"), "o-*"),
    **dict.fromkeys(("aws:principalorgpaths", "aws:resourceorgpaths", "aws:sourceorgpaths"), "o-*/*"),
    **dict.fromkeys(("aws:principalaccount", "aws:resourceaccount", "aws:sourceaccount"), "????????????"),
    "aws:sourcevpc": "vpc-*",
    "aws:sourcevpce": "vpce-*",
}
_SHAPES: dict[str, tuple[tuple[Pattern, ...], ...]] = {
    **{key: ((Pattern(shape),),) for key, shape in _ID_KEYS.items()},
    **{
        key: tuple(tuple(Pattern(shape.format(name)) for shape in shapes) for name in _PARTITIONS)
        for key, shapes in _ARN_KEYS.items()
    },
}
"""The forms of all values that a key can have, by key: for each partition those that occur in it."""

_Met = bool | None
"""True: every request meets it; False: none does; None: some do, or it is not known."""


def decide(condition: Condition, *, is_allow: bool, now: datetime | None = None) -> bool | None:
    """Decide whether every request meets a condition of an identity policy, or none does.

    Args:
        condition: The condition.
        is_allow: Whether it belongs to an Allow: there every request also meets what the holder alone decides, such as
            a call from the internet.
        now: The time of the decision, with its time zone; None for the present time.

    Returns:
        True where every request meets it, False where none does, None where it depends on the request.
    """
    key = condition.key.lower()
    if key == EXTERNAL_ID or not condition.values:
        return None
    if condition.operator == "Null":
        return _decide_null(condition, key)
    if is_allow and condition.operator == "Bool" and _CHOSEN.get(key) in {*map(str.lower, condition.values)}:
        return True
    present = _decide_present(condition, key, now or datetime.now(UTC))
    if key in _ALWAYS_PRESENT or (is_allow and present and key in _OVER_INTERNET):
        return present
    return present if present == _is_met_without(condition) else None


def decide_known(condition: Condition, value: str) -> bool | None:
    """Decide whether a condition is met where its key has one known value; None where that is not decidable.

    Args:
        condition: The condition.
        value: The key's one value in the request.
    """
    operator = condition.operator
    if operator == "Null":
        return _any_of(each.lower() == "false" for each in condition.values)
    if any("${" in each for each in condition.values) or not operator.startswith(("String", "Arn")):
        return None
    if operator.endswith("Like") or operator.startswith("Arn"):
        met = any(covers(Pattern(each), Pattern(value)) for each in condition.values)
    elif operator.endswith("IgnoreCase"):
        met = value.lower() in map(str.lower, condition.values)
    else:
        met = value in condition.values
    return met != _is_negated(condition)


def matches_all_values(key: str, pattern: str) -> bool:
    """Whether a pattern matches every value that a condition key can have, such as `o-*` an organization's id.

    Args:
        key: The condition key.
        pattern: The value of `StringLike` or an ARN operator: `*` matches any characters, `?` one.
    """
    if not pattern.strip("*"):
        return bool(pattern)
    forms = _SHAPES.get(key.lower(), ())
    return any(all(covers(Pattern(pattern), shape) for shape in shapes) for shapes in forms)


def _decide_null(condition: Condition, key: str) -> _Met:
    wanted = {value.lower() for value in condition.values}
    if wanted == {"true", "false"}:
        return True
    if key not in _ALWAYS_PRESENT or wanted not in ({"true"}, {"false"}):
        return None
    return wanted == {"false"}


def _is_met_without(condition: Condition) -> bool:
    """Whether a request without the key meets the condition."""
    if condition.if_exists or condition.quantifier == "ForAllValues":
        return True
    return _is_negated(condition) and condition.quantifier is None


def _is_negated(condition: Condition) -> bool:
    return "Not" in condition.operator


def _decide_present(condition: Condition, key: str, now: datetime) -> _Met:
    """Decide for a request that has the key."""
    if condition.operator.endswith("IpAddress"):
        return _decide_ip(condition)
    if condition.operator == "Bool":
        return _decide_bool(condition, key)
    met = _any_of(_test(condition, key, now)(value) for value in condition.values)
    return (None if met is None else not met) if _is_negated(condition) else met


def _any_of(found: Iterable[_Met]) -> _Met:
    """Combine a condition's values, of which one suffices."""
    distinct = set(found)
    return True if True in distinct else (None if None in distinct else False)


def _test(condition: Condition, key: str, now: datetime) -> Callable[[str], _Met]:
    """Return the test of one value, as if the operator were not negated."""
    operator = condition.operator
    if operator.startswith("Date") or (operator.startswith("Numeric") and key in _CLOCK):
        return lambda value: _compare_moment(operator, key, value, now)
    if operator.startswith("Numeric"):
        return lambda value: _compare_age(operator, key, value)
    if operator.endswith("Like") or operator.startswith("Arn"):
        return lambda value: _compare_pattern(key, value)
    if operator.startswith("String"):
        return lambda value: _compare_text(key, value.lower() if operator.endswith("IgnoreCase") else value)
    return lambda _: None


def _compare_pattern(key: str, value: str) -> _Met:
    if "${" not in value and matches_all_values(key, value):
        return True
    return _is_possible(key, value, lambda shape: overlaps(Pattern(value), shape))


def _compare_text(key: str, value: str) -> _Met:
    return _is_possible(key, value, lambda shape: matches(shape.text, value))


def _is_possible(key: str, value: str, fits: Callable[[Pattern], bool]) -> _Met:
    """Return False where the key can have no such value, otherwise None."""
    shapes = [shape for shapes in _SHAPES.get(key, ()) for shape in shapes]
    return None if not shapes or "${" in value or any(map(fits, shapes)) else False


def _compare_moment(operator: str, key: str, value: str, now: datetime) -> _Met:
    moment = _to_moment(value)
    if moment is None or key not in (*_CLOCK, _ISSUED):
        return None
    earliest = now - _MARGIN - (_LONGEST_SESSION if key == _ISSUED else timedelta())
    # The result of a comparison with a future date will change.
    return operator.removesuffix("Equals").endswith("GreaterThan") if moment < earliest else None


def _to_moment(value: str) -> datetime | None:
    """Parse a date as AWS does: ISO 8601, UTC where it names no time zone, or seconds since 1970."""
    try:
        if value.isdigit() and len(value) > len("20201231"):
            return datetime.fromtimestamp(int(value), UTC)
        if value.isdigit():
            return None  # a year, a date without hyphens, or seconds
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _compare_age(operator: str, key: str, value: str) -> _Met:
    """Compare with the seconds since the sign-in with MFA, which are never negative."""
    try:
        number = float(value)
    except ValueError:
        return None
    if key != "aws:multifactorauthage" or math.isnan(number):
        return None
    takes_equal = operator.endswith("ThanEquals")
    if "LessThan" in operator:
        return False if number < 0 or (number == 0 and not takes_equal) else None
    if "GreaterThan" in operator:
        return True if number < 0 or (number == 0 and takes_equal) else None
    return False if number < 0 else None


def _decide_bool(condition: Condition, key: str) -> _Met:
    wanted = {value.lower() for value in condition.values}
    if wanted == {"true", "false"}:
        return True
    # No user or role of a customer is an AWS service.
    return False if key == "aws:principalisawsservice" and wanted == {"true"} else None


def _decide_ip(condition: Condition) -> _Met:
    try:
        networks = [ipaddress.ip_network(value, strict=False) for value in condition.values]
    except ValueError:
        return None
    open_versions = {
        version
        for version in (4, 6)
        for merged in ipaddress.collapse_addresses(each for each in networks if each.version == version)  # type: ignore[type-var]
        if merged.prefixlen == 0
    }
    if condition.operator == "IpAddress":
        return True if open_versions else None
    return False if open_versions == {4, 6} else None
