"""What is known of a role: proven for a day, shared by who uses the same one, blocked until the very check passes."""

from __future__ import annotations

import pytest

from ploy_connector_aws.aws.client.external_id_proof import (
    EXTERNAL_ID_EXACT,
    EXTERNAL_ID_REQUIRED,
    PROOF_LASTS_SECONDS,
    ExternalIdProof,
    proof_for,
)
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import AuthenticationError, Check, ConnectionReport, TemporaryError
from ploy_connector_aws.spec.reports import CheckOutcome
from tests.test_config import SETTINGS


def report(**outcomes: CheckOutcome) -> ConnectionReport:
    """A report whose failed checks block; the names' underscores stand for dashes."""
    return ConnectionReport(
        checks=tuple(
            Check(name=name.replace("_", "-"), outcome=outcome, message=f"{name}.", is_blocking=outcome == "failed")
            for name, outcome in outcomes.items()
        )
    )


FIXED = report(external_id_required="passed", external_id_exact="passed", trust_policy="passed")
PROVEN = report(external_id_required="passed", external_id_exact="passed")
OPEN = report(external_id_required="failed", external_id_exact="passed")
WEAK = report(external_id_required="passed", external_id_exact="passed", trust_policy="failed")


class Role:
    """A role that is proven with the same result each time, by a clock of its own."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.answer = PROVEN
        self.proofs = 0
        self.proof = ExternalIdProof(lambda: self.seconds)

    def prove(self) -> ConnectionReport:
        self.proofs += 1
        return self.answer

    def is_usable(self) -> bool:
        try:
            self.proof.ensure(self.prove)
        except AuthenticationError:
            return False
        return True


def test_a_proof_lasts_as_long_as_a_day_s_test() -> None:
    role = Role()
    assert [role.is_usable(), role.is_usable(), role.proofs] == [True, True, 1]
    role.seconds = 86_399
    assert [role.is_usable(), role.proofs] == [True, 1]
    role.seconds, role.answer = 86_400, OPEN
    assert [role.is_usable(), role.proofs] == [False, 2]


def test_a_connection_test_that_proves_it_counts_from_when_it_began() -> None:
    role = Role()
    began = role.proof.begin()
    role.seconds += 100
    role.proof.record(PROVEN, began)
    role.seconds = PROOF_LASTS_SECONDS - 1
    assert [role.is_usable(), role.proofs] == [True, 0]
    role.seconds = PROOF_LASTS_SECONDS
    assert [role.is_usable(), role.proofs] == [True, 1]


@pytest.mark.parametrize(
    "later",
    [
        ConnectionReport(checks=()),
        report(external_id_required="skipped", external_id_exact="skipped", trust_policy="skipped"),
        ConnectionReport(
            checks=(Check(name=EXTERNAL_ID_REQUIRED, outcome="failed", message="It could not be found out."),)
        ),
        PROVEN,
    ],
)
def test_a_test_in_which_the_blocking_check_is_not_made_ends_no_block(later: ConnectionReport) -> None:
    role = Role()
    role.proof.record(WEAK, role.proof.begin())
    role.proof.record(later, role.proof.begin())
    assert [role.is_usable(), role.proofs] == [False, 0]
    role.proof.record(FIXED, role.proof.begin())
    assert [role.is_usable(), role.proofs] == [True, 0]


def test_what_the_proof_found_open_is_tried_again_whenever_it_is_to_be_used() -> None:
    role = Role()
    role.answer = OPEN
    assert [role.is_usable(), role.is_usable(), role.proofs] == [False, False, 2]
    role.answer = PROVEN
    assert [role.is_usable(), role.is_usable(), role.proofs] == [True, True, 3]


def test_a_test_without_the_two_entries_that_must_fail_proves_nothing() -> None:
    role = Role()
    role.answer = OPEN
    role.proof.record(report(external_id_required="passed", trust_policy="passed"), role.proof.begin())
    assert [role.is_usable(), role.proofs] == [False, 1]


def test_a_test_that_began_before_a_block_does_not_end_it() -> None:
    role = Role()
    began = role.proof.begin()
    role.seconds += 1
    role.proof.record(WEAK, role.proof.begin())
    role.seconds += 1
    role.proof.record(FIXED, began)
    assert not role.is_usable()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (report(external_id_required="passed", external_id_exact="skipped"), "external_id_exact."),
        (report(external_id_required="passed"), "The check was not made."),
        (ConnectionReport(checks=()), "The check was not made."),
    ],
)
def test_a_proof_that_was_not_made_in_full_is_none(answer: ConnectionReport, why: str) -> None:
    role = Role()
    role.answer = answer
    with pytest.raises(TemporaryError) as refused:
        role.is_usable()
    assert refused.value.message.endswith(why)
    role.answer = PROVEN
    assert role.is_usable()


def test_the_error_has_the_finding_and_the_fix() -> None:
    found = Check(
        name=EXTERNAL_ID_EXACT,
        outcome="failed",
        message="It is open.",
        fix="Shut it.",
        request_id="q1",
        is_blocking=True,
    )
    proof = ExternalIdProof()
    proof.record(ConnectionReport(checks=(found,)), proof.begin())
    with pytest.raises(AuthenticationError) as refused:
        proof.ensure(lambda: ConnectionReport(checks=(found,)))
    assert (refused.value.message, refused.value.fix, refused.value.request_id) == (
        "Stopped: the role can be assumed by parties other than this integration. It is open.",
        "Shut it.",
        "q1",
    )


def test_a_block_without_a_fix_has_the_fix_of_the_connection_test() -> None:
    role = Role()
    role.proof.record(WEAK, role.proof.begin())
    with pytest.raises(AuthenticationError) as refused:
        role.proof.ensure(role.prove)
    assert refused.value.fix == ("Fix the role's trust policy as the connection test states, and test again.")


def test_a_proof_that_failed_gives_its_fix_and_its_request() -> None:
    found = Check(
        name=EXTERNAL_ID_EXACT, outcome="skipped", message="AWS did not answer.", fix="Try again.", request_id="q1"
    )
    role = Role()
    role.answer = ConnectionReport(checks=(found,))
    with pytest.raises(TemporaryError) as refused:
        role.proof.ensure(role.prove)
    assert (refused.value.message, refused.value.fix, refused.value.request_id) == (
        "The role is not used yet: no check has shown that only this integration can assume it. AWS did not answer.",
        "Try again.",
        "q1",
    )


def test_who_uses_the_same_role_with_the_same_external_id_for_one_organisation_shares_what_is_known() -> None:
    config = AwsConfig.from_settings(SETTINGS)
    one = proof_for(config, "acme")
    other_scopes = AwsConfig.from_settings({**SETTINGS, "scopes": ["iam"]})
    other_id = AwsConfig.from_settings({**SETTINGS, "external_id": "another-external-id-0001"})
    other_role = AwsConfig.from_settings({**SETTINGS, "role_arn": f"{config.role_arn}2"})

    assert proof_for(other_scopes, "acme") is one
    assert len({id(one), *(id(proof_for(each, "acme")) for each in (other_id, other_role))}) >= 2
    assert all(proof_for(each, "acme") is not one for each in (other_id, other_role))
    assert proof_for(config, "globex") is not one
