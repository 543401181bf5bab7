"""Pages of records, each inside a scope that states when it is complete."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, SerializeAsAny, model_validator

from ._models import FrozenModel
from .bounds import Moment, SpecificationError
from .errors import ConnectorError, HookFailedError, PermissionDeniedError
from .records import Account, Entitlement, Finding, Grant, RecordKey, Resource

ScopeEnding: TypeAlias = Literal["complete", "failed", "gone", "excluded"]
"""How a scope ends. A scope that never ends was not reached, and proves nothing."""

Scope: TypeAlias = Annotated[str, Field(min_length=1, max_length=512)]
"""The name of a part of the source, e.g. ``directory/users``. Opaque: ``Page.parent`` makes the tree."""


class Failure(FrozenModel):
    """Why a scope could not be read completely."""

    code: str = Field(description="A word for programs: the code of an error, or one of the connector's own.")
    message: str = Field(description="One sentence for a person; never contains a secret.")
    missing_permissions: tuple[str, ...] = Field(default=(), description="The exact permissions that are missing.")
    fix: str | None = Field(default=None, description="What a person can do about it.")
    request_id: str | None = Field(default=None, description="The remote system's id of the failed request.")

    @classmethod
    def from_error(cls, error: Exception) -> Failure:
        """Describe an exception; of one outside of the spec only the type is named, as its text is not trusted."""
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
    records: tuple[SerializeAsAny[Account | Entitlement | Grant | Resource | Finding], ...] = Field(
        default=(),
        description="Records of the scope, read in full. About 500 make a good page.",
    )
    partial: tuple[SerializeAsAny[Account | Entitlement | Grant | Resource | Finding], ...] = Field(
        default=(),
        description="Records proven to exist whose content could not be read in full. Used only while no complete "
        "record of that id is known, so a failed detail never overwrites a complete record.",
    )
    retracted: tuple[RecordKey, ...] = Field(
        default=(),
        description="Records emitted earlier in this run that the source now reports as not existing. Grants that "
        "name them are removed with them.",
    )
    complete: bool = Field(
        default=False, description="All records of this scope were read and all its children were announced."
    )
    failure: Failure | None = Field(default=None, description="Why the scope could not be read in full; ends it.")
    gone: bool = Field(default=False, description="The source reported that the object of this scope does not exist.")
    excluded: bool = Field(default=False, description="Switched off in the settings.")
    origin: str | None = Field(
        default=None,
        description="The directory, tenant or instance that a scope was read from, where the same settings could "
        "lead to another one. Once committed, a different or missing origin fails the scope and all below it.",
    )
    began_at: Moment | None = Field(
        default=None,
        description="When reading this scope began, if later than the run itself. A grant or revoke verified after "
        "it takes precedence over the scope; one verified before it does not.",
    )

    @model_validator(mode="after")
    def _ends_at_most_once(self) -> Page:
        if sum((self.complete, self.failure is not None, self.gone, self.excluded)) > 1:
            raise SpecificationError("a page ends its scope only once")
        if self.parent == self.scope:
            raise SpecificationError("a scope is not its own parent")
        return self

    @property
    def ending(self) -> ScopeEnding | None:
        """How this page ends its scope; None if more pages may follow."""
        if self.failure is not None:
            return "failed"
        if self.complete:
            return "complete"
        if self.gone:
            return "gone"
        return "excluded" if self.excluded else None
