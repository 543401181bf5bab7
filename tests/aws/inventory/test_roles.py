"""Servers and functions name the role that they act as, by the id under which IAM's reader reports it."""

from __future__ import annotations

from typing import Any

import pytest

from ploy_connector_aws.sandbox.aws.inventory.resources import Function, Server
from tests.aws.inventory.conftest import Owner
from tests.aws.picture import Picture, to_picture

SCOPES = ["iam", "ec2/instances", "lambda/functions"]


@pytest.fixture
def put(owner: Owner) -> Owner:
    owner.put(servers=(Server("web", profile="web"), Server("bare")), functions=(Function("resize", "resizer"),))
    return owner


def read_everything(owner: Owner) -> Picture:
    connector = owner.customer.connector(scopes=SCOPES)
    nothing = frozenset[str]()
    lists = (connector.list_accounts, connector.list_entitlements, connector.list_resources)
    return to_picture(page for read in lists for page in read(nothing))


def roles_of(picture: Picture) -> dict[str, Any]:
    """By the name of each thing, the user name of its role's account, or whatever stands there instead."""
    names = {id_: account.username for id_, account in picture.of("account").items()}
    return {
        resource.attributes.get("instance_id", resource.name): names.get(
            resource.attributes.get("role_id"), resource.attributes.get("role_known")
        )
        for kind in ("ec2_instance", "lambda_function")
        for resource in picture.of("resource", kind).values()
    }


def test_the_role_of_an_instance_profile_and_of_a_function_is_named(put: Owner) -> None:
    servers = put.seeded.servers
    assert roles_of(read_everything(put)) == {servers["web"]: "web", servers["bare"]: None, "resize": "resizer"}


def test_a_role_that_could_not_be_read_is_said_to_be_unknown(put: Owner) -> None:
    put.faults.deny("GetAccountAuthorizationDetails")
    servers = put.seeded.servers
    assert roles_of(read_everything(put)) == {servers["web"]: False, servers["bare"]: None, "resize": False}
