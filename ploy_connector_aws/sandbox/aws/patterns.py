"""Matching of policy patterns against requests: wildcards, ARNs and policy variables."""

from __future__ import annotations

import re
from collections.abc import Mapping

Context = Mapping[str, tuple[str, ...]]
"""Condition keys of a request, in lower case, with their values. A missing key is unknown."""

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_ARN_SEGMENTS = 6


def matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    """`*` stands for any characters, `?` for one.

    Only the last `*` is retried, so the number of steps is at most the product of the lengths. A regular expression of
    the standard library would need exponentially many steps for some texts, and the caller chooses the texts.
    """
    if ignore_case:
        pattern, text = pattern.lower(), text.lower()
    at = in_text = taken = 0
    star = -1
    while in_text < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, taken = at, in_text
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", text[in_text]):
            at += 1
            in_text += 1
        elif star >= 0:
            taken += 1
            at, in_text = star + 1, taken
        else:
            return False
    return not pattern[at:].strip("*")


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
