"""Redaction of the secrets that a host knows: the values of settings marked ``writeOnly``, however they are encoded.

A text gets ``[redacted]`` in their place. A record or the name of a scope is never rewritten: a host that finds a
secret in one fails its scope.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MINIMUM_SECRET_LENGTH = 8
"""A host refuses a shorter secret where it is entered: it would match by chance, and can be guessed."""

REDACTED = "[redacted]"

_ALPHANUMERIC = re.compile(r"[A-Za-z0-9]+")
_BASE64_NEIGHBOURS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")
# Every repetition has a bound, so that a search takes linear time whatever the text.
_BACKSLASHES = r"\\{1,16}"
_PERCENT = r"%(?:25){0,4}"
_BASE64_BREAK = rf"(?:\s|{_BACKSLASHES}[rn]|{_PERCENT}0[aAdD]){{0,4}}"
_BASE64_OPTIONS = {
    "+": rf"(?:[+-]|{_PERCENT}2[bB]|{_BACKSLASHES}u002[bB])",
    "/": rf"(?:(?:{_BACKSLASHES})?/|_|{_PERCENT}2[fF]|{_BACKSLASHES}u002[fF])",
}
_SHORT_ESCAPES = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
_SHORTEST_RUN = 4
"""A secret without so many letters or digits in a row has no part that is quick to look for."""


class _Secret:
    """One secret: what is quick to look for, and the expressions of all its encodings."""

    def __init__(self, value: str) -> None:
        longest = max(_ALPHANUMERIC.findall(value), key=len, default="")
        cores = [*_base64_cores(value)]
        # Encoders leave letters and digits alone, and a line break can part only one of two pieces of a core.
        self.needles: tuple[str, ...] = ()
        """One of them is in every text that contains the secret; none where it has no such parts."""
        if len(longest) >= _SHORTEST_RUN:
            self.needles = ("%", "\\u", longest, *dict.fromkeys(piece for core in cores for piece in _pieces(core)))
        self._plain = re.compile(f"(?=({_plain_expression(value)}))")
        self._base64 = re.compile("|".join(f"(?=({_base64_expression(core)}))" for core in cores))

    def may_be_in(self, text: str) -> bool:
        """Whether a search is worth its time."""
        return not self.needles or any(needle in text for needle in self.needles)

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where it is in a text; spans may overlap."""
        for match in self._plain.finditer(text):
            yield match.span(1)
        for match in self._base64.finditer(text):
            start, end = match.span(match.lastindex or 0)
            # The characters at the ends hold some of its bits, and the rest of the token what stands beside it.
            while start > 0 and text[start - 1] in _BASE64_NEIGHBOURS:
                start -= 1
            while end < len(text) and text[end] in _BASE64_NEIGHBOURS:
                end += 1
            yield start, end


class Redactor:
    """Finds some secrets, and replaces them. It shows none of them in its ``repr``.

    Args:
        secrets: The secrets. Those shorter than ``MINIMUM_SECRET_LENGTH`` are passed over.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        values = {value for secret in secrets for value in (secret, secret.strip())}
        self._secrets = [_Secret(value) for value in sorted(values) if len(value) >= MINIMUM_SECRET_LENGTH]
        needles = {needle for secret in self._secrets for needle in secret.needles or ("",)}
        # One search for all: this is done for every record.
        self._needles = re.compile("|".join(map(re.escape, sorted(needles))).encode())

    def redact(self, text: str) -> str:
        """Replace every secret in a text. Of two that overlap, both go."""
        spans = sorted(span for secret in self._secrets if secret.may_be_in(text) for span in secret.spans(text))
        parts, position = [], 0
        merged: list[tuple[int, int]] = []
        for start, end in spans:
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
        return any(secret.may_be_in(text) and any(secret.spans(text)) for secret in self._secrets)

    def is_in_body(self, body: bytes) -> bool:
        """Whether a record, as JSON in UTF-8, contains one."""
        return bool(self._secrets) and self._needles.search(body) is not None and self.is_in(body.decode())


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


def _base64_expression(core: str) -> str:
    return _BASE64_BREAK.join(_BASE64_OPTIONS.get(each, each) for each in core)


def _plain_expression(value: str) -> str:
    """An expression of the text itself and of what percent-encoding and JSON, also several times over, make of it."""
    parts: list[str] = []
    for run in re.findall(r"\\+|[^\\]", value, re.DOTALL):
        if run[0] == "\\":
            encoded = rf"(?:{_PERCENT}5[cC]|{_BACKSLASHES}u005[cC]){{{len(run)}}}"
            parts.append(rf"(?:\\{{{len(run)},{16 * len(run)}}}|{encoded})")
            continue
        options = ["".join(f"{_PERCENT}{_hex(bytes([each]))}" for each in run.encode("utf-8", "surrogatepass"))]
        options.append("".join(f"{_BACKSLASHES}u{_hex(unit)}" for unit in _utf16(run)))
        if run in _SHORT_ESCAPES:
            options.append(f"{_BACKSLASHES}{_SHORT_ESCAPES[run]}")
        if run == " ":
            options.append(r"\+")
        if run in "\"'/":
            options.append(_BACKSLASHES + run)
        parts.append(f"(?:{'|'.join((*options, re.escape(run)))})")
    return "".join(parts)


def _hex(data: bytes) -> str:
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in data.hex())


def _utf16(character: str) -> Iterator[bytes]:
    data = character.encode("utf-16-be", "surrogatepass")
    for at in range(0, len(data), 2):
        yield data[at : at + 2]
