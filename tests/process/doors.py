"""The source of a connector of another field: people, badges and rooms of buildings. Its state is a file of grants."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ploy_connector_aws.spec import (
    SPEC_VERSION,
    AccessChange,
    AccessRequest,
    Account,
    Check,
    ConnectionReport,
    Document,
    Email,
    Entitlement,
    Failure,
    Feature,
    Grant,
    Label,
    Link,
    Manifest,
    Page,
    Permission,
    RejectedError,
    Resource,
    Step,
    Wizard,
    WizardField,
    hookimpl,
)

CALLS: list[str] = []
"""The first and the last call of each instance."""

PEOPLE = ("ann", "ben", "cleo")
RECORDS = (
    Account(id="ann", kind="human", username="ann", display_name="Ann Lee", emails=(Email(address="ann@x.example"),)),
    Account(id="ben", kind="human", username="ben", display_name="Ben Moss", status="disabled"),
    Account(id="cleo", kind="human", username="cleo", display_name="Cleo Ray", status="active"),
    Account(id="lift", kind="service", username="lift", privileged=True, privileged_reasons=("It opens all floors.",)),
    Account(id="guest", kind="external", username="guest"),
    Account(id="sweeper", kind="cleaning-robot", username="sweeper", resource_id="shed"),
)
ENTITLEMENTS = (
    Entitlement(id="staff", kind="group", name="Staff", grantable=True),
    Entitlement(id="guards", kind="watch", name="Guards", grantable=True),
    Entitlement(
        id="keys",
        kind="account_role",
        name="Keys of the vault",
        resource_id="house",
        privileged=True,
        privileged_reasons=("It opens the vault.",),
        not_grantable_reason="Make the person a guard instead.",
    ),
)
RESOURCES = (
    Resource(id="house", kind="building", name="The house", region="north"),
    Resource(id="vault", kind="room", name="The vault", parent_id="house"),
)


class Doors:
    """The connector; its settings name the file."""

    manifest = Manifest(
        name="doors",
        title="The Doors",
        version="1",
        spec_version=SPEC_VERSION,
        description="Who may open which door.",
        config_schema={
            "type": "object",
            "properties": {
                "book": {"type": "string", "title": "Book", "description": "The file of those who are let in."},
                "parts": {"type": "array", "title": "Parts"},
            },
            "required": ["book"],
        },
        features=(Feature(name="people", title="People", setting="parts"),),
        permissions=(
            Permission(name="doors:Read", features=("people",), is_required=True, used_for="All.", without="None."),
        ),
        labels=(
            Label(record_type="account", kind="external", singular="guest", plural="guests"),
            Label(record_type="entitlement", kind="watch", singular="watch", plural="watches"),
            Label(
                record_type="resource",
                kind="building",
                singular="building",
                plural="buildings",
                link="https://doors.example/buildings/{{ id }}",
                is_place=True,
            ),
        ),
        wizard=Wizard(
            steps=(
                Step(
                    id="book",
                    title="The book",
                    text=("Name the book.",),
                    fields=(WizardField(name="book"),),
                    asks_features=True,
                    links=(Link(id="site", title="To the doors", url="https://doors.example/?b={{ book }}"),),
                    documents=(
                        Document(id="note", title="A note", language="text", file_name="note.txt", template="Open up."),
                    ),
                    explains_permissions=True,
                    tests_connection=True,
                ),
            )
        ),
    )

    @hookimpl
    def configure(self, config: Mapping[str, Any]) -> None:
        CALLS.append("configure")
        self._book = Path(config["book"])

    @hookimpl
    def close(self) -> None:
        CALLS.append("close")

    @hookimpl
    def test_connection(self) -> ConnectionReport:
        return ConnectionReport(
            checks=(
                Check(name="door", outcome="passed", message="It opens.", method="probed"),
                Check(name="bell", outcome="warning", message="It is quiet.", fix="Turn it up."),
            )
        )

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        yield Page(scope="people", records=RECORDS, complete=True)
        yield Page(scope="annex", failure=Failure(code="temporary", message="The annex is locked."))

    @hookimpl
    def list_entitlements(self) -> Iterator[Page]:
        guards = Grant(principal_kind="entitlement", principal_id="guards", entitlement_id="keys")
        yield Page(scope="rights", records=(*ENTITLEMENTS, guards, *self._grants()), complete=True)

    @hookimpl
    def list_resources(self) -> Iterator[Page]:
        yield Page(scope="rooms", records=RESOURCES, complete=True)

    @hookimpl
    def grant(self, request: AccessRequest) -> AccessChange:
        return self._change(request, is_held=True)

    @hookimpl
    def revoke(self, request: AccessRequest) -> AccessChange:
        return self._change(request, is_held=False)

    def _grants(self) -> list[Grant]:
        rows = json.loads(self._book.read_text()) if self._book.exists() else [["ann", "staff"], ["cleo", "guards"]]
        return [Grant(principal_kind="account", principal_id=who, entitlement_id=what) for who, what in rows]

    def _change(self, request: AccessRequest, *, is_held: bool) -> AccessChange:
        if request.entitlement_id == "keys":
            raise RejectedError("The vault is for guards only.", reason="guards_only", fix="Make the person a guard.")
        held = {(each.principal_id, each.entitlement_id) for each in self._grants()}
        wanted = (request.account_id, request.entitlement_id)
        after = {*held, wanted} if is_held else held - {wanted}
        edge = (Grant(principal_kind="account", principal_id=wanted[0], entitlement_id=wanted[1]),)
        is_change = after != held
        if not request.preview:
            self._book.write_text(json.dumps(sorted(after)))
        named = edge if is_change or not request.preview else ()
        return AccessChange(
            outcome="previewed" if request.preview else "applied" if is_change else "already_in_effect",
            verified_at=None if request.preview else datetime.now(UTC),
            scope="rights" if named else None,
            added=named if is_held else (),
            removed=() if is_held else named,
            invisible_paths=("Windows.",),
            warnings=("Mind the step.",),
        )
