"""Reads one instance as a tree of scopes, the directory and the access in parallel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Set
from functools import partial

from ploy_connector_aws.aws.client.calls import isolate_failure
from ploy_connector_aws.aws.client.session import ReadSession
from ploy_connector_aws.aws.iam.permission_set_roles import NamedRole
from ploy_connector_aws.aws.policy.effective_permissions import ManagedPolicies
from ploy_connector_aws.aws.spool import Spool, SpoolEntry
from ploy_connector_aws.config import IDENTITY_CENTER, SCOPE_DEPENDENCIES, AwsConfig
from ploy_connector_aws.spec import AuthenticationError, Failure, Page, RejectedError, TemporaryError

from .assignments.by_principal import ASSIGNMENTS, to_account_role
from .assignments.reader import AssignmentReader
from .directory import GROUPS, USERS, members_scope, read_groups, read_members, read_users, user_scope
from .instance import Instance, read_instance
from .permission_sets import (
    PERMISSION_SETS,
    permission_set_scope,
    read_ahead,
    read_permission_set,
    read_permission_sets,
)
from .read_ahead import ReadAhead
from .read_context import ReadContext
from .worker_pool import WorkerPool, merge_pages

MOST_THREADS = 8
"""For each of the two quotas. At a third of a second per call, six threads already use up a quota."""


class IdentityCenterReader:
    """One sync's read: the two iterators share the session, the instance and the spool.

    Args:
        session: The role's session; it may not be open yet.
        managed_policies: What managed policies allow; filled before entitlements are read. None: do not judge
            permission sets.
    """

    def __init__(self, session: ReadSession, managed_policies: ManagedPolicies | None = None) -> None:
        self._config = session.config
        self._session = session
        self._managed_policies = managed_policies
        self._spool = Spool(session.context.scratch_dir)
        self._context: ReadContext | None = None
        self._parallel: _ParallelRead | None = None
        self._root_error: Exception | None = None

    def read_accounts(self, skip: Set[str]) -> Iterator[Page]:
        """Find the instance, announce all scopes below it, and read the people.

        Skipped lists are read again: they are short, and the scopes below follow from them. Members and assignments,
        most of the work, are not.

        Args:
            skip: Scopes that the resumed run has read completely.

        Raises:
            AuthenticationError: The role cannot be assumed, or no longer.
        """
        try:
            yield from self._read_root()
            if self._context is not None and self._config.includes(PERMISSION_SETS):
                read_ahead(self._context)
            if self._context is not None and self._config.includes(USERS):
                yield from isolate_failure(USERS, read_users(self._context))
                found_as_members = (scope.rpartition("/")[2] for scope in skip if scope.startswith(user_scope("")))
                self._spool.add("user", ((user_id, "") for user_id in found_as_members))
        except (AuthenticationError, GeneratorExit):
            self._stop()
            raise

    def read_entitlements(self, skip: Set[str]) -> Iterator[Page]:
        """Read groups, members, permission sets and assignments; after ``read_accounts``.

        Raises:
            AuthenticationError: The role cannot be assumed, or no longer.
        """
        if self._context is not None:
            self._parallel = _ParallelRead(self._config, self._context, skip)
            yield from self._parallel.run()

    @property
    def instance(self) -> Instance | None:
        """The instance; None if none was found."""
        return None if self._context is None else self._context.instance

    def account_roles(self, account_id: str) -> Iterator[NamedRole]:
        """Yield each permission set in one AWS account; call it after the entitlements were read.

        Args:
            account_id: The AWS account.

        Raises:
            Exception: The reason why the instance was not found.
            TemporaryError: AWS listed no instance, or the permission sets were not read completely.
        """
        if self._root_error is not None:
            raise self._root_error
        if self._context is None:
            raise TemporaryError("AWS listed no IAM Identity Center instance, so its permission sets are not known.")
        if self._parallel is not None and self._parallel.list_error is not None:
            raise self._parallel.list_error
        if not self._spool.is_complete("permission_set"):
            raise TemporaryError("The list of permission sets could not be read completely.")
        for found in self._spool.each("permission_set"):
            if found.state != "read":
                # Also a deleted one: its role may still exist, and only the name leads to it.
                raise TemporaryError("A permission set could not be described, so that not even its name is known.")
            verdict = self._context.verdicts.get(found.id)
            yield NamedRole(
                found.value,
                to_account_role(
                    account_id, found.id, found.value, verdict, is_grantable=self._config.direct_assignments
                ),
                is_partial=self._context.has_partial_verdict(found.id),
                created=self._context.created.get(found.id),
            )

    def close(self) -> None:
        """Stop reading ahead, and discard the spool."""
        self._stop()
        self._spool.close()

    def _stop(self) -> None:
        if self._context is not None:
            self._context.ahead.stop()

    def _read_root(self) -> Iterator[Page]:
        scopes = [scope for scope in SCOPE_DEPENDENCIES if scope.startswith(f"{IDENTITY_CENTER}/")]
        if not any(self._config.includes(scope) for scope in scopes):
            yield Page(scope=IDENTITY_CENTER, excluded=True)
            return
        yield Page(scope=IDENTITY_CENTER)
        try:
            self._session.open()
            instance = read_instance(self._session)
        except AuthenticationError:
            raise
        except Exception as error:  # noqa: BLE001 - the host must not take any error for "no instance"
            self._root_error = error
            yield Page(scope=IDENTITY_CENTER, failure=Failure.from_error(error))
            return
        if instance is None:
            yield Page(scope=IDENTITY_CENTER, complete=True)
            return
        self._context = ReadContext(
            self._session,
            instance,
            self._spool,
            self._managed_policies,
            ahead=ReadAhead(self._session.throttle.stop, partial(_count_threads, self._session, "sso-admin")),
        )
        yield Page(scope=IDENTITY_CENTER, origin=instance.arn)
        for scope in scopes:
            yield Page(scope=scope, parent=IDENTITY_CENTER, excluded=not self._config.includes(scope))
        yield Page(scope=IDENTITY_CENTER, complete=True)


class _ParallelRead:
    """The two jobs that run in parallel, as each has its own quota."""

    def __init__(self, config: AwsConfig, context: ReadContext, skip: Set[str]) -> None:
        self._config = config
        self._context = context
        self._skip = skip
        self._pool = WorkerPool(on_stop=context.session.throttle.stop)
        # Set also after a failure or a stop, so that no thread waits for ever.
        self._groups_listed = threading.Event()
        self._members_read = threading.Event()
        self.list_error: Exception | None = None
        """Why the list of permission sets could not be read."""

    def run(self) -> Iterator[Page]:
        return self._pool.run(self._read_directory, self._read_access)

    def _read_directory(self) -> None:
        """Read with the quotas of the identity store: groups, then the members of each."""
        context = self._context
        try:
            if self._config.includes(GROUPS):
                self._emit(GROUPS, read_groups(context))
            self._groups_listed.set()
            # Without the list of users, unlisted members could not be found.
            skip = self._skip if USERS in self._skip else frozenset()
            self._for_each(
                "identitystore",
                (group for group in context.spool.each("group") if members_scope(group.id) not in skip),
                lambda group: self._emit(members_scope(group.id), read_members(context, group.id)),
            )
        finally:
            self._groups_listed.set()
            self._members_read.set()

    def _read_access(self) -> None:
        """Read with the quota of sso-admin: permission sets, then the assignments."""
        context = self._context
        if self._config.includes(PERMISSION_SETS):
            self._emit(PERMISSION_SETS, self._read_permission_sets())
            self._for_each(
                "sso-admin",
                context.spool.each("permission_set"),
                lambda found: self._emit(permission_set_scope(found.id), read_permission_set(context, found.id)),
            )
        if self._config.includes(ASSIGNMENTS):
            self._emit(ASSIGNMENTS, self._read_assignments())

    def _read_permission_sets(self) -> Iterator[Page]:
        try:
            yield from read_permission_sets(self._context)
        except Exception as error:
            self.list_error = error
            raise

    def _read_assignments(self) -> Iterator[Page]:
        if isinstance(self.list_error, RejectedError):
            # Where AWS rejects reads of permission sets, it rejects those of assignments too.
            raise self.list_error
        reader = AssignmentReader(
            self._context,
            self._pool,
            partial(self._for_each, "sso-admin"),
            self._skip,
            self._groups_listed,
            self._members_read,
        )
        yield from reader.read()

    def _emit(self, scope: str, pages: Iterator[Page]) -> None:
        self._pool.emit(merge_pages(isolate_failure(scope, pages)))

    def _for_each(self, service: str, entries: Iterable[SpoolEntry], work: Callable[[SpoolEntry], None]) -> None:
        self._pool.for_each(entries, work, partial(_count_threads, self._context.session, service))


def _count_threads(session: ReadSession, service: str) -> int:
    return min(session.throttle.needed_threads(service), MOST_THREADS)
