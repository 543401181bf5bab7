"""Redaction of the secrets that a host knows: the values of settings marked ``writeOnly``, however they are encoded.

A text gets ``[redacted]`` in their place. A record or the name of a scope is never rewritten: a host that finds a
secret in one fails its scope.
"""

from __future__ import annotations

import base64
import re
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from .setting_schema import branches

MINIMUM_SECRET_LENGTH = 8
"""A host rejects a shorter secret when it is entered: it would match by chance, and can be guessed."""

_SHORTEST_LINE = 16
"""A shorter line of a secret of several lines is not looked for by itself."""

REDACTED = "[redacted]"

_ALPHANUMERIC = re.compile(r"[A-Za-z0-9]+")
_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[\"'/\\bfnrt])")
_SHORT_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_URL_SAFE = str.maketrans("-_", "+/")
_BASE64_NEIGHBOURS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")
_DEPTH = 5
"""The largest number of nested encodings of a text that are decoded."""
_MOST_VIEWS = 40
_SHORTEST_RUN = 4
"""A secret with fewer letters or digits in a row has no part that can be searched for quickly."""


class _View:
    """A text after some decoding, and the position of each of its characters in the original."""

    def __init__(self, text: str, starts: Sequence[int], ends: Sequence[int]) -> None:
        self.text = text
        self.starts = starts
        self.ends = ends

    def replace(self, expression: re.Pattern[str], decode: Callable[[str], Iterator[tuple[str, int]]]) -> _View | None:
        """Decode the matches of an expression; None without a match.

        Args:
            expression: Matches encoded parts.
            decode: Yields the decoded characters of a match, each with its encoded length.
        """
        texts: list[str] = []
        starts, ends, position = array("q"), array("q"), 0
        for match in expression.finditer(self.text):
            at = match.start()
            texts.append(self.text[position:at])
            starts.extend(self.starts[position:at])
            ends.extend(self.ends[position:at])
            for character, length in decode(match[0]):
                texts.append(character)
                starts.append(self.starts[at])
                ends.append(self.ends[at + length - 1])
                at += length
            position = match.end()
        if not texts:
            return None
        starts.extend(self.starts[position:])
        ends.extend(self.ends[position:])
        return _View("".join((*texts, self.text[position:])), starts, ends)

    def squeeze(self) -> _View:
        """Remove white space, and convert base64 for URLs to plain base64."""
        kept = [at for at, character in enumerate(self.text) if not character.isspace()]
        text = "".join(self.text.split()).translate(_URL_SAFE)
        return _View(text, [self.starts[at] for at in kept], [self.ends[at] for at in kept])

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the spans of a text in the original; they may overlap."""
        at = self.text.find(text)
        while at >= 0:
            yield self.starts[at], self.ends[at + len(text) - 1]
            at = self.text.find(text, at + 1)


def _percent_decoded(run: str) -> Iterator[tuple[str, int]]:
    # A byte that is not UTF-8 becomes one character, so that the characters after it keep their positions.
    for character in bytes.fromhex(run.replace("%", "")).decode("utf-8", "surrogateescape"):
        yield character, 3 * len(character.encode("utf-8", "surrogateescape"))


def _unescaped(escape: str) -> Iterator[tuple[str, int]]:
    if escape[1] == "u":
        units = bytes.fromhex(escape.replace("\\u", ""))
        yield units.decode("utf-16-be", "surrogatepass"), len(escape)
    else:
        yield _SHORT_ESCAPES.get(escape[1], escape[1]), len(escape)


def _views(text: str) -> list[_View]:
    """Return a text, and its forms after percent-decoding and unescaping JSON, in any order and repeatedly.

    Each form takes time in proportion to the text, whatever it contains.
    """
    views = [_View(text, range(len(text)), range(1, len(text) + 1))]
    seen, last = {text}, views
    for _ in range(_DEPTH):
        found = [view.replace(_PERCENT, _percent_decoded) for view in last]
        found += [view.replace(_ESCAPE, _unescaped) for view in last]
        last = []
        for view in found:
            if view is not None and view.text not in seen and len(views) < _MOST_VIEWS:
                seen.add(view.text)
                views.append(view)
                last.append(view)
    return views


class _Secret:
    """One secret, and its encodings as they occur in a decoded text."""

    def __init__(self, value: str) -> None:
        longest = max(_ALPHANUMERIC.findall(value), key=len, default="")
        self.plain = {value, value.replace(" ", "+")}
        self.cores = tuple(_base64_cores(value))
        # Encoders do not change letters and digits, and a line break can split only one of two pieces of a core.
        self.needles: tuple[str, ...] = ("",)
        """Every text that contains the secret contains one of them."""
        if len(longest) >= _SHORTEST_RUN:
            pieces = dict.fromkeys(piece for core in self.cores for piece in _pieces(core))
            self.needles = ("%", "\\u", longest, *pieces)


class Redactor:
    """Finds and replaces a set of secrets. Its ``repr`` shows none of them.

    Args:
        secrets: The secrets. Those shorter than ``MINIMUM_SECRET_LENGTH`` are ignored.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        values = {value for secret in secrets for value in (secret, secret.strip())}
        self._secrets = [_Secret(value) for value in sorted(values) if len(value) >= MINIMUM_SECRET_LENGTH]
        self._needles = tuple(dict.fromkeys(needle for secret in self._secrets for needle in secret.needles))
        self._needles_in_bytes = tuple(needle.encode() for needle in self._needles)

    def redact(self, text: str) -> str:
        """Replace every secret in a text. If two overlap, both are replaced."""
        parts, position = [], 0
        merged: list[tuple[int, int]] = []
        for start, end in sorted(self._find(text)):
            if merged and start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end))
            else:
                merged.append((start, end))
        for start, end in merged:
            parts += [text[position:start], REDACTED]
            position = end
        return "".join((*parts, text[position:]))

    def is_in(self, text: str) -> bool:
        """Whether a text contains a secret."""
        return next(self._find(text), None) is not None

    def is_in_body(self, body: bytes) -> bool:
        """Whether a record, as JSON in UTF-8, contains a secret."""
        for needle in self._needles_in_bytes:  # a loop: this runs for every record
            if needle in body:
                return self.is_in(body.decode())
        return False

    def _find(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the spans of secrets in a text; they may overlap."""
        if not any(needle in text for needle in self._needles):
            return
        for view in _views(text):
            squeezed = view.squeeze()
            for secret in self._secrets:
                for plain in secret.plain:
                    yield from view.find(plain)
                for core in secret.cores:
                    for start, end in squeezed.find(core):
                        yield _to_token(text, start, end)


def _to_token(text: str, start: int, end: int) -> tuple[int, int]:
    """Extend a span to all of its base64: the characters at its ends contain some bits of the secret."""
    while start > 0 and text[start - 1] in _BASE64_NEIGHBOURS:
        start -= 1
    while end < len(text) and text[end] in _BASE64_NEIGHBOURS:
        end += 1
    return start, end


class _KnownSecrets:
    """All secrets of this process: a log line or a traceback can contain those of any integration."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: frozenset[str] = frozenset()
        self._redactor = Redactor()

    def add(self, secrets: Iterable[str]) -> None:
        """Add secrets to redact from now on."""
        with self._lock:
            values = self._values.union(secrets)
            if values != self._values:
                self._values, self._redactor = values, Redactor(values)

    def redact(self, text: str) -> str:
        """Replace every known secret in a text."""
        return self._redactor.redact(text)


_known = _KnownSecrets()


def remember_secrets(secrets: Iterable[str]) -> None:
    """Add secrets that ``redact`` replaces until the process ends. A host does this before it configures a connector.

    Args:
        secrets: The values, as ``find_secrets`` yields them.
    """
    _known.add(secrets)


def redact(text: str) -> str:
    """Replace every secret of this process in a text for people: a message, a log line, a traceback."""
    return _known.redact(text)


def redact_values(value: Any) -> Any:
    """Replace every known secret in JSON values, names of members included."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(name): redact_values(each) for name, each in value.items()}
    return [redact_values(each) for each in value] if isinstance(value, list) else value


def find_secrets(schema: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Find the secrets of an integration: the values that the schema marks ``writeOnly``, at any depth.

    Args:
        schema: The JSON Schema of the settings.
        config: The settings.

    Returns:
        The name of the top-level setting, and the secret as text; a list or a table can yield several.
    """
    properties = schema.get("properties")
    for name, value in config.items():
        inner = properties.get(name) if isinstance(properties, Mapping) else None
        for secret in _find_secrets(inner if isinstance(inner, Mapping) else {}, value, is_secret=False):
            yield name, secret


def _find_secrets(schema: Mapping[str, Any], value: Any, *, is_secret: bool) -> Iterator[str]:
    """Yield the secrets in a value; of one with several lines each line as well, as a log may have it alone."""
    schemas = [schema]
    for each in schemas:  # grows on the way
        schemas += [part for part in branches(each) if isinstance(part, Mapping)]
    is_secret = is_secret or any(each.get("writeOnly") for each in schemas)
    if isinstance(value, Mapping):
        for name, each in value.items():
            inner = [_part(_part(own, "properties"), name) or _part(own, "additionalProperties") for own in schemas]
            yield from _find_secrets({"allOf": inner}, each, is_secret=is_secret)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _find_secrets({"allOf": [_part(own, "items") for own in schemas]}, each, is_secret=is_secret)
    elif is_secret and value is not None and not isinstance(value, bool):
        text = str(value)
        yield text
        lines = text.splitlines() if "\n" in text else ()
        yield from (line for line in lines if len(line) >= _SHORTEST_LINE and not line.startswith("-----"))


def _part(schema: Mapping[str, Any], keyword: str) -> Mapping[str, Any]:
    part = schema.get(keyword)
    return part if isinstance(part, Mapping) else {}


def _pieces(core: str) -> Iterator[str]:
    """Yield two parts of a core without characters that have another form."""
    runs = sorted(_ALPHANUMERIC.findall(core), key=len, reverse=True)
    longest = runs[0] if runs else ""
    half = min(8, len(longest) // 2)
    yield from (longest[:half], longest[half : 2 * half]) if half >= 2 else (longest,)


def _base64_cores(value: str) -> Iterator[str]:
    """Yield its base64 for each position in a longer text: the characters that contain its bits only."""
    data = value.encode("utf-8", "surrogatepass")
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + data).decode()
        yield encoded[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
