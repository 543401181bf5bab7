"""Fixes add what is missing and nothing else: what a customer limited to one resource stays limited."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ploy_connector_aws.aws.connection_test.evaluation import evaluate, render_fix
from ploy_connector_aws.aws.connection_test.evidence import CREATE, DELETE
from ploy_connector_aws.plugin import AwsConnector
from ploy_connector_aws.spec import AccessRequest, ConnectorContext, PermissionDeniedError

from .conftest import EMPTY_GROUP, BrokenRole, issues
from .test_evaluation import CONFIG, ONE_GROUP, RESOURCES, STORE, allow, deny, role

USERS, GROUPS = "arn:aws:identitystore:::user/*", "arn:aws:identitystore:::group/*"
OF_WRITING = {f"permission:{action}" for action in (CREATE, DELETE)}


def allow_on(broken_role: BrokenRole, *resources: str) -> None:
    broken_role.remove_actions(CREATE, DELETE)
    broken_role.add_statement(allow(CREATE, DELETE, resource=list(resources)))


def follow_the_fixes(broken_role: BrokenRole) -> None:
    for check in broken_role.run_test().checks:
        if check.outcome == "failed":
            broken_role.apply(check)


def grant(broken_role: BrokenRole, group: str) -> str:
    connector = AwsConnector()
    connector.configure(broken_role.settings, ConnectorContext())
    ids = {"account_id": broken_role.seeded.users["dee"], "entitlement_id": broken_role.seeded.groups[group]}
    return connector.grant(AccessRequest(request_id="r1", **ids)).outcome


def test_a_limit_to_one_group_stays_when_the_users_and_the_store_are_added(broken_role: BrokenRole) -> None:
    allow_on(broken_role, f"arn:aws:identitystore:::group/{broken_role.seeded.groups[EMPTY_GROUP]}")
    assert issues(broken_role.run_test()) == dict.fromkeys(OF_WRITING, "failed")
    follow_the_fixes(broken_role)
    report = broken_role.run_test()

    assert issues(report) == dict.fromkeys(OF_WRITING, "warning"), "limited to one group, which may be intended"
    assert all(str(each.fix).startswith("Leave it if") for each in report.checks if each.name in OF_WRITING)
    assert grant(broken_role, EMPTY_GROUP) == "applied"
    with pytest.raises(PermissionDeniedError):
        grant(broken_role, "admins")


def test_every_group_passes_when_the_other_resources_are_added(broken_role: BrokenRole) -> None:
    allow_on(broken_role, GROUPS)
    follow_the_fixes(broken_role)

    assert issues(broken_role.run_test()) == {}
    assert all(
        each["Resource"] != "*" for each in broken_role.policy["Statement"] if set(each["Action"]) & {CREATE, DELETE}
    )


MEMBERSHIPS = "arn:aws:identitystore:::membership/*"


@pytest.mark.parametrize(
    ("held", "added"),
    [
        (role(allow(DELETE, resource=ONE_GROUP)), [[MEMBERSHIPS, USERS, STORE]]),
        (role(allow("s3:*")), ["*"]),
        (role(allow("*"), boundary=[allow(DELETE, resource=[ONE_GROUP, STORE])]), [[MEMBERSHIPS, USERS]]),
        # The policy and the boundary each get what they miss.
        (
            role(allow(DELETE, resource=[ONE_GROUP, MEMBERSHIPS, STORE]), boundary=[allow(DELETE, resource=[GROUPS])]),
            [[USERS], [MEMBERSHIPS, USERS, STORE]],
        ),
        (role(allow("s3:*"), boundary=[allow(DELETE, resource=[ONE_GROUP, STORE])]), ["*", [MEMBERSHIPS, USERS]]),
        (role(allow(DELETE, resource=[ONE_GROUP, STORE]), deny(DELETE)), [[MEMBERSHIPS, USERS]]),
    ],
)
def test_a_fix_adds_only_the_missing_resources(held: Any, added: list[Any]) -> None:
    fix = render_fix(DELETE, evaluate(held, DELETE, RESOURCES), held, CONFIG)
    documents = [json.JSONDecoder().raw_decode(f"{{{each}")[0] for each in fix.split("{")[1:]]

    assert documents == [allow(DELETE, resource=each) for each in added]
