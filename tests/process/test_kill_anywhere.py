"""``kill -9`` at named points of a sync: the state on disk and in Ploy is correct, and the next sync completes.

A point is before or after an SQL statement, a send or a receive (``points``).
The quick suite kills at the points of a table, but for those that differ from another one by what is read or sent. A
soak plays these, too, and kills at 200 more, of every kind of point, in an order that its seed decides.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ploy_connector_aws.cli.exit_codes import Exit
from tests.aws.conftest import ORGANISATION
from tests.end_to_end.sync_harness import make_site

from .kills import Kill, KillSite, choose, explained, order_kills, seed_of

KILLS = 200


class Situation(NamedTuple):
    """From which saved state a sync begins, and whether it sends everything."""

    state: str
    is_full: bool = False


SITUATIONS = {
    "first": Situation("nothing"),
    "delta": Situation("synced"),
    "full": Situation("synced", is_full=True),
}

SYNCS = "Ploy POST /connector/v1/integrations/one/syncs"
BATCH = f"Ploy PUT {SYNCS.removeprefix('Ploy POST ')}/*/batches"
MEMBERS = "identitystore:ListGroupMemberships in eu-west-1 GroupId=everyone IdentityStoreId=store MaxResults=100"
ASSIGNMENTS = (
    "sso:ListAccountAssignmentsForPrincipal in eu-west-1 InstanceArn=instance MaxResults=100"
    " PrincipalId=dee PrincipalType=USER"
)
POINTS = {
    "creating the task file": Kill("first", "before one.tasks.sqlite: INSERT INTO facts VALUES (?, ?)"),
    "sending the first sync": Kill("first", f"after send: {BATCH}/3 (body)"),
    "reading members": Kill("delta", f"after send: {MEMBERS}"),
    "reading assignments": Kill("delta", f"before receive: {ASSIGNMENTS}"),
    "keeping what was read": Kill("delta", "before one.sqlite: COMMIT", 6),
    "comparing": Kill("delta", "before one.sqlite: UPDATE runs SET base = ?, changes = ? WHERE number = ?"),
    "opening": Kill("delta", f"before receive: {SYNCS}"),
    "sending a batch": Kill("full", f"after send: {BATCH}/2 (body)"),
    "committing": Kill("full", f"before send: {SYNCS}/*/commit (body)"),
    "after the commit": Kill("full", f"after receive: {SYNCS}/*/commit"),
    "keeping the answer": Kill("delta", "before one.sqlite: DROP TABLE IF EXISTS records_#"),
}
LONG = {"reading members", "sending a batch"}
"""As at "reading assignments", and as at "sending the first sync"."""


class Syncs:
    """Syncs that are killed, compared with those that are not."""

    def __init__(self, killed: KillSite) -> None:
        self.killed = killed
        self._expected: dict[str, tuple[Mapping[Any, Any], Any]] = {}

    def record(self, situation: str, path: Path) -> None:
        """Sync undisturbed, and write the points of it into a file."""
        self._restore(situation)
        started = self.killed.start("sync", record=path)
        assert started.wait() == Exit.OK, started.output.read_text()

    def _restore(self, situation: str) -> None:
        state, is_full = SITUATIONS[situation]
        self.killed.restore(state, is_full=is_full)

    def _outcome(self, situation: str) -> tuple[Mapping[Any, Any], Any]:
        """What Ploy shows after an undisturbed sync, and what that sync changed."""
        if situation not in self._expected:
            self._restore(situation)
            self.killed.sync()
            assert self.killed.site.at_ploy() == self.killed.site.in_aws()
            self._expected[situation] = self.killed.site.records_at_ploy(), self.killed.changes()
        return self._expected[situation]

    def check(self, kill: Kill) -> None:
        """Kill a sync, look at what it left, and sync again."""
        records, changes = self._outcome(kill.situation)
        site = self.killed.site
        for attempt in (kill, kill._replace(nth=1)):  # threads may reach a point less often than in the runs before
            self._restore(kill.situation)
            before = site.records_at_ploy()
            started = self.killed.start("sync", kill=attempt)
            if started.wait() != Exit.OK:
                break
        assert started.wait() == -signal.SIGKILL, started.output.read_text()
        assert site.records_at_ploy() in (before, records), "Ploy shows a part of a sync"
        self.killed.check_disk()
        self.killed.sync()
        assert site.records_at_ploy() == records
        assert self.killed.changes() == changes, "a change was not made visible exactly once"
        for generation in site.world.ploy.view(site.integration_id).generations():
            assert generation.answer.unproven_scopes == 0


@pytest.fixture(scope="module")
def syncs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Syncs]:
    with pytest.MonkeyPatch.context() as patch:
        with make_site(tmp_path_factory.mktemp("site"), patch)(ORGANISATION) as site:
            yield Syncs(KillSite(site))


@pytest.fixture(scope="module")
def kills(syncs: Syncs, request: pytest.FixtureRequest) -> list[Kill]:
    return order_kills(syncs.killed, syncs.record, SITUATIONS, seed_of(request))


@pytest.mark.parametrize("kill", choose(POINTS, LONG))
def test_sync_killed_at_a_point_is_completed_by_the_next(syncs: Syncs, kill: Kill) -> None:
    syncs.check(kill)


@pytest.mark.soak
@pytest.mark.parametrize("number", range(KILLS))
def test_sync_killed_at_any_point_is_completed_by_the_next(
    syncs: Syncs, kills: list[Kill], number: int, request: pytest.FixtureRequest
) -> None:
    with explained(request, kills[number]):
        syncs.check(kills[number])
