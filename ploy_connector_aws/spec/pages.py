"""How a connector hands over what it read: pages of records, each inside a scope that says when it is complete."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, SerializeAsAny, model_validator

from .bounds import Moment
from .errors import ConnectorError, HookFailedError, PermissionDeniedError
from .frozen import FrozenModel
from .records import Account, Entitlement, Grant, RecordKey, Resource

ScopeEnding: TypeAlias = Literal["complete", "failed", "gone", "excluded"]
"""How a scope ends. A scope that never ends was not reached, which proves nothing."""

Scope: TypeAlias = Annotated[str, Field(min_length=1, max_length=512)]
"""The name of a part of what is read, e.g. ``directory/users``. Opaque: the tree is made by ``Page.parent``."""


class Failure(FrozenModel):
    """Why a scope could not be read completely."""

    code: str = Field(description="Machine-readable: permission_missing, temporary, authentication, …")
    message: str = Field(description="One sentence for a person; never contains a secret.")
    missing_permissions: tuple[str, ...] = Field(default=(), description="Exactly what would have to be allowed.")
    fix: str | None = Field(default=None, description="What a person can do about it.")
    request_id: str | None = Field(default=None, description="The remote system's id of the failed request.")

    @classmethod
    def from_error(cls, error: Exception) -> Failure:
        """Describe an exception; one that is not of the spec is named by its type only, as its text is not trusted."""
        if isinstance(error, HookFailedError):
            return cls(code="internal", message=error.message)
        if not isinstance(error, ConnectorError):
            return cls(code="internal", message=f"the connector failed unexpectedly ({type(error).__name__})")
        missing = error.actions if isinstance(error, PermissionDeniedError) else ()
        return cls(
            code=error.code,
            message=error.message,
            missing_permissions=missing,
            fix=error.fix,
            request_id=error.request_id,
        )


class Page(FrozenModel):
    """Some of the records of one scope, or the end of it.

    The first page of a scope announces it. A scope may be announced, filled and ended by one page or by many, and
    pages of different scopes may be mixed. Exactly one of ``complete``, ``failure``, ``gone`` and ``excluded`` ends it.
    """

    scope: Scope
    parent: Scope | None = Field(
        default=None, description="The scope that lists this one; needed on the page that announces it."
    )
    records: tuple[SerializeAsAny[Account | Entitlement | Grant | Resource], ...] = ()
    partial: tuple[SerializeAsAny[Account | Entitlement | Grant | Resource], ...] = Field(
        default=(),
        description="Things proven to exist whose content could not be read in full. Used only while no fully read "
        "record of that id is known, so that a failed detail never overwrites a good record.",
    )
    retracted: tuple[RecordKey, ...] = Field(
        default=(),
        description="Records emitted earlier in this run that the source now says do not exist. Grants that name "
        "them go with them.",
    )
    complete: bool = Field(
        default=False, description="All records of this scope were read and all its children were announced."
    )
    failure: Failure | None = None
    gone: bool = Field(
        default=False, description="The source said that the very thing this scope is about does not exist."
    )
    excluded: bool = Field(default=False, description="Switched off in the settings.")
    origin: str | None = Field(
        default=None,
        description="Which directory, tenant or instance a scope was read from, where it could be exchanged for "
        "another behind the same settings. Once committed, another or none fails the scope and all below it.",
    )
    began_at: Moment | None = Field(
        default=None,
        description="When the reading of this scope began, where that was later than the reading of the whole. A grant "
        "or revoke that was verified after it goes before what the scope says; one from before it does not.",
    )

    @model_validator(mode="after")
    def _ends_at_most_once(self) -> Page:
        if sum((self.complete, self.failure is not None, self.gone, self.excluded)) > 1:
            raise ValueError("a page ends its scope in one way only")
        if self.parent == self.scope:
            raise ValueError("a scope is not its own parent")
        return self

    @property
    def ending(self) -> ScopeEnding | None:
        """How this page ends its scope; None while more may follow."""
        if self.failure is not None:
            return "failed"
        if self.complete:
            return "complete"
        if self.gone:
            return "gone"
        return "excluded" if self.excluded else None
