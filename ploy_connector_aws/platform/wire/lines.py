"""The lines of a batch: records, tombstones and scopes."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, JsonValue, TypeAdapter
from pydantic_core import to_json

from ploy_connector_aws.spec.pages import Failure, Scope, ScopeEnding
from ploy_connector_aws.spec.records import Id, RecordType

from .bodies import RequestModel


class RecordLine(RequestModel):
    """A record that was read in this run, with the scopes that emitted it.

    A record of many scopes has several lines, each with some of its scopes. In a delta the scopes are those that did
    not emit it in the base, or did not end complete now; there may be none.
    """

    line: Literal["record"] = Field(default="record", description="Always sent: the kind of line.")
    type: RecordType
    id: Id
    scopes: tuple[Scope, ...]
    partial: bool = Field(
        default=False,
        description="It exists, but its content was not read in full: a known complete record is kept.",
    )
    record: dict[str, JsonValue] | None = Field(
        default=None, description="Its content. In a delta, left out if it is as in the base."
    )


class TombstoneLine(RequestModel):
    """A record that the source reported as not existing, or that scopes of the base no longer list."""

    line: Literal["tombstone"] = Field(default="tombstone", description="Always sent: the kind of line.")
    type: RecordType
    id: Id
    scopes: tuple[Scope, ...] = Field(
        default=(),
        description="Without scopes: the record does not exist and is removed with the grants that name it, unless a "
        "record line of the same sync lists it. With scopes, in a delta only: it is removed once no other scope has it "
        "and no grant names it.",
    )


class ScopeLine(RequestModel):
    """The ending of one scope in this run."""

    line: Literal["scope"] = Field(default="scope", description="Always sent: the kind of line.")
    name: Scope
    parent: Scope | None = None
    ending: ScopeEnding | None = Field(default=None, description="None: announced but not reached.")
    failure: Failure | None = None
    origin: str | None = None
    is_announced: bool = Field(
        default=True, description="False, in a delta only: the base announced the scope and this run did not."
    )


AnyLine: TypeAlias = RecordLine | TombstoneLine | ScopeLine
"""One line of a batch (NDJSON)."""


def to_ndjson(line: AnyLine) -> bytes:
    """Encode a line of a batch as compact JSON without its line end: the same line always gives the same bytes."""
    rest = line.model_dump_json(exclude={"line"}, exclude_defaults=True)
    return f'{{"line":"{line.line}",{rest[1:]}'.encode()


def to_record_line(
    type: RecordType,  # noqa: A002 - the name of the field
    id: str,  # noqa: A002
    scopes: tuple[str, ...],
    body: bytes | None,
    *,
    partial: bool = False,
) -> bytes:
    """Encode a ``RecordLine`` whose content is compact JSON already: the same bytes as ``to_ndjson`` gives."""
    return b'{"line":"record","type":"%b","id":%b,"scopes":%b%b%b}' % (
        type.encode(),
        to_json(id),
        to_json(scopes),
        b',"partial":true' if partial else b"",
        b"" if body is None else b',"record":' + body,
    )


LINE: TypeAdapter[AnyLine] = TypeAdapter(Annotated[AnyLine, Field(discriminator="line")])

_COMPRESSION = 3
"""Two fifths of the time of level 6, for lines a tenth longer: measured with a million grants."""
_GZIP = 31
"""zlib's ``wbits`` for a gzip stream; its header holds no time."""
_OS_PLACE, _OS_UNKNOWN = 9, 255
"""The position of the operating system in a gzip header, and the value for unknown (RFC 1952)."""


def pack(lines: Iterable[bytes]) -> bytes:
    """Encode lines, given without their line ends, as the body of a batch.

    The same lines give the same bytes, and so the same digest, on every system and with every version of Python:
    ``gzip.compress`` names the operating system before Python 3.13 and none since. Another implementation of zlib, such
    as zlib-ng, may find other repetitions in the same lines.
    """
    packed = bytearray(zlib.compress(b"".join(line + b"\n" for line in lines), _COMPRESSION, wbits=_GZIP))
    packed[_OS_PLACE] = _OS_UNKNOWN
    return bytes(packed)
