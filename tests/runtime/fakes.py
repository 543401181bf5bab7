"""Fakes: a small directory that a connector reads, and a platform without HTTP; both fail on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ploy_connector_aws.host import Connector, check_connector
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import REFUSALS, PlatformRejectedError, PlatformUnavailableError
from ploy_connector_aws.sandbox.ploy.problems import ProblemError
from ploy_connector_aws.sandbox.ploy.syncs import Syncs
from ploy_connector_aws.spec import SPEC_VERSION, ConnectionReport, Failure, Manifest, Page, Record, hookimpl

from .records import account, group, membership

DENIED = Failure(code="permission_missing", message="denied", missing_permissions=("directory:List",))


T = TypeVar("T")


class Crash(BaseException):
    """The process ends here, as with kill -9: no handler catches it."""


@dataclass(frozen=True)
class World:
    """The truth: people with their titles, and the members of each group."""

    people: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def scope(self, scope: str) -> list[Record]:
        """What one scope would emit."""
        if scope == "users":
            return [account(id_, title) for id_, title in sorted(self.people.items())]
        if scope == "groups":
            return [group(id_) for id_ in sorted(self.groups)]
        group_id = scope.split("/")[1]
        return [membership(person, group_id) for person in sorted(self.groups[group_id])]


@dataclass
class Source:
    """What the connector finds, and what goes wrong."""

    world: World = World()
    denied: frozenset[str] = frozenset()
    crash_at_page: int | None = None
    origin: str = "one"
    on_begin: Callable[[], None] = lambda: None
    on_page: Callable[[int], None] = lambda _: None
    report: ConnectionReport = field(default_factory=lambda: ConnectionReport(checks=()))
    on_test: Callable[[], None] = lambda: None
    tests: int = 0
    """How often the connection was tested."""
    opened: int = 0
    closed: int = 0
    pages: int = 0
    read: dict[str, list[Record]] = field(default_factory=dict)
    """What was read of each scope that was read to its end, in order."""


class Directory:
    """A connector that reads a source: users, groups, and the members of each group."""

    manifest = Manifest(
        name="directory", title="D", version="1", spec_version=SPEC_VERSION, description="D", config_schema={}
    )

    @hookimpl
    def configure(self, config: Mapping[str, Any]) -> None:
        self.source: Source = config["source"]
        self.source.opened += 1

    @hookimpl
    def close(self) -> None:
        self.source.closed += 1

    @hookimpl
    def test_connection(self) -> ConnectionReport:
        self.source.tests += 1
        self.source.on_test()
        return self.source.report

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        self.source.on_begin()
        for page in (
            Page(scope="directory", origin=self.source.origin),
            Page(scope="users", parent="directory"),
            Page(scope="groups", parent="directory"),
            Page(scope="directory", complete=True),
        ):
            yield self._count(page)
        yield from self._read("users")

    @hookimpl
    def list_entitlements(self, skip: Set[str]) -> Iterator[Page]:
        groups = sorted(self.source.world.groups) if "groups" not in self.source.denied else []
        if groups:
            for group_id in groups:
                yield self._count(Page(scope=f"groups/{group_id}", parent="groups"))
        yield from self._read("groups")
        for group_id in groups:
            if f"groups/{group_id}" not in skip:
                yield from self._read(f"groups/{group_id}")

    def _read(self, scope: str) -> Iterator[Page]:
        source = self.source
        if scope in source.denied:
            yield self._count(Page(scope=scope, failure=DENIED))
            return
        records = source.world.scope(scope)
        for record in records:
            yield self._count(Page(scope=scope, records=(record,)))
        source.read[scope] = records
        yield self._count(Page(scope=scope, complete=True))

    def _count(self, page: Page) -> Page:
        self.source.pages += 1
        self.source.on_page(self.source.pages)
        if self.source.pages == self.source.crash_at_page:
            raise Crash
        return page


def open_directory(source: Source) -> Connector:
    return check_connector("directory", Directory).open({"source": source})


@dataclass(kw_only=True)
class Calls:
    """Calls that may be lost before they act or after, or during which the process may end."""

    flags: wire.Flags = field(default_factory=wire.Flags)
    faults: dict[int, str] = field(default_factory=dict)
    """By the number of a call from now on: 'lost' or 'unanswered', 'crash' or 'crash after'."""
    is_down: bool = False
    calls: list[str] = field(default_factory=list)
    before: Callable[[str], None] = lambda _: None

    def _make(self, name: str, call: Callable[[], T]) -> T:
        self.calls.append(name)
        self.before(name)
        fault = "lost" if self.is_down else self.faults.get(len(self.calls))
        if fault == "crash":
            raise Crash
        if fault == "lost":
            raise PlatformUnavailableError("Ploy cannot be reached.")
        try:
            answer = call()
        except ProblemError as refusal:
            problem = wire.Problem(status=wire.PROBLEMS[refusal.code].status, code=refusal.code)
            raise REFUSALS.get(refusal.code, PlatformRejectedError)(str(refusal), problem=problem) from None
        if fault == "crash after":
            raise Crash
        if fault == "unanswered":
            raise PlatformUnavailableError("Ploy did not answer.")
        return answer


@dataclass
class Platform(Calls):
    """The platform's calls for a sync, made on its inside."""

    ploy_syncs: Syncs
    limits: wire.Limits = field(default_factory=lambda: wire.Limits(max_batch_lines=4))
    lines: int = 0

    def hello(self) -> wire.HelloAnswer:
        return self._make(
            "hello",
            lambda: wire.HelloAnswer(limits=self.limits, flags=self.flags, generation=self.ploy_syncs.generation),
        )

    def report_check(self, _: str, progress: wire.CheckProgress) -> wire.CheckStatus:
        return self._make("report_check", lambda: self.take_report(progress))

    def take_report(self, progress: wire.CheckProgress) -> wire.CheckStatus:
        return wire.CheckStatus(check_id=progress.check_id, number=progress.number, is_final=progress.is_final)

    def open_sync(self, _: str, request: wire.OpenSync) -> wire.OpenedSync:
        return self._make("open_sync", lambda: self.ploy_syncs.open(request))

    def put_batch(self, _: str, sync_id: str, number: int, body: bytes) -> wire.BatchAnswer:
        digest = wire.to_content_digest(wire.digest_of(body))
        answer = self._make("put_batch", lambda: self.ploy_syncs.put_batch(sync_id, number, body, digest, self.limits))
        self.lines += answer.lines
        return answer

    def commit(self, _: str, sync_id: str, request: wire.Commit) -> wire.CommitAnswer:
        return self._make("commit", lambda: self.ploy_syncs.commit(sync_id, request))

    def sync_status(self, _: str, sync_id: str) -> wire.SyncStatus | None:
        try:
            return self._make("sync_status", lambda: self.ploy_syncs.status(sync_id))
        except PlatformRejectedError as refusal:
            if refusal.code == "sync_unknown":
                return None
            raise

    def abort(self, _: str, sync_id: str) -> wire.SyncStatus:
        return self._make("abort", lambda: self.ploy_syncs.abort(sync_id))
