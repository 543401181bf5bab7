import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploy_connector_aws.platform.errors import RecordTooLargeError
from ploy_connector_aws.platform.wire import Limits
from ploy_connector_aws.runtime.sync.upload import split_batches
from tests.soak import cheap


def limits(lines: int, size: int) -> Limits:
    return Limits.model_construct(max_batch_lines=lines, max_batch_bytes=size)


@cheap
@given(st.lists(st.binary(max_size=19), max_size=40), st.integers(1, 10), st.integers(20, 60))
def test_batches_hold_all_lines_in_order_within_the_limits(
    lines: list[bytes], most_lines: int, most_bytes: int
) -> None:
    batches = list(split_batches(lines, limits(most_lines, most_bytes)))

    assert list(itertools.chain.from_iterable(batches)) == lines
    sizes = [sum(len(line) + 1 for line in batch) for batch in batches]
    assert all(batches)
    assert all(len(batch) <= most_lines for batch in batches)
    assert all(size <= most_bytes for size in sizes)
    for (batch, size), following in zip(zip(batches, sizes, strict=True), batches[1:], strict=False):
        assert len(batch) == most_lines or size + len(following[0]) + 1 > most_bytes


def test_lines_are_consumed_batch_by_batch() -> None:
    taken: list[int] = []

    def lines() -> Iterator[bytes]:
        for number in itertools.count():
            taken.append(number)
            yield b"line"

    batches = split_batches(lines(), limits(3, 1000))
    assert next(batches) == [b"line"] * 3
    assert len(taken) == 4


def test_line_larger_than_a_batch_is_an_error_with_its_number() -> None:
    with pytest.raises(RecordTooLargeError, match="Line 2 has 21 bytes; a batch of the platform holds at most 20"):
        list(split_batches([b"a" * 19, b"b" * 20], limits(10, 20)))
