"""SQS queues: read out of their URLs, and never cut at a thousand."""

from __future__ import annotations

import pytest

from ploy_connector_aws.aws.client.session import ReadSession
from ploy_connector_aws.aws.iam.reader import IamReader
from ploy_connector_aws.aws.inventory.lists import to_queue
from ploy_connector_aws.aws.inventory.read_context import Inventory
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.sandbox.aws.inventory.resources import Queue
from ploy_connector_aws.spec import Resource, TemporaryError
from tests.aws.conftest import REGION
from tests.aws.inventory.conftest import Owner


def inventory(owner: Owner) -> Inventory:
    session = ReadSession(AwsConfig.from_settings(owner.customer.settings))
    return Inventory(session, IamReader(session))


def test_a_queue_becomes_a_resource_with_its_arn(owner: Owner) -> None:
    owner.put(queues=(Queue("parcels"), Queue("parcels.fifo")))

    assert owner.read("sqs/queues").of("resource", "sqs_queue") == {
        owner.arn("sqs", name): Resource(
            id=owner.arn("sqs", name),
            kind="sqs_queue",
            name=name,
            parent_id=owner.account_id,
            region=REGION,
            attributes={"tags_known": False},
        )
        for name in ("parcels", "parcels.fifo")
    }


def test_a_size_is_asked_for_so_that_the_list_is_not_cut(owner: Owner) -> None:
    """AWS.md 1.2: without one there is no token, and nothing after the thousandth queue."""
    owner.put(queues=tuple(Queue(f"queue-{number}") for number in range(1500)))

    assert len(owner.read("sqs/queues").of("resource", "sqs_queue")) == 1500
    assert [call.parameters["MaxResults"] for call in owner.customer.aws.calls.to("ListQueues")] == [1000, 1000]


@pytest.mark.parametrize(
    "host",
    ["sqs.eu-central-1.amazonaws.com", "eu-central-1.queue.amazonaws.com", "queue.amazonaws.com"],
)
def test_the_region_is_that_of_the_client_whatever_the_host_is_called(owner: Owner, host: str) -> None:
    queue = to_queue(f"https://{host}/111122223333/parcels", inventory(owner))

    assert (queue.id, queue.region) == ("arn:aws:sqs:eu-central-1:111122223333:parcels", REGION)


@pytest.mark.parametrize(
    "url",
    ["", "https://sqs.amazonaws.com/parcels", "https://x/1234/q", "https://x/111122223333/", "parcels"],
)
def test_what_is_no_queues_url_is_refused(owner: Owner, url: str) -> None:
    with pytest.raises(TemporaryError):
        to_queue(url, inventory(owner))
