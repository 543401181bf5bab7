"""``ploy-connector demo``: the main job on the sandbox, told as a story that ends by itself."""

from __future__ import annotations

import io
import json as json_documents
import os
import tempfile
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.rule import Rule

from ploy_connector_aws.runtime.integration import open_connector
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay
from ploy_connector_aws.spec import RecordKey

from . import access, account_access, demo_summary, demo_tasks, standard_output
from .change_output import Order, print_change
from .check import exit_of, print_report, report_json
from .exit_codes import Exit
from .heartbeat import Heartbeat
from .listing import display_name
from .opening import read_operator_settings
from .options import AsJson, Debug
from .output import console, print_json, text
from .sandbox import local_world, require_sandbox, shown_start
from .sync import sync_once

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ploy_connector_aws.sandbox.ploy.task_ledger import OrderedTask
    from ploy_connector_aws.sandbox.sandbox import Sandbox

_ACTION = "identitystore:ListGroupMemberships"
_GROUP = "Production On-Call"
_LEAVER = "jonas.vik"
_HELPER = "aisha.bello"
_TEAM = "Engineering"


def demo(json: AsJson = False, debug: Debug = False) -> Exit:
    """Show the main job: a company's AWS is read, proven and pushed; something changes; something is denied."""
    require_sandbox()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ploy-demo-")))
        with shown_start(quiet=json):
            world = stack.enter_context(local_world(folder))
        os.environ.update(world.environment)
        settings = read_operator_settings(world.config_file, None, debug=debug)
        heartbeat = Heartbeat()
        if not (json or Console(stderr=True).is_terminal):  # a terminal shows how far a sync is
            stack.enter_context(heartbeat.running())
        code = (story := Story(console(), world, settings, as_json=json, heartbeat=heartbeat)).tell()
    if json:
        print_json({"chapters": story.chapters})
    return code


class _DemoStoppedError(Exception):
    """What the rest of the story needs did not happen; why was said already."""

    def __init__(self, code: Exit) -> None:
        self.code = code


class Story:
    """The chapters of the demo, in order.

    Args:
        out: Where it is told.
        world: The local AWS and the local Ploy; the environment of this process leads to them.
        settings: The configuration of the integration between them.
        as_json: Tell nothing, and only note in ``chapters`` what each one has to show.
        heartbeat: Notes when a chapter begins.
    """

    def __init__(
        self,
        out: Console,
        world: Sandbox,
        settings: OperatorSettings,
        *,
        as_json: bool,
        heartbeat: Heartbeat | None = None,
    ) -> None:
        self.chapters: list[dict[str, Any]] = []
        self._heartbeat = heartbeat or Heartbeat()
        self._out = out
        self._out.quiet = as_json
        self._as_json = as_json
        self._world = world
        self._settings = settings
        self._account_names = {account.id: account.name for account in world.seeded.organisation.accounts}

    def tell(self) -> Exit:
        """Tell it, up to the first chapter that does not go as it should.

        Returns:
            How the command of that chapter ended; OK at the end of the story.
        """
        try:
            self._introduce()
            self._check()
            self._sync("Read AWS, compare, push to Ploy", "The first sync: everything is new.")
            self._show_access()
            self._show_estate()
            self._change_a_membership()
            self._take_a_permission_away()
            self._give_it_back()
            self._order_a_change()
        except _DemoStoppedError as cut:
            return cut.code
        self._out.print(Rule(style="dim"))
        self._out.print(
            "That was the main job. [bold]ploy-connector sandbox[/] starts the same local AWS and local Ploy "
            "to play with; README.md says how to connect a real AWS account."
        )
        return Exit.OK

    def _chapter(self, title: str, *sentences: str) -> None:
        self.chapters.append({"title": title})
        self._heartbeat.note_step()
        self._out.print()
        self._out.print(Rule(f"[bold]{len(self.chapters)}. {title}[/]", align="left", style="cyan"))
        for sentence in sentences:
            self._out.print(sentence)
        self._out.print()

    def _note(self, **shown: Any) -> None:
        self.chapters[-1].update(shown)

    def _introduce(self) -> None:
        made = self._world.seeded.organisation
        self._chapter(
            "A company, its AWS, and Ploy",
            "Halden Freight (which does not exist) keeps its people in AWS IAM Identity Center. It has switched on the "
            "AWS integration at Ploy, which made an external ID for it, and has created a role in AWS that trusts "
            "Ploy's account only together with that ID. Both AWS and Ploy run inside this command, on loopback.",
        )
        counts = {
            "people": len(made.people),
            "groups": len(made.groups),
            "permission sets": len(made.permission_sets),
            "AWS accounts": len(made.accounts),
            "assignments of a permission set in an account": len(made.assignments),
        }
        self._note(organisation=counts)
        for what, count in counts.items():
            self._out.print(f"  {count:>3} {what}")

    def _check(self) -> None:
        self._chapter("Can we get in?", "[dim]$ ploy-connector check[/]")
        report = open_connector(self._settings).connector.test_connection()
        self._note(check=report_json(report))
        print_report(self._out, report)
        if not report.is_usable:
            raise _DemoStoppedError(exit_of(report))

    def _sync(self, title: str, *sentences: str, ending: Exit = Exit.OK) -> None:
        self._chapter(title, *sentences, "[dim]$ ploy-connector sync[/]")
        printed = io.StringIO()
        with standard_output.writing_to(printed) if self._as_json else nullcontext():
            code = sync_once(self._settings, as_json=self._as_json)
        if self._as_json:
            self._note(sync=json_documents.loads(printed.getvalue()))
        if code is not ending:
            raise _DemoStoppedError(code)

    def _show_access(self) -> None:
        self._chapter(
            "Who can enter which AWS account, by which path",
            "From what was read. The seed policy gives AWS account ids only; their names here are the sandbox's.",
        )
        with Store(self._settings.snapshot_path) as store:
            run = store.baseline
            assert run is not None
            picture = Overlay(run)
            found = account_access.find_entrances(picture)
            leaver = next(each for each in run.records("account") if each.content.get("username") == _LEAVER)
            paths = picture.path_finder().paths_of(leaver.id)
            self._note(
                entrances=account_access.to_json(found, self._account_names),
                leaver=access.to_json(picture, leaver, paths),
            )
            for table in account_access.to_tables(found, self._account_names):
                self._out.print(table)
            self._out.print(
                "Jonas Vik left the company and is disabled, yet these paths are still his.\n"
                f"[dim]$ ploy-connector access {_LEAVER}[/]\n"
            )
            self._out.print(access.to_tree(picture, leaver, paths))

    def _show_estate(self) -> None:
        self._chapter(
            "IAM, and what there is in the account",
            "Beside the people of IAM Identity Center an AWS account has users, roles and policies of its own, and "
            "roles that outsiders may become.",
        )
        with Store(self._settings.snapshot_path) as store:
            run = store.baseline
            assert run is not None
            picture = Overlay(run)
            self._note(
                outsiders=demo_summary.find_outsiders(picture),
                privileged=demo_summary.find_privileged(picture),
                resources=demo_summary.find_resources(picture),
            )
            for table in demo_summary.to_tables(picture):
                self._out.print(table)
        self._out.print(
            "[dim]$ ploy-connector list entitlements --privileged\n$ ploy-connector list resources[/]", highlight=False
        )

    def _change_a_membership(self) -> None:
        seeded = self._world.seeded
        member = next(group for group in seeded.organisation.groups if group.name == _GROUP).members[0]
        seeded.remove_member(_GROUP, member)
        self._sync(
            "Something changes in AWS",
            f"An administrator takes [bold]{member}[/] out of the group [bold]{_GROUP}[/], in AWS. The next sync:",
        )
        integration = self._world.integration.id
        newest = self._world.ploy.view(integration).generations()[-1]
        changes = list(self._world.ploy.view(integration).changes(newest.number))
        self._note(
            generation=newest.number,
            changes=[
                {"kind": each.kind, "type": each.key.type, "id": each.key.id, "before": each.before} for each in changes
            ],
        )
        self._out.print(f"What Ploy shows as changed in generation {newest.number}:")
        for change in changes:
            self._out.print(f"  [bold]{change.kind}[/] {change.key.type}: {text(self._named(change.before or {}))}")

    def _take_a_permission_away(self) -> None:
        self._world.allow_without(_ACTION)
        before = self._count_records()
        self._sync(
            "A permission disappears",
            f"Somebody takes [bold]{_ACTION}[/] out of the role's policy, so no membership can be read any more. A "
            "careless connector would now report that every group is empty.",
            ending=Exit.UNPROVEN,
        )
        after = self._count_records()
        self._note(records_before=before, records_after=after)
        self._out.print(
            f"Ploy held {before} records before this sync and holds {after} after it: nothing was deleted. What could "
            "not be read is kept, marked as unproven, with the statement that is missing."
        )

    def _give_it_back(self) -> None:
        self._world.allow_without()
        self._sync("The permission comes back", "The statement is added again, and everything is proven anew.")

    def _order_a_change(self) -> None:
        with Store(self._settings.snapshot_path) as store:
            run = store.baseline
            assert run is not None
            picture = Overlay(run)
            helper = next(each for each in run.records("account") if each.content.get("username") == _HELPER)
            team = next(each for each in run.records("entitlement") if each.content["name"] == _TEAM)
            self._chapter(
                "Ploy orders a change of access",
                f"{display_name(helper, helper.id)} helps out in [bold]{_TEAM}[/] for a week. Ploy's reviewer grants "
                "it as a task; the connector, which only ever connects outwards, fetches the task, changes the group "
                "in AWS under a session that can touch nothing but this group and this person, reads it back, and "
                "reports. Then the week is over, and the access is taken back.",
            )
            orders: list[tuple[Order, OrderedTask]] = []
            steps: tuple[Order, ...] = ("grant", "revoke")
            for order in steps:
                task = self._world.ploy.create_task(
                    self._world.integration.id,
                    order,
                    account_id=helper.id,
                    entitlement_id=team.id,
                    reason="Helps out for a week",
                )
                orders.append((order, task))
            changes = demo_tasks.carry_out(self._world, self._settings, *(task for _, task in orders))
            for (order, task), change in zip(orders, changes, strict=True):
                print_change(self._out, order, demo_tasks.to_request(task), change, picture)
                self._out.print()
            self._note(tasks=[change.model_dump(mode="json") for change in changes])

    def _count_records(self) -> int:
        return sum(1 for _ in self._world.ploy.view(self._world.integration.id).records())

    def _named(self, grant: Mapping[str, object]) -> str:
        with Store(self._settings.snapshot_path) as store:
            run = store.baseline
            assert run is not None
            account = display_name(run.record(RecordKey(type="account", id=str(grant["principal_id"]))), "somebody")
            group = display_name(run.record(RecordKey(type="entitlement", id=str(grant["entitlement_id"]))), "a group")
        return f"{account} in {group}"
