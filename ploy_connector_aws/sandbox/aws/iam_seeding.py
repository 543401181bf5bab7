"""Seeds the IAM of an account directly into moto's tables: moto itself searches all roles for each new one."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

from moto.iam import models

from .accounts import make_aws_policy_known
from .iam_account import OWN_ACCOUNT, Document, IamAccount, IamGroup, IamPolicy, IamRole, IamUser
from .identifiers import Identifiers
from .policies import to_policy, to_trust_policy
from .principals import PARTITION, iam

HOME_REGION = "us-east-1"

# To a type checker moto's classes are abstract, and their empty members None for ever.
_moto: Any = models


class SeededIam:
    """The IAM of one account as it was seeded: moto's users, groups, roles and policies by name."""

    def __init__(self, account_id: str, account: IamAccount, lock: threading.RLock, generation: int) -> None:
        self.account_id = account_id
        self.users: dict[str, Any] = {}
        self.groups: dict[str, Any] = {}
        self.roles: dict[str, Any] = {}
        self.policies: dict[str, Any] = {}
        self._profiles: dict[str, Any] = {}
        self._backend = iam(account_id)
        self._lock = lock
        self._identifiers = Identifiers(account_id, HOME_REGION, generation)
        with lock:
            for policy in account.policies:
                self.add_policy(policy)
            for group in account.groups:
                self.add_group(group)
            for user in account.users:
                self.add_user(user)
            for role in account.roles:
                self.add_role(role)

    def add_policy(self, policy: IamPolicy) -> str:
        """Creates a customer managed policy; returns its ARN."""
        made = _moto.ManagedPolicy(
            policy.name,
            account_id=self.account_id,
            region=HOME_REGION,
            description=policy.description,
            document=self._permissions(policy.document),
            path=policy.path,
            create_date=policy.created_at,
            update_date=policy.created_at,
        )
        made.id = self._identifiers.iam_id("ANPA", policy.name)
        with self._lock:
            self._backend.managed_policies[made.arn] = self.policies[policy.name] = made
        return str(made.arn)

    def add_group(self, group: IamGroup) -> str:
        """Creates a group; returns its unique id."""
        made = _moto.Group(self.account_id, HOME_REGION, group.name, group.path)
        made.id = self._identifiers.iam_id("AGPA", group.name)
        made.create_date = group.created_at
        with self._lock:
            self._fill(made, group)
            self._backend.groups[group.name] = self.groups[group.name] = made
        return str(made.id)

    def add_user(self, user: IamUser) -> str:
        """Creates a user; returns its unique id."""
        made = _moto.User(self.account_id, HOME_REGION, user.name, user.path)
        made.id = self._identifiers.iam_id("AIDA", user.name)
        made.create_date = user.created_at
        made.password_last_used = user.password_last_used
        with self._lock:
            self._fill(made, user)
            made.permissions_boundary_arn = self._policy_arn(user.boundary)
            self._backend.tagger.tag_resource(made.arn, _tags(user.tags))
            self._backend.users[user.name] = self.users[user.name] = made
            for group in user.groups:
                self.groups[group].users.append(made)
        return str(made.id)

    def add_role(self, role: IamRole) -> str:
        """Creates a role; returns its unique id."""
        trust = self._text(role.trust)
        to_trust_policy(trust)
        with self._lock:
            made = _moto.Role(
                account_id=self.account_id,
                partition=PARTITION,
                role_id=self._identifiers.iam_id("AROA", role.name),
                name=role.name,
                assume_role_policy_document=trust,
                path=role.path,
                permissions_boundary=self._policy_arn(role.boundary),
                description=role.description or "",
                tags=_tags(role.tags),
                max_session_duration=str(role.max_session_seconds),
            )
            made.create_date = role.created_at
            made.last_used = role.last_used
            made.last_used_region = role.last_used_region if role.last_used else None
            self._fill(made, role)
            self._backend.roles[made.id] = self.roles[role.name] = made
            for profile in role.instance_profiles:
                self._add_profile(profile, made)
        return str(made.id)

    def remove(self) -> None:
        """Deletes everything that was seeded here."""
        with self._lock:
            for holder in (*self.users.values(), *self.groups.values(), *self.roles.values()):
                for policy in list(holder.managed_policies.values()):
                    policy.detach_from(holder)
            for name in self.users:
                self._backend.users.pop(name, None)
            for name in self.groups:
                self._backend.groups.pop(name, None)
            for role in self.roles.values():
                self._backend.roles.pop(role.id, None)
            for made in self.policies.values():
                self._backend.managed_policies.pop(made.arn, None)
            for profile in self._profiles:
                self._backend.instance_profiles.pop(profile, None)

    def _fill(self, made: Any, described: IamUser | IamGroup | IamRole) -> None:
        for name, document in described.inline_policies.items():
            made.policies[name] = self._permissions(document)
        for policy in described.managed_policies:
            arn = self._policy_arn(policy)
            assert arn is not None
            self._backend.managed_policies[arn].attach_to(made)

    def _policy_arn(self, name: str | None) -> str | None:
        if name is None:
            return None
        if name in self.policies:
            return str(self.policies[name].arn)
        make_aws_policy_known(self.account_id, name)
        return name

    def _add_profile(self, name: str, role: Any) -> None:
        profile = _moto.InstanceProfile(
            self.account_id, HOME_REGION, self._identifiers.iam_id("AIPA", name), name, "/", [role]
        )
        self._backend.instance_profiles[name] = self._profiles[name] = profile

    def _permissions(self, document: Document) -> str:
        text = self._text(document)
        to_policy(text)
        return text

    def _text(self, document: Document) -> str:
        return json.dumps(document).replace(OWN_ACCOUNT, self.account_id)


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
