"""The body of a batch: decompression within the limits, and a check of every line."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from pydantic import ValidationError

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec.records import RECORD_MODELS, Record

from .problems import INFINITE, ProblemError, has_infinite, reason_of

_GZIP = 31
_MOST_ERRORS = 50


def unpack(body: bytes, limits: wire.Limits) -> bytes:
    """Decompress a batch, never beyond the limits.

    Raises:
        ProblemError: It is not a gzip stream, or too large.
    """
    stream = zlib.decompressobj(_GZIP)
    try:
        content = stream.decompress(body, limits.max_batch_bytes + 1)
    except zlib.error:
        raise ProblemError("body_unreadable", "The body is not a gzip stream.") from None
    if len(content) > limits.max_batch_bytes:
        raise ProblemError("body_too_large", f"A batch holds {limits.max_batch_bytes} bytes at most.")
    if not stream.eof or stream.unused_data:
        raise ProblemError("body_unreadable", "The body is not one complete gzip stream.")
    return content


class Amount(NamedTuple):
    """The number of lines of a batch."""

    lines: int
    others: int
    """The number of those that are no records."""


def check_lines(content: bytes, limits: wire.Limits, mode: wire.Mode) -> Amount:
    """Check every line, each record against its model; return the number of lines.

    Raises:
        ProblemError: There are too many lines, or some are invalid; it names them up to a bound.
    """
    lines = _split(content)
    if len(lines) > limits.max_batch_lines:
        raise ProblemError("body_too_large", f"A batch holds {limits.max_batch_lines} lines at most.")
    invalid = []
    others = 0
    for number, text in enumerate(lines, start=1):
        try:
            line = wire.LINE.validate_json(text)
            others += not isinstance(line, wire.RecordLine)
            reason = INFINITE if has_infinite(text) else _find_error(line, mode)
        except ValidationError as error:
            reason = reason_of(error)
        if reason is not None:
            invalid.append(wire.LineProblem(line=number, reason=reason))
    if invalid:
        raise ProblemError(
            "lines_rejected", f"{len(invalid)} of {len(lines)} lines.", errors=tuple(invalid[:_MOST_ERRORS])
        )
    return Amount(len(lines), others)


def read_lines(content: bytes) -> Iterator[wire.AnyLine]:
    """Iterate over the lines of a checked batch."""
    return (wire.LINE.validate_json(text) for text in _split(content))


def to_record(line: wire.RecordLine) -> Record | None:
    """Return the record of a line; None where it has none."""
    return None if line.record is None else RECORD_MODELS[line.type].model_validate(line.record)


def _find_error(line: wire.AnyLine, mode: wire.Mode) -> str | None:
    """Return why a line is invalid in a sync of this mode; None where it is valid."""
    if isinstance(line, wire.RecordLine):
        record = to_record(line)
        if record is not None and record.id != line.id:
            return "id: is not the record's"
        if mode == "full" and (record is None or not line.scopes):
            return "record: must be there, with a scope, as there is no base"
    elif mode == "full" and (line.scopes if isinstance(line, wire.TombstoneLine) else not line.is_announced):
        return "line: refers to a base, and there is none"
    return None


def _split(content: bytes) -> list[bytes]:
    lines = content.split(b"\n")
    return lines[:-1] if not lines[-1] else lines
