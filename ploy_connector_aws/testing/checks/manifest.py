"""Checks of what is known about a connector without settings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ploy_connector_aws.host import InvalidConnectorError
from ploy_connector_aws.host.setting_schema import properties_of
from ploy_connector_aws.spec import Account, ConfigurationError, Entitlement, Labels, Resource
from ploy_connector_aws.testing.results import NotTestedError, Problem
from ploy_connector_aws.testing.validation import Validation

_SECRET = re.compile(r"(^|_)(token|secret|password|passphrase|private_?key|api_?key|credentials?)$", re.I)
_TYPES = ("type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref")


def settings_of(validation: Validation) -> dict[str, Mapping[str, Any]]:
    """Return the schema of each setting, by its name."""
    return properties_of(validation.installed.manifest.config_schema)


def required_of(validation: Validation) -> list[str]:
    """Return the names of the required settings."""
    required = validation.installed.manifest.config_schema.get("required")
    return [name for name in required if isinstance(name, str)] if isinstance(required, list) else []


def find_load_errors(validation: Validation) -> Iterator[Problem]:
    """Find why a host refuses the connector."""
    try:
        validation.load()
    except InvalidConnectorError as error:
        yield Problem(f"connector {error.distribution!r}", f"A host refuses it: {error.reason}.")
    except KeyError as error:
        yield Problem(f"connector {error.args[0]!r}", "No connector of this name is installed.")
    except ConfigurationError as error:
        yield Problem("connector", error.message, error.fix)


def find_undescribed_settings(validation: Validation) -> Iterator[Problem]:
    """Find settings without a description in the schema, and given ones that it does not have."""
    settings = settings_of(validation)
    for name, schema in settings.items():
        if not any(keyword in schema for keyword in _TYPES):
            yield Problem(f"setting {name!r}", "Its schema has no type.")
        if not (schema.get("title") or schema.get("description")):
            yield Problem(f"setting {name!r}", "Its schema has neither a title nor a description.")
    for name in sorted((validation.settings.keys() | {*required_of(validation)}) - settings.keys()):
        yield Problem(f"setting {name!r}", "config_schema has no such property.")


def find_unmarked_secrets(validation: Validation) -> Iterator[Problem]:
    """Find settings with the name of a secret that the schema does not mark."""
    for name, schema in settings_of(validation).items():
        if _SECRET.search(name) and not schema.get("writeOnly"):
            yield Problem(f"setting {name!r}", 'It has the name of a secret, and no "writeOnly": true in its schema.')


def find_unasked_settings(validation: Validation) -> Iterator[Problem]:
    """Find required settings that the wizard does not ask for."""
    wizard = validation.installed.manifest.wizard
    if wizard is None:
        raise NotTestedError("the manifest has no wizard")
    asked = {field.name for field in wizard.fields()}
    for name in required_of(validation):
        if name not in asked:
            yield Problem(f"setting {name!r}", "It is required, and no step of the wizard has a field for it.")


def find_half_of_writes(validation: Validation) -> Iterator[Problem]:
    """Find a connector that can grant and not revoke, or the reverse."""
    hooks = validation.installed.manifest.hooks
    found = [hook for hook in ("grant", "revoke") if hook in hooks]
    if not found:
        raise NotTestedError("the connector has neither grant nor revoke")
    if len(found) == 1:
        other = "revoke" if found == ["grant"] else "grant"
        yield Problem(f"hook {found[0]}", f"The connector implements it, and not {other}.", hook=found[0])


def find_false_promises(validation: Validation) -> Iterator[Problem]:
    """Find entitlements that are grantable by a connector that cannot grant."""
    if "grant" in validation.installed.manifest.hooks:
        return
    for seen, record in validation.first.records():
        if isinstance(record, Entitlement) and record.grantable:
            message = "It is grantable, and the connector has no hook grant."
            yield Problem(f"entitlement {record.id!r}", message, hook=seen.hook)


def find_kinds_without_label(validation: Validation) -> Iterator[Problem]:
    """Find kinds of record that people would read as the connector writes them."""
    labels = {(label.record_type, label.kind) for label in Labels(validation.installed.manifest.labels)}
    kinds = dict.fromkeys(
        (record.record_type, record.kind, seen.hook)
        for seen, record in validation.first.records()
        if isinstance(record, Account | Entitlement | Resource)
    )
    for record_type, kind, hook in kinds:
        if (record_type, kind) not in labels:
            yield Problem(f"kind {kind!r}", f"The manifest has no Label for records of type {record_type}.", hook=hook)
