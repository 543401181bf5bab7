"""Answers, for two patterns of a policy, whether one covers the other and whether they can meet.

A pattern is the text of a `Resource` or of an action. `*` stands for any characters, `?` for one; `${aws:username}`
and other variables stand for a text that is not known here, and `${*}`, `${?}`, `${$}` for the character itself.
Policies of version 2008-10-17 have no variables (IAM user guide, "IAM policy elements: variables and tags").
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_TOKEN = re.compile(r"\$\{[^}]*\}|.", re.DOTALL)
_LITERALS = frozenset({"${*}", "${?}", "${$}"})
_ARN_SEGMENTS = 6
_CACHED = 16_384

_Tokens = tuple[str, ...]


class Pattern(NamedTuple):
    """A text with wildcards, and whether `${…}` in it is a variable."""

    text: str
    has_variables: bool = False


EVERYTHING = Pattern("*")


@lru_cache(maxsize=_CACHED)
def covers(wide: Pattern, narrow: Pattern) -> bool:
    """Whether every text of the narrow pattern is one of the wide pattern. May say no where the proof is not easy."""
    if _is_everything(wide):
        return True
    wide_parts, narrow_parts = _segments(wide), _segments(narrow)
    if len(wide_parts) == len(narrow_parts):
        return all(map(_covers, wide_parts, narrow_parts))
    return _covers(_tokens(wide), _tokens(narrow))


@lru_cache(maxsize=_CACHED)
def overlaps(one: Pattern, other: Pattern) -> bool:
    """Whether some text may be of both patterns; a variable may turn out to be anything."""
    if _is_everything(one) or _is_everything(other):
        return True
    parts, other_parts = _segments(one), _segments(other)
    if len(parts) == len(other_parts):
        return all(map(_overlap, parts, other_parts))
    return _overlap(_tokens(one), _tokens(other))


@lru_cache(maxsize=_CACHED)
def widened(pattern: Pattern) -> Pattern:
    """Leave the partition and the AWS account of an ARN open: what remains says which things it names."""
    parts = _segments(pattern)
    if len(parts) != _ARN_SEGMENTS:
        return pattern
    text = ["".join(part) for part in parts]
    return Pattern(":".join([text[0], "*", text[2], text[3], "*", text[5]]), pattern.has_variables)


def _is_everything(pattern: Pattern) -> bool:
    return pattern.text.strip("*") == "" and pattern.text != ""


def _tokens(pattern: Pattern) -> _Tokens:
    return tuple(_TOKEN.findall(pattern.text)) if pattern.has_variables else tuple(pattern.text)


@lru_cache(maxsize=_CACHED)
def _segments(pattern: Pattern) -> tuple[_Tokens, ...]:
    """Split an ARN into its six segments, over whose ends no wildcard reaches; any other text is one segment.

    AWS fills an incomplete ARN up with `*` (IAM user guide, "IAM JSON policy elements: Resource").
    """
    tokens = _tokens(pattern)
    if tokens[:4] != ("a", "r", "n", ":"):
        return (tokens,)
    parts: list[list[str]] = [[]]
    for each in tokens:
        if each == ":" and len(parts) < _ARN_SEGMENTS:
            parts.append([])
        else:
            parts[-1].append(each)
    parts += [["*"]] * (_ARN_SEGMENTS - len(parts))
    return tuple(map(tuple, parts))


def _covers(wide: _Tokens, narrow: _Tokens) -> bool:
    """Match the narrow pattern as if it were a text: of its wildcards, `*` is met by `*` only."""
    at = begun = 0
    star = None
    for_narrow = 0
    while for_narrow < len(narrow):
        if at < len(wide) and wide[at] == "*":
            star, begun = at, for_narrow
            at += 1
        elif at < len(wide) and _is_met(wide[at], narrow[for_narrow]):
            at += 1
            for_narrow += 1
        elif star is not None:
            begun += 1
            at, for_narrow = star + 1, begun
        else:
            return False
    return set(wide[at:]) <= {"*"}


def _is_met(wide: str, narrow: str) -> bool:
    return wide == narrow or (wide == "?" and narrow != "*" and not _is_variable(narrow))


def _overlap(one: _Tokens, other: _Tokens) -> bool:
    """Walk both patterns at once, over the positions in the other that each position in the one can meet."""
    reached = _past_stars({0}, other)
    for each in one:
        if _is_open(each):
            reached = set(range(min(reached), len(other) + 1)) if reached else set()
            continue
        stepped = set()
        for at in reached:
            if at < len(other):
                if _is_open(other[at]):
                    stepped.add(at)
                elif "?" in (each, other[at]) or each == other[at]:
                    stepped.add(at + 1)
        reached = _past_stars(stepped, other)
    return len(other) in reached


def _past_stars(reached: set[int], tokens: _Tokens) -> set[int]:
    found = set(reached)
    for at in reached:
        while at < len(tokens) and _is_open(tokens[at]):
            at += 1
            found.add(at)
    return found


def _is_open(piece: str) -> bool:
    return piece == "*" or _is_variable(piece)


def _is_variable(piece: str) -> bool:
    return piece.startswith("${") and piece not in _LITERALS
