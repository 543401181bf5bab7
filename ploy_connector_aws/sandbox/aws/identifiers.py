"""Ids as AWS makes them (AWS.md 1.3), from a seed: the same organisation gets the same ids every time."""

from __future__ import annotations

import base64
import hashlib
import uuid


class Identifiers:
    """The ids of one instance. A second call with the same name returns another id, as for a recreated user."""

    def __init__(self, owner_account_id: str, region: str, generation: int) -> None:
        self._seed = f"{owner_account_id} {region} {generation}"
        self._given: dict[str, int] = {}
        self.identity_store_id = f"d-{self._hex('store', 10)}"
        self.instance_id = f"ssoins-{self._hex('instance', 16)}"

    @property
    def instance_arn(self) -> str:
        """The instance's ARN: no Region, no account."""
        return f"arn:aws:sso:::instance/{self.instance_id}"

    def directory_id(self, kind: str, name: str) -> str:
        """The id of a user, group or membership."""
        digest = bytes.fromhex(self._hex(self._numbered(kind, name), 32))
        return f"{self.identity_store_id.removeprefix('d-')}-{uuid.UUID(bytes=digest, version=4)}"

    def permission_set_arn(self, name: str) -> str:
        """The ARN of a permission set; moto hangs it under the instance, where AWS's pattern refuses it."""
        return f"arn:aws:sso:::permissionSet/{self.instance_id}/ps-{self._hex(self._numbered('set', name), 16)}"

    def iam_id(self, prefix: str, name: str) -> str:
        """The unique id of a user, role, group or policy, e.g. with the prefix AIDA."""
        digest = bytes.fromhex(self._hex(self._numbered(prefix, name), 32))
        return f"{prefix}{base64.b32encode(digest).decode()[:17]}"

    def _numbered(self, kind: str, name: str) -> str:
        key = f"{kind} {name}"
        self._given[key] = self._given.get(key, 0) + 1
        return f"{key} {self._given[key]}"

    def _hex(self, what: str, length: int) -> str:
        return hashlib.sha256(f"{self._seed} {what}".encode()).hexdigest()[:length]
