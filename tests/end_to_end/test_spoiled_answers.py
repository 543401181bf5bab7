"""Syncs with spoiled answers of AWS: got over where they pass, and where they stay every record stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ploy_connector_aws.cli.endings import Exit
from ploy_connector_aws.sandbox.aws.inventory.resources import Resources
from tests.aws.conftest import ORGANISATION
from tests.aws.iam.conftest import ACCOUNT
from tests.aws.inventory.test_readers import SERVICES
from tests.aws.raw_answers import FOR_ALL, GOOD, Reply, Request, forward, kinds_for, serving

from .site import Site, SiteMaker

RESOURCES = Resources(**{name: things for service in SERVICES for name, things in service.few.items()})
EVERYTHING = replace(ORGANISATION, iam=ACCOUNT, resources=RESOURCES)
QUICK_KINDS = ("cut before the body", "no content")
NEVER_CALLED = {
    "identitystore:CreateGroupMembership",
    "identitystore:DeleteGroupMembership",
    "identitystore:GetGroupMembershipId",
    "sso-admin:CreateAccountAssignment",
    "sso-admin:DeleteAccountAssignment",
    "sso-admin:DescribeAccountAssignmentCreationStatus",
    "sso-admin:DescribeAccountAssignmentDeletionStatus",
    "sts:GetCallerIdentity",
}
QUICK_CALLS = ("identitystore:ListGroupMemberships", "sqs:ListQueues", "s3:ListBuckets")


@pytest.fixture
def everything(sites: SiteMaker, no_backoff: None) -> Iterator[Site]:
    with sites(EVERYTHING) as made:
        yield made


def quick(kind: str, call: str = QUICK_CALLS[0]) -> pytest.MarkDecorator | tuple[()]:
    return () if kind in QUICK_KINDS[:1] and call in QUICK_CALLS else pytest.mark.soak


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in QUICK_KINDS else pytest.mark.soak) for kind in FOR_ALL]
)
def test_a_sync_whose_every_call_is_answered_wrongly_first_is_an_undisturbed_one(
    everything: Site, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    aws_url = everything.world.aws.endpoint_url
    everything.sync()
    undisturbed = everything.records_at_ploy()

    def answer(request: Request) -> Reply:
        reply = forward(aws_url, request)
        return FOR_ALL[kind](reply) if request.attempt == 1 and reply.status == 200 else reply

    with serving(answer) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        synced = everything.sync()

    assert (synced.code, synced.unproven) == (Exit.OK, {})
    assert everything.records_at_ploy() == undisturbed


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        pytest.param(call, kind, marks=quick(kind, call))
        for call in sorted(GOOD.keys() - NEVER_CALLED)
        for kind in kinds_for(call)
    ],
)
def test_where_one_call_s_answers_stay_spoiled_no_record_is_removed_or_changed(
    everything: Site, monkeypatch: pytest.MonkeyPatch, call: str, kind: str
) -> None:
    aws_url = everything.world.aws.endpoint_url
    everything.sync()
    undisturbed = everything.records_at_ploy()

    def answer(request: Request) -> Reply:
        reply = forward(aws_url, request)
        return kinds_for(call)[kind](reply) if request.call == call and reply.status == 200 else reply

    with serving(answer) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        synced = everything.sync()

    assert synced.code == Exit.UNPROVEN
    assert everything.records_at_ploy() == undisturbed
