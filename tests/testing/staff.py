"""A connector that keeps every rule: people, teams and rooms of a directory in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, TypeAlias

from ploy_connector_aws.spec import (
    SPEC_VERSION,
    AccessChange,
    AccessPath,
    AccessRequest,
    Account,
    Check,
    ConnectionReport,
    ConnectorContext,
    ConnectorError,
    Email,
    Entitlement,
    Failure,
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
    TemporaryError,
    Wizard,
    WizardField,
    hookimpl,
)

from .directory import DIRECTORY

Outcome: TypeAlias = Literal["applied", "already_in_effect", "previewed"]

SECRET = "a-secret-of-the-directory"
SETTINGS = {"token": SECRET, "page_size": 2}
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
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
        return self.change(request, is_member=True)

    @hookimpl
    def revoke(self, request: AccessRequest) -> AccessChange:
        return self.change(request, is_member=False)

    @hookimpl
    def close(self) -> None:
        self.token = ""

    def people(self, skip: Set[str]) -> Iterator[Page]:
        """Pages of the scope ``people``."""
        yield from self.pages("people", skip, [self.person(id_) for id_ in self.visible(DIRECTORY.people)])

    def visible(self, ids: Iterable[str]) -> list[str]:
        """What a list of the directory has."""
        return [id_ for id_ in ids if id_ not in DIRECTORY.hidden]

    def person(self, id_: str) -> Account:
        """One of the people."""
        name = f"user{id_.removeprefix('u-')}"
        return Account(
            id=id_,
            kind="human",
            username=name,
            emails=(Email(address=f"{name}@example.com"),),
            created_at=BEGAN,
            resource_id="r-1",
        )

    def teams(self, skip: Set[str]) -> Iterator[Page]:
        """Pages of the scope ``teams`` and, below it, of the members of each team; then of the doors."""
        teams = [self.team(name) for name in self.visible(DIRECTORY.members)]
        pages = list(self.pages("teams", skip, teams))
        is_read = any(page.complete for page in pages)
        yield from (page.model_copy(update={"complete": False}) for page in pages)
        if is_read or not pages:
            for team in teams:
                yield Page(scope=self.members_of(team.id), parent="teams")
        if is_read:
            yield Page(scope="teams", complete=True)
        if is_read or not pages:
            for team in teams:
                yield from self.members(team, skip)
        if DIRECTORY.doors:
            yield from self.pages("doors", skip, self.doors())

    def team(self, name: str) -> Entitlement:
        """One of the teams."""
        return Entitlement(id=name, kind="group", name=f"Team {name}", grantable=True)

    def members_of(self, team: str) -> str:
        """The name of the scope of the members of a team."""
        return f"teams/{team}/members"

    def members(self, team: Entitlement, skip: Set[str]) -> Iterator[Page]:
        """Pages of the members of a team."""
        scope = self.members_of(team.id)
        try:
            grants = [self.edge(person, team.id) for person in DIRECTORY.find_members(team.id)]
        except NotFoundError:
            yield Page(scope=scope, parent="teams", retracted=(team.key,), gone=True)
            return
        yield from self.pages(scope, skip, grants, parent="teams")

    def edge(self, person: str, team: str) -> Grant:
        """A member of a team."""
        return Grant(principal_kind="account", principal_id=person, entitlement_id=team)

    def doors(self) -> list[Record]:
        """The doors, and which teams open them."""
        opened = [self.opening(team, door) for team, doors in DIRECTORY.doors.items() for door in doors]
        doors = self.visible(sorted({grant.entitlement_id for grant in opened}))
        reason = "A team opens it."
        return [
            *(Entitlement(id=id_, kind="role", name=f"Door {id_}", not_grantable_reason=reason) for id_ in doors),
            *opened,
        ]

    def opening(self, team: str, door: str) -> Grant:
        """A door that a team opens."""
        return Grant(principal_kind="entitlement", principal_id=team, entitlement_id=door)

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
            part = tuple(records[start : start + self.page_size])
            try:
                self.call("list", scope, repr(part))
            except ConnectorError as error:
                yield Page(scope=scope, parent=parent, failure=Failure.from_error(error))
                return
            yield Page(scope=scope, parent=parent, records=part, complete=start + self.page_size >= len(records))

    def call(self, operation: str, scope: str = "", text: str = "") -> None:
        """Call the directory, again where it refuses a call for being one too many."""
        for attempt in range(3):
            self.context.on_call("directory", operation)
            try:
                DIRECTORY.answer(scope, text)
            except ConnectionResetError as error:
                raise TemporaryError("The line was cut.") from error
            except TemporaryError:
                if attempt == 2:
                    raise
            else:
                return
            finally:
                self.context.on_answer("directory", operation)

    def change(self, request: AccessRequest, *, is_member: bool) -> AccessChange:
        """Grant or revoke."""
        account, team = request.account_id, request.entitlement_id
        self.check(request)
        edge = self.edge(account, team)
        was_member = account in DIRECTORY.find_members(team)
        if not request.preview and was_member != is_member:
            self.write(request, is_member=is_member)
        is_unchanged = was_member == is_member
        edges = () if request.preview and is_unchanged else (edge,)
        paths = tuple(AccessPath(grants=(edge, self.opening(team, door))) for door in DIRECTORY.doors.get(team, ()))
        return AccessChange(
            outcome=self.outcome(request, is_unchanged=is_unchanged),
            verified_at=None if request.preview else datetime.now(UTC),
            scope=self.members_of(team),
            added=edges if is_member else (),
            removed=() if is_member else edges,
            opened_paths=paths if is_member and edges else (),
            closed_paths=paths if not is_member and edges else (),
            effects_complete=True,
            remaining_paths=() if is_member else self.remaining(account, team),
            remaining_paths_complete=not is_member,
            has_sessions=False,
        )

    def check(self, request: AccessRequest) -> None:
        """Refuse people who do not exist, and what comes too late."""
        if request.account_id not in DIRECTORY.people:
            raise NotFoundError("There is no such person.", kind="person", id=request.account_id)
        if request.write_before is not None and request.write_before < datetime.now(UTC):
            raise TemporaryError("It is too late to begin.", changed_nothing=True)

    def outcome(self, request: AccessRequest, *, is_unchanged: bool) -> Outcome:
        """What came out."""
        if request.preview:
            return "previewed"
        return "already_in_effect" if is_unchanged else "applied"

    def write(self, request: AccessRequest, *, is_member: bool) -> None:
        """Change the directory."""
        try:
            DIRECTORY.write(request.account_id, request.entitlement_id, is_member=is_member)
        except ConnectionResetError as error:
            raise TemporaryError("The line was cut.") from error

    def remaining(self, account: str, team: str) -> tuple[AccessPath, ...]:
        """The paths by other teams to the doors that a team opens."""
        return tuple(
            AccessPath(grants=(self.edge(account, other), self.opening(other, door)))
            for other, members in DIRECTORY.members.items()
            for door in DIRECTORY.doors.get(other, ())
            if other != team and account in members and door in DIRECTORY.doors.get(team, ())
        )
