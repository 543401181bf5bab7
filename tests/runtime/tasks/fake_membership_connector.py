"""Fake memberships, and a connector that grants and revokes them; every change is recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from ploy_connector_aws.host import Connector, check_connector
from ploy_connector_aws.spec import (
    SPEC_VERSION,
    AccessChange,
    AccessRequest,
    AuthenticationError,
    Check,
    ConnectionReport,
    Manifest,
    NotFoundError,
    Page,
    PermissionDeniedError,
    RejectedError,
    TemporaryError,
    hookimpl,
)
from tests.runtime.fakes import Crash
from tests.runtime.records import membership

SECRET = "a secret that an exception holds"

CALLS: list[str] = []
"""The first and the last call of each instance."""

BEFORE: dict[str, Callable[[], BaseException]] = {
    "crash": Crash,
    "unknown": lambda: TemporaryError("The directory did not answer."),
    "nothing": lambda: TemporaryError("The directory is busy.", changed_nothing=True),
    "later": lambda: TemporaryError("The directory is busy.", retry_after_seconds=120, changed_nothing=True),
    "locked out": lambda: AuthenticationError("The directory does not know us.", fix="ask the directory"),
    "refused": lambda: RejectedError("The directory is closed.", reason="closed", fix="wait", request_id="r-1"),
    "denied": lambda: PermissionDeniedError("It is denied.", actions=("directory:Write",), request_id="r-2"),
    "missing": lambda: NotFoundError("There is no such group.", kind="GROUP"),
    "bug": lambda: RuntimeError(SECRET),
}
"""What may happen before a change takes effect."""
AFTER = {f"{name} after": BEFORE[name] for name in ("crash", "unknown", "bug")}
"""What may happen after it."""


class Event(NamedTuple):
    """One change that took effect."""

    request_id: str
    pair: tuple[str, str]
    is_member: bool


@dataclass
class Memberships:
    """The truth."""

    clock: Callable[[], datetime]
    history: list[Event] = field(default_factory=list)
    mishaps: dict[int, str] = field(default_factory=dict)
    """By the number of the call, from 1; 0 for every call."""
    planned: dict[str, list[str]] = field(default_factory=dict)
    """By the order: what happens in the attempts at it, one after the other."""
    calls: list[AccessRequest] = field(default_factory=list)
    doubtful: set[str] = field(default_factory=set)
    """The requests whose effect was unknown to the caller after at least one attempt."""
    on_call: Callable[[AccessRequest], None] = lambda _: None
    keeps_time: bool = True
    """Whether nothing is written when it is too late."""
    answer: Any = None
    """Given in place of the true one."""
    preview_answer: AccessChange | None = None
    """Given in place of the true one to a preview."""

    def is_member(self, pair: tuple[str, str], seen: int | None = None) -> bool:
        """Whether an account is a member of a group; after a number of changes, or now."""
        for event in reversed(self.history[:seen]):
            if event.pair == pair:
                return event.is_member
        return False

    def effects(self, request_id: str) -> int:
        """How many changes an order made."""
        return sum(event.request_id == request_id for event in self.history)

    def change(self, request: AccessRequest, *, is_member: bool) -> AccessChange:
        self.calls.append(request)
        mishap = self.mishaps.get(len(self.calls), self.mishaps.get(0, ""))
        if planned := self.planned.get(request.request_id):
            mishap = planned.pop(0)
        if mishap.split()[:1] in (["crash"], ["unknown"], ["bug"]):
            self.doubtful.add(request.request_id)
        self.on_call(request)
        if mishap in BEFORE:
            raise BEFORE[mishap]()
        pair = request.account_id, request.entitlement_id
        grants = (membership(*pair),)
        edges = {"added" if is_member else "removed": grants, "scope": f"groups/{pair[1]}"}
        is_different = self.is_member(pair) != is_member
        if request.preview:
            return self.preview_answer or AccessChange(outcome="previewed", **(edges if is_different else {}))
        if is_different:
            if self.keeps_time and request.write_before is not None and self.clock() >= request.write_before:
                raise TemporaryError("There is no time left to write.", changed_nothing=True)
            self.history.append(Event(request.request_id, pair, is_member))
        if mishap in AFTER:
            raise AFTER[mishap]()
        if self.answer is not None:
            answer: AccessChange = self.answer
            return answer
        return AccessChange(
            outcome="applied" if is_different else "already_in_effect",
            verified_at=self.clock(),
            evidence={"seen": len(self.history)},
            **edges,
        )


class ClubConnector:
    """Grants and revokes membership."""

    manifest = Manifest(
        name="directory", title="Directory", version="1", spec_version=SPEC_VERSION, description="C", config_schema={}
    )

    @hookimpl
    def configure(self, config: Mapping[str, Any]) -> None:
        self.memberships: Memberships = config["directory"]
        CALLS.append("configure")

    @hookimpl
    def close(self) -> None:
        CALLS.append("close")

    @hookimpl
    def test_connection(self) -> ConnectionReport:
        return ConnectionReport(checks=(Check(name="door", outcome="passed", message="It is open."),))

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        yield Page(scope="users", complete=True)

    @hookimpl
    def grant(self, request: AccessRequest) -> AccessChange:
        return self.memberships.change(request, is_member=True)

    @hookimpl
    def revoke(self, request: AccessRequest) -> AccessChange:
        return self.memberships.change(request, is_member=False)


class ClosedClubConnector(ClubConnector):
    """Revokes only."""

    grant = None  # type: ignore[assignment]


def open_memberships(memberships: Memberships, *, can_grant: bool = True) -> Connector:
    connector_class = ClubConnector if can_grant else ClosedClubConnector
    return check_connector("directory", connector_class).open({"directory": memberships})
