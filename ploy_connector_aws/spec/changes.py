"""What a host asks of ``grant`` and ``revoke``, and what they answer."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import AwareDatetime, Field, model_validator

from .bounds import Moment
from .frozen import FrozenModel
from .pages import Scope
from .records import Attributes, Entitlement, Grant, Id

KnownState: TypeAlias = Literal["held", "not_held"]
"""How a host knows, or knew, that things stand between one account and one entitlement."""


class AccessPath(FrozenModel):
    """One way by which an account holds an access: the grants from the account to it, in order."""

    grants: tuple[Grant, ...] = Field(min_length=1)


class AccessRequest(FrozenModel):
    """One change of access that a person or a rule ordered."""

    request_id: str = Field(description="Unique for the order; the same for every attempt at it.")
    account_id: Id
    entitlement_id: Id
    reason: str | None = None
    preview: bool = Field(default=False, description="Say what would happen and change nothing.")
    known_entitlement: Entitlement | None = Field(
        default=None, description="The entitlement as the host's snapshot has it; None where it has none."
    )
    known_paths: tuple[AccessPath, ...] = Field(
        default=(),
        description="The host's snapshot of the ways by which the account holds the entitlement and what it opens; the "
        "connector reads them again live.",
    )
    known_paths_complete: bool = Field(
        default=False, description="Whether everything that these ways rest on was proven in the snapshot."
    )
    known_opened: tuple[Id, ...] = Field(
        default=(),
        description="What the entitlement opens by the snapshot, whoever holds it: ways to these were looked for.",
    )
    known_states: frozenset[KnownState] | None = Field(
        default=None,
        description="Every state in which the host's snapshot shows this very grant, and in which an earlier request "
        "may have found or left it; None where the host does not keep track. A look that contradicts one of them may "
        "have been answered from before a change.",
    )
    known_as_of: AwareDatetime | None = Field(default=None, description="When the reading of the snapshot began.")
    write_before: AwareDatetime | None = Field(
        default=None,
        description="No write is begun that could end after this moment, its retries included; without one a write may "
        "begin at any time.",
    )


class AccessChange(FrozenModel):
    """What a grant or a revoke did. The first two outcomes require that it was read back."""

    outcome: Literal["applied", "already_in_effect", "previewed"]
    verified_at: Moment | None = Field(
        default=None, description="When it was read back; needed with every outcome but 'previewed'."
    )
    scope: Scope | None = Field(
        default=None, description="The scope in which the lists emit what was added or removed; needed with either."
    )
    added: tuple[Grant, ...] = Field(
        default=(), description="Proven to be held now; with 'previewed': what would be added."
    )
    removed: tuple[Grant, ...] = Field(
        default=(), description="Proven to be held no more; with 'previewed': what would be removed."
    )
    opened_paths: tuple[AccessPath, ...] = Field(
        default=(), description="After a grant: what the account can reach through it."
    )
    closed_paths: tuple[AccessPath, ...] = Field(
        default=(),
        description="After a revoke: the ways that led through it, closed now or before, whether or not others lead to "
        "the same.",
    )
    effects_complete: bool = Field(
        default=False, description="False means that more may have been opened or closed than is named."
    )
    remaining_paths: tuple[AccessPath, ...] = Field(
        default=(),
        description="After a revoke: the other ways by which the account still holds the same access.",
    )
    remaining_paths_complete: bool = Field(
        default=False, description="False means that more may exist: an empty list is then unknown, not none."
    )
    as_of: Moment | None = Field(
        default=None,
        description="From when the knowledge is that the remaining paths are all; each of them was read again since.",
    )
    sessions_end_by: Moment | None = Field(
        default=None,
        description="Until when, at the latest, sessions issued before it was read back may live; None means unknown.",
    )
    invisible_paths: tuple[str, ...] = Field(default=(), description="Kinds of path that cannot be seen.")
    warnings: tuple[str, ...] = ()
    evidence: Attributes = Field(default={}, description="E.g. the remote system's request ids.")

    @model_validator(mode="after")
    def _was_read_back(self) -> AccessChange:
        if (self.outcome == "previewed") != (self.verified_at is None):
            raise ValueError("verified_at goes with every outcome but 'previewed'")
        if (self.added or self.removed) and self.scope is None:
            raise ValueError("what was added or removed needs its scope")
        return self
