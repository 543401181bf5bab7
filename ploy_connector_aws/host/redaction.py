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

MINIMUM_SECRET_LENGTH = 8
"""A host refuses a shorter secret where it is entered: it would match by chance, and can be guessed."""

REDACTED = "[redacted]"

_ALPHANUMERIC = re.compile(r"[A-Za-z0-9]+")
_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[\"'/\\bfnrt])")
_SHORT_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_URL_SAFE = str.maketrans("-_", "+/")
_BASE64_NEIGHBOURS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")
_DEPTH = 5
"""How often a text may have been encoded, one encoding over the other."""
_MOST_VIEWS = 40
_SHORTEST_RUN = 4
"""A secret without so many letters or digits in a row has no part that is quick to look for."""


class _View:
    """A text after some decoding, and where in the original each of its characters stands."""

    def __init__(self, text: str, starts: Sequence[int], ends: Sequence[int]) -> None:
        self.text = text
        self.starts = starts
        self.ends = ends

    def replace(self, expression: re.Pattern[str], decode: Callable[[str], Iterator[tuple[str, int]]]) -> _View | None:
        """Decode what an expression finds; None where it finds nothing.

        Args:
            expression: Finds what is encoded.
            decode: Gives the decoded characters of a match, and how many characters of it each takes.
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
        """Leave out white space, and write base64 for URLs as other base64."""
        kept = [at for at, character in enumerate(self.text) if not character.isspace()]
        text = "".join(self.text.split()).translate(_URL_SAFE)
        return _View(text, [self.starts[at] for at in kept], [self.ends[at] for at in kept])

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Where in the original a text stands; the spans may overlap."""
        at = self.text.find(text)
        while at >= 0:
            yield self.starts[at], self.ends[at + len(text) - 1]
            at = self.text.find(text, at + 1)


def _percent_decoded(run: str) -> Iterator[tuple[str, int]]:
    # A byte that is not UTF-8 becomes one character, so that what follows it keeps its place.
    for character in bytes.fromhex(run.replace("%", "")).decode("utf-8", "surrogateescape"):
        yield character, 3 * len(character.encode("utf-8", "surrogateescape"))


def _unescaped(escape: str) -> Iterator[tuple[str, int]]:
    if escape[1] == "u":
        units = bytes.fromhex(escape.replace("\\u", ""))
        yield units.decode("utf-16-be", "surrogatepass"), len(escape)
    else:
        yield _SHORT_ESCAPES.get(escape[1], escape[1]), len(escape)


def _views(text: str) -> list[_View]:
    """A text, and what percent-decoding and the removal of JSON's escapes make of it, in any order and several times.

    Each takes time in proportion to the text, whatever is in it.
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
    """One secret, and its encodings as they stand in a decoded text."""

    def __init__(self, value: str) -> None:
        longest = max(_ALPHANUMERIC.findall(value), key=len, default="")
        self.plain = {value, value.replace(" ", "+")}
        self.cores = tuple(_base64_cores(value))
        # Encoders leave letters and digits alone, and a line break can part only one of two pieces of a core.
        self.needles: tuple[str, ...] = ("",)
        """One of them is in every text that contains the secret."""
        if len(longest) >= _SHORTEST_RUN:
            pieces = dict.fromkeys(piece for core in self.cores for piece in _pieces(core))
            self.needles = ("%", "\\u", longest, *pieces)


class Redactor:
    """Finds some secrets, and replaces them. It shows none of them in its ``repr``.

    Args:
        secrets: The secrets. Those shorter than ``MINIMUM_SECRET_LENGTH`` are passed over.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        values = {value for secret in secrets for value in (secret, secret.strip())}
        self._secrets = [_Secret(value) for value in sorted(values) if len(value) >= MINIMUM_SECRET_LENGTH]
        self._needles = tuple(dict.fromkeys(needle for secret in self._secrets for needle in secret.needles))
        self._needles_in_bytes = tuple(needle.encode() for needle in self._needles)

    def redact(self, text: str) -> str:
        """Replace every secret in a text. Of two that overlap, both go."""
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
        """Whether a text contains one."""
        return next(self._find(text), None) is not None

    def is_in_body(self, body: bytes) -> bool:
        """Whether a record, as JSON in UTF-8, contains one."""
        return any(needle in body for needle in self._needles_in_bytes) and self.is_in(body.decode())

    def _find(self, text: str) -> Iterator[tuple[int, int]]:
        """Where in a text the secrets are; spans may overlap."""
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
    """Extend a span to the whole of its base64: the characters at its ends hold some of the secret's bits."""
    while start > 0 and text[start - 1] in _BASE64_NEIGHBOURS:
        start -= 1
    while end < len(text) and text[end] in _BASE64_NEIGHBOURS:
        end += 1
    return start, end


class _KnownSecrets:
    """Every secret of this process: a log line or a traceback can hold that of any integration."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: frozenset[str] = frozenset()
        self._redactor = Redactor()

    def add(self, secrets: Iterable[str]) -> None:
        """Redact these as well from now on."""
        with self._lock:
            values = self._values.union(secrets)
            if values != self._values:
                self._values, self._redactor = values, Redactor(values)

    def redact(self, text: str) -> str:
        """Replace every known secret in a text."""
        return self._redactor.redact(text)


_known = _KnownSecrets()


def remember_secrets(secrets: Iterable[str]) -> None:
    """Have ``redact`` replace these secrets until the process ends. A host does this before it configures a connector.

    Args:
        secrets: The values, as ``find_secrets`` gives them.
    """
    _known.add(secrets)


def redact(text: str) -> str:
    """Replace every secret that this process knows in a text for people: a message, a log line, a traceback."""
    return _known.redact(text)


def redact_values(value: Any) -> Any:
    """Replace every known secret in JSON values, names of members included."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(name) if isinstance(name, str) else name: redact_values(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(redact_values(each) for each in value) if type(value) in (list, tuple) else value
    return value


def find_secrets(schema: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Find the secrets of an integration: the values of settings that the schema marks ``writeOnly``, also inside.

    Args:
        schema: The JSON Schema of the settings.
        config: The settings.

    Returns:
        The name of the setting at the top, and the secret as text; a setting that is a list or a table gives several.
    """
    properties = schema.get("properties")
    for name, value in config.items():
        inner = properties.get(name) if isinstance(properties, Mapping) else None
        for secret in _find_secrets(inner if isinstance(inner, Mapping) else {}, value, is_secret=False):
            yield name, secret


def _find_secrets(schema: Mapping[str, Any], value: Any, *, is_secret: bool) -> Iterator[str]:
    is_secret = is_secret or bool(schema.get("writeOnly"))
    if isinstance(value, Mapping):
        properties = schema.get("properties")
        for name, each in value.items():
            inner = properties.get(name) if isinstance(properties, Mapping) else None
            yield from _find_secrets(inner if isinstance(inner, Mapping) else {}, each, is_secret=is_secret)
    elif isinstance(value, list | tuple):
        items = schema.get("items")
        for each in value:
            yield from _find_secrets(items if isinstance(items, Mapping) else {}, each, is_secret=is_secret)
    elif is_secret and value is not None and not isinstance(value, bool):
        yield str(value)


def _pieces(core: str) -> Iterator[str]:
    """Two parts of a core, neither of which has a character that has another form."""
    runs = sorted(_ALPHANUMERIC.findall(core), key=len, reverse=True)
    longest = runs[0] if runs else ""
    half = min(8, len(longest) // 2)
    yield from (longest[:half], longest[half : 2 * half]) if half >= 2 else (longest,)


def _base64_cores(value: str) -> Iterator[str]:
    """What base64 makes of it wherever it begins in a longer text: the characters that hold nothing but its bits."""
    data = value.encode("utf-8", "surrogatepass")
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + data).decode()
        yield encoded[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
