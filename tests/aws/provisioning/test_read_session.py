"""What the access context caches between requests, and for how long."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ploy_connector_aws.aws.provisioning.sessions import GROUP_TTL, INSTANCE_TTL
from ploy_connector_aws.plugin import AwsConnector
from ploy_connector_aws.spec import AuthenticationError, ConnectorContext

from .conftest import NOON, AccessHarness


def test_the_instance_is_read_again_after_five_minutes(harness: AccessHarness) -> None:
    assert (timedelta(minutes=5), timedelta(seconds=60)) == (INSTANCE_TTL, GROUP_TTL)
    harness.grant("ana", "admins")
    harness.clock.at = NOON + timedelta(seconds=299)
    harness.grant("ana", "admins")
    assert len(harness.operations("ListInstances")) == 1

    harness.clock.at = NOON + timedelta(seconds=300)
    harness.grant("ana", "admins")
    assert len(harness.operations("ListInstances")) == 2


def test_the_next_request_sees_a_fixed_trust_policy(harness: AccessHarness) -> None:
    harness.aws.faults.deny("AssumeRole", "sts:AssumeRole")
    for _ in range(2):
        with pytest.raises(AuthenticationError):
            harness.grant("ana", "admins")
    harness.aws.faults.reset()

    assert harness.grant("ana", "admins").outcome == "already_in_effect"


def test_a_configured_connector_grants_and_revokes_and_still_lists(harness: AccessHarness) -> None:
    connector: AwsConnector = harness.customer.connector()

    assert connector.grant(harness.request("dee", "admins")).outcome == "applied"
    granted = {
        record.key
        for pages in (connector.list_accounts(frozenset()), connector.list_entitlements(frozenset()))
        for page in pages
        for record in page.records
    }
    list(connector.list_resources(frozenset()))
    assert harness.membership("dee", "admins").key in granted
    assert connector.revoke(harness.request("dee", "admins")).outcome == "applied"
    # New settings start without a cache.
    connector.configure(harness.customer.settings, ConnectorContext())
    assert connector.revoke(harness.request("dee", "admins")).outcome == "already_in_effect"
    assert len(harness.operations("ListInstances")) == 3
    assert connector._provisioner is not None
    connector._provisioner.close()
