"""The template language of the set-up wizard, and its renderer.

These rules are the complete language, so that a host can implement it in any programming language:

1. ``{{ name }}`` is replaced by the value of that name. One space on each side; a name is ``[a-z][a-z0-9_]*``. Values
   are texts. Callers convert settings to text first: booleans to ``yes`` or ``no``, numbers to digits, lists to their
   items separated by ``, ``.
2. A line that contains only ``{{ if a b }}`` begins a block that is kept when at least one of the named features is
   chosen; a line that contains only ``{{ end }}`` ends it. Blocks may be nested. Both lines are removed; a block
   that is not kept is removed with all its lines.
3. A line that contains only ``{{ include id }}`` includes another document of the same wizard. Each non-empty line gets
   the same indentation as the include line. An included document must not include another.
4. Then, except in ``text`` and ``url``, a comma at the end of a line is removed if the next line that is not empty
   begins, after white space, with ``]`` or ``}``, so that no list or object has a trailing comma.
5. Last, values are inserted, escaped for the language of the rendered document (the outer document's
   language, even inside an included one):

   - ``text``: as they are.
   - ``url``: percent-encoded as UTF-8 (``%XX``), except ASCII letters, digits and ``-._~``.
   - ``json``, ``yaml``, ``hcl``, ``toml``: the placeholder stands between double quotes. Characters outside
     printable ASCII (space to ``~``) are written as ``\\uXXXX``, and so are ``"`` and ``\\``, and in ``hcl`` also
     ``$`` and ``%``. Characters above U+FFFF become a surrogate pair in ``json``, and ``\\UXXXXXXXX`` in the others.

Anything else that begins with ``{{`` is an error, and so is a name without a value.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Literal, TypeAlias
from urllib.parse import quote

Language: TypeAlias = Literal["text", "url", "json", "yaml", "hcl", "toml"]
"""The language of a rendered text, which decides how values are escaped."""

_LINE = re.compile(r"(\s*)\{\{ (if|include|end)(?: ([a-z0-9/_ -]+))? \}\}")
_PLACEHOLDER = re.compile(r"\{\{ ([a-z][a-z0-9_]*) \}\}")
_TRAILING_COMMA = re.compile(r",(\n\s*[\]}])")


class TemplateError(ValueError):
    """A template breaks the rules, or refers to a missing value."""


def render(
    template: str,
    language: Language,
    *,
    values: Mapping[str, str],
    features: Collection[str] = (),
    documents: Mapping[str, str] | None = None,
) -> str:
    """Render a template by the rules above.

    Args:
        template: The text with placeholders.
        language: The language of the result.
        values: Texts by name.
        features: The names of the chosen features.
        documents: Templates that it may include, by id.

    Raises:
        TemplateError: The template breaks the rules, or refers to a missing value.

    Example:
        >>> render("https://example.com/?q={{ question }}", "url", values={"question": "a&b"})
        'https://example.com/?q=a%26b'
    """
    text = "\n".join(_apply_conditions(_expand_includes(template, documents or {}), features))
    if language not in ("text", "url"):
        text = _TRAILING_COMMA.sub(r"\1", text)
    _reject_other_placeholders(text)
    return _PLACEHOLDER.sub(lambda found: escape(_value(found[1], values), language), text)


def find_placeholders(template: str) -> set[str]:
    """Return the names of all values that a template may refer to, conditional blocks included."""
    return set(_PLACEHOLDER.findall("\n".join(line for line in template.split("\n") if not _LINE.fullmatch(line))))


def find_references(template: str) -> tuple[set[str], set[str]]:
    """Return the features that a template depends on, and the documents that it includes."""
    found = [(match[2], match[3] or "") for line in template.split("\n") if (match := _LINE.fullmatch(line))]
    features = {name for directive, names in found if directive == "if" for name in names.split()}
    return features, {names for directive, names in found if directive == "include"}


def escape(value: str, language: Language) -> str:
    """Escape a value for a text of that language.

    Raises:
        TemplateError: The value is not valid Unicode.
    """
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        raise TemplateError("A value is not valid Unicode.") from None
    if language == "text":
        return value
    if language == "url":
        return quote(encoded, safe="")
    special = '"\\$%' if language == "hcl" else '"\\'
    return "".join(
        character if " " <= character <= "~" and character not in special else _escape_character(character, language)
        for character in value
    )


def _escape_character(character: str, language: Language) -> str:
    number = ord(character)
    if number <= 0xFFFF:
        return f"\\u{number:04x}"
    if language == "json":
        pair = character.encode("utf-16-be")
        return f"\\u{pair[:2].hex()}\\u{pair[2:].hex()}"
    return f"\\U{number:08x}"


def _expand_includes(template: str, documents: Mapping[str, str]) -> Iterator[str]:
    for line in template.split("\n"):
        match = _LINE.fullmatch(line)
        if match is None or match[2] != "include":
            yield line
            continue
        included = documents.get(match[3])
        if included is None:
            raise TemplateError(f"There is no document {match[3]!r} to include.")
        if find_references(included)[1]:
            raise TemplateError(f"The document {match[3]!r} is included, so it must not include another document.")
        yield from (f"{match[1]}{each}" if each else each for each in included.rstrip("\n").split("\n"))


def _apply_conditions(lines: Iterator[str], features: Collection[str]) -> Iterator[str]:
    is_kept: list[bool] = []
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            if all(is_kept):
                yield line
        elif match[2] == "if" and match[3]:
            is_kept.append(any(name in features for name in match[3].split()))
        elif match[2] == "end" and match[3] is None and is_kept:
            is_kept.pop()
        else:
            raise TemplateError(f"Unknown directive in the template: {line.strip()}")
    if is_kept:
        raise TemplateError("A block of the template is not closed.")


def _reject_other_placeholders(text: str) -> None:
    odd = re.search(r"\{\{.{0,40}", _PLACEHOLDER.sub("", text))
    if odd is not None:
        raise TemplateError(f"Unknown placeholder in the template: {odd[0]}")


def _value(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        raise TemplateError(f"There is no value {name!r}.")
    return values[name]
