"""Checks of ``configure`` with the settings of the integration, and with wrong ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ploy_connector_aws.spec import ConfigurationError, PloyError
from ploy_connector_aws.testing.results import NotTestedError, Problem
from ploy_connector_aws.testing.validation import Validation

from .manifest import required_of, settings_of

UNKNOWN_SETTING = "no_such_setting"

_NUMBER = 1_234_567_890

_WRONG: Mapping[str, tuple[Any, ...]] = {
    "string": (_NUMBER, "", ["no such value"]),
    "boolean": ("perhaps", _NUMBER),
    "integer": ("many", []),
    "number": ("many", []),
    "array": (_NUMBER, "no such value", [_NUMBER]),
    "object": (_NUMBER, ["no such value"]),
}
"""Values that a setting of a type cannot have, or hardly; long enough for a host to take them as secrets."""


def find_refused_settings(validation: Validation) -> Iterator[Problem]:
    """Find why the settings of the integration are refused."""
    try:
        validation.configure(validation.settings)
    except PloyError as error:
        yield Problem("hook configure", f"It refused the settings of the test: {error.message}")


def find_missing_settings(validation: Validation) -> Iterator[Problem]:
    """Leave out each required setting, and all of them."""
    _require_accepted(validation)
    required = required_of(validation)
    if not required:
        raise NotTestedError("no setting is required")
    for name in required:
        problem = _try(validation, _without(validation, name), f"setting {name!r}", "the required setting left out")
        if problem is not None:
            yield problem
    problem = _try(validation, {}, "hook configure", "no settings at all")
    if problem is not None:
        yield problem


def find_needed_options(validation: Validation) -> Iterator[Problem]:
    """Leave out each setting that is not required."""
    _require_accepted(validation)
    optional = [name for name in validation.settings if name not in required_of(validation)]
    if not optional:
        raise NotTestedError("the test sets no setting that is not required")
    for name in optional:
        try:
            validation.configure(_without(validation, name))
        except PloyError as error:
            yield Problem(f"setting {name!r}", f"It is not required, and configure fails without it: {error.message}")


def find_crashes(validation: Validation) -> Iterator[Problem]:
    """Set each setting to values that it cannot have."""
    _require_accepted(validation)
    for name, schema in settings_of(validation).items():
        for value in _WRONG.get(str(schema.get("type")), (17,)):
            try:
                validation.configure({**validation.settings, name: value})
            except ConfigurationError as error:
                if error.field is None or error.field.partition(".")[0] != name:
                    yield Problem(
                        f"setting {name!r}", f"The error for the value {value!r} has the field {error.field!r}."
                    )
            except PloyError as error:
                yield Problem(f"setting {name!r}", f"With the value {value!r} configure fails: {error.message}")


def find_ignored_settings(validation: Validation) -> Iterator[Problem]:
    """Add a setting that the schema does not have."""
    _require_accepted(validation)
    problem = _try(
        validation, {**validation.settings, UNKNOWN_SETTING: "x"}, f"setting {UNKNOWN_SETTING!r}", "an unknown setting"
    )
    if problem is not None:
        yield problem


def find_early_calls(validation: Validation) -> Iterator[Problem]:
    """Find calls to the source that ``configure`` makes."""
    _require_accepted(validation)
    _, instance = validation.configure(validation.settings)
    for name in instance.calls:
        yield Problem("hook configure", f"It calls the source: {name}.")


def _require_accepted(validation: Validation) -> None:
    """Require that the connector accepts the settings of the test: otherwise its errors show nothing."""
    validation.open()


def _without(validation: Validation, name: str) -> dict[str, Any]:
    return {each: value for each, value in validation.settings.items() if each != name}


def _try(validation: Validation, settings: Mapping[str, Any], where: str, what: str) -> Problem | None:
    """Return a problem unless ``configure`` raises a ConfigurationError."""
    try:
        validation.configure(settings)
    except ConfigurationError:
        return None
    except PloyError as error:
        return Problem(where, f"With {what} configure fails: {error.message}")
    return Problem(where, f"With {what} configure raises no error.")
