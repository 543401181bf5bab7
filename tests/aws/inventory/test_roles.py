"""Servers and functions name the role that they act as, by the id under which IAM's reader reports it."""

from __future__ import annotations

from typing import Any

import pytest

from ploy_connector_aws.sandbox.aws.inventory.resources import Function, Server
from ploy_connector_aws.spec import Record, Resource
from tests.aws.inventory.conftest import Owner
from tests.aws.snapshot import Snapshot, to_snapshot

SCOPES = ["iam", "ec2/instances", "lambda/functions"]


@pytest.fixture
def put(owner: Owner) -> Owner:
    owner.put(servers=(Server("web", profile="web"), Server("bare")), functions=(Function("resize", "resizer"),))
    return owner


def read_everything(owner: Owner) -> Snapshot:
    connector = owner.customer.connector(scopes=SCOPES)
    nothing = frozenset[str]()
    lists = (connector.list_accounts, connector.list_entitlements, connector.list_resources)
    return to_snapshot(page for read in lists for page in read(nothing))


def read_after_denying(owner: Owner, operation: str) -> Snapshot:
    owner.faults.deny(operation)
    return read_everything(owner)


def is_thing(record: Record) -> bool:
    return isinstance(record, Resource)


def roles_of(snapshot: Snapshot) -> dict[str, Any]:
    """By the name of each thing, the user name of its role's account, or whatever stands there instead."""
    names = {id_: account.username for id_, account in snapshot.of("account").items()}
    return {
        resource.attributes.get("instance_id", resource.name): names.get(
            resource.attributes.get("role_id"), resource.attributes.get("role_known")
        )
        for kind in ("ec2_instance", "lambda_function")
        for resource in snapshot.of("resource", kind).values()
    }


def test_the_role_of_an_instance_profile_and_of_a_function_is_named(put: Owner) -> None:
    servers = put.seeded.servers
    assert roles_of(read_everything(put)) == {servers["web"]: "web", servers["bare"]: None, "resize": "resizer"}


def test_a_role_that_could_not_be_read_is_marked_unknown(put: Owner) -> None:
    calm, snapshot = read_everything(put), read_after_denying(put, "GetAccountAuthorizationDetails")
    servers = put.seeded.servers
    # Those with a role are partial, so that a role that was named in an earlier run is not overwritten.
    assert roles_of(snapshot) == {servers["bare"]: None}
    assert {record.attributes.get("role_known") for record in snapshot.partial.values() if is_thing(record)} == {False}
    assert {*snapshot.of("resource"), *(key.id for key in snapshot.partial)} >= calm.of("resource").keys()


def test_where_the_settings_leave_iam_out_the_role_is_unknown_and_nothing_is_partial(put: Owner) -> None:
    snapshot = put.read("ec2/instances", "lambda/functions")
    servers = put.seeded.servers
    assert roles_of(snapshot) == {servers["web"]: False, servers["bare"]: None, "resize": False}
    assert (snapshot.partial, snapshot.failures) == ({}, {})
