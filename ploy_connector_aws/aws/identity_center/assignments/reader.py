"""Reads the assignments of one instance, by one of two strategies, as a tree of scopes below one root.

The scopes differ, so that each is the smallest thing that one strategy can prove::

    identity-center/assignments                             the root
    ├── …/users/<user>, …/groups/<group>                    by principal
    └── …/permission-sets                                   by permission set: announces every permission set
        └── …/permission-sets/<permission set>              its assignments in all AWS accounts

The host removes what a scope held when the scope is absent below a parent that ended complete. So a change of strategy
is safe by two rules. The scopes of the earlier strategy are absent in the new tree, and the new tree lets them go only
once it is complete itself:

1. By permission set, the root ends complete only if every permission set did. Otherwise the root fails, and what was
   read by principal is kept.
2. By principal, the root ends complete once every principal is announced, so that the scope of a deleted user is
   absent. If a principal failed, ``…/permission-sets`` is announced and left open: then what it held is kept.

A permission set that fails or is denied while the others are read costs at most freshness: its own scope keeps what it
held. Where the reason will not pass by itself, such as a denial, everything is read by principal in the same scan, and
the call that was denied is the first to be made in the next one.

A verified grant or revoke names the scope of the strategy in force. In the scan that changes the strategy, the complete
new tree therefore also ends each scope of the earlier one, without records: it was read, and shows nothing of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Set
from datetime import UTC, datetime

from ploy_connector_aws.aws.client.calls import isolate_failure
from ploy_connector_aws.aws.identity_center.directory import (
    DELETED_PRINCIPAL,
    find_unlisted_groups,
    members_scope,
    read_unlisted_group,
)
from ploy_connector_aws.aws.identity_center.read_context import ReadContext
from ploy_connector_aws.aws.identity_center.worker_pool import WorkerPool, merge_pages
from ploy_connector_aws.aws.spool import Cursor, SpoolEntry
from ploy_connector_aws.spec import (
    AuthenticationError,
    ConnectorError,
    NotFoundError,
    Page,
    PermissionDeniedError,
    RejectedError,
    TemporaryError,
)

from .by_permission_set import (
    BY_SET,
    SetProgress,
    probe_account_of_set,
    read_accounts_of_set,
    read_assignments_of_set,
    set_scope,
)
from .by_principal import (
    ASSIGNMENTS,
    GROUP,
    USER,
    PrincipalKind,
    account_role_id,
    read_assignments,
    read_end_of_assignments,
)
from .plan import (
    Choice,
    Counts,
    FailedCall,
    LastRead,
    Strategy,
    choose,
    describe,
    is_worth_listing,
    recall,
    remember,
)

_LASTING = (PermissionDeniedError, RejectedError, NotFoundError)
"""Errors that the next attempt would meet, too."""


class AssignmentReader:
    """Reads the assignments with the threads of a pool.

    Args:
        context: The read.
        pool: Emits the pages.
        for_each: Processes each entry in the threads of the pool.
        skip: Scopes that the resumed run has read completely.
        groups_listed: Set once the list of groups has ended.
        members_read: Set once the members of all listed groups were read.
    """

    def __init__(
        self,
        context: ReadContext,
        pool: WorkerPool,
        for_each: Callable[[Iterable[SpoolEntry], Callable[[SpoolEntry], None]], None],
        skip: Set[str],
        groups_listed: threading.Event,
        members_read: threading.Event,
    ) -> None:
        self._context = context
        self._spool = context.spool
        self._pool = pool
        self._for_each = for_each
        self._skip = skip
        self._groups_listed = groups_listed
        self._members_read = members_read
        self._last = recall(context.session.context, context.instance.arn)
        self._sets: dict[str, SetProgress] = {}
        self._failed_call: FailedCall | None = None
        self._has_failed = False
        """Whether the scope of a principal or of a permission set has failed."""

    def read(self) -> Iterator[Page]:
        """Read the assignments; yield the pages of the root. The pages of all other scopes go to the pool."""
        if self._context.instance.is_account_instance:
            yield Page(scope=ASSIGNMENTS, complete=True)
            return
        began_at = datetime.now(UTC)
        choice = self._choose()
        is_by_set = choice.strategy == "permission_sets"
        if is_by_set:
            self._read_by_set()
        has_announced_sets = is_by_set
        if is_by_set and self._failed_call is None:
            used: Strategy = "permission_sets"
            end: Iterator[Page] = self._end_by_set()
        else:
            used, self._has_failed = "principals", False
            self._read_by_principal()
            if self._has_failed and not has_announced_sets:
                yield Page(scope=BY_SET, parent=ASSIGNMENTS)
            end = read_end_of_assignments(self._context)
        unended = self._find_unended(used)
        try:
            last_page = next(end)
            if unended is not None and not self._has_failed and not (has_announced_sets and used == "principals"):
                self._pool.emit(self._end_scopes(unended, began_at))
                unended = None
            yield last_page
        finally:
            self._remember(used, choice.streak if is_by_set == (used == "permission_sets") else 0, unended)

    def _choose(self) -> Choice:
        """Choose the strategy. To read by permission set, list the accounts of all permission sets first."""
        last = self._last
        kept = Choice(last.strategy, last.streak) if last else Choice("principals")
        if not self._spool.is_complete("permission_set"):
            self._failed_call = FailedCall(
                permission_set_arn="", message="the list of permission sets could not be read"
            )
            return Choice("principals")
        self._groups_listed.wait()
        counts = self._count(last.pairs if last else 0)
        are_known = self._spool.is_complete("user") and self._spool.is_complete("group")
        if are_known and not is_worth_listing(last, counts.principals, counts.permission_sets):
            self._failed_call = last.failed_call if last else None
            return choose(last, counts)
        if not are_known and kept.strategy == "principals":
            self._failed_call = last.failed_call if last else None
            return kept
        if not self._is_unblocked() or not self._list_accounts():
            return Choice("principals")
        failed = next((each for each in self._sets.values() if each.error is not None), None)
        if failed is not None and kept.strategy == "principals":
            # To begin with gaps would only cost calls.
            self._failed_call = FailedCall(permission_set_arn=failed.arn, message="its accounts could not be listed")
            return kept
        return choose(last, self._count()) if are_known else kept

    def _count(self, pairs: int | None = None) -> Counts:
        principals = self._spool.count("user") + self._spool.count("group")
        listed = self._spool.count("account_role")
        return Counts(principals, self._spool.count("permission_set"), listed if pairs is None else pairs)

    def _is_unblocked(self) -> bool:
        """Make the call again that kept the last scan from reading by permission set."""
        failed_call = self._last.failed_call if self._last else None
        if failed_call is None:
            return True
        arn, account_id = failed_call.permission_set_arn, failed_call.account_id
        found = self._spool.find("permission_set", [arn]).get(arn)
        if found is None or found.state == "gone":
            return True
        try:
            accounts = read_accounts_of_set(self._context, arn)
            if account_id is not None and account_id in (accounts or ()):
                probe_account_of_set(self._context, arn, account_id)
        except _LASTING as error:
            self._block(error, arn, account_id)
            return False
        except TemporaryError:
            # The read itself will show.
            return True
        return True

    def _list_accounts(self) -> bool:
        """List the accounts of all permission sets; return whether nothing lasting kept it from that."""

        def list_one(entry: SpoolEntry) -> None:
            if self._failed_call is not None or entry.state == "gone":
                return
            progress = SetProgress(entry.id, datetime.now(UTC))
            try:
                accounts = read_accounts_of_set(self._context, entry.id)
            except AuthenticationError:
                raise
            except _LASTING as error:
                self._block(error, entry.id, None)
                return
            except ConnectorError as error:
                progress.error = error
                accounts = []
            if accounts is not None:
                self._spool.add("account_role", ((account_role_id(each, entry.id), entry.id) for each in accounts))
                progress.remaining = len(accounts)
                self._sets[entry.id] = progress

        entries = self._spool.each("permission_set")
        # One call alone shows whether the permission is there.
        for first in entries:
            list_one(first)
            break
        self._for_each(entries, list_one)
        return self._failed_call is None

    def _read_by_set(self) -> None:
        """Read every permission set in each of its accounts."""
        self._emit_pages(Page(scope=BY_SET, parent=ASSIGNMENTS))
        for progress in self._sets.values():
            scope = set_scope(progress.arn)
            if scope in self._skip:
                self._emit_pages(Page(scope=scope, parent=BY_SET))
            else:
                self._emit_pages(Page(scope=scope, parent=BY_SET, began_at=progress.began_at))
                if not progress.remaining:
                    self._end_set(progress)
        self._emit_pages(Page(scope=BY_SET, complete=True))
        pairs = (each for each in self._spool.each("account_role") if set_scope(each.value) not in self._skip)
        self._for_each(pairs, lambda pair: self._read_pair(self._sets[pair.value], pair.id.partition("/")[0]))

    def _read_pair(self, progress: SetProgress, account_id: str) -> None:
        error: Exception | None = None
        if self._failed_call is not None:
            error = TemporaryError("Reading by permission set was given up.")
        elif progress.error is None and not progress.is_gone:
            try:
                self._pool.emit(read_assignments_of_set(self._context, progress, account_id))
            except AuthenticationError:
                raise
            except Exception as raised:  # noqa: BLE001 - no error proves anything about the other permission sets
                error = raised
                if isinstance(raised, _LASTING):
                    self._block(raised, progress.arn, account_id)
        if progress.end_account(error):
            self._end_set(progress)

    def _end_set(self, progress: SetProgress) -> None:
        self._has_failed |= progress.error is not None
        self._emit_pages(progress.to_end())

    def _end_by_set(self) -> Iterator[Page]:
        if self._has_failed:
            raise TemporaryError(
                "The assignments of some permission sets could not be read, so nothing that an earlier scan read by "
                "principal is proven to have ended."
            )
        yield Page(scope=ASSIGNMENTS, complete=True)

    def _read_by_principal(self) -> None:
        """Read every principal: listed ones, members that no list has, and groups that only assignments name."""
        context = self._context
        users, groups = self._spool.each("user"), self._spool.each("group")
        self._read_principals(USER, users)
        self._groups_listed.wait()
        self._read_principals(GROUP, groups)
        # The members include users that were created after the list was read, or that the list omitted.
        self._members_read.wait()
        self._read_principals(USER, users)
        # Inherited assignments name groups that the list omitted, and these may have unlisted users.
        while unlisted := find_unlisted_groups(context):
            for group_id in unlisted:
                scope = members_scope(group_id)
                self._pool.emit(isolate_failure(scope, read_unlisted_group(context, group_id, ASSIGNMENTS)))
            self._read_principals(GROUP, groups)
            self._read_principals(USER, users)
            for group_id in unlisted:
                if self._spool.find("group", [group_id])[group_id].state == "gone":
                    context.session.context.on_left_out(DELETED_PRINCIPAL)

    def _read_principals(self, kind: PrincipalKind, principals: Cursor) -> None:
        self._for_each(principals, lambda principal: self._read_principal(kind, principal.id))

    def _read_principal(self, kind: PrincipalKind, principal_id: str) -> None:
        scope = f"{kind.scope}/{principal_id}"
        if scope in self._skip:
            self._emit_pages(Page(scope=scope, parent=ASSIGNMENTS))
            return
        for page in merge_pages(isolate_failure(scope, read_assignments(self._context, kind, principal_id))):
            self._has_failed |= page.failure is not None
            self._emit_pages(page)

    def _block(self, error: ConnectorError, arn: str, account_id: str | None) -> None:
        self._failed_call = self._failed_call or FailedCall(
            permission_set_arn=arn, account_id=account_id, message=error.message.rstrip(".")
        )

    def _find_unended(self, used: Strategy) -> Strategy | None:
        """Return the strategy whose scopes no scan has ended since it was left."""
        other: Strategy = "principals" if used == "permission_sets" else "permission_sets"
        last = self._last
        return other if last is not None and other in (last.strategy, last.unended) else None

    def _end_scopes(self, strategy: Strategy, began_at: datetime) -> Iterator[Page]:
        """End all scopes of the strategy that this scan did not use: all of it was read by the other one."""
        if strategy == "permission_sets":
            yield Page(scope=BY_SET, parent=ASSIGNMENTS)
            for entry in self._spool.each("permission_set"):
                yield Page(scope=set_scope(entry.id), parent=BY_SET, began_at=began_at, complete=True)
            yield Page(scope=BY_SET, complete=True)
            return
        for kind in (USER, GROUP):
            for entry in self._spool.each(kind.spooled):
                yield Page(scope=f"{kind.scope}/{entry.id}", parent=ASSIGNMENTS, began_at=began_at, complete=True)

    def _remember(self, used: Strategy, streak: int, unended: Strategy | None) -> None:
        counts = self._count()
        read = LastRead(
            instance_arn=self._context.instance.arn,
            strategy=used,
            **counts._asdict(),
            streak=streak,
            failed_call=self._failed_call,
            unended=unended,
        )
        remember(self._context.session.context, read)
        self._context.session.context.on_note(describe(read))

    def _emit_pages(self, *pages: Page) -> None:
        self._pool.emit(pages)
