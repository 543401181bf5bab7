"""A connector that keeps every rule: people, teams and rooms of a directory in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import UTC, datetime
from typing import Any, ClassVar

from ploy_connector_aws.spec import (
    SPEC_VERSION,
    AccessChange,
    AccessRequest,
    Account,
    Check,
    ConnectionReport,
    ConnectorContext,
    Email,
    Entitlement,
    Feature,
    Finding,
    Grant,
    Label,
    Manifest,
    NotFoundError,
    Page,
    Permission,
    Record,
    RecordKey,
    Resource,
    Step,
    Wizard,
    WizardField,
    hookimpl,
)

SECRET = "a-secret-of-the-directory"
SETTINGS = {"token": SECRET, "page_size": 2}
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
TEAMS = {"t-1": ("u-1", "u-2", "u-3"), "t-2": ("u-3", "u-4"), "t-3": ("u-5",)}
"""The members of each team. One of the people is in none, so no grant keeps that account."""

MANIFEST = Manifest(
    name="staff",
    title="Staff directory",
    version="1.0",
    spec_version=SPEC_VERSION,
    description="People, teams and rooms.",
    config_schema={
        "type": "object",
        "properties": {
            "token": {"type": "string", "title": "Token", "minLength": 8, "writeOnly": True},
            "page_size": {"type": "integer", "title": "Records on a page", "default": 2, "minimum": 1},
        },
        "required": ["token"],
        "additionalProperties": False,
    },
    features=(Feature(name="rooms", title="Rooms"),),
    permissions=(Permission(name="read", features=("rooms",), is_required=True, used_for="All.", without="Nothing."),),
    labels=(Label(record_type="resource", kind="room", singular="room", plural="rooms"),),
    wizard=Wizard(steps=(Step(id="connect", title="Connect", text=(), fields=(WizardField(name="token"),)),)),
)


class Staff:
    """Six people, three teams, two rooms."""

    manifest: ClassVar[Manifest] = MANIFEST

    @hookimpl
    def configure(self, config: Mapping[str, Any], context: ConnectorContext) -> None:
        self.context = context
        self.token = config["token"]
        self.page_size = config["page_size"]

    @hookimpl
    def test_connection(self) -> ConnectionReport:
        self.call("ping")
        return ConnectionReport(checks=(Check(name="directory", outcome="passed", message="It can be read."),))

    @hookimpl
    def list_accounts(self, skip: Set[str]) -> Iterator[Page]:
        yield from self.people(skip)

    @hookimpl
    def list_entitlements(self, skip: Set[str]) -> Iterator[Page]:
        yield from self.teams(skip)

    @hookimpl
    def list_resources(self, skip: Set[str]) -> Iterator[Page]:
        yield from self.rooms(skip)

    @hookimpl
    def grant(self, request: AccessRequest) -> AccessChange:
        raise NotFoundError("Not in these tests.")

    @hookimpl
    def revoke(self, request: AccessRequest) -> AccessChange:
        raise NotFoundError("Not in these tests.")

    @hookimpl
    def close(self) -> None:
        self.token = ""

    def people(self, skip: Set[str]) -> Iterator[Page]:
        """Pages of the scope ``people``."""
        yield from self.pages("people", skip, [self.person(number) for number in range(1, 7)])

    def person(self, number: int) -> Account:
        """One of the people."""
        return Account(
            id=f"u-{number}",
            kind="human",
            username=f"user{number}",
            emails=(Email(address=f"user{number}@example.com"),),
            created_at=BEGAN,
            resource_id="r-1",
        )

    def teams(self, skip: Set[str]) -> Iterator[Page]:
        """Pages of the scope ``teams`` and, below it, of the members of each team."""
        teams = [self.team(name) for name in TEAMS]
        pages = list(self.pages("teams", skip, teams))
        yield from (page.model_copy(update={"complete": False}) for page in pages)
        for team in teams:
            yield Page(scope=f"teams/{team.id}/members", parent="teams")
        if pages:
            yield Page(scope="teams", complete=True)
        for team in teams:
            yield from self.members(team, skip)

    def team(self, name: str) -> Entitlement:
        """One of the teams."""
        return Entitlement(id=name, kind="group", name=f"Team {name}", grantable=True)

    def members(self, team: Entitlement, skip: Set[str]) -> Iterator[Page]:
        """Pages of the members of a team."""
        grants = [
            Grant(principal_kind="account", principal_id=person, entitlement_id=team.id) for person in TEAMS[team.id]
        ]
        yield from self.pages(f"teams/{team.id}/members", skip, grants, parent="teams")

    def rooms(self, skip: Set[str]) -> Iterator[Page]:
        """Pages of the scope ``rooms``."""
        rooms: list[Record] = [
            Resource(id="r-1", kind="room", name="House"),
            Resource(id="r-2", kind="room", name="Cellar", parent_id="r-1"),
        ]
        finding = Finding(
            id="open/r-2",
            kind="open",
            subjects=(RecordKey(type="resource", id="r-2"),),
            severity="high",
            title="The room is open.",
            evidence="The cellar has no lock.",
        )
        yield from self.pages("rooms", skip, [*rooms, finding])

    def pages(self, scope: str, skip: Set[str], records: Sequence[Record], parent: str | None = None) -> Iterator[Page]:
        """Split records into pages; the last one ends the scope."""
        if scope in skip:
            return
        for start in range(0, max(1, len(records)), self.page_size):
            self.call("list")
            part = tuple(records[start : start + self.page_size])
            yield Page(scope=scope, parent=parent, records=part, complete=start + self.page_size >= len(records))

    def call(self, operation: str) -> None:
        """Count a call to the directory."""
        self.context.on_call("directory", operation)
        self.context.on_answer("directory", operation)
