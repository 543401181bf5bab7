"""Reads one instance as a tree of scopes: what is announced when, and what is read at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Set

from ploy_connector_aws.aws.client.session import ReadSession
from ploy_connector_aws.aws.iam.permission_set_roles import NamedRole
from ploy_connector_aws.aws.policy.effective_permissions import ManagedPolicies
from ploy_connector_aws.aws.scopes import isolate_failure
from ploy_connector_aws.aws.spool import Spool, SpoolEntry
from ploy_connector_aws.config import IDENTITY_CENTER, SCOPE_NEEDS, AwsConfig
from ploy_connector_aws.spec import AuthenticationError, Failure, Page, RejectedError, TemporaryError

from .assignments import (
    ASSIGNMENTS,
    GROUP,
    USER,
    PrincipalKind,
    read_assignments,
    read_end_of_assignments,
    to_account_role,
)
from .directory import (
    DELETED_PRINCIPAL,
    GROUPS,
    USERS,
    find_unlisted_groups,
    members_scope,
    read_groups,
    read_members,
    read_unlisted_group,
    read_users,
    user_scope,
)
from .instance import Instance, read_instance
from .permission_sets import PERMISSION_SETS, permission_set_scope, read_permission_set, read_permission_sets
from .read_context import ReadContext
from .worker_pool import WorkerPool

THREADS = 8
"""For each of the two quotas. At a third of a second a call, six already use up the quota."""


class IdentityCenterReader:
    """One sync's reading: the two iterators share the session, the instance and what was seen.

    Args:
        session: The assumed role, not necessarily entered yet.
        powers: What managed policies allow; filled before entitlements are asked for. None: permission sets are not
            judged.
    """

    def __init__(self, session: ReadSession, powers: ManagedPolicies | None = None) -> None:
        self._config = session.config
        self._session = session
        self._powers = powers
        self._spool = Spool(session.context.scratch_dir)
        self._reading: ReadContext | None = None
        self._has_begun = False
        self._jobs: _Jobs | None = None
        self._root_error: Exception | None = None
        self._authentication_error: AuthenticationError | None = None

    def read_accounts(self, skip: Set[str]) -> Iterator[Page]:
        """Find the instance, announce all scopes below it, and read the people.

        Lists are read again also where they are to be skipped: they are short, and what is below them follows from
        them. Members and assignments, most of the work, are not.

        Args:
            skip: Scopes that an interrupted run read completely.

        Raises:
            AuthenticationError: The role could not be assumed, or no longer.
        """
        self._has_begun = True
        try:
            yield from self._read_root()
            if self._reading is not None and self._config.includes(USERS):
                yield from isolate_failure(USERS, read_users(self._reading))
                found_as_members = (scope.rpartition("/")[2] for scope in skip if scope.startswith(user_scope("")))
                self._spool.add("user", ((user_id, "") for user_id in found_as_members))
        except AuthenticationError as error:
            self._authentication_error = error
            raise

    def read_entitlements(self, skip: Set[str]) -> Iterator[Page]:
        """Read groups, members, permission sets and assignments; first the people, if nobody asked for them yet.

        Raises:
            AuthenticationError: The role could not be assumed, or no longer.
        """
        if not self._has_begun:
            yield from self.read_accounts(skip)
        if self._authentication_error is not None:
            raise self._authentication_error
        if self._reading is not None:
            self._jobs = _Jobs(self._config, self._reading, skip)
            yield from self._jobs.run()

    @property
    def instance(self) -> Instance | None:
        """The instance that was found; None where none was."""
        return None if self._reading is None else self._reading.instance

    def account_roles(self, account_id: str) -> Iterator[NamedRole]:
        """Give what each permission set is in one AWS account; after the entitlements were read.

        Args:
            account_id: The AWS account.

        Raises:
            Exception: What kept the instance from being found.
            TemporaryError: AWS showed no instance, or the permission sets were not read completely.
        """
        if self._root_error is not None:
            raise self._root_error
        if self._reading is None:
            raise TemporaryError("AWS showed no IAM Identity Center instance, so its permission sets are not known.")
        if self._jobs is not None and self._jobs.list_error is not None:
            raise self._jobs.list_error
        if not self._spool.is_complete("permission_set"):
            raise TemporaryError("The list of permission sets could not be read completely.")
        for found in self._spool.each("permission_set"):
            if found.state != "read":
                # Also one that is gone: its role may still be there, and only the name would lead to it.
                raise TemporaryError("A permission set could not be described, so that not even its name is known.")
            verdict = self._reading.verdicts.get(found.id)
            yield NamedRole(
                found.value,
                to_account_role(
                    account_id, found.id, found.value, verdict, is_grantable=self._config.direct_assignments
                ),
                is_partial=self._reading.is_judged_in_part(found.id),
                created=self._reading.created.get(found.id),
            )

    def close(self) -> None:
        """Forget what was seen."""
        self._spool.close()

    def _read_root(self) -> Iterator[Page]:
        scopes = [scope for scope in SCOPE_NEEDS if scope.startswith(f"{IDENTITY_CENTER}/")]
        if not any(self._config.includes(scope) for scope in scopes):
            yield Page(scope=IDENTITY_CENTER, excluded=True)
            return
        yield Page(scope=IDENTITY_CENTER)
        try:
            self._session.open()
            instance = read_instance(self._session)
        except AuthenticationError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the host must not take it for "no instance"
            self._root_error = error
            yield Page(scope=IDENTITY_CENTER, failure=Failure.from_error(error))
            return
        if instance is None:
            yield Page(scope=IDENTITY_CENTER, complete=True)
            return
        self._reading = ReadContext(self._session, instance, self._spool, self._powers)
        yield Page(scope=IDENTITY_CENTER, origin=instance.arn)
        for scope in scopes:
            yield Page(scope=scope, parent=IDENTITY_CENTER, excluded=not self._config.includes(scope))
        yield Page(scope=IDENTITY_CENTER, complete=True)


class _Jobs:
    """The two jobs that run at the same time, as each has a quota of its own."""

    def __init__(self, config: AwsConfig, reading: ReadContext, skip: Set[str]) -> None:
        self._config = config
        self._reading = reading
        self._skip = skip
        self._crew = WorkerPool(on_stop=reading.session.throttle.stop)
        # Set also when their reading failed or was stopped: nobody waits for ever.
        self._groups_listed = threading.Event()
        self._members_read = threading.Event()
        self.list_error: Exception | None = None
        """What kept the list of permission sets from being read."""

    def run(self) -> Iterator[Page]:
        return self._crew.run(self._read_directory, self._read_access)

    def _read_directory(self) -> None:
        """Use up the quotas of the identity store: groups, then the members of each."""
        reading = self._reading
        try:
            if self._config.includes(GROUPS):
                self._emit(GROUPS, read_groups(reading))
            self._groups_listed.set()
            # Without the list of users nobody could tell who of the members was not in it.
            skip = self._skip if USERS in self._skip else frozenset()
            self._for_each(
                (group for group in reading.spool.each("group") if members_scope(group.id) not in skip),
                lambda group: self._emit(members_scope(group.id), read_members(reading, group.id)),
            )
        finally:
            self._groups_listed.set()
            self._members_read.set()

    def _read_access(self) -> None:
        """Use up the quota of sso-admin: permission sets, then the assignments of users, groups, late users."""
        reading = self._reading
        if self._config.includes(PERMISSION_SETS):
            self._emit(PERMISSION_SETS, self._read_permission_sets())
            self._for_each(
                reading.spool.each("permission_set"),
                lambda found: self._emit(permission_set_scope(found.id), read_permission_set(reading, found.id)),
            )
        if self._config.includes(ASSIGNMENTS):
            self._emit(ASSIGNMENTS, self._read_assignments())

    def _read_permission_sets(self) -> Iterator[Page]:
        try:
            yield from read_permission_sets(self._reading)
        except Exception as error:
            self.list_error = error
            raise

    def _read_assignments(self) -> Iterator[Page]:
        reading = self._reading
        if isinstance(self.list_error, RejectedError):
            # Where AWS does not take questions about permission sets, it takes none about assignments either.
            raise self.list_error
        if reading.instance.is_account_instance:
            yield Page(scope=ASSIGNMENTS, complete=True)
            return
        users, groups = reading.spool.each("user"), reading.spool.each("group")
        self._read_principals(USER, users)
        self._groups_listed.wait()
        self._read_principals(GROUP, groups)
        # ReadContext members finds users that were made after the list was read, or that the list left out.
        self._members_read.wait()
        self._read_principals(USER, users)
        # What users are assigned to through groups names groups that the list left out, and they may have such users.
        while self._config.includes(GROUPS) and (unlisted := find_unlisted_groups(reading)):
            for group_id in unlisted:
                self._emit(members_scope(group_id), read_unlisted_group(reading, group_id, ASSIGNMENTS))
            self._read_principals(GROUP, groups)
            self._read_principals(USER, users)
            for group_id in unlisted:
                if reading.spool.find("group", [group_id])[group_id].state == "gone":
                    reading.session.context.on_left_out(DELETED_PRINCIPAL)
        yield from read_end_of_assignments(reading)

    def _read_principals(self, kind: PrincipalKind, principals: Iterable[SpoolEntry]) -> None:
        self._for_each(principals, lambda principal: self._read_principal(kind, principal.id))

    def _read_principal(self, kind: PrincipalKind, principal_id: str) -> None:
        scope = f"{kind.scope}/{principal_id}"
        if scope in self._skip:
            self._crew.emit([Page(scope=scope, parent=ASSIGNMENTS)])
        else:
            self._emit(scope, read_assignments(self._reading, kind, principal_id))

    def _emit(self, scope: str, pages: Iterator[Page]) -> None:
        self._crew.emit(isolate_failure(scope, pages))

    def _for_each(self, things: Iterable[SpoolEntry], work: Callable[[SpoolEntry], None]) -> None:
        self._crew.for_each(things, work, THREADS)
