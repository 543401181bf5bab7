"""Reports every request to AWS to the host, and every one that AWS throttled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.client import BaseClient

from ploy_connector_aws.spec import ConnectorContext

from .api_errors import THROTTLED_CODES


def count_calls(client: BaseClient, context: ConnectorContext) -> None:
    """Make a client report each attempt of each call."""
    service = client.meta.service_model.service_name

    def report_call(event_name: str, **_: Any) -> None:
        # botocore would take any return value for AWS's response.
        context.on_call(service, event_name.rpartition(".")[2])

    def report_end(parsed_response: Mapping[str, Any] | None, event_name: str, **_: Any) -> None:
        # Emitted for an exception, too (botocore.endpoint.Endpoint._get_response).
        context.on_answer(service, event_name.rpartition(".")[2])
        if (parsed_response or {}).get("Error", {}).get("Code") in THROTTLED_CODES:
            context.on_throttle(service)

    client.meta.events.register("before-send.*.*", report_call)
    client.meta.events.register("response-received.*.*", report_end)
