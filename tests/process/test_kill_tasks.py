"""``kill -9`` of the service at named points while it runs six tasks; each ends in exactly one true report.

The quick suite kills at the points of a table, but for those at which the journal and AWS hold the same as at another
one. A soak plays these, too, and kills at 100 more, each followed by a second kill while the tasks of the opposite kind
wait, too.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.config import IDENTITY_CENTER
from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.aws import Group
from ploy_connector_aws.sandbox.ploy.task_ledger import OrderedTask
from tests.aws.conftest import ORGANISATION
from tests.end_to_end.sync_harness import make_site
from tests.end_to_end.task_harness import MembershipLog

from .kills import DEADLINE_SECONDS, Kill, KillSite, Started, choose, explained, order_kills, seed_of

KILLS = 100
PEOPLE = ("ana", "dee")
GROUPS = ("admins", "empty", "others")
TASKS = "Ploy POST /connector/v1/integrations/one/tasks"
STORE = "IdentityStoreId=store"
GRANTED = f"GroupId=others {STORE} MemberId={{'UserId': 'ana'}}"
REVOKED = f"GroupId=admins {STORE} MemberId={{'UserId': 'ana'}}"
WHERE = "in eu-west-1"
POINTS = {
    name: Kill("tasks", point, *nth)
    for name, point, *nth in (
        ("leasing", f"before receive: {TASKS}/lease"),
        ("beginning", "after one.tasks.sqlite: COMMIT", 7),
        ("looking", f"after send: identitystore:GetGroupMembershipId {WHERE} {GRANTED}"),
        ("granting", f"before receive: identitystore:CreateGroupMembership {WHERE} {GRANTED}"),
        ("revoking", f"before receive: identitystore:DeleteGroupMembership {WHERE} {STORE} MembershipId=*"),
        ("reading back", f"after receive: identitystore:GetGroupMembershipId {WHERE} {REVOKED}", 2),
        (
            "keeping a report",
            "before one.tasks.sqlite: UPDATE tasks SET report = ?, uncertainty = iif(?, uncertainty, NULL)"
            " WHERE id = ?",
        ),
        ("reporting the first", f"before send: {TASKS}/task-*/complete (body)"),
        ("reporting a later one", f"before receive: {TASKS}/task-*/complete", 5),
    )
}
LONG = {"looking", "reading back"}
"""As at "beginning", and as at "keeping a report"."""


class Rush:
    """Six tasks for six pairs, and what becomes of the memberships."""

    def __init__(self, killed: KillSite) -> None:
        self.killed = killed
        self.site = killed.site
        self._memberships = dict(self.site.seeded.instance.store.group_memberships)

    def begin(self) -> None:
        """Restore everything, and create the tasks."""
        self.killed.restore("synced")
        self.register = self.site.seeded.instance.store.group_memberships = MembershipLog(self._memberships)
        self.create_tasks()

    def create_tasks(self) -> None:
        """Create a task for every pair: a revoke where it is a member, a grant where it is not."""
        for group in GROUPS:
            for person in PEOPLE:
                user_id, group_id = self.site.seeded.users[person], self.site.seeded.groups[group]
                is_member = (group_id, user_id) in self.site.seeded.memberships
                self.site.world.ploy.create_task(
                    self.site.integration_id,
                    "revoke" if is_member else "grant",
                    account_id=user_id,
                    entitlement_id=group_id,
                )

    @property
    def tasks(self) -> list[OrderedTask]:
        return self.site.world.ploy.queue(self.site.integration_id).tasks()

    def play(self, kill: Kill | None = None, record: Path | None = None) -> int:
        """Run the service until every task has ended, or it is killed; its exit code."""
        started = self.killed.start("run", "--health-port", "0", "--json", kill=kill, record=record)
        self._wait(started)
        return started.stop()

    def _wait(self, started: Started) -> None:
        for _ in range(DEADLINE_SECONDS * 20):
            if started.poll(0.05) is not None:
                return
            # What it prints first shows that SIGTERM stops it from then on.
            is_serving = '"health"' in started.output.read_text()
            if is_serving and all(task.state in ("done", "manual") for task in self.tasks):
                return
        started.stop()
        raise AssertionError(f"Not all tasks have ended: {self.tasks}\n{started.output.read_text()}")

    def check(self, kill: Kill, second: Kill | None = None) -> None:
        """Kill the service, twice where a second point is given, let it work, and judge every report."""
        for attempt in (kill, kill._replace(nth=1)):  # threads may reach a point less often than in the runs before
            self.begin()
            code = self.play(attempt)
            if code != Exit.OK:
                break
        assert code == -signal.SIGKILL
        self.killed.check_disk()
        if second is not None:
            self.create_tasks()  # the opposite of what holds by now
            self.play(second)
        assert self.play() == Exit.OK
        self._check_reports()
        self.killed.sync()
        assert self.site.at_ploy() == self.site.in_aws()

    def _check_reports(self) -> None:
        """Every task is done in one report that was true then, and took effect once."""
        ploy, id_ = self.site.world.ploy, self.site.integration_id
        for task in self.tasks:
            assert isinstance(task.report, wire.TaskDone), task
            change = task.report.change
            assert change is not None
            assert change.verified_at is not None
            pair = task.account_id or "", task.entitlement_id or ""
            assert self.register.was_member(pair, change.verified_at) == (task.kind == "grant"), task
            ends = [event.event for event in ploy.queue(id_).history(task.id) if event.event in ("done", "manual")]
            assert ends == ["done"], task
            effects = [
                event.is_member
                for event in self.register.of(pair)
                if event.is_ours and task.created_at <= event.at <= (task.ended_at or event.at)
            ]
            assert effects == [task.kind == "grant"], f"{task} took effect otherwise: {effects}"


@pytest.fixture(scope="module")
def rush(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rush]:
    with pytest.MonkeyPatch.context() as patch:
        with make_site(tmp_path_factory.mktemp("site"), patch)(ORGANISATION) as site:
            site.world.ploy.registry.change_settings(site.integration_id, {"scopes": [IDENTITY_CENTER]})
            site.world.ploy.registry.set_intervals(site.integration_id, poll_interval_seconds=5)
            site.seeded.add_group(Group("others"))
            yield Rush(KillSite(site))


@pytest.fixture(scope="module")
def kills(rush: Rush, request: pytest.FixtureRequest) -> list[Kill]:
    def record(_: str, path: Path) -> None:
        rush.begin()
        assert rush.play(record=path) == Exit.OK

    return order_kills(rush.killed, record, ["tasks"], seed_of(request))


@pytest.mark.parametrize("kill", choose(POINTS, LONG))
def test_tasks_of_a_service_killed_at_a_point_end_in_one_true_report(rush: Rush, kill: Kill) -> None:
    rush.check(kill)


@pytest.mark.soak
@pytest.mark.parametrize("number", range(KILLS))
def test_tasks_of_a_service_killed_at_any_point_end_in_one_true_report(
    rush: Rush, kills: list[Kill], number: int, request: pytest.FixtureRequest
) -> None:
    one, other = kills[number], kills[-1 - number]
    with explained(request, one, other):
        rush.check(one, other)
