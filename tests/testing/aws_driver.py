"""The driver of the connector for AWS: a local AWS behind a proxy, an organisation in it, and its faults."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import Any, ClassVar
from unittest.mock import patch
from urllib.parse import urlsplit

from ploy_connector_aws.aws.identity_center.assignments.by_principal import ASSIGNMENTS
from ploy_connector_aws.sandbox.aws import Assignment, Group, PermissionSet, Person, SandboxAws
from ploy_connector_aws.sandbox.aws.faults import about
from ploy_connector_aws.sandbox.environment import is_redirecting
from ploy_connector_aws.spec import RecordKey
from ploy_connector_aws.testing import CuttingProxy, Driver, NotTestedError
from tests.aws.conftest import DEV, ORGANISATION, PROD, SEED_POLICY, environment_of, make_customer
from tests.aws.provisioning.conftest import ASSIGNMENT_POLICY
from tests.aws.tampering import in_json, tampered

_SHARED_ROLE = Assignment(PROD, "Administrator", "empty")
"""With it two groups open the same role in an account."""

_LISTS = {
    "users": "identitystore:ListUsers",
    "groups": "identitystore:ListGroups",
    "permission-sets": "sso:ListPermissionSets",
}
"""The action of each scope that has a permission of its own; the assignments rest on what the three list."""


class AwsDriver(Driver):
    """Starts a local AWS, and changes it as its administrators and its faults would.

    Args:
        settings: Settings of the connector that differ.
    """

    policy: ClassVar[Mapping[str, Any]] = SEED_POLICY
    writes: ClassVar[tuple[str, str]] = ("CreateGroupMembership", "DeleteGroupMembership")

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._stack = ExitStack()
        self._aws = self._stack.enter_context(SandboxAws())
        address = urlsplit(self._aws.endpoint_url)
        assert address.hostname is not None
        assert address.port is not None
        self._proxy = self._stack.enter_context(CuttingProxy(address.hostname, address.port))
        organisation = replace(ORGANISATION, assignments=(*ORGANISATION.assignments, _SHARED_ROLE))
        customer = make_customer(self._aws, organisation, policy=self.policy)
        self._seeded = customer.seeded
        self._names = {id_: name for name, id_ in (*self._seeded.users.items(), *self._seeded.groups.items())}
        self._numbers = itertools.count(1)
        self._stack.enter_context(patch.dict(os.environ))
        for name in filter(is_redirecting, tuple(os.environ)):
            del os.environ[name]
        os.environ.update(environment_of(self._aws, AWS_ENDPOINT_URL=f"http://{self._proxy.host}:{self._proxy.port}"))
        super().__init__({**customer.settings, **settings})

    def close(self) -> None:
        self._stack.close()

    def add_account(self) -> str:
        name = f"test-person-{next(self._numbers)}"
        id_ = self._seeded.add_person(Person(name, email=f"{name}@example.com"))
        self._names[id_] = name
        return id_

    def remove_account(self, account_id: str) -> None:
        self._seeded.delete_user(self._names[account_id])

    @contextmanager
    def deny(self, scope: str) -> Iterator[set[str]]:
        *_, name, kind = scope.split("/")
        if kind not in (*_LISTS, "members"):
            raise NotTestedError(f"the local AWS cannot deny the scope {scope!r} alone")
        faults = self._aws.faults
        if kind == "members":
            message = "User: arn:aws:sts::1:x is not authorized to perform: identitystore:ListGroupMemberships"
            faults.answer("ListGroupMemberships", "AccessDeniedException", message=message, where=about(name))
        else:
            faults.deny(_LISTS[kind])
        try:
            yield set() if kind == "members" else {ASSIGNMENTS}
        finally:
            faults.reset()

    @contextmanager
    def hide(self, record: RecordKey) -> Iterator[None]:
        if record.id not in self._seeded.users.values():
            raise NotTestedError("only people of the directory can be hidden")

        def leave_out(answer: dict[str, Any]) -> None:
            answer["Users"] = [user for user in answer["Users"] if user["UserId"] != record.id]

        with (
            tampered(self._aws.endpoint_url, in_json("ListUsers", leave_out)) as url,
            patch.dict(os.environ, AWS_ENDPOINT_URL=url),
        ):
            yield

    @contextmanager
    def delete_between_list_and_detail(self) -> Iterator[RecordKey]:
        id_ = self._seeded.add_group(Group("doomed", members=("ana",)))
        self._aws.faults.before("ListGroupMemberships", lambda: self._seeded.delete_group("doomed"), where=about(id_))
        try:
            yield RecordKey(type="entitlement", id=id_)
        finally:
            self._aws.faults.reset()

    def throttle(self) -> AbstractContextManager[None]:
        return self._fault(lambda: self._aws.faults.throttle(3))

    def slow_down(self, seconds: float) -> AbstractContextManager[None]:
        return self._proxy.slowed(seconds)

    def cut_line(self, after_bytes: int) -> AbstractContextManager[None]:
        return self._proxy.cutting(after_bytes)

    def add_entitlement(self) -> str:
        name = f"test-group-{next(self._numbers)}"
        id_ = self._seeded.add_group(Group(name))
        self._names[id_] = name
        return id_

    def remove_entitlement(self, entitlement_id: str) -> None:
        self._seeded.delete_group(self._names[entitlement_id])

    def holds(self, account_id: str, entitlement_id: str) -> bool:
        return self._seeded.instance.memberships.find(entitlement_id, account_id) is not None

    def cut_before_write(self) -> AbstractContextManager[None]:
        return self._fault(lambda: self._aws.faults.cut_connection(1, *self.writes))

    def cut_after_write(self) -> AbstractContextManager[None]:
        return self._fault(lambda: self._aws.faults.cut_connection(1, *self.writes, afterwards=True))

    @contextmanager
    def _fault(self, begin: Callable[[], object]) -> Iterator[None]:
        begin()
        try:
            yield
        finally:
            self._aws.faults.reset()


class AssignmentDriver(AwsDriver):
    """Lets the connector assign permission sets to people directly."""

    policy = ASSIGNMENT_POLICY
    writes = ("CreateAccountAssignment", "DeleteAccountAssignment")

    def add_entitlement(self) -> str:
        name = f"TestSet{next(self._numbers)}"
        id_ = f"{DEV}/{self._seeded.add_permission_set(PermissionSet(name))}"
        self._seeded.assign(Assignment(DEV, name, "empty"))
        self._names[id_] = name
        return id_

    def remove_entitlement(self, entitlement_id: str) -> None:
        self._seeded.delete_permission_set(self._names[entitlement_id])

    def holds(self, account_id: str, entitlement_id: str) -> bool:
        held = {
            f"{row.target_id}/{row.permission_set_arn}"
            for row in self._seeded.instance.assignments
            if row.principal_id == account_id
        }
        return entitlement_id in held or super().holds(account_id, entitlement_id)
