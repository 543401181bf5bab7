"""Patterns of policies: whether one covers another, and whether two can match the same text.

A pattern is the text of a `Resource` or of an action. `*` stands for any characters, `?` for one; `${aws:username}`
and other variables stand for an unknown text, and `${*}`, `${?}`, `${$}` for the character itself.
Policies of version 2008-10-17 have no variables (IAM user guide, "IAM policy elements: variables and tags").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

_TOKEN = re.compile(r"\$\{[^}]*\}|.", re.DOTALL)
_LITERALS = frozenset({"${*}", "${?}"})
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
    """Whether the wide pattern matches every text of the narrow one. May return False where the proof is not easy."""
    if _is_everything(wide):
        return True
    wide_parts, narrow_parts = _segments(wide), _segments(narrow)
    if len(wide_parts) == len(narrow_parts):
        return all(map(_covers, wide_parts, narrow_parts))
    return _covers(_tokens(wide), _tokens(narrow))


@lru_cache(maxsize=_CACHED)
def overlaps(one: Pattern, other: Pattern) -> bool:
    """Whether both patterns may match the same text; a variable may stand for anything."""
    if _is_everything(one) or _is_everything(other):
        return True
    parts, other_parts = _segments(one), _segments(other)
    if len(parts) == len(other_parts):
        return all(map(_overlap, parts, other_parts))
    return _overlap(_tokens(one), _tokens(other))


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern without variables matches a text without wildcards.

    Each piece between two `*` takes the first place where it fits, which leaves the most text to the rest.
    """
    first, *pieces = pattern.split("*")
    if not pieces:
        return len(first) == len(text) and _fits(first, text, 0)
    last = pieces.pop()
    at, end = len(first), len(text) - len(last)
    if at > end or not _fits(first, text, 0) or not _fits(last, text, end):
        return False
    for piece in pieces:
        at = _find(piece, text, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


def _find(piece: str, text: str, start: int, end: int) -> int:
    """Return the first place from `start` on where a piece fits that ends by `end`; -1 if there is none."""
    if "?" not in piece:
        return text.find(piece, start, end)
    return next((at for at in range(start, end - len(piece) + 1) if _fits(piece, text, at)), -1)


def _fits(piece: str, text: str, at: int) -> bool:
    """Compare a piece with the text at a place; `?` stands for any one character."""
    if "?" not in piece:
        return text.startswith(piece, at)
    found = text[at : at + len(piece)]
    return all(wide in ("?", each) for wide, each in zip(piece, found, strict=True))


@lru_cache(maxsize=_CACHED)
def widened(pattern: Pattern) -> Pattern:
    """Replace the partition and the AWS account of an ARN by `*`, so that only the named resources remain."""
    parts = _segments(pattern)
    if len(parts) != _ARN_SEGMENTS:
        return pattern
    text = ["".join(part) for part in parts]
    return Pattern(":".join([text[0], "*", text[2], text[3], "*", text[5]]), pattern.has_variables)


def _is_everything(pattern: Pattern) -> bool:
    return pattern.text.strip("*") == "" and pattern.text != ""


def _tokens(pattern: Pattern) -> _Tokens:
    if not pattern.has_variables:
        return tuple(pattern.text)
    return tuple("$" if piece == "${$}" else piece for piece in _TOKEN.findall(pattern.text))


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
    """Match the narrow pattern as if it were a text: only `*` matches its `*`."""
    return _match(wide, narrow, _is_star, _is_matched)


def _overlap(one: _Tokens, other: _Tokens) -> bool:
    """Decide exactly whether two patterns have a text in common.

    Where both have an open piece, a common text is one head, the middles one after the other, and one tail. So only the
    beginnings before the first open piece and the ends after the last one can contradict each other.
    """
    is_one_open, is_other_open = any(map(_is_open, one)), any(map(_is_open, other))
    if is_one_open and is_other_open:
        return _agree(one, other) and _agree(one[::-1], other[::-1])
    if is_other_open:
        one, other = other, one
    return _match(one, other, _is_open, _is_compatible)


def _agree(one: _Tokens, other: _Tokens) -> bool:
    """Compare two patterns up to the first open piece of either."""
    for first, second in zip(one, other, strict=False):
        if _is_open(first) or _is_open(second):
            return True
        if not _is_compatible(first, second):
            return False
    return True


def _match(pattern: _Tokens, text: _Tokens, is_open: Callable[[str], bool], is_met: Callable[[str, str], bool]) -> bool:
    """Match greedily: an open piece takes as little as possible, and only the last one is retried.

    That suffices: the earliest match behind an open piece leaves the most text to the rest. So the steps are at most
    the product of the lengths, where an engine for regular expressions can need exponentially many.
    """
    at = taken = in_text = 0
    last_open = -1
    while in_text < len(text):
        if at < len(pattern) and is_open(pattern[at]):
            last_open, taken = at, in_text
            at += 1
        elif at < len(pattern) and is_met(pattern[at], text[in_text]):
            at += 1
            in_text += 1
        elif last_open >= 0:
            taken += 1
            at, in_text = last_open + 1, taken
        else:
            return False
    return all(map(is_open, pattern[at:]))


def _is_star(piece: str) -> bool:
    return piece == "*"


def _is_matched(wide: str, narrow: str) -> bool:
    return wide == narrow or (wide == "?" and narrow != "*" and not _is_variable(narrow))


def _is_compatible(one: str, other: str) -> bool:
    return one == other or "?" in (one, other)


def _is_open(piece: str) -> bool:
    return piece == "*" or _is_variable(piece)


def _is_variable(piece: str) -> bool:
    return piece.startswith("${") and piece not in _LITERALS
