"""How a call tells whether it is allowed: what was seen of it, before anybody judges what it means."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from botocore import xform_name
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from ploy_connector_aws.aws.client.api_errors import ApiCall, ErrorResponse
from ploy_connector_aws.aws.client.calls import read
from ploy_connector_aws.aws.client.errors import to_connector_error
from ploy_connector_aws.spec import ConnectorError, NotFoundError

ANSWERED = "AWS answered the call."
WOULD_SUCCEED = "AWS said that the call would have succeeded (a dry run)."
IAM_REGION = "us-east-1"
"""IAM is one for all Regions; its calls are signed for this one, which every AWS account has."""

MADE_UP = "ploy-probe-none"
"""The name of things that are asked about although they do not exist."""


@dataclass(frozen=True)
class Probed:
    """What the call of one action showed.

    `is_certain` is False where AWS may have answered before it looked whether the call is allowed: it said that
    something made up does not exist.
    """

    seen: str = ""
    error: Exception | None = None
    is_certain: bool = True
    answer: Any = None

    @property
    def is_allowed(self) -> bool:
        """Whether nothing speaks against it."""
        return self.error is None


def probe(client: BaseClient, operation: str, **parameters: Any) -> Probed:
    """Make a call that reads; what does not exist was asked for by a made-up name."""
    try:
        answer = read(client, operation, **parameters)
    except NotFoundError as error:
        return Probed("AWS let the call through: what it asked about does not exist.", is_certain=False, answer=error)
    except ConnectorError as error:
        return Probed(error=error)
    return Probed(ANSWERED, answer=answer)


def probe_dry(client: BaseClient, operation: str) -> Probed:
    """Ask EC2 whether a call would be allowed, without making it."""
    try:
        getattr(client, xform_name(operation))(DryRun=True)
    except ClientError as error:
        if ErrorResponse.from_error(error).code == "DryRunOperation":
            return Probed(WOULD_SUCCEED)
        failure = to_connector_error(error, ApiCall("ec2", operation, {}))
    except Exception as error:  # noqa: BLE001 - whatever it was, it is not an answer
        failure = to_connector_error(error, ApiCall("ec2", operation, {}))
    else:
        return Probed(ANSWERED)
    return Probed(error=failure)


def first(probed: Probed, member: str) -> Any:
    """The first thing of a list that was answered; None where there is none, or no list."""
    things: Iterable[Any] = probed.answer.get(member) or () if isinstance(probed.answer, dict) else ()
    return next(iter(things), None)


def make_up_id() -> str:
    """Make up the id of a user or group: well-formed, and nobody's, as AWS would have to draw the same 122 bits."""
    return str(uuid.uuid4())
