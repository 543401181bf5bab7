"""Checks of ``configure`` with the settings of the integration, and with wrong ones.

A host validates settings by the schema before it calls the hook, so what is tested here is both together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ploy_connector_aws.spec import ConfigurationError
from ploy_connector_aws.testing.results import NotTestedError, Problem
from ploy_connector_aws.testing.validation import Validation

from .manifest import required_of, settings_of

UNKNOWN_SETTING = "no_such_setting"

_ODD: Mapping[str, tuple[Any, ...]] = {
    "string": ("", "no such value", "x" * 10_000, 17),
    "boolean": (True, False, "perhaps"),
    "integer": (0, -1, 2**63, "many"),
    "number": (0, -1, 1e300, "many"),
    "array": ([], ["no such value"], [17], "no such value"),
    "object": ({}, {"no such name": "no such value"}, "no such value"),
}
"""Values that a setting of a type may not have; the last one is of another type."""


def find_refused_settings(validation: Validation) -> Iterator[Problem]:
    """Find why the settings of the integration are refused."""
    error = validation.try_settings(validation.settings)
    if error is not None:
        yield _problem("hook configure", f"It refused the settings of the test: {error.message}")


def find_missing_settings(validation: Validation) -> Iterator[Problem]:
    """Leave out each required setting, and all settings."""
    for name in required_of(validation):
        if validation.try_settings(_without(validation, name)) is None:
            yield _problem(f"setting {name!r}", "It is required, and configure works without it.")
    error = validation.try_settings({})
    if error is not None and not isinstance(error, ConfigurationError):
        yield _problem("hook configure", f"Without any setting it fails: {error.message}")


def find_needed_options(validation: Validation) -> Iterator[Problem]:
    """Leave out each setting that is not required."""
    _require_accepted(validation)
    optional = [name for name in validation.settings if name not in required_of(validation)]
    if not optional:
        raise NotTestedError("the test sets no setting that is not required")
    for name in optional:
        error = validation.try_settings(_without(validation, name))
        if error is not None:
            yield _problem(f"setting {name!r}", f"It is not required, and configure fails without it: {error.message}")


def find_crashes(validation: Validation) -> Iterator[Problem]:
    """Set each setting to odd values."""
    _require_accepted(validation)
    for name, schema in settings_of(validation).items():
        for value in _ODD.get(str(schema.get("type")), ()):
            error = validation.try_settings({**validation.settings, name: value})
            shown = repr(value) if len(repr(value)) < 100 else f"a text of {len(value):,} characters"
            if isinstance(error, ConfigurationError):
                if error.field is None or error.field.partition(".")[0] not in settings_of(validation):
                    yield _problem(
                        f"setting {name!r}", f"The error for the value {shown} names no setting as its field."
                    )
            elif error is not None:
                yield _problem(f"setting {name!r}", f"With the value {shown} configure fails: {error.message}")


def find_ignored_settings(validation: Validation) -> Iterator[Problem]:
    """Add a setting that the schema does not have."""
    _require_accepted(validation)
    error = validation.try_settings({**validation.settings, UNKNOWN_SETTING: "x"})
    if error is None:
        yield _problem(
            f"setting {UNKNOWN_SETTING!r}", "config_schema has no such setting, and configure works with it."
        )
    elif not isinstance(error, ConfigurationError):
        yield _problem(f"setting {UNKNOWN_SETTING!r}", f"With an unknown setting configure fails: {error.message}")


def find_early_calls(validation: Validation) -> Iterator[Problem]:
    """Find calls to the source that ``configure`` makes."""
    with validation.open() as instance:
        for name in instance.calls:
            yield _problem("hook configure", f"It calls the source: {name}.")


def _problem(where: str, message: str) -> Problem:
    return Problem(where, message, hook="configure")


def _without(validation: Validation, name: str) -> dict[str, Any]:
    return {each: value for each, value in validation.settings.items() if each != name}


def _require_accepted(validation: Validation) -> None:
    """Require that the connector accepts the settings of the test: otherwise its errors show nothing."""
    with validation.open():
        pass
