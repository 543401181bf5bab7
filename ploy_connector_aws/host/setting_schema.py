"""The JSON Schema of settings (draft 2020-12): its own errors, defaults, and what is wrong with a value.

One table has the message for each keyword, whether a value comes from a file, a variable, Ploy or a form. No message
repeats a value. Patterns run in the engine for manifests, and a reference leads nowhere outside of the schema.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from ploy_connector_aws.spec.expressions import find_expression, is_expression
from ploy_connector_aws.spec.lists import join_names
from ploy_connector_aws.spec.manifest import ERROR_MESSAGE, STRIP

Schema = Mapping[str, Any]

_DATA = ("default", "const", "enum", "examples")
"""Keywords whose values are data and no schemas."""
_NAMED = ("properties", "patternProperties", "$defs", "dependentSchemas")
"""Keywords that hold schemas by names."""
_MOST_LEVELS = 32
_MOST_CHOICES = 50

_TYPES = {
    "string": "must be text",
    "boolean": "must be yes or no; in a file, true or false",
    "integer": "must be a whole number",
    "number": "must be a number",
    "array": "must be a list",
    "object": "must be a table",
    "null": "must be left out",
}


def _counted(text: str) -> Callable[[Schema, str], str]:
    """Return a message with the value of the keyword."""
    return lambda schema, keyword: text.format(schema[keyword])


_MESSAGES: Mapping[str, Callable[[Schema, str], str]] = {
    "type": lambda schema, _: " or ".join(_TYPES[each] for each in _types_of(schema)),
    "enum": lambda schema, _: f"must be one of {join_names([_shown(each) for each in schema['enum']], _MOST_CHOICES)}",
    "const": lambda schema, _: f"must be {_shown(schema['const'])}",
    "pattern": lambda *_: "must have the form that its description requires",
    "propertyNames": lambda *_: "must have a line of the form key = value for each",
    "minLength": _counted("must have {} characters or more"),
    "maxLength": _counted("must have {} characters or fewer"),
    "minimum": _counted("must be {} or more"),
    "maximum": _counted("must be {} or less"),
    "exclusiveMinimum": _counted("must be more than {}"),
    "exclusiveMaximum": _counted("must be less than {}"),
    "multipleOf": _counted("must be a multiple of {}"),
    "minItems": _counted("must have {} or more items"),
    "maxItems": _counted("must have {} or fewer items"),
    "uniqueItems": lambda *_: "must not have an item twice",
    "minProperties": _counted("must have {} or more entries"),
    "maxProperties": _counted("must have {} or fewer entries"),
    "additionalProperties": lambda *_: "has an entry that is not allowed",
    "required": lambda *_: "lacks an entry that is required",
}
"""What a value must be, by keyword, as the rest of a sentence that begins with the title of its setting."""


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _types_of(schema: Schema) -> tuple[str, ...]:
    kind = schema.get("type")
    return (kind,) if isinstance(kind, str) else tuple(kind) if isinstance(kind, Sequence) else ()


def kind_of(schema: Schema) -> str:
    """Return the JSON type of a setting: the first that is not ``null``; ``string`` where the schema names none."""
    for each in (schema, *(part for part in branches(schema) if isinstance(part, Mapping))):
        for kind in _types_of(each):
            if kind != "null":
                return kind
    return "string"


def branches(schema: Schema) -> Iterator[Any]:
    """Yield the alternatives and parts of a schema, one level down."""
    for keyword in ("anyOf", "oneOf", "allOf"):
        parts = schema.get(keyword)
        yield from parts if isinstance(parts, list) else ()


def is_multiline(schema: Schema) -> bool:
    """Whether a setting is a text of several lines, such as a PEM certificate: its schema has a media type."""
    return kind_of(schema) == "string" and "contentMediaType" in schema


def properties_of(schema: Schema) -> dict[str, Schema]:
    """Return the schema of each setting by name; of one that allows any value, an empty one."""
    properties = schema.get("properties")
    given = properties.items() if isinstance(properties, Mapping) else ()
    return {str(name): each if isinstance(each, Mapping) else {} for name, each in given}


def title_of(schema: Schema, name: str) -> str:
    """Return the title of a setting; its name where the schema has none."""
    return str(properties_of(schema).get(name, {}).get("title", name))


def clean_text(schema: Schema, text: str) -> str:
    """Remove what people type or copy along by accident, and end lines as Unix does."""
    if ignored := schema.get(STRIP):
        # One by one, as the engine cannot replace.
        text = "".join(each for each in text if not find_expression(str(ignored), each))
    return text.replace("\r\n", "\n").replace("\r", "\n") if is_multiline(schema) else text


def complete_settings(schema: Schema, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as a connector gets them: texts cleaned, and what is absent with its default."""
    found = dict(config)
    for name, each in properties_of(schema).items():
        if name not in found and "default" in each:
            found[name] = json.loads(json.dumps(each["default"]))  # a copy, which the connector may change
        elif isinstance(found.get(name), str):
            found[name] = clean_text(each, found[name])
        elif isinstance(found.get(name), Mapping):
            found[name] = complete_settings(each, found[name])
    return found


def find_wrong_setting(schema: Schema, config: Mapping[str, Any]) -> tuple[str, str] | None:
    """Find a setting that its schema does not allow: unknown ones first, then missing ones, then the others in order.

    Only the name of an unknown setting is repeated; a caller redacts the sentence.

    Returns:
        Its name and a sentence; None where all are as the schema says.
    """
    order = {name: place for place, name in enumerate(properties_of(schema))}
    found: list[tuple[int, int, str, str]] = []
    for error in _validator(_dumped(schema)).iter_errors(dict(config)):
        if error.absolute_path:
            name = str(error.absolute_path[0])
            found.append((2, order.get(name, len(order)), name, f"{title_of(schema, name)} {_describe(error, 1)}."))
        elif error.validator == "required":
            missing = [name for name in error.validator_value if name not in config]
            found += [(1, order.get(each, 0), each, f"The setting {each} is missing.") for each in missing]
        elif error.validator == "additionalProperties":
            known = f"the settings are {', '.join(order) or 'none'}"
            unknown = sorted(str(name) for name in config if name not in order)
            found += [(0, 0, each, f"Unknown setting {each}; {known}.") for each in unknown]
        else:
            found.append((3, 0, "", f"The settings do not fit the schema: its {error.validator!r} is not met."))
    return min(found)[2:] if found else None


def find_problem(schema: Schema, value: Any) -> str | None:
    """Describe what is wrong with one value: the rest of a sentence that begins with the title of its setting."""
    errors = sorted(_validator(_dumped(schema)).iter_errors(value), key=lambda error: len(error.absolute_path))
    return _describe(errors[0], 0) if errors else None


def _describe(error: Any, depth: int) -> str:
    """Describe an error of the validator; ``depth`` is how much of its path the title of the setting stands for."""
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    keyword = str(error.validator)
    own = schema.get(ERROR_MESSAGE)
    if own and keyword in ("pattern", "propertyNames", "required", "additionalProperties"):
        message = str(own)
    elif keyword in _MESSAGES:
        message = _MESSAGES[keyword](schema, keyword)
    elif keyword in ("anyOf", "oneOf") and error.context:
        # The alternative that came nearest: the one whose error lies deepest.
        return _describe(max(error.context, key=lambda each: len(each.absolute_path)), depth)
    else:
        message = str(own or f"must fulfil {keyword!r} of its schema")
    path = list(error.absolute_path)[depth:]
    if not path:
        return message
    # A name in a table is input, which may be a secret, unless the schema has it.
    declared = {str(each) for each in error.absolute_schema_path}
    shown = (str(each + 1) if isinstance(each, int) else each if each in declared else "an entry" for each in path)
    return f"has a value at {' / '.join(shown)} that {message}"


def find_schema_errors(schema: Schema) -> Iterator[str]:
    """Describe everything in a manifest's schema that a host cannot use."""
    from jsonschema import Draft202012Validator, FormatChecker
    from jsonschema.exceptions import SchemaError

    try:
        # Without formats: patterns are checked below, in the engine that runs them.
        Draft202012Validator.check_schema(dict(schema), format_checker=FormatChecker(formats=()))
    except SchemaError as error:
        place = "/".join(map(str, error.absolute_path)) or "the whole"
        yield f"config_schema is not a valid JSON Schema (draft 2020-12): {place} violates {error.validator!r}"
        return
    if schema.get("type", "object") != "object":
        yield "config_schema must have the type 'object'"
    if "unevaluatedProperties" in (text := _dumped(schema)) and "patternProperties" in text:
        yield "config_schema has 'unevaluatedProperties' beside 'patternProperties', which hosts do not support"
    found = list(_find_odd_parts(schema, "config_schema", 0))
    yield from found
    for name, each in () if found else properties_of(schema).items():
        if "default" in each and (problem := find_problem(each, each["default"])):
            yield f"the setting {name!r} has a default that is not valid: it {problem}"


def _find_odd_parts(schema: Any, place: str, depth: int) -> Iterator[str]:
    if depth > _MOST_LEVELS:
        yield f"{place} is nested more than {_MOST_LEVELS} levels deep"
        return
    if isinstance(schema, list):
        for number, each in enumerate(schema):
            yield from _find_odd_parts(each, f"{place}/{number}", depth + 1)
    if not isinstance(schema, Mapping):
        return
    expressions = [(each, schema[each]) for each in ("pattern", STRIP) if isinstance(schema.get(each), str)]
    patterns = schema.get("patternProperties")
    expressions += [("patternProperties", each) for each in patterns] if isinstance(patterns, Mapping) else []
    yield from (
        f"{place} has a {name!r} that does not compile" for name, each in expressions if not is_expression(each)
    )
    for keyword, each in schema.items():
        parts = each.items() if keyword in _NAMED and isinstance(each, Mapping) else ((None, each),)
        if keyword not in _DATA:
            for name, part in parts:
                yield from _find_odd_parts(part, "/".join(filter(None, (place, keyword, name))), depth + 1)


def inline(schema: Schema) -> dict[str, Any]:
    """Replace each reference to a part of the same schema by that part, so that no reader has to follow references.

    Raises:
        ValueError: A reference leads elsewhere, nowhere, or to itself.
    """
    found = _inline(schema, schema, 0)
    assert isinstance(found, dict)
    if "$ref" in _dumped(schema):
        found.pop("$defs", None)
    return found


def _inline(part: Any, root: Schema, depth: int) -> Any:
    if depth > _MOST_LEVELS:
        raise ValueError(f"config_schema is nested more than {_MOST_LEVELS} levels deep, or refers to itself")
    if isinstance(part, list):
        return [_inline(each, root, depth + 1) for each in part]
    if not isinstance(part, Mapping):
        return part
    own = {key: each if key in _DATA else _inline(each, root, depth + 1) for key, each in part.items() if key != "$ref"}
    reference = part.get("$ref")
    if not isinstance(reference, str):  # a setting may have this name
        return own if reference is None else {**own, "$ref": _inline(reference, root, depth + 1)}
    target: Any = root
    for name in reference.removeprefix("#").split("/")[1:]:
        name = unquote(name).replace("~1", "/").replace("~0", "~")
        target = target.get(name) if isinstance(target, Mapping) else None
    if not reference.startswith("#") or not isinstance(target, Mapping):
        raise ValueError(f"config_schema refers to {reference!r}, which is no part of it")
    return {**_inline(target, root, depth + 1), **own}


def _dumped(schema: Schema) -> str:
    return json.dumps(schema, sort_keys=True)


@lru_cache(maxsize=64)
def _validator(schema: str) -> Any:
    """Return the validator of a schema, given as JSON."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend
    from referencing import Registry

    keywords = {
        "pattern": _check_pattern,
        "propertyNames": _check_names,
        "patternProperties": _check_matching,
        "additionalProperties": _check_others,
    }
    # An empty registry retrieves nothing over the network.
    return extend(Draft202012Validator, keywords)(json.loads(schema), registry=Registry())


# jsonschema would give the patterns of a manifest to Python's engine, which can take exponential time.


def _check_pattern(_: Any, pattern: str, value: Any, __: Schema) -> Iterator[Any]:
    from jsonschema import ValidationError

    if isinstance(value, str) and not find_expression(pattern, value):
        yield ValidationError("pattern")


def _check_names(validator: Any, names: Any, value: Any, _: Schema) -> Iterator[Any]:
    from jsonschema import ValidationError

    if isinstance(value, Mapping) and not all(validator.evolve(schema=names).is_valid(each) for each in value):
        yield ValidationError("propertyNames")


def _check_matching(validator: Any, patterns: Schema, value: Any, _: Schema) -> Iterator[Any]:
    for name, each in value.items() if isinstance(value, Mapping) else ():
        for pattern in filter(lambda pattern: find_expression(pattern, name), patterns):
            yield from validator.descend(each, patterns[pattern], path=name, schema_path=pattern)


def _check_others(validator: Any, others: Any, value: Any, schema: Schema) -> Iterator[Any]:
    from jsonschema import ValidationError

    patterns = schema.get("patternProperties", {})
    for name, each in value.items() if isinstance(value, Mapping) else ():
        if name in schema.get("properties", {}) or any(find_expression(pattern, name) for pattern in patterns):
            continue
        if isinstance(others, Mapping):
            yield from validator.descend(each, others, path=name)
        elif others is False:
            yield ValidationError("additionalProperties")
            return
