"""Grants and revokes whose answers are spoiled: what is reported is true in AWS, and no write is called ineffective."""

from __future__ import annotations

import pytest

from ploy_connector_aws.spec import TemporaryError
from tests.aws.conftest import make_customer
from tests.aws.raw_answers import Reply, Request, forward, good_reply, kinds_for, serving

from .conftest import ASSIGNING_POLICY, AccessHarness
from .test_fault_at_every_call import SCENARIOS

FOLLOWED = {
    "CreateAccountAssignment": "DescribeAccountAssignmentCreationStatus",
    "DeleteAccountAssignment": "DescribeAccountAssignmentDeletionStatus",
}
QUICK = ("cut before the body",)


def spoiled_calls(scenario: str) -> list[str]:
    """The write of a scenario, and the call that asks how it went."""
    write = SCENARIOS[scenario].write
    service = "sso-admin" if write in FOLLOWED else "identitystore"
    return [f"{service}:{operation}" for operation in (write, FOLLOWED.get(write)) if operation]


def cases() -> list[object]:
    """Every kind of spoiled answer to every write; of most kinds in the long run only."""
    return [
        pytest.param(scenario, kind, reaches_aws, marks=() if kind in QUICK else pytest.mark.soak)
        for scenario in SCENARIOS
        for kind in kinds_for(spoiled_calls(scenario)[0])
        for reaches_aws in (True, False)
    ]


@pytest.mark.parametrize(("scenario", "kind", "reaches_aws"), cases())
def test_a_spoiled_answer_to_a_write_leaves_its_outcome_unknown_until_it_is_read_back(
    assigning_desk: AccessHarness, monkeypatch: pytest.MonkeyPatch, scenario: str, kind: str, reaches_aws: bool
) -> None:
    write, *follow = spoiled_calls(scenario)
    aws_url = assigning_desk.aws.endpoint_url
    desk = AccessHarness(make_customer(assigning_desk.aws, policy=ASSIGNING_POLICY), settings=assigning_desk.settings)
    order = SCENARIOS[scenario].order(desk)
    sent: list[str] = []

    def answer(request: Request) -> Reply:
        sent.append(request.call)
        is_spoiled = request.call in (write, *follow)
        if request.call == write and not reaches_aws:
            return kinds_for(write)[kind](good_reply(write))
        reply = forward(aws_url, request)
        return kinds_for(request.call)[kind](reply) if is_spoiled and reply.status == 200 else reply

    with serving(answer) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        try:
            outcome: str = SCENARIOS[scenario].carry_out(desk, order).outcome
        except TemporaryError as error:
            outcome = "nothing" if error.changed_nothing else "unknown"
        desk.changer.close()
    held = SCENARIOS[scenario].is_held(desk, order)

    assert held == (SCENARIOS[scenario].direction == "grant") if reaches_aws else not held or "revoke" in scenario
    assert outcome == ("applied" if reaches_aws else "unknown")
    # AWS refuses a membership that it changed already; everything else is sent three times.
    assert sent.count(write) == (2 if reaches_aws and not follow else 3)
