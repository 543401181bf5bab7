"""Seeds an organisation into moto's state, and changes it as its administrators would."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

from moto.identitystore.models import Group as MotoGroup
from moto.identitystore.models import IdentityStoreData, Name, User, identitystore_backends
from moto.ssoadmin.models import AccountAssignment, CustomerManagedPolicy, ManagedPolicy, ssoadmin_backends
from moto.ssoadmin.models import Instance as MotoInstance
from moto.ssoadmin.models import PermissionSet as MotoPermissionSet

from .identifiers import Identifiers
from .instances import AssignmentTable, CustomerKey, Instance, Instances, MembershipTable
from .organisation import Assignment, ExternalId, Group, Organisation, PermissionSet, Person


class SeededOrganisation:
    """An organisation in the local AWS: its ids by name, and the methods that change it.

    `users`, `groups` and `permission_sets` map names to ids (ARNs for permission sets). Deleted ones keep their entry,
    so that a test can still request them.
    """

    def __init__(
        self, organisation: Organisation, instances: Instances, lock: threading.RLock, generation: int
    ) -> None:
        self.organisation = organisation
        self.users: dict[str, str] = {}
        self.groups: dict[str, str] = {}
        self.permission_sets: dict[str, str] = {}
        self._instances = instances
        self._lock = lock
        owner, region = organisation.owner_account_id, organisation.primary_region
        self._identifiers = Identifiers(owner, region, generation)
        with lock:
            self.instance = self._make_instance()
            self._fill()

    @property
    def instance_arn(self) -> str:
        """The ARN of the instance."""
        return self.instance.arn

    @property
    def identity_store_id(self) -> str:
        """The id of the identity store."""
        return self.instance.identity_store_id

    @property
    def memberships(self) -> dict[tuple[str, str], str]:
        """The membership ids there are now, by (group id, user id)."""
        with self._lock:
            rows = list(self.instance.memberships.values())
        return {(row["GroupId"], row["MemberId"]["UserId"]): row["MembershipId"] for row in rows}

    def add_person(self, person: Person) -> str:
        """Creates a user; returns the id."""
        identifier = self._identifiers.directory_id("user", person.key)
        with self._lock:
            self.instance.store.users[identifier] = _to_user(person, identifier, self.identity_store_id)
            self.instance.details[identifier] = _user_details(person)
            self.users[person.key] = identifier
        return identifier

    def add_group(self, group: Group) -> str:
        """Creates a group with its members; returns the id."""
        identifier = self._identifiers.directory_id("group", group.name)
        external_ids: list[dict[str, str] | None] = [*_external_ids(group.external_ids)]
        made = MotoGroup(identifier, group.name, external_ids, group.description or "", self.identity_store_id)
        with self._lock:
            self.instance.store.groups[identifier] = made
            self.instance.details[identifier] = _dated(group.created_at)
            self.groups[group.name] = identifier
            for member in group.members:
                self.add_member(group.name, member)
        return identifier

    def add_permission_set(self, permission_set: PermissionSet) -> str:
        """Creates a permission set; returns the ARN."""
        made = MotoPermissionSet(
            name=permission_set.name,
            description=permission_set.description or "",
            instance_arn=self.instance_arn,
            session_duration=permission_set.session_duration,
            relay_state=permission_set.relay_state or "",
            tags=[],
        )
        made.permission_set_arn = self._identifiers.permission_set_arn(permission_set.name)
        made.created_date = permission_set.created_at.timestamp()
        made.managed_policies = [ManagedPolicy(arn, arn.rpartition("/")[2]) for arn in permission_set.managed_policies]
        made.customer_managed_policies = [
            CustomerManagedPolicy(policy.name, policy.path) for policy in permission_set.customer_managed_policies
        ]
        with self._lock:
            self.instance.admin.permission_sets.append(made)
            self.permission_sets[permission_set.name] = made.permission_set_arn
        return made.permission_set_arn

    def add_member(self, group: str, person: str) -> str:
        """Adds a person to a group; returns the membership's id."""
        group_id, user_id = self.groups[group], self.users[person]
        with self._lock:
            if self.instance.memberships.find(group_id, user_id) is not None:
                raise ValueError(f"{person} is already a member of {group}.")
            made = self._identifiers.directory_id("membership", f"{group_id} {user_id}")
            return self.instance.memberships.add(self.identity_store_id, group_id, user_id, made)

    def remove_member(self, group: str, person: str) -> None:
        """Removes a person from a group."""
        with self._lock:
            row = self.instance.memberships.find(self.groups[group], self.users[person])
            if row is None:
                raise ValueError(f"{person} is not a member of {group}.")
            del self.instance.memberships[row["MembershipId"]]

    def set_status(self, person: str, status: str) -> None:
        """Sets a user's status, ENABLED or DISABLED; memberships and assignments stay, as in AWS."""
        with self._lock:
            self.instance.details[self.users[person]]["UserStatus"] = status

    def delete_user(self, person: str) -> None:
        """Deletes a user with the memberships. Assignments stay as orphans (AWS.md 3.1)."""
        user_id = self.users[person]
        with self._lock:
            del self.instance.store.users[user_id]
            for row in self.instance.memberships.of_user(user_id):
                del self.instance.memberships[row["MembershipId"]]

    def delete_group(self, group: str) -> None:
        """Deletes a group with its memberships. Assignments stay as orphans (AWS.md 3.1)."""
        group_id = self.groups[group]
        with self._lock:
            del self.instance.store.groups[group_id]
            for row in self.instance.memberships.of_group(group_id):
                del self.instance.memberships[row["MembershipId"]]

    def delete_permission_set(self, name: str) -> None:
        """Deletes a permission set with its assignments, which AWS requires to be deleted first."""
        arn = self.permission_sets[name]
        with self._lock:
            sets = self.instance.admin.permission_sets
            sets[:] = [row for row in sets if row.permission_set_arn != arn]
            for row in [row for row in self.instance.assignments if row.permission_set_arn == arn]:
                self.instance.assignments.remove(row)

    def assign(self, assignment: Assignment) -> None:
        """Assigns a permission set in an account to a person or group."""
        with self._lock:
            if self._find(assignment) is not None:
                raise ValueError(f"{assignment} is there already.")
            kind, identifier = self._principal(assignment)
            arn = self.permission_sets[assignment.permission_set]
            self.instance.assignments.append(
                AccountAssignment(self.instance_arn, assignment.account_id, "AWS_ACCOUNT", arn, kind, identifier)
            )

    def unassign(self, assignment: Assignment) -> None:
        """Removes an assignment."""
        with self._lock:
            row = self._find(assignment)
            if row is None:
                raise ValueError(f"{assignment} is not there.")
            self.instance.assignments.remove(row)

    def encrypt_with(self, key: CustomerKey | None) -> None:
        """Encrypts the instance with a customer managed key, or with AWS's own again."""
        with self._lock:
            self.instance.customer_key = key

    def remove_instance(self) -> None:
        """Deletes the instance in all Regions."""
        self._instances.remove(self.instance)

    def _make_instance(self) -> Instance:
        organisation = self.organisation
        owner, region = organisation.owner_account_id, organisation.primary_region
        admin = ssoadmin_backends[owner][region]
        made = MotoInstance(owner, region)
        made.instance_arn, made.identity_store_id = self._identifiers.instance_arn, self._identifiers.identity_store_id
        made.name, made.status = organisation.instance_name, organisation.instance_status
        made.created_date = organisation.created_at.timestamp()
        admin.instances[:] = [made]
        admin.permission_sets.clear()
        admin.account_assignments = AssignmentTable()
        store = IdentityStoreData()
        store.group_memberships = MembershipTable()
        identitystore_backends[owner][region].identity_stores[made.identity_store_id] = store
        is_organization = organisation.kind == "organization"
        members = frozenset(account.id for account in organisation.accounts) if is_organization else frozenset()
        delegated = frozenset(organisation.delegated_administrators)
        instance = Instance(made, region, is_organization, members, delegated)
        self._instances.add(instance)
        return instance

    def _fill(self) -> None:
        for person in self.organisation.people:
            self.add_person(person)
        for group in self.organisation.groups:
            self.add_group(group)
        for permission_set in self.organisation.permission_sets:
            self.add_permission_set(permission_set)
        for assignment in self.organisation.assignments:
            self.assign(assignment)

    def _principal(self, assignment: Assignment) -> tuple[str, str]:
        if assignment.to_group:
            return "GROUP", self.groups[assignment.principal]
        return "USER", self.users[assignment.principal]

    def _find(self, assignment: Assignment) -> AccountAssignment | None:
        arn = self.permission_sets[assignment.permission_set]
        return self.instance.assignments.find(self._principal(assignment), assignment.account_id, arn)


def _to_user(person: Person, identifier: str, identity_store_id: str) -> User:
    display_name = person.display_name or f"{person.given_name} {person.family_name}"
    members: dict[str, Any] = dict.fromkeys(User._fields)
    members |= {
        "UserId": identifier,
        "IdentityStoreId": identity_store_id,
        "UserName": person.user_name,
        "Name": Name(None, person.family_name, person.given_name, None, None, None),
        "DisplayName": display_name,
        "Emails": [{"Value": person.email, "Type": "work", "Primary": True}] if person.email else [],
        "Addresses": [{"Formatted": person.address, "Type": "home"}] if person.address else [],
        "PhoneNumbers": [{"Value": person.phone, "Type": "mobile"}] if person.phone else [],
        "Title": person.title,
    }
    return User(**members)


def _user_details(person: Person) -> dict[str, Any]:
    """What moto's user has no room for."""
    members = {
        "UserStatus": person.status,
        "ExternalIds": _external_ids(person.external_ids),
        "Birthdate": person.birthdate,
        "Photos": [{"Value": person.photo, "Type": "photo"}] if person.photo else None,
    }
    return {name: value for name, value in members.items() if value} | _dated(person.created_at)


def _external_ids(external_ids: tuple[ExternalId, ...]) -> list[dict[str, str]]:
    return [{"Issuer": external_id.issuer, "Id": external_id.id} for external_id in external_ids]


def _dated(created_at: datetime | None) -> dict[str, Any]:
    return {} if created_at is None else {"CreatedAt": created_at.timestamp()}
