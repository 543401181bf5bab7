"""Malformed answers to grants and revokes: the report is true in AWS, and no write counts as ineffective."""

from __future__ import annotations

import pytest

from ploy_connector_aws.spec import TemporaryError
from tests.aws.conftest import make_customer
from tests.aws.raw_answers import Reply, Request, forward, good_reply, kinds_for, serving

from .conftest import ASSIGNMENT_POLICY, AccessHarness
from .test_fault_at_every_call import SCENARIOS

pytestmark = pytest.mark.usefixtures("no_garbage_collection")

POLLS = {
    "CreateAccountAssignment": "DescribeAccountAssignmentCreationStatus",
    "DeleteAccountAssignment": "DescribeAccountAssignmentDeletionStatus",
}
QUICK = ("cut before the body",)


def malformed_calls(scenario: str) -> list[str]:
    """Return the write of a scenario, and the call that polls its status."""
    write = SCENARIOS[scenario].write
    service = "sso-admin" if write in POLLS else "identitystore"
    return [f"{service}:{operation}" for operation in (write, POLLS.get(write)) if operation]


def cases() -> list[object]:
    """Return every kind of malformed answer to every write; most kinds only in the soak tests."""
    return [
        pytest.param(scenario, kind, reaches_aws, marks=() if kind in QUICK else pytest.mark.soak)
        for scenario in SCENARIOS
        for kind in kinds_for(malformed_calls(scenario)[0])
        for reaches_aws in (True, False)
    ]


@pytest.mark.parametrize(("scenario", "kind", "reaches_aws"), cases())
def test_a_malformed_answer_to_a_write_leaves_its_outcome_unknown_until_it_is_verified(
    assignment_harness: AccessHarness, monkeypatch: pytest.MonkeyPatch, scenario: str, kind: str, reaches_aws: bool
) -> None:
    write, *poll = malformed_calls(scenario)
    aws_url = assignment_harness.aws.endpoint_url
    harness = AccessHarness(
        make_customer(assignment_harness.aws, policy=ASSIGNMENT_POLICY), settings=assignment_harness.settings
    )
    access_request = SCENARIOS[scenario].request(harness)
    sent: list[str] = []

    def answer(request: Request) -> Reply:
        sent.append(request.call)
        is_malformed = request.call in (write, *poll)
        if request.call == write and not reaches_aws:
            return kinds_for(write)[kind](good_reply(write))
        reply = forward(aws_url, request)
        return kinds_for(request.call)[kind](reply) if is_malformed and reply.status == 200 else reply

    with serving(answer) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        try:
            outcome: str = SCENARIOS[scenario].send(harness, access_request).outcome
        except TemporaryError as error:
            outcome = "nothing" if error.changed_nothing else "unknown"
        harness.provisioner.close()
    held = SCENARIOS[scenario].is_held(harness, access_request)

    assert held == (SCENARIOS[scenario].direction == "grant") if reaches_aws else not held or "revoke" in scenario
    assert outcome == ("applied" if reaches_aws else "unknown")
    # AWS rejects a membership that it changed already; every other write is sent three times.
    assert sent.count(write) == (2 if reaches_aws and not poll else 3)
