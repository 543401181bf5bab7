"""Requests to ``grant`` and ``revoke``, and their results."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import AwareDatetime, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from ._models import FrozenModel
from .bounds import Moment, SpecificationError
from .pages import Scope
from .records import Attributes, Entitlement, Grant, Id

KnownState: TypeAlias = Literal["held", "not_held"]
"""Whether one account holds one entitlement, as a host knows it now or knew it before."""


class AccessPath(FrozenModel):
    """One path by which an account holds an access: the grants from the account to it, in order."""

    grants: tuple[Grant, ...] = Field(
        min_length=1, description="The first is held by the account, each other one by the entitlement before it."
    )


class KnownAccess(FrozenModel):
    """What the host's snapshot holds about one account and one entitlement."""

    entitlement: Entitlement | None = Field(
        default=None, description="The entitlement as the snapshot has it; None where it has none."
    )
    paths: tuple[AccessPath, ...] = Field(
        default=(),
        description="The paths by which the account holds the entitlement and what it opens; the connector reads them "
        "again live.",
    )
    paths_complete: bool = Field(
        default=False, description="Whether everything that these paths rest on was proven in the snapshot."
    )
    opened: tuple[Id, ...] = Field(
        default=(),
        description="What the entitlement opens by the snapshot, for any account; paths to these were searched.",
    )
    states: frozenset[KnownState] | None = Field(
        default=None,
        description="Every state in which the snapshot shows this very grant, and in which an earlier request may have "
        "found or left it; None where the host does not keep track. A read that contradicts one of them may have been "
        "answered from before a change.",
    )
    as_of: AwareDatetime | None = Field(default=None, description="When the snapshot's sync began to read.")


class AccessRequest(FrozenModel):
    """One change of access that a person or a rule requested."""

    request_id: str = Field(description="Unique for the request; the same for every attempt at it.")
    account_id: Id = Field(description="The id of the account, as the lists give it.")
    entitlement_id: Id = Field(description="The id of the entitlement, as the lists give it.")
    reason: str | None = Field(default=None, description="Why, in the words of the person who requested it.")
    preview: bool = Field(default=False, description="Report what would happen and change nothing.")
    known: KnownAccess = Field(default=KnownAccess(), description="What the host's snapshot holds about the grant.")
    write_before: AwareDatetime | None = Field(
        default=None,
        description="Begin no write that could end after this time, retries included; None allows a write at any time.",
    )


class AccessChange(FrozenModel):
    """The result of a grant or a revoke. The first two outcomes require a read-back."""

    outcome: Literal["applied", "already_in_effect", "previewed"] = Field(
        description="'applied': the connector changed it; 'already_in_effect': it was so before; 'previewed': the "
        "answer to every preview, also where nothing would change."
    )
    verified_at: Moment | None = Field(
        default=None, description="When it was read back; required with every outcome but 'previewed'."
    )
    scope: Scope | None = Field(
        default=None, description="The scope in which the lists emit what was added or removed; required with either."
    )
    added: tuple[Grant, ...] = Field(
        default=(), description="Proven to be held now; with 'previewed': what would be added."
    )
    removed: tuple[Grant, ...] = Field(
        default=(), description="Proven not to be held any more; with 'previewed': what would be removed."
    )
    opened_paths: tuple[AccessPath, ...] = Field(
        default=(), description="After a grant: what the account can reach through it."
    )
    closed_paths: tuple[AccessPath, ...] = Field(
        default=(),
        description="After a revoke: the paths that led through it, closed now or before, whether or not other paths "
        "lead to the same.",
    )
    effects_complete: bool = Field(
        default=False, description="False means that more may have been opened or closed than is listed."
    )
    remaining_paths: tuple[AccessPath, ...] = Field(
        default=(),
        description="After a revoke: the other paths by which the account still holds the same access.",
    )
    remaining_paths_complete: bool = Field(
        default=False, description="False means that more may exist: an empty list is then unknown, not none."
    )
    as_of: Moment | None = Field(
        default=None,
        description="The time as of which the remaining paths are complete; each of them was read again since.",
    )
    sessions_end_by: Moment | None = Field(
        default=None,
        description="When the last session issued before the read-back ends; None means unknown.",
    )
    has_sessions: bool | None = Field(
        default=None,
        description="False where the source issues no sessions, so that the access ends with the change itself; None "
        "means unknown.",
    )
    invisible_paths: tuple[str, ...] = Field(default=(), description="Kinds of path that cannot be seen.")
    warnings: tuple[str, ...] = Field(default=(), description="Sentences for the person who requested it.")
    evidence: Attributes = Field(default={}, description="E.g. the remote system's request ids.")

    @model_serializer(mode="wrap")
    def _without_unknown_sessions(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A platform rejects fields that it does not know, and those of the first version do not know this one.
        return {name: value for name, value in serialize(self).items() if (name, value) != ("has_sessions", None)}

    @model_validator(mode="after")
    def _was_read_back(self) -> AccessChange:
        if (self.outcome == "previewed") != (self.verified_at is None):
            raise SpecificationError("verified_at goes with every outcome but 'previewed'")
        if (self.added or self.removed) and self.scope is None:
            raise SpecificationError("what was added or removed needs its scope")
        if self.has_sessions is False and self.sessions_end_by is not None:
            raise SpecificationError("sessions_end_by does not go with has_sessions=False")
        return self
