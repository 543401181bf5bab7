"""Passing a role to a service that runs code, to one that does a fixed thing, to one that the table does not have."""

from __future__ import annotations

from typing import Any

from ploy_connector_aws.aws.policy.effective_permissions import to_permissions
from ploy_connector_aws.aws.policy.escalations import TABLE_DATE
from ploy_connector_aws.aws.policy.privileges import Verdict, judge

from .ordinary_roles import ordinary_roles

PRIVILEGED = "arn:aws:iam::111122223333:role/admin"


def verdict_on(*statements: dict[str, Any], boundary: dict[str, Any] | None = None) -> Verdict:
    return judge(
        [to_permissions({"Version": "2012-10-17", "Statement": list(statements)})],
        to_permissions({"Version": "2012-10-17", "Statement": boundary}) if boundary else None,
    )


def allow(*actions: str, resource: object = "*", to: str | None = None) -> dict[str, Any]:
    condition = {"Condition": {"StringEquals": {"iam:PassedToService": to}}} if to else {}
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **condition}


def undecided(service: str) -> str:
    return (
        f"It can pass a role to {service}, which the table of {TABLE_DATE} does not have: what that service does with "
        "the role is not known."
    )


def test_unlisted_service_leaves_the_verdict_undecided_and_is_named() -> None:
    for resource in ("*", PRIVILEGED, "arn:aws:iam::*:role/app-*"):
        for service in ("quantumlab", "newmesh-data"):
            new = allow(f"{service}:CreateJob", "s3:GetObject")
            passing = allow("iam:PassRole", resource=resource)
            to_it = allow("iam:PassRole", resource=resource, to=f"{service}.amazonaws.com")
            regional = allow("iam:PassRole", resource=resource, to=f"{service}.eu-moon-1.amazonaws.com")
            assert verdict_on(passing, new) == Verdict(None, (), (undecided(service),))
            assert verdict_on(to_it, new) == Verdict(None, (), (undecided(f"{service}.amazonaws.com"),))
            assert verdict_on(regional) == Verdict(None, (), (undecided(f"{service}.eu-moon-1.amazonaws.com"),))


def test_role_that_cannot_be_passed_to_it_leaves_nothing_undecided() -> None:
    new, passing = allow("quantumlab:*"), allow("iam:PassRole")
    deny = {"Effect": "Deny", "Resource": "*"}
    harmless = [
        verdict_on(new),
        verdict_on(passing),
        verdict_on(new, allow("iam:PassRole", to="config.amazonaws.com")),
        verdict_on(new, allow("iam:PassRole", resource="arn:aws:iam::1:role/aws-service-role/*")),
        verdict_on(new, passing, {**deny, "Action": "iam:PassRole"}),
        verdict_on(new, passing, {**deny, "Action": "quantumlab:*"}),
        verdict_on(new, passing, {**deny, "NotAction": ["iam:PassRole", "s3:*"]}),
        verdict_on(new, passing, boundary=allow("s3:*", "iam:PassRole")),
        verdict_on(new, passing, boundary=allow("quantumlab:*")),
    ]
    assert harmless == [Verdict(False)] * len(harmless)
    assert verdict_on(new, passing, boundary=allow("*")).undecided == (undecided("quantumlab"),)


def test_unlisted_service_is_named_beside_a_known_escalation_too() -> None:
    verdict = verdict_on(allow("iam:PassRole", "lambda:CreateFunction", "quantumlab:CreateJob"))
    assert (verdict.privileged, [each.code for each in verdict.reasons]) == (True, ["pass-role-lambda"])
    assert verdict.undecided == (undecided("quantumlab"),)


def test_every_verdict_has_the_date_of_the_table() -> None:
    for verdict in (verdict_on(), verdict_on(allow("*")), verdict_on(allow("iam:PassRole", "quantumlab:X"))):
        assert verdict.to_attributes()["privilege_table_date"] == TABLE_DATE


def test_of_sixty_ordinary_roles_at_most_three_are_undecided() -> None:
    roles = ordinary_roles()
    verdicts = {name: verdict_on(*statements).privileged for name, statements in roles.items()}
    assert len(roles) == 60
    assert [name for name, privileged in verdicts.items() if privileged is None] == []
    privileged = {name for name, privileged in verdicts.items() if privileged}
    assert privileged == {
        *("deploy-lambda", "deploy-ecs", "deploy-stack", "terraform", "pipeline", "airflow", "batch-jobs", "operator"),
        *("data-scientist", "administrator", "power-user", "break-glass"),
    }
