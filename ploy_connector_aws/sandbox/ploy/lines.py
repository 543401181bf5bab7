"""Reading the body of a batch: unpacked within the limits, and every line checked."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import TypeAlias

from pydantic import ValidationError

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec.records import RECORD_MODELS, Record

from .problems import Refusal, reason_of

_Line: TypeAlias = wire.RecordLine | wire.TombstoneLine | wire.ScopeLine

_GZIP = 31
_MOST_ERRORS = 50


def unpack(body: bytes, limits: wire.Limits) -> bytes:
    """Undo the compression, never beyond the limits.

    Raises:
        Refusal: It is no gzip stream, or too large.
    """
    stream = zlib.decompressobj(_GZIP)
    try:
        content = stream.decompress(body, limits.max_batch_bytes + 1)
    except zlib.error:
        raise Refusal("body_unreadable", "It is not a gzip stream.") from None
    if len(content) > limits.max_batch_bytes:
        raise Refusal("body_too_large", f"A batch holds {limits.max_batch_bytes} bytes at most.")
    if not stream.eof or stream.unused_data:
        raise Refusal("body_unreadable", "It is not one whole gzip stream.")
    return content


def check_lines(content: bytes, limits: wire.Limits) -> int:
    """Check every line, each record against its model; say how many there are.

    Raises:
        Refusal: There are too many, or some are wrong; it names them all up to a bound.
    """
    lines = _split(content)
    if len(lines) > limits.max_batch_lines:
        raise Refusal("body_too_large", f"A batch holds {limits.max_batch_lines} lines at most.")
    wrong = []
    for number, text in enumerate(lines, start=1):
        try:
            line = wire.LINE.validate_json(text)
            if isinstance(line, wire.RecordLine):
                to_record(line)
        except ValidationError as error:
            wrong.append(wire.LineProblem(line=number, reason=reason_of(error)))
    if wrong:
        raise Refusal("lines_rejected", f"{len(wrong)} of {len(lines)} lines.", errors=tuple(wrong[:_MOST_ERRORS]))
    return len(lines)


def read_lines(content: bytes) -> Iterator[_Line]:
    """Read the lines of a batch that was checked."""
    return (wire.LINE.validate_json(text) for text in _split(content))


def to_record(line: wire.RecordLine) -> Record:
    """Turn a line into the record that it carries."""
    return RECORD_MODELS[line.type].model_validate(line.record)


def _split(content: bytes) -> list[bytes]:
    lines = content.split(b"\n")
    return lines[:-1] if not lines[-1] else lines
