"""Texts with wildcards: covering and overlapping, compared with all short texts."""

from __future__ import annotations

import fnmatch
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploy_connector_aws.aws.policy.patterns import Pattern, covers, matches, overlaps, widened
from tests.soak import cheap
from tests.steps import at_most

ALPHABET = "ab"
TEXTS = ["".join(letters) for length in range(6) for letters in product(ALPHABET, repeat=length)]
PATTERNS = st.text("ab*?", min_size=1, max_size=5)


def texts_of(pattern: str) -> set[str]:
    return set(fnmatch.filter(TEXTS, pattern))


@cheap
@given(PATTERNS, PATTERNS)
def test_covering_pattern_matches_all_texts_of_the_covered_one(wide: str, narrow: str) -> None:
    if covers(Pattern(wide), Pattern(narrow)):
        assert texts_of(narrow) <= texts_of(wide)


@cheap
@given(PATTERNS)
def test_pattern_covers_exactly_the_texts_it_matches(pattern: str) -> None:
    assert {text for text in TEXTS if text and covers(Pattern(pattern), Pattern(text))} == texts_of(pattern) - {""}


@cheap
@given(PATTERNS, PATTERNS)
def test_patterns_overlap_where_they_match_a_common_text(one: str, other: str) -> None:
    if texts_of(one) & texts_of(other):
        assert overlaps(Pattern(one), Pattern(other))
    # The shortest text that two patterns have in common is no longer than all their letters: those were all tried.
    elif len((one + other).replace("*", "")) <= len(TEXTS[-1]):
        assert not overlaps(Pattern(one), Pattern(other))


def test_every_pair_of_short_patterns_is_compared_with_every_text() -> None:
    """Exhaustive: all patterns of four characters at most, and the texts that are as long as both together."""
    texts = ["".join(letters) for length in range(9) for letters in product(ALPHABET, repeat=length)]
    written = ["".join(each) for length in range(1, 5) for each in product("ab*?", repeat=length)]
    # As bits of a number, so that a hundred thousand pairs are fast.
    bits = {text: 1 << place for place, text in enumerate(texts)}
    found = {text: sum(bits[each] for each in fnmatch.filter(texts, text)) for text in written}
    wrong_overlaps = [
        (one, other)
        for one, other in product(written, repeat=2)
        if overlaps(Pattern(one), Pattern(other)) != bool(found[one] & found[other])
    ]
    wrong_covers = [
        (wide, narrow)
        for wide, narrow in product(written, repeat=2)
        if covers(Pattern(wide), Pattern(narrow)) and found[narrow] & ~found[wide]
    ]
    assert (wrong_overlaps, wrong_covers) == ([], [])
    assert {
        (each, text) for each in written for text in texts if matches(each, text) != bool(found[each] & bits[text])
    } == set()


@pytest.mark.parametrize(
    ("one", "other", "does_overlap"),
    [
        ("a${aws:username}c", "a*bc", True),
        ("a${aws:username}c", "ab", False),
        ("${aws:username}", "", True),
        ("a${$}", "a$", True),
        ("a${*}b", "a?b", True),
        ("a${*}b", "axb", False),
        ("x${aws:username}", "y${aws:username}", False),
        ("${aws:username}x", "*y", False),
    ],
)
def test_variable_overlaps_as_a_star_does(one: str, other: str, does_overlap: bool) -> None:
    pair = Pattern(one, has_variables=True), Pattern(other, has_variables=True)
    assert (overlaps(*pair), overlaps(*reversed(pair))) == (does_overlap, does_overlap)


HOSTILE = ("*?", "*a", "a*", "?", "*", "*a?", "**a", "a", "${aws:username}a", "${x}?", "?*?b", "aab*")
"""Repeated, these make a backtracking matcher run for years."""


@pytest.mark.parametrize("end", ["", "b", "*b", "?b", "*"])
@pytest.mark.parametrize("repeated", HOSTILE)
def test_steps_of_a_match_are_bounded_by_the_product_of_the_lengths(repeated: str, end: str) -> None:
    size = 240
    hostile = repeated * (size // len(repeated)) + end
    for other in HOSTILE:
        text = other * (size // len(other)) + "c"
        for one, two in ((hostile, text), (text, hostile), (hostile, hostile)):
            pair = Pattern(one, has_variables=True), Pattern(two, has_variables=True)
            lengths = (len(one) + 1) * (len(two) + 1)
            # Some ten lines for each step of the matcher, which splits each pattern once.
            with at_most(12 * lengths):
                covers.__wrapped__(*pair)
            with at_most(12 * lengths):
                overlaps.__wrapped__(*pair)
            with at_most(12 * lengths):
                matches(one, two)


@given(st.text("ab*?", max_size=80), st.text("ab*?", max_size=80))
def test_any_two_patterns_are_matched_in_bounded_steps(one: str, other: str) -> None:
    limit = 12 * (len(one) + 1) * (len(other) + 1) + 60
    for decide in (covers.__wrapped__, overlaps.__wrapped__):
        with at_most(limit):
            decide(Pattern(one), Pattern(other))


def test_two_open_patterns_are_compared_only_by_their_ends() -> None:
    size = 5_000
    one, other = Pattern("a*" * size + "b"), Pattern("a?" * size + "*" + "b")
    with at_most(12 * (len(one.text) + len(other.text))):
        assert overlaps.__wrapped__(one, other)


@cheap
@given(PATTERNS, PATTERNS)
def test_overlapping_is_the_same_from_both_sides(one: str, other: str) -> None:
    assert overlaps(Pattern(one), Pattern(other)) == overlaps(Pattern(other), Pattern(one))


@pytest.mark.parametrize(
    ("wide", "narrow", "does_cover", "does_overlap"),
    [
        ("*", "arn:aws:iam::1:role/a", True, True),
        ("arn:aws:iam::*:role/*", "arn:aws:iam::1:role/a/b:c", True, True),
        ("arn:aws:iam::1:role/a", "arn:aws:iam::*:role/*", False, True),
        ("arn:aws:iam::1:role/a*", "arn:aws:iam::*:role/*b", False, True),
        ("arn:aws:iam::1:role/a*", "arn:aws:iam::2:role/*b", False, False),
        # No wildcard matches the end of a segment, except in the last one.
        ("arn:aws:s3:*:role/a", "arn:aws:s3:::x:role/a", False, False),
        ("arn:aws:iam:*", "arn:aws:iam::1:role/a", True, True),
        ("arn:aws:i*", "arn:aws:iam::1:role/a", True, True),
        # A text that is no ARN.
        ("(none)", "arn:aws:iam::1:role/a", False, False),
        ("arn:*", "(none)", False, False),
        ("**", "(none)", True, True),
    ],
)
def test_arns_are_matched_segment_by_segment(wide: str, narrow: str, does_cover: bool, does_overlap: bool) -> None:
    found = (covers(Pattern(wide), Pattern(narrow)), overlaps(Pattern(wide), Pattern(narrow)))
    assert found == (does_cover, does_overlap)


@pytest.mark.parametrize(
    ("wide", "narrow", "does_cover", "does_overlap"),
    [
        ("user/${aws:username}", "user/${aws:username}", True, True),
        ("user/*", "user/${aws:username}", True, True),
        ("user/${aws:username}", "user/ana", False, True),
        ("user/${aws:username}", "user/${aws:userid}", False, True),
        ("user/?", "user/${aws:username}", False, True),
        ("user/${*}", "user/ana", False, False),
        ("user/${*}", "user/${*}", True, True),
        ("role/${aws:username}", "user/ana", False, False),
    ],
)
def test_variable_may_overlap_anything_and_covers_nothing_else(
    wide: str, narrow: str, does_cover: bool, does_overlap: bool
) -> None:
    one, other = Pattern(wide, has_variables=True), Pattern(narrow, has_variables=True)
    assert (covers(one, other), overlaps(one, other)) == (does_cover, does_overlap)


def test_widened_arn_has_any_partition_and_account() -> None:
    assert widened(Pattern("arn:aws:lambda:eu-1:1:function:f")) == Pattern("arn:*:lambda:eu-1:*:function:f")
    assert widened(Pattern("arn:aws:iam::1:user/${aws:username}", True)) == Pattern(
        "arn:*:iam::*:user/${aws:username}", True
    )
    assert widened(Pattern("*")) == Pattern("*")
