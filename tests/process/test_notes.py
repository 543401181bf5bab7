"""A sync prints how assignments were read and what a permission would save, and the next process remembers it."""

from __future__ import annotations

import json

from ploy_connector_aws.cli.exit_codes import Exit
from tests.aws.conftest import SEED_POLICY
from tests.aws.identity_center.strategies import WITH_OPTIONAL
from tests.end_to_end.sync_harness import Site

from .conftest import run

ROLE = "arn:aws:iam::{}:role/Ploy"


def set_policy(site: Site, policy: dict[str, object]) -> None:
    owner = site.seeded.organisation.owner_account_id
    site.world.aws.accounts.set_role_policy(ROLE.format(owner), policy)


def test_a_permission_that_comes_and_goes_between_syncs_changes_the_note_and_nothing_else(site: Site) -> None:
    notes = []
    for policy in (SEED_POLICY, WITH_OPTIONAL, SEED_POLICY, WITH_OPTIONAL):
        set_policy(site, policy)
        status, printed, _ = run(site, "sync", "--json")
        answer = json.loads(printed)
        assert status == Exit.OK
        assert (answer["status"], answer["removed"], answer["changed"]) == ("committed", {}, {})
        notes += answer["notes"]
    by_principal, by_set = (
        "Assignments are read by principal, as they could not",
        "Assignments are read by permission set",
    )
    assert [note.startswith((by_principal, by_set)) for note in notes] == [True] * 4
    assert [note.startswith(by_set) for note in notes] == [False, True, False, True]

    status, printed, _ = run(site, "sync")
    assert (status, by_set in printed) == (Exit.OK, True)
    # Another process finds what the sync counted.
    _, printed, _ = run(site, "check", "--json")
    checks = {check["name"]: check for check in json.loads(printed)["checks"]}
    assert checks["assignment-calls"]["message"].startswith(by_set)
