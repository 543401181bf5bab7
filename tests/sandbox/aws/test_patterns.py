"""Wildcards of the local AWS: compared with every short text, and the steps that they take."""

from __future__ import annotations

import fnmatch
from itertools import product

import pytest

from ploy_connector_aws.sandbox.aws.patterns import matches
from tests.steps import at_most


def test_every_short_pattern_has_the_texts_that_it_should() -> None:
    texts = ["".join(each) for length in range(6) for each in product("ab", repeat=length)]
    patterns = ["".join(each) for length in range(1, 5) for each in product("ab*?", repeat=length)]

    assert [
        (pattern, text)
        for pattern in patterns
        for text in texts
        if matches(pattern, text) != fnmatch.fnmatchcase(text, pattern)
        or matches(pattern, text.upper(), ignore_case=True) != matches(pattern, text)
    ] == []


@pytest.mark.parametrize("repeated", ["*?", "*a", "a*", "?", "*", "*a?", "**a", "a", "?*?b", "aab*"])
@pytest.mark.parametrize("text", ["a", "ab", "aab", "b"])
def test_no_text_takes_more_steps_than_the_lengths_multiplied(repeated: str, text: str) -> None:
    pattern, long = repeated * 100 + "c", text * 200
    with at_most(6 * (len(pattern) + 1) * (len(long) + 1)):
        assert not matches(pattern, long)
