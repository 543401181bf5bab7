"""``kill -9`` of a command while it changes access: Ploy gets one record of the change, and none that is not true."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.config import IDENTITY_CENTER
from ploy_connector_aws.sandbox.ploy.task_ledger import OrderedTask
from tests.aws.conftest import ORGANISATION
from tests.end_to_end.sync_harness import Site, make_site

from .conftest import run
from .kills import DEADLINE_SECONDS, Kill, KillSite

CHANGES = "Ploy POST /connector/v1/integrations/one/changes"
COMMAND = ("revoke", "ana", "admins", "--yes", "--reason", "left")
WRITE = "identitystore:DeleteGroupMembership in eu-west-1 IdentityStoreId=store MembershipId=*"
READ_BACK = (
    "identitystore:GetGroupMembershipId in eu-west-1 GroupId=admins IdentityStoreId=store MemberId={'UserId': 'ana'}"
)

BEGINNING = "before one.tasks.sqlite: INSERT INTO local_changes (id, report) VALUES (?, ?)"

POINTS: dict[str, tuple[Kill, bool, str | None]] = {
    "before it is on record": (Kill("change", BEGINNING), False, None),
    "before the write": (Kill("change", f"before send: {WRITE}"), False, "manual"),
    "before AWS's answer": (Kill("change", f"before receive: {WRITE}"), True, "manual"),
    "while it is read back": (Kill("change", f"before receive: {READ_BACK}", 2), True, "manual"),
    "before its result is kept": (
        Kill("change", "before one.tasks.sqlite: UPDATE local_changes SET report = ?, is_ended = ? WHERE id = ?"),
        *(True, "manual"),
    ),
    "before the report": (Kill("change", f"before send: {CHANGES} (body)"), True, "done"),
    "before Ploy's answer": (Kill("change", f"before receive: {CHANGES}"), True, "done"),
}
"""Where it is killed; whether AWS has changed by then; and the state of the record that Ploy must have in the end."""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KillSite]:
    with pytest.MonkeyPatch.context() as patch:
        with make_site(tmp_path_factory.mktemp("site"), patch)(ORGANISATION) as site:
            site.world.ploy.registry.change_settings(site.integration_id, {"scopes": [IDENTITY_CENTER]})
            yield KillSite(site)


def is_member(site: Site) -> bool:
    return (site.seeded.groups["admins"], site.seeded.users["ana"]) in site.seeded.memberships


def at_ploy(site: Site) -> list[OrderedTask]:
    return [task for task in site.world.ploy.queue(site.integration_id).tasks() if task.made_by]


@pytest.mark.parametrize("point", POINTS)
def test_change_of_a_command_killed_at_a_point_is_on_record_as_it_is(killed: KillSite, point: str) -> None:
    kill, has_changed, state = POINTS[point]
    site = killed.site
    killed.restore("synced")
    if not is_member(site):
        site.seeded.add_member("admins", "ana")

    code = killed.start(*COMMAND, kill=kill).wait()

    assert (code, is_member(site)) == (-signal.SIGKILL, not has_changed)
    killed.check_disk()
    if point != "before Ploy's answer":  # then Ploy may have it by now, or a moment later
        assert at_ploy(site) == []
    killed.sync()
    recorded = at_ploy(site)
    assert [(task.state, task.reason) for task in recorded] == ([] if state is None else [(state, "left")])
    if state == "manual":
        (task,) = recorded
        assert task.failure is not None
        assert (task.failure.code, task.report is not None) == ("state_unknown", True)
    assert site.at_ploy() == site.in_aws()
    _, out, _ = run(site, "history", "--json")
    changes = json.loads(out)["changes"]
    assert [(each["id"], each["reported_at"] is not None) for each in changes] == [(task.id, True) for task in recorded]

    assert run(site, *COMMAND)[0] == Exit.OK
    assert not is_member(site)
    assert [task.state for task in at_ploy(site)][len(recorded) :] == ["done"]


def test_service_reports_what_a_killed_command_changed(killed: KillSite) -> None:
    site = killed.site
    killed.restore("synced")
    if not is_member(site):
        site.seeded.add_member("admins", "ana")
    assert killed.start(*COMMAND, kill=POINTS["before the report"][0]).wait() == -signal.SIGKILL
    assert at_ploy(site) == []

    service = killed.start("run", "--health-port", "0", "--json")
    for _ in range(DEADLINE_SECONDS * 20):
        if at_ploy(site) or service.poll(0.05) is not None:
            break

    assert [(task.kind, task.state) for task in at_ploy(site)] == [("revoke", "done")]
    assert service.stop() == Exit.OK
