import pytest

from tests.platform import json_schema

DEFINITIONS: dict[str, json_schema.Schema] = {
    "Pet": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "kind": {"enum": ["cat", "dog"]}},
        "required": ["name"],
    }
}
PET: json_schema.Schema = {"$ref": "#/components/schemas/Pet"}


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"type": "integer"}, [0, -1], [1.0, True, "1", None]),
        ({"type": "string"}, ["", "ü"], [1, None]),
        ({"type": "boolean"}, [True], [1, "true"]),
        ({"type": "null"}, [None], [0, ""]),
        ({"type": "array", "items": {"type": "null"}}, [[], [None]], [[1], {}]),
        ({"type": "array", "minItems": 1, "maxItems": 2}, [[1]], [[], [1, 2, 3]]),
        ({"type": "object"}, [{}, {"any": 1}], [[]]),
        ({"type": "object", "additionalProperties": False}, [{}], [{"any": 1}]),
        ({"type": "object", "additionalProperties": {"type": "null"}}, [{"any": None}], [{"any": 1}]),
        ({"type": "object", "propertyNames": {"enum": ["a"]}}, [{"a": 1}], [{"b": 1}]),
        ({"const": "a"}, ["a"], ["b"]),
        ({"enum": ["a", "b"]}, ["a"], ["c"]),
        ({"type": "integer", "minimum": 1, "maximum": 2}, [1, 2], [0, 3]),
        ({"type": "string", "minLength": 1, "maxLength": 2}, ["a"], ["", "abc"]),
        ({"type": "string", "pattern": "^a$"}, ["a"], ["b"]),
        ({"not": {"enum": ["."]}}, ["a"], ["."]),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, [None, 1], ["1"]),
        ({"oneOf": [{"type": "integer"}, {"minimum": 5}]}, [1], [7]),
        ({"type": "string", "format": "date-time"}, ["2026-01-01T00:00:00Z"], ["2026-01-01T00:00:00", "now"]),
        (
            {"type": "string", "format": "date-time", "formatMinimum": "2026-01-01T00:00:00Z"},
            ["2026-01-01T00:00:00Z"],
            ["2025-12-31T23:59:59Z"],
        ),
        (
            {"type": "string", "format": "date-time", "formatMaximum": "2026-01-01T00:00:00Z"},
            ["2026-01-01T00:00:00Z"],
            ["2026-01-01T00:00:01Z"],
        ),
        (PET, [{"name": "a"}, {"name": "a", "kind": "cat"}], [{}, {"name": 1}, {"name": "a", "kind": "cow"}]),
        (PET, [{"name": "a"}], [{"name": "a", "colour": "red"}]),
        ({"type": "array", "items": PET}, [[{"name": "a"}]], [[{}]]),
    ],
)
def test_values_that_violate_a_schema_are_found(
    schema: json_schema.Schema, right: list[object], wrong: list[object]
) -> None:
    assert [value for value in right if list(json_schema.errors(value, schema, DEFINITIONS))] == []
    assert [value for value in wrong if not list(json_schema.errors(value, schema, DEFINITIONS))] == []


@pytest.mark.parametrize("schema", [{"multipleOf": 2}, {"type": "string", "format": "uuid"}])
def test_unsupported_schema_is_an_error(schema: json_schema.Schema) -> None:
    with pytest.raises(ValueError, match="not checked"):
        list(json_schema.errors("a", schema, DEFINITIONS))


def test_parts_of_a_schema_are_its_properties_and_listed_values() -> None:
    pet = DEFINITIONS["Pet"]

    assert list(json_schema.parts_of(pet, "Pet")) == ["Pet.name", "Pet.kind", "Pet.kind 'cat'", "Pet.kind 'dog'"]
    assert list(json_schema.parts_in([{"name": "a", "kind": "dog"}], {"items": PET}, DEFINITIONS)) == [
        *("Pet.name", "Pet.kind", "Pet.kind 'dog'")
    ]
    assert list(json_schema.parts_in({"name": "a", "kind": None}, PET, DEFINITIONS)) == ["Pet.name"]
