"""``ploy-connector demo``: the main job on the sandbox, told as a story that ends by itself."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.rule import Rule
from rich.table import Table

from ploy_connector_aws.runtime.paths import PathFinder
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.runtime.snapshot import Run, StoredRecord
from ploy_connector_aws.runtime.store import Store
from ploy_connector_aws.spec import RecordKey

from .access import to_tree
from .check import print_report
from .endings import Exit
from .listing import display_name
from .opening import open_connector, read_operator_settings
from .options import Debug
from .output import console, table, text
from .sandbox import local_world, require_sandbox
from .sync import sync_once

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ploy_connector_aws.sandbox.world import LocalWorld

_ACTION = "identitystore:ListGroupMemberships"
_GROUP = "Production On-Call"
_NAMES_SHOWN = 3


def demo(debug: Debug = False) -> Exit:
    """Show the main job: a company's AWS is read, proven and pushed; something changes; something is denied."""
    require_sandbox()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ploy-demo-")))
        world = stack.enter_context(local_world(folder))
        os.environ.update(world.environment)
        settings = read_operator_settings(world.config_file, None, debug=debug)
        _Story(console(), world, settings).tell()
    return Exit.OK


class _Story:
    """The chapters of the demo, in order."""

    def __init__(self, out: Console, world: LocalWorld, settings: OperatorSettings) -> None:
        self._out = out
        self._world = world
        self._settings = settings
        self._account_names = {account.id: account.name for account in world.seeded.organisation.accounts}

    def tell(self) -> None:
        self._introduce()
        self._check()
        self._sync("3. Read AWS, compare, push to Ploy", "The first sync: everything is new.")
        self._show_access()
        self._change_a_membership()
        self._take_a_permission_away()
        self._out.print(Rule(style="dim"))
        self._out.print(
            "That was the main job. [bold]ploy-connector sandbox[/] starts the same local AWS and local Ploy "
            "to play with; README.md says how to connect a real AWS account."
        )

    def _chapter(self, title: str, *sentences: str) -> None:
        self._out.print()
        self._out.print(Rule(f"[bold]{title}[/]", align="left", style="cyan"))
        for sentence in sentences:
            self._out.print(sentence)
        self._out.print()

    def _introduce(self) -> None:
        made = self._world.seeded.organisation
        self._chapter(
            "1. A company, its AWS, and Ploy",
            "Halden Freight (which does not exist) keeps its people in AWS IAM Identity Center. It has switched on the "
            "AWS integration at Ploy, which made an external ID for it, and has created a role in AWS that trusts "
            "Ploy's account only together with that ID. Both AWS and Ploy run inside this command, on loopback.",
        )
        counts = (
            (len(made.people), "people"),
            (len(made.groups), "groups"),
            (len(made.permission_sets), "permission sets"),
            (len(made.accounts), "AWS accounts"),
            (len(made.assignments), "assignments of a permission set in an account"),
        )
        for count, what in counts:
            self._out.print(f"  {count:>3} {what}")

    def _check(self) -> None:
        self._chapter("2. Can we get in?", "[dim]$ ploy-connector check[/]")
        print_report(self._out, open_connector(self._settings).connector.hooks.test_connection())

    def _sync(self, title: str, *sentences: str) -> None:
        self._chapter(title, *sentences, "[dim]$ ploy-connector sync[/]")
        sync_once(self._settings, as_json=False)

    def _show_access(self) -> None:
        self._chapter(
            "4. Who can enter which AWS account, by which path",
            "From what was read. The seed policy gives AWS account ids only; their names here are the sandbox's.",
        )
        with Store(self._settings.snapshot_path) as store:
            run = store.baseline
            assert run is not None
            self._out.print(_access_table(store, run, self._account_names))
            leaver = next(each for each in run.records("account") if each.content.get("username") == "jonas.vik")
            self._out.print(
                "Jonas Vik left the company and is disabled, yet these paths are still his. "
                "[dim]$ ploy-connector access jonas.vik[/]\n"
            )
            self._out.print(to_tree(run, leaver, PathFinder(store, run).paths_of(leaver.id)))

    def _change_a_membership(self) -> None:
        seeded = self._world.seeded
        member = next(group for group in seeded.organisation.groups if group.name == _GROUP).members[0]
        seeded.remove_member(_GROUP, member)
        self._sync(
            "5. Something changes in AWS",
            f"An administrator takes [bold]{member}[/] out of the group [bold]{_GROUP}[/], in AWS. The next sync:",
        )
        integration = self._world.integration.id
        newest = self._world.ploy.generations(integration)[-1]
        self._out.print(f"What Ploy shows as changed in generation {newest.number}:")
        for change in self._world.ploy.changes(integration, newest.number):
            self._out.print(f"  [bold]{change.kind}[/] {change.key.type}: {text(self._named(change.before or {}))}")

    def _take_a_permission_away(self) -> None:
        self._world.allow_without(_ACTION)
        before = sum(1 for _ in self._world.ploy.records(self._world.integration.id))
        self._sync(
            "6. A permission disappears",
            f"Somebody takes [bold]{_ACTION}[/] out of the role's policy, so no membership can be read any more. A "
            "careless connector would now report that every group is empty.",
        )
        after = sum(1 for _ in self._world.ploy.records(self._world.integration.id))
        self._out.print(
            f"Ploy held {before} records before this sync and holds {after} after it: nothing was deleted. What could "
            "not be read is kept, marked as unproven, with the statement that is missing."
        )

    def _named(self, grant: Mapping[str, object]) -> str:
        with Store(self._settings.snapshot_path) as store:
            run = store.baseline
            assert run is not None
            account = display_name(run.record(RecordKey(type="account", id=str(grant["principal_id"]))), "somebody")
            group = display_name(run.record(RecordKey(type="entitlement", id=str(grant["entitlement_id"]))), "a group")
        return f"{account} in {group}"


def _access_table(store: Store, run: Run, account_names: Mapping[str, str]) -> Table:
    """One row per AWS account, role and path: who gets in by it."""
    entitlements = {record.id: record.content for record in run.records("entitlement")}
    people: dict[tuple[str, str, str], list[StoredRecord]] = defaultdict(list)
    finder = PathFinder(store, run)
    for account in run.records("account"):
        for path in finder.paths_of(account.id):
            opened = entitlements[path.entitlement_ids[-1]]
            if opened["kind"] == "account_role":
                via = [entitlements[step]["name"] for step in path.entitlement_ids[:-1]]
                role = opened["name"].removesuffix(f" in {opened['resource_id']}")
                people[opened["resource_id"], role, " → ".join(via) or "assigned directly"].append(account)
    made = table("AWS account", "as", "by way of", "people")
    for column in made.columns[:3]:
        column.no_wrap = True
    shown = None
    for (account_id, role, chain), holders in sorted(
        people.items(), key=lambda row: (account_names[row[0][0]], row[0])
    ):
        if shown not in (None, account_id):
            made.add_section()
        label = "" if account_id == shown else f"{text(account_names[account_id])}\n[dim]{account_id}[/]"
        shown = account_id
        made.add_row(label, text(role), text(chain), _names(holders))
    return made


def _names(holders: list[StoredRecord]) -> str:
    disabled = [each for each in holders if each.content.get("status") == "disabled"]
    others = [each for each in holders if each not in disabled]
    names = [f"[red]{text(display_name(each, each.id))} (disabled)[/]" for each in disabled]
    names += sorted(text(display_name(each, each.id)) for each in others)[:_NAMES_SHOWN]
    rest = len(others) - _NAMES_SHOWN
    return ", ".join(names) + (f" and {rest} more" if rest > 0 else "")
