"""Reads SQS queues."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ploy_connector_aws.aws.client.calls import read_pages
from ploy_connector_aws.config import PLOY_PARTITION
from ploy_connector_aws.spec import Resource, TemporaryError

from .read_context import TAGS_UNKNOWN, Found, Inventory

_URL = re.compile(r"https?://[^/]+/(?P<account>\d{12})/(?P<name>[\w-]{1,80}(?:\.fifo)?)", re.ASCII)


def read_queues(inventory: Inventory) -> Iterator[Found]:
    """Read the list, which has URLs only."""
    for urls in read_pages(inventory.client("sqs"), "ListQueues", "QueueUrls"):
        yield Found(tuple(to_queue(url, inventory) for url in urls))


def to_queue(url: str, inventory: Inventory) -> Resource:
    """Convert a queue's URL. Older host names do not tell the Region, so it is the client's (AWS.md section 9).

    Raises:
        TemporaryError: It is no queue's URL.
    """
    queue = _URL.fullmatch(url)
    if queue is None:
        raise TemporaryError("AWS listed an SQS queue by an URL that cannot be understood.")
    return Resource(
        id=f"arn:{PLOY_PARTITION}:sqs:{inventory.region}:{queue['account']}:{queue['name']}",
        kind="sqs_queue",
        name=queue["name"],
        parent_id=inventory.account_id,
        region=inventory.region,
        attributes=TAGS_UNKNOWN,
    )
