"""What a host asks of ``grant`` and ``revoke``, and what they answer."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from .frozen import Frozen
from .records import Attributes, Grant, Id


class AccessPath(Frozen):
    """One way by which an account holds an access: the grants from the account to it, in order."""

    grants: tuple[Grant, ...]


class AccessRequest(Frozen):
    """One change of access that a person or a rule ordered."""

    request_id: str = Field(description="Unique for the order; the same for every attempt at it.")
    account_id: Id
    entitlement_id: Id
    reason: str | None = None
    preview: bool = Field(default=False, description="Say what would happen and change nothing.")
    known_paths: tuple[AccessPath, ...] = Field(
        default=(), description="The host's snapshot of the ways in; the connector reads them again live."
    )


class AccessChange(Frozen):
    """What a grant or a revoke did. The first two outcomes require that it was read back."""

    outcome: Literal["applied", "already_in_effect", "previewed"]
    added: tuple[Grant, ...] = ()
    removed: tuple[Grant, ...] = ()
    remaining_paths: tuple[AccessPath, ...] = Field(
        default=(),
        description="After a revoke: the other ways by which the account still holds the same access.",
    )
    remaining_paths_complete: bool = Field(
        default=False, description="False means that more may exist: an empty list is then unknown, not none."
    )
    as_of: datetime | None = None
    sessions_end_by: datetime | None = Field(
        default=None, description="Until when sessions issued before the change may live; None means unknown."
    )
    invisible_paths: tuple[str, ...] = Field(default=(), description="Kinds of path that cannot be seen.")
    warnings: tuple[str, ...] = ()
    evidence: Attributes = Field(default={}, description="E.g. the remote system's request ids.")
