"""Syncs with invalid answers of AWS: retried where they pass; where they stay, every record stays unchanged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from ploy_connector_aws.aws.permissions import BY_PERMISSION_SET
from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.sandbox.aws.inventory.resources import Resources, Server
from tests.aws.conftest import ORGANISATION
from tests.aws.iam.conftest import ACCOUNT
from tests.aws.identity_center.strategies import WITH_OPTIONAL
from tests.aws.inventory.test_readers import SERVICES
from tests.aws.raw_answers import FOR_ALL, GOOD, Reply, Request, forward, kinds_for, serving
from tests.aws.tampering import in_json

from .sync_harness import Site, SiteMaker

pytestmark = pytest.mark.usefixtures("no_garbage_collection")

RESOURCES = Resources(**{name: things for service in SERVICES for name, things in service.few.items()})
# Tags are asked for again where an instance seems to have none.
RESOURCES = replace(RESOURCES, servers=(*RESOURCES.servers, Server("bare")))
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
"""What no sync of this site calls."""
QUICK_CALLS = ("identitystore:ListGroupMemberships", "sqs:ListQueues")


def deny_bulk(site: Site) -> None:
    site.world.aws.faults.deny("iam:GetAccountAuthorizationDetails")


def allow_reading_by_set(site: Site) -> None:
    site.world.aws.accounts.set_role_policy(site.world.role_arn, WITH_OPTIONAL)


def read_account_names(site: Site) -> None:
    names = {"Effect": "Allow", "Action": "organizations:ListAccounts", "Resource": "*"}
    policy = {**WITH_OPTIONAL, "Statement": [*WITH_OPTIONAL["Statement"], names]}
    site.world.aws.accounts.set_role_policy(site.world.role_arn, policy)
    site.world.ploy.registry.change_settings(site.integration_id, {"read_account_names": True})


PROVOKED: dict[str, Callable[[Site], object]] = {
    "ecs:ListTagsForResource": lambda site: site.world.aws.faults.leave_out("DescribeClusters", "tags"),
    "iam:ListGroups": deny_bulk,
    "iam:ListPolicies": deny_bulk,
    "rds:ListTagsForResource": lambda site: site.world.aws.faults.leave_out("DescribeDBInstances", "TagList"),
    "organizations:ListAccounts": read_account_names,
    **{f"{action.client}:{action.operation}": allow_reading_by_set for action in BY_PERMISSION_SET},
}
"""What makes a sync call what it does not always call."""


@pytest.fixture
def everything(sites: SiteMaker) -> Iterator[Site]:
    with sites(EVERYTHING) as made:
        yield made


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in QUICK_KINDS else pytest.mark.soak) for kind in FOR_ALL]
)
@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(lambda _: None, id="by principal"),
        pytest.param(allow_reading_by_set, id="by permission set", marks=pytest.mark.soak),
    ],
)
def test_a_sync_with_one_wrong_answer_per_call_equals_an_undisturbed_one(
    everything: Site, monkeypatch: pytest.MonkeyPatch, kind: str, prepare: Callable[[Site], object]
) -> None:
    aws_url = everything.world.aws.endpoint_url
    prepare(everything)
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
        pytest.param(call, kind, marks=() if call in QUICK_CALLS and kind == QUICK_KINDS[0] else pytest.mark.soak)
        for call in sorted(GOOD.keys() - NEVER_CALLED)
        for kind in kinds_for(call)
    ],
)
def test_where_one_call_s_answers_stay_spoiled_no_record_is_removed_or_changed(
    everything: Site, monkeypatch: pytest.MonkeyPatch, call: str, kind: str
) -> None:
    aws_url = everything.world.aws.endpoint_url
    if call in PROVOKED:
        PROVOKED[call](everything)
    leave_out = in_json("ListUsers", lambda answer: answer["Users"].pop(0))
    is_spoiling = threading.Event()
    called = set()

    def answer(request: Request) -> Reply:
        called.add(request.call)
        reply = forward(aws_url, request)
        if (call, request.call) == ("identitystore:DescribeUser", "identitystore:ListUsers"):
            return replace(reply, body=leave_out("ListUsers", reply.body))
        is_spoiled = is_spoiling.is_set() and request.call == call and reply.status == 200
        return kinds_for(call)[kind](reply) if is_spoiled else reply

    with serving(answer) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        everything.sync()
        undisturbed = everything.records_at_ploy()
        is_spoiling.set()
        synced = everything.sync()

    assert call in called
    assert synced.code == Exit.UNPROVEN
    assert everything.records_at_ploy() == undisturbed
