"""A connector of spec version 1, as its author wrote it for ploy-connector-aws 0.9. It is frozen: do not edit it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Set
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ploy_connector_aws.spec import (
    SPEC_VERSION,
    AccessChange,
    AccessPath,
    AccessRequest,
    Account,
    AuthenticationError,
    Check,
    ConfigurationError,
    ConnectionReport,
    ConnectorContext,
    ConnectorError,
    Document,
    Email,
    Entitlement,
    ExternalId,
    Failure,
    Feature,
    Finding,
    Grant,
    HostParameter,
    Label,
    Link,
    Manifest,
    NotFoundError,
    Page,
    Permission,
    PermissionDeniedError,
    Progress,
    RecordKey,
    RejectedError,
    Resource,
    Step,
    TemporaryError,
    Wizard,
    WizardField,
    hookimpl,
)

_TEMPLATE = """\
file = "{{ path }}"
{{ if visitors }}
visitors = "{{ site }}"
{{ end }}
"""


class Badges:
    """Doors, badges and who carries them, from one JSON file."""

    manifest = Manifest(
        name="badges",
        title="Badge system",
        version="1.2.0",
        spec_version=SPEC_VERSION,
        description="Who may open which door.",
        scan_interval_seconds=3600,
        poll_interval_seconds=30,
        config_schema={
            "type": "object",
            "properties": {
                "path": {"type": "string", "title": "Path", "pattern": "^/.+"},
                "pin": {"type": "string", "title": "PIN", "writeOnly": True},
                "site": {"type": "string", "title": "Site", "default": "Oslo"},
                "certificate": {"type": "string", "title": "CA", "contentMediaType": "application/x-pem-file"},
                "visitors": {"type": "boolean", "title": "Visitors", "default": True},
            },
            "required": ["path", "pin"],
            "additionalProperties": False,
        },
        features=(Feature(name="visitors", title="Visitors", setting="visitors"),),
        permissions=(
            Permission(
                name="doors:read",
                features=("visitors",),
                is_required=True,
                used_for="Reads the doors.",
                without="No doors.",
            ),
        ),
        labels=(
            Label(
                record_type="resource",
                kind="site",
                singular="site",
                plural="sites",
                link="https://badges.example/{{ id }}",
                is_place=True,
            ),
        ),
        wizard=Wizard(
            steps=(
                Step(
                    id="file",
                    title="The file",
                    text=("Where it is.",),
                    fields=(WizardField(name="path"), WizardField(name="pin"), WizardField(name="site")),
                    asks_features=True,
                    documents=(
                        Document(id="note", title="Note", language="toml", file_name="n.toml", template=_TEMPLATE),
                    ),
                    links=(Link(id="help", title="Help", url="https://badges.example/help?at={{ region }}"),),
                ),
                Step(id="test", title="Test", text=("Test it.",), explains_permissions=True, tests_connection=True),
            ),
            operator_values=(HostParameter(name="region", title="Region", description="Where the host is."),),
        ),
    )

    @hookimpl
    def configure(self, config: Mapping[str, Any], context: ConnectorContext) -> None:
        """Keep the settings."""
        if config["site"] == "nowhere":
            raise ConfigurationError("There is no such site.", field="site", fix="choose another one")
        self._path, self._site, self._visitors = Path(config["path"]), config["site"], config["visitors"]
        self._context = context

    @hookimpl
    def close(self) -> None:
        """Release nothing."""
        self._context.on_note("closed")

    @hookimpl
    def test_connection(self, progress: Progress) -> ConnectionReport:
        """Read the file."""
        checks: tuple[Check, ...] = ()
        for name in ("people", "badges"):
            try:
                count = len(self._read(name))
            except ConnectorError as error:
                checks += (Check(name=name, outcome="failed", message=error.message, fix=error.fix, code=error.code),)
            else:
                checks += (Check(name=name, outcome="passed", message=f"There are {count}.", method="probed"),)
            progress(checks)
        report = ConnectionReport(checks=checks)
        assert not report.is_blocked
        return report

    @hookimpl
    def list_accounts(self, skip: Set[str]) -> Iterator[Page]:
        """List the people."""
        if "people" not in skip:
            people = tuple(
                Account(
                    id=each["id"],
                    kind="human",
                    username=each["name"],
                    emails=(Email(address=f"{each['name']}@badges.example", is_primary=True),),
                    external_ids=(ExternalId(issuer="hr", id=each["id"]),),
                    status="active",
                )
                for each in self._read("people")
            )
            yield Page(scope="people", records=people, origin=self._site)
            yield Page(scope="people", complete=True)
        if self._visitors:
            yield Page(scope="visitors", failure=Failure.from_error(TemporaryError("The desk is closed.")))
        else:
            yield Page(scope="visitors", excluded=True)

    @hookimpl
    def list_entitlements(self, skip: Set[str]) -> Iterator[Page]:
        """List the badges, and who carries each."""
        yield Page(scope="badges")
        for badge in self._read("badges"):
            is_master = badge["id"] == "b-master"
            entitlement = Entitlement(
                id=badge["id"],
                kind="group",
                name=badge["name"],
                resource_id="house",
                grantable=not is_master,
                not_grantable_reason="Only the owner hands it out." if is_master else None,
                privileged=is_master,
                privileged_reasons=("It opens every door.",) if is_master else (),
            )
            yield Page(scope="badges", records=(entitlement,))
            scope = f"badges/{badge['id']}"
            edges = tuple(self._edge(member, badge["id"]) for member in badge["members"])
            yield Page(scope=scope, parent="badges", records=edges, began_at=datetime.now(UTC), complete=True)
        old = Entitlement(id="b-old", kind="group", name="Old", not_grantable_reason="It is old.")
        yield Page(scope="badges", partial=(old,), retracted=(RecordKey(type="entitlement", id="b-none"),))
        yield Page(scope="badges/b-lost", parent="badges", gone=True)
        yield Page(scope="badges", complete=True)

    @hookimpl
    def list_resources(self) -> Iterator[Page]:
        """List the house, and a problem with it."""
        house = Resource(id="house", kind="site", name=self._site, tags={"floor": "2"})
        finding = Finding(
            id="door-open/house",
            kind="door-open",
            subjects=(house.key,),
            severity="high",
            title="Anybody can open this door.",
            evidence="The door has no lock.",
            advice="Add a lock.",
        )
        yield Page(scope="houses", records=(house, finding), complete=True)

    @hookimpl
    def grant(self, request: AccessRequest) -> AccessChange:
        """Hand out a badge."""
        return self._change(request, is_grant=True)

    @hookimpl
    def revoke(self, request: AccessRequest) -> AccessChange:
        """Take a badge back."""
        return self._change(request, is_grant=False)

    def _change(self, request: AccessRequest, *, is_grant: bool) -> AccessChange:
        content = json.loads(self._path.read_text())
        badge = next((each for each in content["badges"] if each["id"] == request.entitlement_id), None)
        if badge is None:
            raise NotFoundError("There is no such badge.", kind="entitlement", id=request.entitlement_id)
        if badge["id"] == "b-master":
            raise RejectedError("Only the owner hands it out.", reason="master")
        if request.write_before is not None and request.write_before < datetime.now(UTC):
            raise TemporaryError("Too late.", changed_nothing=True, retry_after_seconds=1)
        is_change = (request.account_id in badge["members"]) != is_grant
        if is_change and not request.preview:
            others = [each for each in badge["members"] if each != request.account_id]
            badge["members"] = [*others, request.account_id] if is_grant else others
            self._path.write_text(json.dumps(content))
        edge = self._edge(request.account_id, request.entitlement_id)
        edges = (edge,) if is_change or not request.preview else ()
        now = datetime.now(UTC)
        return AccessChange(
            outcome="previewed" if request.preview else "applied" if is_change else "already_in_effect",
            verified_at=None if request.preview else now,
            scope=f"badges/{request.entitlement_id}",
            added=edges if is_grant else (),
            removed=() if is_grant else edges,
            opened_paths=(AccessPath(grants=(edge,)),) if is_grant else (),
            closed_paths=() if is_grant else (AccessPath(grants=(edge,)),),
            remaining_paths_complete=not is_grant,
            effects_complete=True,
            as_of=now,
            has_sessions=False,
            invisible_paths=("Keys that were copied.",),
            warnings=("The door keeps open for a minute.",),
            evidence={"request": request.request_id, "known": len(request.known.paths)},
        )

    def _edge(self, person: str, badge: str) -> Grant:
        return Grant(principal_kind="account", principal_id=person, entitlement_id=badge)

    def _read(self, name: str) -> list[dict[str, Any]]:
        self._context.on_call("file", name)
        try:
            found: list[dict[str, Any]] = json.loads(self._path.read_text())[name]
        except PermissionError as error:
            raise PermissionDeniedError("The file is not readable.", actions=("doors:read",)) from error
        except OSError as error:
            raise TemporaryError("The file cannot be read.") from error
        except ValueError as error:
            raise AuthenticationError("The file is no JSON.") from error
        finally:
            self._context.on_answer("file", name)
        return found
