"""Principals: the IAM user or role session behind an access key, and the policies that bind it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from moto.iam.models import Group, IAMBackend, Role, User, iam_backends

PARTITION = "aws"


@dataclass(frozen=True)
class Principal:
    """A caller. For a role session `issuer` is the role, and the session's own policies narrow it."""

    arn: str
    account_id: str
    unique_id: str
    issuer: User | Role
    session_name: str | None = None
    session_policies: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    source_identity: str | None = None

    @property
    def is_session(self) -> bool:
        """True for a role session."""
        return self.session_name is not None

    @property
    def iam_arn(self) -> str:
        """What `aws:PrincipalArn` holds: the user, or the role and not its session."""
        return str(self.issuer.arn)


@dataclass(frozen=True)
class Credentials:
    """An access key with what is needed to check it; `expires_at` is None for a user's own key."""

    secret_access_key: str
    session_token: str | None
    expires_at: datetime | None
    principal: Principal


class Sessions:
    """The temporary credentials that were issued."""

    def __init__(self) -> None:
        self._by_key: dict[str, Credentials] = {}
        self._lock = threading.Lock()

    def add(self, access_key_id: str, credentials: Credentials, now: datetime) -> None:
        """Remembers a session. Those that expired a day ago are forgotten: their keys become unknown."""
        with self._lock:
            for key in [key for key, old in self._by_key.items() if _is_long_gone(old, now)]:
                del self._by_key[key]
            self._by_key[access_key_id] = credentials

    def find(self, access_key_id: str) -> Credentials | None:
        """The session of a key whose role still exists."""
        found = self._by_key.get(access_key_id)
        if found is None:
            return None
        roles = iam(found.principal.account_id).roles
        return found if found.principal.issuer.id in roles else None


def _is_long_gone(credentials: Credentials, now: datetime) -> bool:
    return credentials.expires_at is not None and (now - credentials.expires_at).days >= 1


def iam(account_id: str) -> IAMBackend:
    """moto's IAM of one account."""
    return iam_backends[account_id][PARTITION]


def find_user_key(account_ids: Iterable[str], access_key_id: str) -> Credentials | None:
    """The credentials of an IAM user's active key in one of these accounts.

    moto accepts any unknown key as account 123456789012; AWS accepts only keys that it created.
    """
    for account_id in account_ids:
        backend = iam(account_id)
        key = backend.access_keys.get(access_key_id)
        if key is not None and key.user_name and key.status == "Active":
            user = backend.users[key.user_name]
            return Credentials(key.secret_access_key, None, None, Principal(user.arn, account_id, user.id, user))
    return None


def identity_policies(principal: Principal) -> Iterator[str]:
    """The documents attached to the user (and the user's groups) or to the role behind a session."""
    issuer = principal.issuer
    holders: list[User | Role | Group] = [issuer]
    if isinstance(issuer, User):
        holders += iam(principal.account_id).get_groups_for_user(issuer.name)
    for holder in holders:
        yield from holder.policies.values()
        for attached in holder.managed_policies.values():
            yield from (version.document for version in attached.versions if version.is_default)


def boundary_policy(principal: Principal) -> str | None:
    """The role's permissions boundary; a boundary that names no policy allows nothing, as in AWS."""
    arn = getattr(principal.issuer, "permissions_boundary_arn", None)
    if not arn:
        return None
    return managed_policy_document(principal.account_id, arn) or '{"Statement": []}'


def managed_policy_document(account_id: str, arn: str) -> str | None:
    """The default version of a managed policy known in this account."""
    policy = iam(account_id).managed_policies.get(arn)
    if policy is None:
        return None
    return next((str(version.document) for version in policy.versions if version.is_default), None)


def to_context(principal: Principal, now: datetime, region: str) -> dict[str, tuple[str, ...]]:
    """The global condition keys of a call. The long-lived keys of a user carry no MFA information."""
    context: dict[str, tuple[str, ...]] = {
        "aws:principalarn": (principal.iam_arn,),
        "aws:principalaccount": (principal.account_id,),
        "aws:principaltype": ("AssumedRole" if principal.is_session else "User",),
        "aws:userid": (principal.unique_id,),
        "aws:currenttime": (now.isoformat(),),
        "aws:epochtime": (str(int(now.timestamp())),),
        "aws:requestedregion": (region,),
        "aws:sourceip": ("127.0.0.1",),
        # The local AWS speaks plain HTTP on loopback, but stands for an endpoint that only speaks TLS.
        "aws:securetransport": ("true",),
        "aws:viaawsservice": ("false",),
    }
    if isinstance(principal.issuer, User):
        context["aws:username"] = (principal.issuer.name,)
    if principal.source_identity:
        context["aws:sourceidentity"] = (principal.source_identity,)
    context.update({f"aws:principaltag/{key.lower()}": (value,) for key, value in principal.tags})
    return context
