"""Splitting the lines of a run into batches within the platform's limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .errors import RecordTooLargeError
from .wire import Limits


def split_batches(lines: Iterable[bytes], limits: Limits) -> Iterator[list[bytes]]:
    """Split lines into batches, in order, with one batch in memory at a time. The same lines give the same batches.

    Args:
        lines: Encoded lines, without their line ends.
        limits: How many lines and bytes (before compression, line ends included) a batch may hold.

    Raises:
        RecordTooLargeError: A line is larger than ``limits.max_batch_bytes``.
    """
    batch: list[bytes] = []
    size = 0
    for number, line in enumerate(lines, start=1):
        length = len(line) + 1
        if length > limits.max_batch_bytes:
            raise RecordTooLargeError(
                f"Line {number} has {length} bytes; a batch of the platform holds at most {limits.max_batch_bytes}."
            )
        if batch and (len(batch) == limits.max_batch_lines or size + length > limits.max_batch_bytes):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += length
    if batch:
        yield batch
