"""``ploy-connector demo``: the main job on the sandbox, in chapters, until it ends by itself."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.rule import Rule

from ploy_connector_aws.graph.effects import find_effects
from ploy_connector_aws.host.change_check import Kind
from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.integration import open_connector, open_platform, read_operator_settings
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay
from ploy_connector_aws.runtime.sync.engine import SyncResult
from ploy_connector_aws.runtime.tasks.journal import Journal
from ploy_connector_aws.runtime.tasks.loop import TaskLoop
from ploy_connector_aws.spec import AccessChange, RecordKey, TemporaryError
from ploy_connector_aws.spec.records import RecordType

from . import access, demo_summary
from .check import exit_of, print_report, print_verdict, report_json
from .effects import print_effects
from .exit_codes import Exit
from .output import console, print_json, print_unproven, text
from .service import Heartbeat, require_sandbox, running_sandbox, shown_start
from .snapshot_view import display_name, read_labels
from .sync import print_result, result_json, sync_once

if TYPE_CHECKING:
    from ploy_connector_aws.graph.values import StoredRecord
    from ploy_connector_aws.sandbox.ploy.task_ledger import OrderedTask
    from ploy_connector_aws.sandbox.sandbox import Sandbox

_ACTION = "identitystore:ListGroupMemberships"
_GROUP = "Production On-Call"
_LEAVER = "jonas.vik"
_HELPER = "aisha.bello"
_TEAM = "Engineering"
_CHECKS = ("assume-role", "external-id-required", "external-id-exact", "trust-policy")
"""The checks that the demo shows of a connection test that passed."""
_PATHS_SHOWN = 4
_TASK_SECONDS = 60.0
_LOOK_EVERY_SECONDS = 0.05


def demo(*, as_json: bool, debug: bool) -> Exit:
    """Play the demonstration in a sandbox of its own."""
    require_sandbox()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ploy-demo-")))
        with shown_start(quiet=as_json):
            sandbox = stack.enter_context(running_sandbox(folder))
        os.environ.update(sandbox.environment)
        settings = read_operator_settings(sandbox.config_file, None, debug=debug)
        heartbeat = Heartbeat()
        if not (as_json or Console(stderr=True).is_terminal):  # a terminal shows the progress of a sync
            stack.enter_context(heartbeat.running())
        demonstration = Demonstration(console(), sandbox, settings, as_json=as_json, heartbeat=heartbeat)
        code = demonstration.run()
    if as_json:
        print_json({"chapters": demonstration.chapters})
    return code


class _DemoStoppedError(Exception):
    """A chapter did not end as it should, and has printed why."""

    def __init__(self, code: Exit) -> None:
        self.code = code


class Demonstration:
    """The chapters of the demo, in order.

    Args:
        out: The console.
        sandbox: The local AWS and the local Ploy; the environment of this process leads to them.
        settings: The configuration of the integration between them.
        as_json: Print nothing, and only record in ``chapters`` what each chapter shows.
        heartbeat: Notes when a chapter begins.
    """

    def __init__(
        self,
        out: Console,
        sandbox: Sandbox,
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
        self._sandbox = sandbox
        self._settings = settings

    def run(self) -> Exit:
        """Run all chapters, up to the first that does not end as it should.

        Returns:
            The exit status of the command in that chapter; OK after the last chapter.
        """
        try:
            self._introduce()
            self._check()
            self._sync("Read AWS, compare, push to Ploy", "The first sync: everything is new.", is_first=True)
            self._show_access()
            self._show_inventory()
            self._change_a_membership()
            self._remove_a_permission()
            self._restore_the_permission()
            self._grant_and_revoke()
        except _DemoStoppedError as stopped:
            return stopped.code
        self._out.print(Rule(style="dim"))
        self._out.print(
            "That was the main job. [bold]ploy-connector sandbox[/] starts the same local AWS and Ploy to try things "
            "on."
        )
        return Exit.OK

    def _begin_chapter(self, title: str, *lines: str) -> None:
        self.chapters.append({"title": title})
        self._heartbeat.note_step()
        self._out.print()
        self._out.print(Rule(f"[bold]{len(self.chapters)}. {title}[/]", align="left", style="cyan"))
        for line in lines:
            self._out.print(line)

    def _record(self, **shown: Any) -> None:
        self.chapters[-1].update(shown)

    def _introduce(self) -> None:
        organisation = self._sandbox.seeded.organisation
        self._begin_chapter(
            "A company, its AWS, and Ploy",
            "Halden Freight (which does not exist) keeps its people in AWS IAM Identity Center. It has enabled the AWS "
            "integration in Ploy, which generated an external ID. A role in AWS trusts Ploy's account only with that "
            "ID. Both AWS and Ploy run inside this command, on loopback.",
        )
        counts = {
            "people": len(organisation.people),
            "groups": len(organisation.groups),
            "permission sets": len(organisation.permission_sets),
            "AWS accounts": len(organisation.accounts),
            "assignments of a permission set in an account": len(organisation.assignments),
        }
        self._record(organisation=counts)
        self._out.print(", ".join(f"{count} {things.partition(' of ')[0]}" for things, count in counts.items()) + ".")

    def _check(self) -> None:
        self._begin_chapter("Can we get in?", "[dim]$ ploy-connector check[/]")
        with open_connector(self._settings).connector as connector:
            report = connector.test_connection()
        self._record(check=report_json(report))
        if not report.is_usable:
            print_report(self._out, report)
            raise _DemoStoppedError(exit_of(report))
        for check in report.checks:
            if check.name in _CHECKS:
                line = f"[green]✓[/] [bold]{text(check.name)}[/]: {text(check.message)}"
                self._out.print(line, no_wrap=True, overflow="ellipsis")
        self._out.print(f"… and {len(report.checks) - len(_CHECKS)} more checks.")
        print_verdict(self._out, report)

    def _sync(self, title: str, *lines: str, ending: Exit = Exit.OK, is_first: bool = False) -> None:
        self._begin_chapter(title, *lines, "[dim]$ ploy-connector sync[/]")

        def show(result: SyncResult) -> None:
            self._record(sync=result_json(result))
            if is_first or result.run is None or result.status != "committed":
                print_result(self._out, result)
            else:
                self._out.print(_describe(result))
                print_unproven(self._out, result.run.scopes())

        code = sync_once(self._settings, as_json=self._as_json, show=show)
        if code is not ending:
            raise _DemoStoppedError(code)

    @contextmanager
    def _last_sync(self) -> Iterator[Overlay]:
        with Store(self._settings.snapshot_path) as store:
            assert store.baseline is not None
            yield Overlay(store.baseline)

    def _show_access(self) -> None:
        self._begin_chapter("Who can enter which AWS account, and by which path")
        names = {account.id: account.name for account in self._sandbox.seeded.organisation.accounts}
        with self._last_sync() as view:
            found = demo_summary.find_account_paths(view)
            leaver = _find(view, "account", "username", _LEAVER)
            paths = view.path_finder().paths_of(leaver.id)
            self._record(
                entrances=demo_summary.to_json(found, names), leaver=access.access_to_json(view, leaver, paths)
            )
            ((busiest, _),) = Counter(each.aws_account_id for each in found).most_common(1)
            shown = [each for each in found if each.aws_account_id == busiest][:_PATHS_SHOWN]
            for table in demo_summary.to_tables(shown, names):
                self._out.print(table)
            self._out.print(f"… and {len(found) - len(shown)} more paths, into {len(names)} AWS accounts in all.")
            self._out.print(
                "Jonas Vik left the company and is disabled, yet these paths are still open to him.\n"
                f"[dim]$ ploy-connector access {_LEAVER}[/]"
            )
            self._out.print(access.to_tree(view, leaver, paths, read_labels(self._settings)))

    def _show_inventory(self) -> None:
        self._begin_chapter(
            "IAM users, roles and policies, and resources",
            "[dim]$ ploy-connector list entitlements --privileged; ploy-connector list resources[/]",
        )
        with self._last_sync() as view:
            external_trust = demo_summary.find_external_trust(view)
            privileged = demo_summary.find_privileged(view)
            resources = demo_summary.find_resources(view)
        self._record(outsiders=external_trust, privileged=privileged, resources=resources)
        demo_summary.print_inventory(self._out, external_trust, privileged, resources)

    def _change_a_membership(self) -> None:
        seeded, ploy, integration = self._sandbox.seeded, self._sandbox.ploy, self._sandbox.integration.id
        member = next(group for group in seeded.organisation.groups if group.name == _GROUP).members[0]
        seeded.remove_member(_GROUP, member)
        self._sync(
            "A membership changes in AWS",
            f"An administrator removes [bold]{member}[/] from the group [bold]{_GROUP}[/] in AWS.",
        )
        platform_view = ploy.view(integration)
        newest = platform_view.generations()[-1]
        changes = list(platform_view.changes(newest.number))
        self._record(
            generation=newest.number,
            changes=[
                {"kind": each.kind, "type": each.key.type, "id": each.key.id, "before": each.before} for each in changes
            ],
        )
        with self._last_sync() as view:
            for change in changes:
                before = change.before or {}
                names = [
                    text(display_name(view.record(RecordKey(type=type_, id=str(before[f"{end}_id"]))), "unknown"))
                    for type_, end in _GRANT_ENDS
                ]
                self._out.print(f"Ploy shows: [bold]{change.kind}[/] {change.key.type}: {' in '.join(names)}")

    def _remove_a_permission(self) -> None:
        self._sandbox.allow_without(_ACTION)
        before = self._count_records()
        self._sync(
            "A permission is lost",
            f"An administrator removes [bold]{_ACTION}[/] from the role's policy: memberships cannot be read. A "
            "careless connector would now report that every group is empty.",
            ending=Exit.UNPROVEN,
        )
        after = self._count_records()
        self._record(records_before=before, records_after=after)
        self._out.print(f"Ploy held {before} records before this sync and holds {after} after it: none was deleted.")

    def _restore_the_permission(self) -> None:
        self._sandbox.allow_without()
        self._sync("The permission is restored", "The statement is added again, and everything is proven again.")

    def _grant_and_revoke(self) -> None:
        with self._last_sync() as view:
            helper = _find(view, "account", "username", _HELPER)
            team = _find(view, "entitlement", "name", _TEAM)
            self._begin_chapter(
                "Ploy requests a change of access",
                f"{display_name(helper, helper.id)} helps out in [bold]{_TEAM}[/] for a week. A reviewer in Ploy "
                "grants it. The connector, which only connects outwards, fetches the task. It changes the group in a "
                "session that is limited to this group and this person, reads it back, and reports. A week later, "
                "Ploy requests the revoke.",
            )
            kinds: tuple[Kind, ...] = ("grant", "revoke")
            tasks = [
                self._sandbox.ploy.create_task(
                    self._sandbox.integration.id,
                    kind,
                    account_id=helper.id,
                    entitlement_id=team.id,
                    reason="Helps out for a week",
                )
                for kind in kinds
            ]
            changes = self._run_tasks(tasks)
            place = read_labels(self._settings).place_kind
            for kind, change in zip(kinds, changes, strict=True):
                effects = find_effects(view.graph(), kind, helper.id, team.id, change, place_kind=place)
                print_effects(self._out, effects)
            self._record(tasks=[change.model_dump(mode="json") for change in changes])

    def _run_tasks(self, tasks: list[OrderedTask]) -> list[AccessChange]:
        """Run tasks as the service does, until Ploy has a report of each.

        Returns:
            The reported changes, in the order of the tasks.

        Raises:
            TemporaryError: A task failed.
        """
        stop = threading.Event()
        settings, ploy, integration = self._settings, self._sandbox.ploy, self._sandbox.integration.id
        with Journal(settings.tasks_path) as journal:
            loop = TaskLoop(
                settings.integration.id,
                journal=journal,
                lock_path=settings.tasks_lock_path,
                snapshot_path=settings.snapshot_path,
                open_connector=lambda: open_connector(settings).connector,
                open_platform=lambda: open_platform(settings),
                sync_now=lambda _: wire.SyncSummary(status="waiting"),
                workers=1,
            )
            thread = threading.Thread(target=loop.run, args=(stop,), name="demo-tasks", daemon=True)
            thread.start()
            try:
                return [self._await_change(task) for task in tasks]
            finally:
                stop.set()
                # A change of flags ends the long poll that waits for tasks.
                ploy.registry.set_flags(integration, paused=True)
                thread.join()
                ploy.registry.set_flags(integration, paused=False)

    def _await_change(self, task: OrderedTask) -> AccessChange:
        ends_at = time.monotonic() + _TASK_SECONDS
        while True:
            current = self._sandbox.ploy.queue(self._sandbox.integration.id).task(task.id)
            if current.ended_at is not None or time.monotonic() >= ends_at:
                break
            time.sleep(_LOOK_EVERY_SECONDS)
        if isinstance(current.report, wire.TaskDone) and current.report.change is not None:
            return current.report.change
        reason = current.failure.message if current.failure else "It timed out."
        raise TemporaryError(f"The {task.kind} failed. {reason}")

    def _count_records(self) -> int:
        return sum(1 for _ in self._sandbox.ploy.view(self._sandbox.integration.id).records())


_GRANT_ENDS: tuple[tuple[RecordType, str], ...] = (("account", "principal"), ("entitlement", "entitlement"))


def _find(view: Overlay, type_: RecordType, field: str, value: str) -> StoredRecord:
    return next(each for each in view.records(type_) if each.content.get(field) == value)


def _describe(result: SyncResult) -> str:
    """A committed sync in one line."""
    answer = result.answer
    assert answer is not None
    changes = {
        "added": answer.added,
        "changed": answer.changed,
        "removed": answer.removed,
        "kept unproven": answer.retained_unproven,
    }
    parts = [
        f"{count} {type_}{'' if count == 1 else 's'} {outcome}"
        for outcome, counts in changes.items()
        for type_, count in counts.items()
        if count
    ]
    return f"[bold green]✓[/] Committed as generation {answer.generation}: {', '.join(parts) or 'no changes'}."
