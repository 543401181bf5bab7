"""Text with placeholders, as a wizard has it: how any host turns it into a document or a link.

The whole language, so that a host that is not written in Python can do the same:

1. ``{{ name }}`` stands for the value of that name. One space on each side; a name is ``[a-z][a-z0-9_]*``. A setting
   that is no text stands as ``yes`` or ``no``, as a number, or as its items with ``, `` between them.
2. A line that holds nothing but ``{{ if a b }}`` begins a part that is kept when at least one of the named features was
   chosen; a line that holds nothing but ``{{ end }}`` ends it. Parts may stand inside of parts. Both lines go; a part
   that is not kept goes with all its lines.
3. A line that holds nothing but ``{{ include id }}`` stands for another document of the same wizard, each of its lines
   behind the white space that this line begins with. A document that is included includes none itself.
4. Then, except in ``text`` and ``url``, a comma at the end of a line goes where the next line that is not empty begins,
   after white space, with ``]`` or ``}``: leaving out the last of a list leaves no comma behind.
5. Last, values are put in, escaped for the language of the document that is asked for (not of one that it includes):

   - ``text``: as they are.
   - ``url``: as UTF-8, each byte that is no ASCII letter or digit and none of ``-._~`` as ``%XX``.
   - ``json``, ``yaml``, ``hcl``, ``toml``: the placeholder stands between double quotes. What is not between space and
     tilde is written as ``\\uXXXX``, and so are ``"`` and ``\\``, and in ``hcl`` also ``$`` and ``%``. What is above
     U+FFFF becomes a pair of surrogates in ``json``, and ``\\UXXXXXXXX`` in the others.

Anything else that begins with ``{{`` is an error, and so is a name without a value.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Literal, TypeAlias
from urllib.parse import quote

Language: TypeAlias = Literal["text", "url", "json", "yaml", "hcl", "toml"]
"""What a rendered text is, which decides how values are escaped."""

_LINE = re.compile(r"(\s*)\{\{ (if|include|end)(?: ([a-z0-9/_ -]+))? \}\}")
_PLACEHOLDER = re.compile(r"\{\{ ([a-z][a-z0-9_]*) \}\}")
_COMMA_AT_THE_END = re.compile(r",(\n\s*[\]}])")


class TemplateError(ValueError):
    """A template breaks the rules, or wants a value that there is not."""


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
        language: What the result is.
        values: By name.
        features: The names of those that were chosen.
        documents: Templates that it may include, by id.

    Raises:
        TemplateError: The template breaks the rules, or wants a value that there is not.

    Example:
        >>> render("https://example.com/?q={{ question }}", "url", values={"question": "a&b"})
        'https://example.com/?q=a%26b'
    """
    text = "\n".join(_kept(_included(template, documents or {}), features))
    if language not in ("text", "url"):
        text = _COMMA_AT_THE_END.sub(r"\1", text)
    _refuse_anything_else(text)
    return _PLACEHOLDER.sub(lambda found: escape(_value(found[1], values), language), text)


def find_placeholders(template: str) -> set[str]:
    """Name the values that a template may want, those of parts that may be left out included."""
    return set(_PLACEHOLDER.findall("\n".join(line for line in template.split("\n") if not _LINE.fullmatch(line))))


def find_references(template: str) -> tuple[set[str], set[str]]:
    """Name the features that a template depends on, and the documents that it includes."""
    found = [(match[2], match[3] or "") for line in template.split("\n") if (match := _LINE.fullmatch(line))]
    features = {name for word, names in found if word == "if" for name in names.split()}
    return features, {names for word, names in found if word == "include"}


def escape(value: str, language: Language) -> str:
    """Escape a value for a place in a text of that language.

    Raises:
        TemplateError: The value is no Unicode text.
    """
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        raise TemplateError("A value is no Unicode text.") from None
    if language == "text":
        return value
    if language == "url":
        return quote(encoded, safe="")
    special = '"\\$%' if language == "hcl" else '"\\'
    return "".join(
        character if " " <= character <= "~" and character not in special else _escaped(character, language)
        for character in value
    )


def _escaped(character: str, language: Language) -> str:
    number = ord(character)
    if number <= 0xFFFF:
        return f"\\u{number:04x}"
    if language == "json":
        pair = character.encode("utf-16-be")
        return f"\\u{pair[:2].hex()}\\u{pair[2:].hex()}"
    return f"\\U{number:08x}"


def _included(template: str, documents: Mapping[str, str]) -> Iterator[str]:
    for line in template.split("\n"):
        match = _LINE.fullmatch(line)
        if match is None or match[2] != "include":
            yield line
            continue
        included = documents.get(match[3])
        if included is None:
            raise TemplateError(f"There is no document {match[3]!r} to include.")
        if find_references(included)[1]:
            raise TemplateError(f"The document {match[3]!r} is included, and includes another one itself.")
        yield from (f"{match[1]}{each}" if each else each for each in included.rstrip("\n").split("\n"))


def _kept(lines: Iterator[str], features: Collection[str]) -> Iterator[str]:
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
            raise TemplateError(f"A line of the template cannot be understood: {line.strip()}")
    if is_kept:
        raise TemplateError("A part of the template is not ended.")


def _refuse_anything_else(text: str) -> None:
    odd = re.search(r"\{\{.{0,40}", _PLACEHOLDER.sub("", text))
    if odd is not None:
        raise TemplateError(f"A placeholder of the template cannot be understood: {odd[0]}")


def _value(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        raise TemplateError(f"There is no value {name!r}.")
    return values[name]
