"""Which actions the settings need: each action has features, and each feature is chosen by the settings or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ploy_connector_aws.aws.features import FEATURES, features_of
from ploy_connector_aws.aws.permissions import (
    ACTIONS,
    DIRECT_ASSIGNMENTS,
    KMS_DECRYPT,
    STATEMENTS,
    Action,
    render_statement,
)
from ploy_connector_aws.config import SCOPE_NEEDS, AwsConfig


def listed_actions(config: AwsConfig) -> tuple[Action, ...]:
    """All actions that are looked at: those of the policy, and the optional ones that the settings switch on."""
    return (*ACTIONS, *(DIRECT_ASSIGNMENTS if config.direct_assignments else ()))


def is_needed(action: Action, config: AwsConfig) -> bool:
    """Whether anything that the settings name needs the action."""
    return any(_is_chosen(feature, config) for feature in features_of(action))


def _is_chosen(name: str, config: AwsConfig) -> bool:
    if name in SCOPE_NEEDS:
        return config.includes(name)
    feature = next(each for each in FEATURES if each.name == name)
    is_on = bool(getattr(config, feature.setting)) if feature.setting else feature.is_default
    return is_on and all(_is_chosen(need, config) for need in feature.needs)


def render_needed_policy(config: AwsConfig, *, with_key: bool) -> str:
    """Render, on one line, the policy with all that the settings need and nothing else.

    Args:
        config: The integration's settings.
        with_key: Whether to allow, too, what a customer managed key needs.
    """
    document = {"Version": "2012-10-17", "Statement": list(_statements(config, with_key))}
    return json.dumps(document, separators=(",", ":"))


def _statements(config: AwsConfig, with_key: bool) -> Iterator[Any]:
    for statement in (*STATEMENTS, DIRECT_ASSIGNMENTS):
        needed = [action.iam for action in statement if is_needed(action, config)]
        if needed:
            yield json.loads(render_statement(needed))
    if with_key:
        yield json.loads(render_statement([KMS_DECRYPT]))
