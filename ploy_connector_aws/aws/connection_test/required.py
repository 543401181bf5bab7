"""Which actions the settings need: each action has features, and each feature is chosen by the settings or not."""

from __future__ import annotations

import json

from ploy_connector_aws.aws.features import CUSTOMER_MANAGED_KEY, FEATURES, features_of
from ploy_connector_aws.aws.permissions import ACTIONS, DIRECT_ASSIGNMENTS, Action
from ploy_connector_aws.aws.setup import render_policy
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import choose_features

SELF_READ = "iam:GetAccountAuthorizationDetails"
"""Reads the role itself. It is never too much, as without it nobody can see whom the role lets in beside Ploy."""


def listed_actions(config: AwsConfig) -> tuple[Action, ...]:
    """All actions that are looked at: those of the policy, and the optional ones that the settings switch on."""
    return (*ACTIONS, *(DIRECT_ASSIGNMENTS if config.direct_assignments else ()))


def is_needed(action: Action, config: AwsConfig) -> bool:
    """Whether anything that the settings name needs the action."""
    return not set(_chosen(config)).isdisjoint(features_of(action))


def render_needed_policy(config: AwsConfig, *, with_key: bool) -> str:
    """Render, on one line, the policy with all that the settings need and nothing else.

    Args:
        config: The integration's settings.
        with_key: Whether to allow, too, what a customer managed key needs.
    """
    document = json.loads(render_policy((*_chosen(config), *([CUSTOMER_MANAGED_KEY] if with_key else []))))
    return json.dumps(document, separators=(",", ":"))


def _chosen(config: AwsConfig) -> tuple[str, ...]:
    names = {feature.setting for feature in FEATURES if feature.setting}
    settings = {name: list(value) if isinstance(value := getattr(config, name), tuple) else value for name in names}
    return choose_features(FEATURES, settings=settings)
