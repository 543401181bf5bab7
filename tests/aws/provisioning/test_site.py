"""What is remembered between orders, and for how long."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ploy_connector_aws.aws.provisioning.context import GROUP_KEPT, INSTANCE_KEPT
from ploy_connector_aws.plugin import AwsConnector
from ploy_connector_aws.spec import AuthenticationError, ConnectorContext

from .conftest import NOON, AccessHarness


def test_the_instance_is_looked_for_again_after_five_minutes(desk: AccessHarness) -> None:
    assert (timedelta(minutes=5), timedelta(seconds=60)) == (INSTANCE_KEPT, GROUP_KEPT)
    desk.grant("ana", "admins")
    desk.clock.at = NOON + timedelta(seconds=299)
    desk.grant("ana", "admins")
    assert len(desk.called("ListInstances")) == 1

    desk.clock.at = NOON + timedelta(seconds=300)
    desk.grant("ana", "admins")
    assert len(desk.called("ListInstances")) == 2


def test_trust_that_was_mended_is_seen_by_the_next_order(desk: AccessHarness) -> None:
    desk.aws.faults.deny("AssumeRole", "sts:AssumeRole")
    for _ in range(2):
        with pytest.raises(AuthenticationError):
            desk.grant("ana", "admins")
    desk.aws.faults.reset()

    assert desk.grant("ana", "admins").outcome == "already_in_effect"


def test_a_configured_connector_grants_and_revokes_and_still_lists(desk: AccessHarness) -> None:
    connector: AwsConnector = desk.customer.connector()

    assert connector.grant(desk.order("dee", "admins")).outcome == "applied"
    granted = {
        record.key
        for pages in (connector.list_accounts(frozenset()), connector.list_entitlements(frozenset()))
        for page in pages
        for record in page.records
    }
    list(connector.list_resources(frozenset()))
    assert desk.membership("dee", "admins").key in granted
    assert connector.revoke(desk.order("dee", "admins")).outcome == "applied"
    # New settings begin anew.
    connector.configure(desk.customer.settings, ConnectorContext())
    assert connector.revoke(desk.order("dee", "admins")).outcome == "already_in_effect"
    assert len(desk.called("ListInstances")) == 3
    assert connector._provisioner is not None
    connector._provisioner.close()
