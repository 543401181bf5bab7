"""The write session: the assumed role under a policy of one change, and clients that make one attempt at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from ploy_connector_aws.aws.client.session import INTERACTIVE, RoleSession
from ploy_connector_aws.aws.permissions import Action, render_write_session_policy
from ploy_connector_aws.config import AwsConfig

ONE_ATTEMPT = replace(INTERACTIVE, attempts=1)
"""botocore repeats nothing: each attempt at a write is weighed, and is begun only if it ends in time."""


class WriteSession(RoleSession):
    """A session that can change one thing, and read back that one thing.

    Args:
        config: The integration's settings.
        purpose: What is ordered; a part of the session's name, which the customer sees in CloudTrail.
        actions: What it may call.
        resources: The ARNs of all things that the calls touch.
        beside: The session in which things are looked up, so that what AWS said of its quotas in one order is
            remembered in the next.
    """

    def __init__(
        self,
        config: AwsConfig,
        purpose: Literal["grant", "revoke"],
        actions: Sequence[Action],
        resources: Iterable[str],
        beside: RoleSession | None = None,
    ) -> None:
        policy = render_write_session_policy(actions, resources)
        super().__init__(config, purpose, policy, actions, ONE_ATTEMPT, INTERACTIVE, parent=beside)
