"""SQS: the URLs of the queues of one Region."""

from __future__ import annotations

from typing import Any

from moto.sqs.models import sqs_backends

from ploy_connector_aws.sandbox.aws.inventory.responses import InventoryCall, Operation

MOST_WITHOUT_PAGES = 1000


def list_queues(call: InventoryCall) -> dict[str, Any]:
    """AWS cuts the list at 1,000, without a token and without a word, unless a page size was asked for.

    It leaves the list out of the answer when there is none.
    """

    def to_url(name: str) -> str:
        return f"https://sqs.{call.region}.amazonaws.com/{call.account_id}/{name}"

    prefix = str(call.parameters.get("QueueNamePrefix", ""))
    names = sorted(name for name in sqs_backends[call.account_id][call.region].queues if name.startswith(prefix))
    if "MaxResults" not in call.parameters:
        page: dict[str, Any] = {"QueueUrls": [to_url(name) for name in names[:MOST_WITHOUT_PAGES]]}
    else:
        page = call.pager.page("QueueUrls", names, str, to_url)
    return {member: value for member, value in page.items() if value}


OPERATIONS = {"ListQueues": Operation(list_queues, parameters=frozenset({"QueueNamePrefix"}))}
