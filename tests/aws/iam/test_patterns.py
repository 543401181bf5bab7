"""Texts with wildcards: covering and overlapping, compared with every text that there is."""

from __future__ import annotations

import fnmatch
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploy_connector_aws.aws.iam.patterns import Pattern, covers, overlaps, widened
from tests.soak import cheap

ALPHABET = "ab"
TEXTS = ["".join(letters) for length in range(6) for letters in product(ALPHABET, repeat=length)]
PATTERNS = st.text("ab*?", min_size=1, max_size=5)


def texts_of(pattern: str) -> set[str]:
    return set(fnmatch.filter(TEXTS, pattern))


@cheap
@given(PATTERNS, PATTERNS)
def test_a_pattern_that_covers_another_has_all_its_texts(wide: str, narrow: str) -> None:
    if covers(Pattern(wide), Pattern(narrow)):
        assert texts_of(narrow) <= texts_of(wide)


@cheap
@given(PATTERNS)
def test_a_pattern_covers_the_texts_it_has_and_no_others(pattern: str) -> None:
    assert {text for text in TEXTS if text and covers(Pattern(pattern), Pattern(text))} == texts_of(pattern) - {""}


@cheap
@given(PATTERNS, PATTERNS)
def test_patterns_overlap_where_they_have_a_text_in_common(one: str, other: str) -> None:
    if texts_of(one) & texts_of(other):
        assert overlaps(Pattern(one), Pattern(other))
    # The shortest text that two patterns have in common is no longer than all their letters: those were all tried.
    elif len((one + other).replace("*", "")) <= len(TEXTS[-1]):
        assert not overlaps(Pattern(one), Pattern(other))


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
        # No wildcard reaches over the end of a segment, save in the last one.
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
def test_a_variable_may_be_anything_and_is_proven_to_be_nothing(
    wide: str, narrow: str, does_cover: bool, does_overlap: bool
) -> None:
    one, other = Pattern(wide, has_variables=True), Pattern(narrow, has_variables=True)
    assert (covers(one, other), overlaps(one, other)) == (does_cover, does_overlap)


def test_a_widened_arn_leaves_partition_and_account_open() -> None:
    assert widened(Pattern("arn:aws:lambda:eu-1:1:function:f")) == Pattern("arn:*:lambda:eu-1:*:function:f")
    assert widened(Pattern("arn:aws:iam::1:user/${aws:username}", True)) == Pattern(
        "arn:*:iam::*:user/${aws:username}", True
    )
    assert widened(Pattern("*")) == Pattern("*")
