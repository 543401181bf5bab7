"""Validates the strings of a request, as AWS does before it looks anything up.

AWS rejects a malformed id with a validation error and not with "not found"; moto checks no patterns. botocore's service
models have them, though its clients do not check them (AWS.md 0.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from botocore.model import ServiceModel, Shape
from botocore.session import get_session

from ploy_connector_aws.spec.expressions import find_expression

from .access_denied import AwsError


def check_form(service: str, operation: str, parameters: dict[str, Any], code: str = "ValidationException") -> None:
    """Check the strings of a request against the service's model.

    Args:
        service: As boto3 names it.
        operation: The operation.
        parameters: The parameters of the request.
        code: The service's code of such an error.

    Raises:
        AwsError: Some are invalid.
    """
    model = _model_of(service)
    shape = model.operation_model(operation).input_shape if operation in model.operation_names else None
    wrong = list(_find_wrong(shape, parameters, "")) if shape is not None else []
    if wrong:
        count = f"{len(wrong)} validation error{'s' if len(wrong) > 1 else ''} detected: "
        raise AwsError(code, count + "; ".join(wrong))


def _find_wrong(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, member in shape.members.items():
            inner = f"{path}.{name}" if path else name
            if value.get(name) is not None:
                yield from _find_wrong(member, value[name], f"{inner[0].lower()}{inner[1:]}")
            elif name in shape.required_members:
                yield _describe(None, f"{inner[0].lower()}{inner[1:]}", "Member must not be null")
    elif shape.type_name == "list" and isinstance(value, list):
        for number, each in enumerate(value, 1):
            yield from _find_wrong(shape.member, each, f"{path}.{number}.member")
    elif shape.type_name == "string":
        yield from (_describe(value, path, each) for each in _find_broken(shape, str(value)))


def _find_broken(shape: Shape, text: str) -> Iterator[str]:
    """Yield the constraints that a string does not satisfy."""
    values, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
    if values and text not in values:
        yield f"Member must satisfy enum value set: [{', '.join(values)}]"
    if pattern and not _is_of_pattern(pattern, text):
        yield f"Member must satisfy regular expression pattern: {pattern}"
    for name, is_broken in (
        ("greater than or equal to", len(text) < shape.metadata.get("min", 0)),
        ("less than or equal to", len(text) > shape.metadata.get("max", len(text))),
    ):
        if is_broken:
            bound = shape.metadata["min" if name.startswith("greater") else "max"]
            yield f"Member must have length {name} {bound}"


def _describe(value: Any, path: str, constraint: str) -> str:
    shown = "null" if value is None else f"'{value}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def _is_of_pattern(pattern: str, text: str) -> bool:
    try:
        return find_expression(rf"\A(?:{pattern})\z", text)
    except ValueError:
        # A pattern that this engine does not support; no id has one.
        return True


@lru_cache
def _model_of(service: str) -> ServiceModel:
    return get_session().get_service_model(service)
