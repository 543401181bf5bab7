"""A fix adds what is lacking and nothing else: what a customer allowed on one thing only stays so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ploy_connector_aws.aws.connection_test.evaluation import evaluate
from ploy_connector_aws.aws.connection_test.fixes import render_fix
from ploy_connector_aws.aws.connection_test.write_probes import CREATE, DELETE
from ploy_connector_aws.plugin import AwsConnector
from ploy_connector_aws.spec import AccessRequest, ConnectorContext, PermissionDeniedError

from .conftest import BrokenRole, troubles
from .test_evaluation import CONFIG, ONE_GROUP, STORE, TOUCHED, allow, deny, role

USERS, GROUPS = "arn:aws:identitystore:::user/*", "arn:aws:identitystore:::group/*"
OF_WRITING = {f"permission:{action}" for action in (CREATE, DELETE)}


def allow_on(patient: BrokenRole, *resources: str) -> None:
    patient.take_away(CREATE, DELETE)
    patient.add_statement(allow(CREATE, DELETE, resource=list(resources)))


def follow_the_fixes(patient: BrokenRole) -> None:
    for check in patient.examine().checks:
        if check.outcome == "failed":
            patient.apply(check)


def grant(patient: BrokenRole, group: str) -> str:
    connector = AwsConnector()
    connector.configure(patient.settings, ConnectorContext())
    ids = {"account_id": patient.seeded.users["dee"], "entitlement_id": patient.seeded.groups[group]}
    return connector.grant(AccessRequest(request_id="r1", **ids)).outcome


def test_who_forgot_the_users_and_the_store_is_not_told_to_allow_every_group(patient: BrokenRole) -> None:
    allow_on(patient, f"arn:aws:identitystore:::group/{patient.seeded.groups['empty']}")
    assert troubles(patient.examine()) == dict.fromkeys(OF_WRITING, "failed")
    follow_the_fixes(patient)
    report = patient.examine()

    assert troubles(report) == dict.fromkeys(OF_WRITING, "warning"), "limited to one group, which may be meant"
    assert all(str(each.fix).startswith("Leave it if") for each in report.checks if each.name in OF_WRITING)
    assert grant(patient, "empty") == "applied"
    with pytest.raises(PermissionDeniedError):
        grant(patient, "admins")


def test_who_allowed_every_group_and_forgot_the_rest_is_green_with_the_rest(patient: BrokenRole) -> None:
    allow_on(patient, GROUPS)
    follow_the_fixes(patient)

    assert troubles(patient.examine()) == {}
    assert all(
        each["Resource"] != "*" for each in patient.policy["Statement"] if set(each["Action"]) & {CREATE, DELETE}
    )


MEMBERSHIPS = "arn:aws:identitystore:::membership/*"


@pytest.mark.parametrize(
    ("held", "added"),
    [
        (role(allow(DELETE, resource=ONE_GROUP)), [[MEMBERSHIPS, USERS, STORE]]),
        (role(allow("s3:*")), ["*"]),
        (role(allow("*"), boundary=[allow(DELETE, resource=[ONE_GROUP, STORE])]), [[MEMBERSHIPS, USERS]]),
        # Each is told what it lacks itself.
        (
            role(allow(DELETE, resource=[ONE_GROUP, MEMBERSHIPS, STORE]), boundary=[allow(DELETE, resource=[GROUPS])]),
            [[USERS], [MEMBERSHIPS, USERS, STORE]],
        ),
        (role(allow("s3:*"), boundary=[allow(DELETE, resource=[ONE_GROUP, STORE])]), ["*", [MEMBERSHIPS, USERS]]),
        (role(allow(DELETE, resource=[ONE_GROUP, STORE]), deny(DELETE)), [[MEMBERSHIPS, USERS]]),
    ],
)
def test_what_is_added_is_what_is_lacking(held: Any, added: list[Any]) -> None:
    fix = render_fix(DELETE, evaluate(held, DELETE, TOUCHED), held, CONFIG)
    documents = [json.JSONDecoder().raw_decode(f"{{{each}")[0] for each in fix.split("{")[1:]]

    assert documents == [allow(DELETE, resource=each) for each in added]
