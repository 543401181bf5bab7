"""Wildcards, ARNs and policy variables: how one text of a policy matches one text of a request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

Context = Mapping[str, tuple[str, ...]]
"""What is known about a request, by condition key in lower case. A key that is absent is unknown."""

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_ARN_SEGMENTS = 6


@lru_cache(maxsize=8192)
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    parts = (".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern)
    return re.compile("".join(parts), re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    """`*` stands for any characters, `?` for one."""
    return pattern == "*" or _compiled(pattern, ignore_case).fullmatch(text) is not None


def matches_arn(pattern: str, arn: str) -> bool:
    """Each of the six segments on its own: a wildcard does not reach over a colon, save in the last one.

    An incomplete pattern is filled up with `*`, as AWS does (IAM user guide, "IAM JSON policy elements:
    Resource"). The resource `*` of an action without resource-level permissions is matched by `*` only.
    """
    if pattern == "*":
        return True
    wanted = pattern.split(":", _ARN_SEGMENTS - 1)
    found = arn.split(":", _ARN_SEGMENTS - 1)
    wanted += ["*"] * (_ARN_SEGMENTS - len(wanted))
    return len(found) == _ARN_SEGMENTS and all(map(matches, wanted, found))


def substituted(text: str, context: Context) -> str | None:
    """The text with its `${…}` variables filled in; None when one of them is unknown, so nothing matches."""
    if "${" not in text:
        return text
    missing = False

    def value(found: re.Match[str]) -> str:
        nonlocal missing
        name, _, default = found[1].partition(",")
        values = context.get(name.strip().lower(), ())
        if len(values) == 1:
            return values[0]
        if default:
            return default.strip().strip("'")
        missing = True
        return ""

    text = _VARIABLE.sub(value, text)
    return None if missing else text
