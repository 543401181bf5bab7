"""``Trials``: the grants and revokes of tier 2, and what the source and the lists gave before and after each."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from ploy_connector_aws.host.change_check import Kind, change_access
from ploy_connector_aws.spec import (
    AccessChange,
    AccessRequest,
    Account,
    Entitlement,
    Grant,
    PloyError,
    RecordKey,
)
from ploy_connector_aws.spec.changes import KnownState

from .access_paths import find_known, opened_by
from .driver import Driver
from .instance import Instance
from .reading import Reading
from .results import NotTestedError, Shared

if TYPE_CHECKING:
    from .validation import Validation

Step: TypeAlias = Literal[
    "preview of a grant",
    "grant",
    "same grant again",
    "another grant of the same",
    "preview of a grant of what is held",
    "preview of a revoke",
    "revoke",
    "same revoke again",
    "another revoke of the same",
    "preview of a revoke of what is not held",
]
"""The requests of a cycle, in this order."""

_CHANGES: tuple[Step, ...] = ("grant", "revoke")

Moment: TypeAlias = Literal["before", "previewed", "granted", "revoke previewed", "revoked"]
"""When the lists were read in a cycle."""


@dataclass(frozen=True)
class Attempt:
    """One call of ``grant`` or ``revoke``."""

    kind: Kind
    request: AccessRequest
    change: AccessChange | None
    """The answer, which the host believes; None after an error."""
    error: PloyError | None
    was_held: bool | None
    held: bool | None
    """Whether the source had the grant before and after it; None where its ids are unknown there."""

    def require(self) -> AccessChange:
        """Return the answer, or raise ``NotTestedError``."""
        if self.change is None:
            raise NotTestedError(f"a {self.kind} gave no answer that a host believes")
        return self.change


@dataclass(frozen=True)
class Cycle:
    """An account gets an entitlement and loses it, with previews and repetitions."""

    account_id: str
    entitlement_id: str
    attempts: Mapping[Step, Attempt]
    readings: Mapping[Moment, Reading]

    @property
    def key(self) -> RecordKey:
        """The grant."""
        edge = Grant(principal_kind="account", principal_id=self.account_id, entitlement_id=self.entitlement_id)
        return edge.key

    def change(self, step: Step) -> AccessChange:
        """Return the answer of a step, or raise ``NotTestedError``."""
        return self.attempts[step].require()

    def require_effect(self, step: Step) -> None:
        """Raise ``NotTestedError`` unless the source has what a step was to bring about."""
        if self.attempts[step].held != (self.attempts[step].kind == "grant"):
            raise NotTestedError(f"a {step} had no effect")


@dataclass(frozen=True)
class CutTrial:
    """A grant and a revoke that met a fault, each followed by the same request again."""

    attempts: list[Attempt]
    reading: Reading | None
    """After the grant; None where it had no effect."""


@dataclass(frozen=True)
class PathTrial:
    """An account gets an entitlement that opens others, and loses it."""

    granted: Attempt
    reading: Reading
    """While it had the entitlement."""
    revoked: Attempt
    has_other_path: bool
    """Whether it had another path to something that the entitlement opens."""


class Writer:
    """Grants and revokes by one instance; at its end it revokes what accounts still hold.

    Args:
        validation: The connector under test.
        instance: A configured instance.
        reading: The latest read.
    """

    def __init__(self, validation: Validation, instance: Instance, reading: Reading) -> None:
        self._validation = validation
        self._instance = instance
        self.reading = reading
        self._read_at = datetime.now(UTC)
        self._states: defaultdict[tuple[str, str], set[KnownState]] = defaultdict(lambda: {"not_held"})
        self._numbers = itertools.count(1)

    def read(self) -> Reading:
        """Read the lists, which are then known to later requests."""
        self._read_at = datetime.now(UTC)
        self.reading = self._validation.read()
        return self.reading

    def change(
        self,
        kind: Kind,
        account_id: str,
        entitlement_id: str,
        *,
        like: Attempt | None = None,
        preview: bool = False,
        write_before: datetime | None = None,
        is_known: bool = True,
    ) -> Attempt:
        """Grant or revoke.

        Args:
            kind: Which of the two.
            account_id: The account.
            entitlement_id: The entitlement.
            like: An attempt at the same request; None for a new one.
            preview: Whether nothing is to be changed.
            write_before: The end of the lease.
            is_known: Whether the source knows both ids.
        """
        states = self._states[account_id, entitlement_id]
        request = AccessRequest(
            request_id=like.request.request_id if like else f"ploy-test-{next(self._numbers)}",
            account_id=account_id,
            entitlement_id=entitlement_id,
            preview=preview,
            known=find_known(self.reading, account_id, entitlement_id, states, self._read_at),
            write_before=write_before,
        )
        holds = self._validation.driver.holds
        was_held = holds(account_id, entitlement_id) if is_known else None
        change: AccessChange | None = None
        error: PloyError | None = None
        if not preview and is_known:
            states |= {"held", "not_held"}
        with self._instance.recording(kind):
            try:
                change = change_access(self._instance.connector, kind, request, lambda: datetime.now(UTC))
            except PloyError as failure:
                error = failure
        held = holds(account_id, entitlement_id) if is_known else None
        return Attempt(kind, request, change, error, was_held, held)

    def undo(self) -> None:
        """Revoke what accounts still hold."""
        for account_id, entitlement_id in self._states:
            try:
                is_held = self._validation.driver.holds(account_id, entitlement_id)
            except Exception:  # noqa: BLE001, S112 - a driver may know no such id
                continue
            if is_held:
                self.change("revoke", account_id, entitlement_id)


class Trials:
    """The grants and revokes of tier 2, each made once.

    Args:
        validation: The connector under test.
    """

    def __init__(self, validation: Validation) -> None:
        self._validation = validation
        self.not_tested: dict[str | None, str] = {}
        """Why a shared property has no value, by its name."""

    @property
    def _driver(self) -> Driver:
        return self._validation.driver

    @Shared
    def cycle(self) -> Cycle:
        """Grant and revoke, each after a preview and twice again."""
        with self._writing() as (writer, account, entitlement):
            attempts: dict[Step, Attempt] = {}
            readings: dict[Moment, Reading] = {"before": writer.reading}

            def make(step: Step, kind: Kind, *, like: Step | None = None, preview: bool = False) -> None:
                earlier = attempts[like] if like else None
                attempts[step] = writer.change(kind, account, entitlement, like=earlier, preview=preview)

            make("preview of a grant", "grant", preview=True)
            readings["previewed"] = writer.read()
            make("grant", "grant")
            readings["granted"] = writer.read()
            make("same grant again", "grant", like="grant")
            make("another grant of the same", "grant")
            make("preview of a grant of what is held", "grant", preview=True)
            make("preview of a revoke", "revoke", preview=True)
            readings["revoke previewed"] = writer.read()
            make("revoke", "revoke")
            readings["revoked"] = writer.read()
            make("same revoke again", "revoke", like="revoke")
            make("another revoke of the same", "revoke")
            make("preview of a revoke of what is not held", "revoke", preview=True)
        return Cycle(account, entitlement, attempts, readings)

    @Shared
    def unknown(self) -> tuple[list[Attempt], Reading, Reading]:
        """Grants and revokes with ids that the source does not have, and reads before and after."""
        with self._writing() as (writer, account, entitlement):
            before = writer.reading
            known = {record.id for _, record in before.records()}
            no_account, no_entitlement = (_change_id(id_, known) for id_ in (account, entitlement))
            attempts = [
                writer.change(kind, *pair, is_known=False)
                for pair in ((no_account, entitlement), (account, no_entitlement))
                for kind in ("grant", "revoke")
            ]
            return attempts, before, writer.read()

    @Shared
    def cut_before(self) -> CutTrial:
        """Writes that failed before the source made them."""
        self._driver.require("cut_before_write")
        return self._cut(self._driver.cut_before_write)

    @Shared
    def cut_after(self) -> CutTrial:
        """Writes whose responses were lost."""
        self._driver.require("cut_after_write")
        return self._cut(self._driver.cut_after_write)

    @Shared
    def late(self) -> list[Attempt]:
        """A grant and a revoke after the end of the lease."""
        past = datetime.now(UTC) - timedelta(minutes=1)
        with self._writing() as (writer, account, entitlement):
            granted = writer.change("grant", account, entitlement, write_before=past)
            if not granted.held and not writer.change("grant", account, entitlement).held:
                raise NotTestedError("a grant had no effect")
            return [granted, writer.change("revoke", account, entitlement, write_before=past)]

    @Shared
    def paths(self) -> PathTrial:
        """Grant and revoke of an entitlement that opens others, where it can be with another path to them."""
        self._require_methods()
        first, other = self._entitlements_with_paths()
        with self._writing(adds_entitlement=False) as (writer, account, _):
            if other is not None and not writer.change("grant", account, other).held:
                raise NotTestedError("a grant had no effect")
            writer.read()
            granted = writer.change("grant", account, first)
            if not granted.held:
                raise NotTestedError("a grant had no effect")
            reading = writer.read()
            return PathTrial(granted, reading, writer.change("revoke", account, first), other is not None)

    def _cut(self, fault: Callable[[], AbstractContextManager[None]]) -> CutTrial:
        for step in _CHANGES:
            self.cycle.require_effect(step)
        with self._writing() as (writer, account, entitlement):
            attempts: list[Attempt] = []
            reading: Reading | None = None
            kinds: tuple[Kind, ...] = ("grant", "revoke")
            for kind in kinds:
                with fault():
                    attempts.append(writer.change(kind, account, entitlement))
                attempts.append(writer.change(kind, account, entitlement, like=attempts[-1]))
                if attempts[-1].held != (kind == "grant"):
                    break
                if kind == "grant":
                    reading = writer.read()
            return CutTrial(attempts, reading)

    @contextmanager
    def _writing(self, *, adds_entitlement: bool = True) -> Iterator[tuple[Writer, str, str]]:
        """Yield a writer, a new account and a new entitlement; undo everything at the end."""
        self._require_methods()
        driver = self._driver
        if adds_entitlement:
            driver.require("add_entitlement", "remove_entitlement")
        with ExitStack() as stack:
            account = driver.add_account()
            stack.callback(driver.remove_account, account)
            entitlement = ""
            if adds_entitlement:
                entitlement = driver.add_entitlement()
                stack.callback(driver.remove_entitlement, entitlement)
            reading = self._validation.read()
            _check_listed(reading, account, entitlement)
            writer = Writer(self._validation, stack.enter_context(self._validation.open()), reading)
            stack.callback(writer.undo)
            yield writer, account, entitlement

    def _require_methods(self) -> None:
        """Raise ``NotTestedError`` unless the connector writes, and the driver has what every trial needs."""
        self._driver.require("add_account", "remove_account", "holds")
        if not {"grant", "revoke"} <= set(self._validation.installed.manifest.hooks):
            raise NotTestedError("the connector does not implement both grant and revoke")

    def _entitlements_with_paths(self) -> tuple[str, str | None]:
        """Return an entitlement that opens others, and one that opens some of the same, if there is one."""
        records = [record for _, record in self._validation.first.records()]
        grants = [record for record in records if isinstance(record, Grant)]
        opened = {
            record.id: opened_by(grants, record.id)
            for record in records
            if isinstance(record, Entitlement) and record.grantable
        }
        opening = {id_: found for id_, found in opened.items() if found}
        for first, other in itertools.permutations(opening, 2):
            if opening[first] & opening[other] and other not in opening[first]:
                return first, other
        if not opening:
            raise NotTestedError("no grantable entitlement of the source opens another one")
        return next(iter(opening)), None


def _check_listed(reading: Reading, account_id: str, entitlement_id: str) -> None:
    """Raise ``NotTestedError`` unless a connector may grant one to the other."""
    records = {(record.record_type, record.id): record for _, record in reading.records()}
    account, entitlement = records.get(("account", account_id)), records.get(("entitlement", entitlement_id))
    if not isinstance(account, Account):
        raise NotTestedError(f"the lists do not have the account {account_id!r} that the driver added")
    if account.not_grantable_reason is not None:
        raise NotTestedError(f"nothing can be granted to the account {account_id!r}: {account.not_grantable_reason}")
    if not entitlement_id:
        return
    if not isinstance(entitlement, Entitlement):
        raise NotTestedError(f"the lists do not have the entitlement {entitlement_id!r} that the driver added")
    if not entitlement.grantable:
        reason = entitlement.not_grantable_reason
        raise NotTestedError(f"the entitlement {entitlement_id!r} that the driver added is not grantable: {reason}")


def _change_id(id_: str, known: set[str]) -> str:
    """Return an id of the same form that the source does not have."""
    for at in range(len(id_) - 1, -1, -1):
        for other in "12ab" if id_[at].isalnum() else "":
            if (changed := id_[:at] + other + id_[at + 1 :]) not in known:
                return changed
    return id_ + "1"
