"""Reading the body of a batch: unpacked within the limits, and every line checked."""

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
    """Undo the compression, never beyond the limits.

    Raises:
        ProblemError: It is no gzip stream, or too large.
    """
    stream = zlib.decompressobj(_GZIP)
    try:
        content = stream.decompress(body, limits.max_batch_bytes + 1)
    except zlib.error:
        raise ProblemError("body_unreadable", "It is not a gzip stream.") from None
    if len(content) > limits.max_batch_bytes:
        raise ProblemError("body_too_large", f"A batch holds {limits.max_batch_bytes} bytes at most.")
    if not stream.eof or stream.unused_data:
        raise ProblemError("body_unreadable", "It is not one whole gzip stream.")
    return content


class Amount(NamedTuple):
    """How many lines a batch has."""

    lines: int
    others: int
    """How many of them are no records."""


def check_lines(content: bytes, limits: wire.Limits, mode: wire.Mode) -> Amount:
    """Check every line, each record against its model; return how many there are.

    Raises:
        ProblemError: There are too many, or some are wrong; it names them all up to a bound.
    """
    lines = _split(content)
    if len(lines) > limits.max_batch_lines:
        raise ProblemError("body_too_large", f"A batch holds {limits.max_batch_lines} lines at most.")
    wrong = []
    others = 0
    for number, text in enumerate(lines, start=1):
        try:
            line = wire.LINE.validate_json(text)
            others += not isinstance(line, wire.RecordLine)
            reason = INFINITE if has_infinite(text) else _what_is_wrong(line, mode)
        except ValidationError as error:
            reason = reason_of(error)
        if reason is not None:
            wrong.append(wire.LineProblem(line=number, reason=reason))
    if wrong:
        raise ProblemError("lines_rejected", f"{len(wrong)} of {len(lines)} lines.", errors=tuple(wrong[:_MOST_ERRORS]))
    return Amount(len(lines), others)


def read_lines(content: bytes) -> Iterator[wire.AnyLine]:
    """Read the lines of a batch that was checked."""
    return (wire.LINE.validate_json(text) for text in _split(content))


def to_record(line: wire.RecordLine) -> Record | None:
    """Turn a line into the record that it carries; None where it carries none."""
    return None if line.record is None else RECORD_MODELS[line.type].model_validate(line.record)


def _what_is_wrong(line: wire.AnyLine, mode: wire.Mode) -> str | None:
    """Say why a line cannot stand in a sync of this mode; None where it can."""
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
