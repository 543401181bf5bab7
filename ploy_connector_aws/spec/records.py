"""The records of a connector: accounts, entitlements, grants, resources and findings."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from json.encoder import encode_basestring
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, get_args, get_origin

from pydantic import Field, JsonValue, TypeAdapter, model_validator

from ._models import FrozenModel
from .bounds import SpecificationError

RecordType: TypeAlias = Literal["account", "entitlement", "grant", "resource", "finding"]
"""The five kinds of record."""

Attributes: TypeAlias = dict[str, JsonValue]
"""Connector-specific values: JSON by name."""

_LONGEST_ID = 2048

Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=_LONGEST_ID)]
"""A stable, opaque identifier: never a name, never used again for another thing."""


_KIND = r"^[a-z][a-z0-9_-]{0,62}$"

Kind: TypeAlias = Annotated[str, Field(pattern=_KIND)]
"""The kind of an account or an entitlement: the words that each field lists, or one of the connector's own. A label in
the manifest says what people call it."""


class RecordKey(FrozenModel):
    """Names one record: its type and its id."""

    type: RecordType = Field(description="The type of the record.")
    id: Id = Field(description="The id of the record, unique within its type.")


class _Record(FrozenModel):
    record_type: ClassVar[RecordType]

    @property
    def key(self) -> RecordKey:
        """The record's type and id."""
        return RecordKey(type=self.record_type, id=self.id)  # type: ignore[attr-defined]


class Email(FrozenModel):
    """One e-mail address of an account."""

    address: Annotated[str, Field(min_length=1)] = Field(description="The address, as the source has it.")
    is_primary: bool = Field(default=False, description="True only where the source says so.")


class ExternalId(FrozenModel):
    """The name of the same account or entitlement in another system."""

    issuer: str = Field(description="Who issued the id, e.g. the identity provider's tenant.")
    id: str = Field(description="The id there.")


class Account(_Record):
    """A person, machine or root identity that can hold entitlements."""

    record_type: ClassVar[RecordType] = "account"

    id: Id = Field(
        description="A key that the source never changes and never gives again, e.g. a UUID; unique among accounts."
    )
    kind: Kind = Field(
        default="unknown",
        description="human, service, root, external, unknown, or a word of the connector's own. Rules for people apply "
        "to 'human' and 'unknown' only.",
    )
    username: str | None = Field(default=None, description="Login name; None where the source gives none.")
    display_name: str | None = Field(
        default=None, description="The name that people know; None where the source gives none."
    )
    emails: tuple[Email, ...] = Field(
        default=(), description="E-mail addresses; people are matched with other systems by them."
    )
    status: Literal["active", "disabled", "unknown"] = Field(
        default="unknown", description="'unknown' where the source does not say; never guessed."
    )
    mfa: Literal["enabled", "disabled", "unknown"] = Field(
        default="unknown", description="'unknown' where it cannot be read; never reported as 'disabled'."
    )
    created_at: datetime | None = Field(default=None, description="When it was made, with a time zone.")
    last_login_at: datetime | None = Field(
        default=None, description="Latest known login; None means unknown, not never."
    )
    external_ids: tuple[ExternalId, ...] = Field(
        default=(), description="Its ids in other systems, where the source has them."
    )
    managed_by: str | None = Field(
        default=None, description="The outside system that owns this account; None where none is known."
    )
    resource_id: Id | None = Field(
        default=None,
        description="The resource that it belongs to, if exactly one: its entitlements apply there unless they name "
        "another resource.",
    )
    not_grantable_reason: str | None = Field(
        default=None,
        description="Why nothing can be granted to it or revoked from it, whatever it is; None where something may be.",
    )
    privileged: bool | None = Field(
        default=None,
        description="Whether everything that it holds directly makes it privileged; None means not evaluated, "
        "never 'no'.",
    )
    privileged_reasons: tuple[str, ...] = Field(
        default=(), description="Why it is privileged or, where that was not evaluated, why not; each a sentence."
    )
    administrator: bool = Field(
        default=False,
        description="Only where it is privileged: whether that is full administrator access to where it applies.",
    )
    source: str | None = Field(default=None, description="The directory inside the connector it was read from.")
    tags: dict[str, str] = Field(default={}, description="Labels that the source keeps for it.")
    attributes: Attributes = {}


class Entitlement(_Record):
    """What an account can hold: a group, a role, a policy, or a role in one account of the source."""

    record_type: ClassVar[RecordType] = "entitlement"

    id: Id = Field(
        description="A key that the source never changes and never gives again, e.g. a UUID; unique among entitlements."
    )
    kind: Kind = Field(
        description="group, account_role (a role in one place), role, policy, or a word of the connector's own."
    )
    name: str = Field(description="The name that people know.")
    description: str | None = Field(default=None, description="What it is for, by the source.")
    resource_id: Id | None = Field(default=None, description="The resource it opens, where it is exactly one.")
    role_id: Id | None = Field(
        default=None,
        description="Of a role in one account of the source: the entitlement that is the same role everywhere. "
        "An account that holds this one holds that one there, and no grant repeats it.",
    )
    grantable: bool = Field(default=False, description="Whether this connector can grant and revoke it now.")
    not_grantable_reason: str | None = Field(default=None, description="Why not; required where not grantable.")
    privileged: bool | None = Field(default=None, description="None means not evaluated, never 'no'.")
    privileged_reasons: tuple[str, ...] = Field(
        default=(), description="Why it is privileged or, where that was not evaluated, why not; each a sentence."
    )
    administrator: bool = Field(
        default=False,
        description="Only where it is privileged: whether that is full administrator access to where it applies.",
    )
    managed_by: str | None = Field(
        default=None,
        description="The outside system that owns it and may undo changes; None where none is known.",
    )
    attributes: Attributes = {}

    @model_validator(mode="after")
    def _has_reason_unless_grantable(self) -> Entitlement:
        if self.grantable == (self.not_grantable_reason is not None):
            raise SpecificationError("grantable=False needs a not_grantable_reason, and grantable=True has none")
        return self


_ENDS = ("principal_kind", "principal_id", "entitlement_id")


def grant_id(principal_kind: str, principal_id: str, entitlement_id: str) -> str:
    """Derive a grant's id: 32 hexadecimal digits of SHA-256 over principal kind, principal id, entitlement id."""
    # As json.dumps writes it, without making an encoder each time: this runs for every grant.
    text = (
        f"[{encode_basestring(principal_kind)},{encode_basestring(principal_id)},{encode_basestring(entitlement_id)}]"
    )
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Grant(_Record):
    """One edge: a principal holds an entitlement. Never flattened: what a group opens is not repeated per member."""

    record_type: ClassVar[RecordType] = "grant"

    id: Id = Field(default="", description="Derived from the other three; leave it out.", validate_default=False)
    principal_kind: Literal["account", "entitlement"] = Field(
        description="Who holds it: an account, or an entitlement whose holders all hold it, such as a nested group."
    )
    principal_id: Id = Field(description="The id of the account or entitlement that holds it.")
    entitlement_id: Id = Field(description="The id of the entitlement that is held.")
    granted_at: datetime | None = Field(
        default=None, description="Since when, where the source has it; with a time zone."
    )
    attributes: Attributes = {}

    @model_validator(mode="before")
    @classmethod
    def _derive_id(cls, data: Any) -> Any:
        ends: list[Any] = [data.get(name) for name in _ENDS] if isinstance(data, dict) else [None]
        if all(isinstance(each, str) for each in ends):  # of another type they are refused by themselves
            expected = grant_id(*ends)
            if data.get("id", expected) != expected:
                raise SpecificationError("a grant's id is derived from its principal and entitlement; leave it out")
            return {**data, "id": expected}
        return data


class Resource(_Record):
    """What entitlements open: a cloud account, a bucket, a database."""

    record_type: ClassVar[RecordType] = "resource"

    id: Id = Field(
        description="A key that the source never changes and never gives again, e.g. a UUID; unique among resources."
    )
    kind: str = Field(description="A word of the connector's own, e.g. 'database'; a label says what people call it.")
    name: str = Field(description="The name that people know.")
    parent_id: Id | None = Field(default=None, description="The resource that contains it; None at the top.")
    region: str | None = Field(default=None, description="Where it is, in the words of the source.")
    owner: str | None = Field(default=None, description="From tags or fields of the source; None where it has none.")
    tags: dict[str, str] = Field(default={}, description="Labels that the source keeps for it.")
    created_at: datetime | None = Field(default=None, description="When it was made, with a time zone.")
    attributes: Attributes = {}


Severity: TypeAlias = Literal["low", "medium", "high", "critical"]
"""How urgent a finding is, from the least urgent on."""


class Finding(_Record):
    """A problem that a person should look at. It is about other records, and stands in none of them.

    Emit one only where what it states is certain: what could not be read or understood is no finding. It goes when a
    scope that had it ends complete without it, so list it in a scope that fails where the question cannot be answered.
    """

    record_type: ClassVar[RecordType] = "finding"

    id: Id = Field(
        description="Stable as long as the problem is the same one, also while its evidence changes: a person may have "
        "accepted it. Derived from the kind and the ids of the subjects, never from a text."
    )
    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")] = Field(
        description="Which problem it is, e.g. 'role-open-to-anybody'."
    )
    subjects: Annotated[tuple[RecordKey, ...], Field(min_length=1, max_length=100)] = Field(
        description="The records that it is about, the most important one first; no findings."
    )
    severity: Severity
    title: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        description="The problem in one sentence, the same for all findings of the kind."
    )
    evidence: Annotated[str, Field(min_length=1, max_length=2000)] = Field(
        description="What was seen, on which record, in sentences for a person. It does not change with the time alone."
    )
    advice: Annotated[str, Field(min_length=1, max_length=2000)] | None = Field(
        default=None, description="What a person can do about it."
    )

    @model_validator(mode="after")
    def _is_about_other_records(self) -> Finding:
        if any(subject.type == "finding" for subject in self.subjects):
            raise SpecificationError("a finding is about accounts, entitlements, grants and resources")
        return self


Record: TypeAlias = Account | Entitlement | Grant | Resource | Finding
"""Any record."""

RECORD_MODELS: dict[RecordType, type[Record]] = {
    "account": Account,
    "entitlement": Entitlement,
    "grant": Grant,
    "resource": Resource,
    "finding": Finding,
}

_SERIALIZERS = {model: TypeAdapter(model).serializer for model in RECORD_MODELS.values()}


def to_json(record: Record) -> bytes:
    """Turn a record into compact JSON (UTF-8): the same record always gives the same bytes."""
    return _SERIALIZERS[type(record)].to_json(record, exclude_defaults=True)


_LITERALS = {
    model: tuple(
        (name, frozenset(get_args(field.annotation)))
        for name, field in model.model_fields.items()
        if get_origin(field.annotation) is Literal
    )
    for model in RECORD_MODELS.values()
}
_IS_KIND = re.compile(_KIND)
_FIELDS = {model: model.model_fields.keys() for model in RECORD_MODELS.values()}
_IDS = {
    Account: ("id",),
    Entitlement: ("id",),
    Grant: ("id", "principal_id", "entitlement_id"),
    Resource: ("id",),
    Finding: ("id",),
}


def to_checked_json(record: Record) -> bytes:
    """As ``to_json``, for a record that may have bypassed the validation of its model.

    Raises:
        ValidationError: A field is missing, unknown or out of its bounds.
        TypeError: It is of none of the five classes.
        ValueError: A value is of the wrong type, or cannot be written as JSON in UTF-8.
    """
    model = type(record)
    if model not in _SERIALIZERS:
        raise TypeError(f"no record: {model.__name__}")
    values = vars(record)
    # Full validation takes longer than everything else, so it runs only if these quick checks find a reason: pydantic's
    # copy() and construct() check nothing.
    is_valid = values.keys() == _FIELDS[model]
    if is_valid:
        for name, allowed in _LITERALS[model]:
            is_valid = is_valid and values[name] in allowed
        for name in _IDS[model]:
            value = values[name]
            is_valid = is_valid and type(value) is str and 0 < len(value) <= _LONGEST_ID
        if is_valid and model in (Account, Entitlement):
            kind = values["kind"]
            is_valid = type(kind) is str and _IS_KIND.fullmatch(kind) is not None
    if is_valid and model is Grant:
        is_valid = values["id"] == grant_id(values["principal_kind"], values["principal_id"], values["entitlement_id"])
    elif is_valid and model is Entitlement:
        is_valid = values["grantable"] == (values["not_grantable_reason"] is None)
    if not is_valid:
        model.model_validate(values)
    body = _SERIALIZERS[model].to_json(record, exclude_defaults=True, warnings="error")
    if model is Finding:  # they are few
        model.model_validate_json(body)
    return body
