"""Every value of every answer that is read has the type of AWS's model, or is found."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from botocore.model import Shape

from ploy_connector_aws.aws.client.shapes import find_wrong_type
from ploy_connector_aws.aws.permissions import READS

SCALARS: dict[str, Any] = {
    "string": "text",
    "boolean": True,
    "integer": 1,
    "long": 1,
    "float": 1.5,
    "double": 1.5,
    "timestamp": datetime(2026, 11, 24, tzinfo=UTC),
    "blob": b"",
}
WRONG: dict[str, tuple[Any, ...]] = {
    "string": (5, True, None, {}, [], 1.5),
    "boolean": (5, "true", None),
    "integer": ("5", True, None),
    "long": ("5", True, None),
    "timestamp": ("2026-11-24", 5, None),
    "structure": ("text", None, []),
    "list": ("text", None, {}),
    "map": ("text", None, []),
}

Path = tuple[str | int, ...]
KEY = "a key"


def make(shape: Any, within: tuple[str, ...] = ()) -> Any:
    """A right value of a shape, with every member; a shape inside of itself is left out."""
    if shape.type_name == "structure":
        inside = (*within, shape.name)
        return {name: make(each, inside) for name, each in shape.members.items() if each.name not in inside}
    if shape.type_name == "list":
        return [make(shape.member, within)]
    return {KEY: make(shape.value, within)} if shape.type_name == "map" else SCALARS[shape.type_name]


def places(value: Any, shape: Any, path: Path = ()) -> Iterator[tuple[Path, Shape]]:
    yield path, shape
    if shape.type_name == "structure":
        for name, each in value.items():
            yield from places(each, shape.members[name], (*path, name))
    elif shape.type_name == "list" and value:
        yield from places(value[0], shape.member, (*path, 0))
    elif shape.type_name == "map":
        yield from places(value[KEY], shape.value, (*path, KEY))


def replaced(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    step, *rest = path
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[step] = replaced(copy[step], tuple(rest), new)
    return copy


@pytest.mark.parametrize("action", READS, ids=lambda action: action.iam)
def test_a_value_of_another_type_is_found_wherever_it_stands(action: Any) -> None:
    model = botocore.session.get_session().get_service_model(action.client)
    shape = model.operation_model(action.operation).output_shape
    right = make(shape)
    assert find_wrong_type(right, shape) is None
    assert find_wrong_type({}, shape) is None
    assert find_wrong_type({**right, "New": {"of": 1}, "ResponseMetadata": {}}, shape) is None

    checked = 0
    for path, each in places(right, shape):
        is_free = each.name == "policyDocumentType" or getattr(each, "is_document_type", False)
        for wrong in () if is_free else WRONG.get(each.type_name, ()):
            found = find_wrong_type(replaced(right, path, wrong), shape)
            names = [step for step in path if isinstance(step, str) and step != KEY]
            assert found, f"{wrong!r} at {path}"
            assert [part.removesuffix("[]") for part in found.split(".")] == (names or [shape.name])
            checked += 1
    assert checked


def test_a_policy_that_botocore_decoded_is_a_text_to_the_model() -> None:
    model = botocore.session.get_session().get_service_model("iam")
    shape = model.operation_model("GetAccountAuthorizationDetails").output_shape
    answer: dict[str, Any] = {"Policies": [{"PolicyVersionList": [{"Document": {"Statement": []}}]}]}

    assert find_wrong_type(answer, shape) is None
