"""A connector that keeps every rule: a directory of people, teams and rooms, in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ploy_connector_aws.spec import (
    SPEC_VERSION,
    Account,
    Check,
    ConnectionReport,
    Entitlement,
    Grant,
    Manifest,
    Page,
    hookimpl,
)

SETTINGS = {"token": "a-secret-of-the-directory"}


class Staff:
    """Four people and two teams."""

    manifest: ClassVar[Manifest] = Manifest(
        name="staff",
        title="Staff directory",
        version="1.0",
        spec_version=SPEC_VERSION,
        description="People and teams.",
        config_schema={
            "type": "object",
            "properties": {"token": {"type": "string", "title": "Token", "writeOnly": True}},
            "required": ["token"],
            "additionalProperties": False,
        },
    )

    @hookimpl
    def configure(self, config: Mapping[str, Any]) -> None:
        self.token = config["token"]

    @hookimpl
    def test_connection(self) -> ConnectionReport:
        return ConnectionReport(checks=(Check(name="directory", outcome="passed", message="It can be read."),))

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        for part in (0, 1):
            people = tuple(Account(id=f"u-{part}{each}", kind="human") for each in range(2))
            yield Page(scope="people", records=people, complete=part == 1)

    @hookimpl
    def list_entitlements(self) -> Iterator[Page]:
        teams = tuple(Entitlement(id=f"t-{each}", kind="group", name=f"Team {each}") for each in range(2))
        yield Page(scope="teams", records=teams)
        for team in teams:
            yield Page(scope=f"teams/{team.id}/members", parent="teams")
        yield Page(scope="teams", complete=True)
        for team in teams:
            members = tuple(
                Grant(principal_kind="account", principal_id=f"u-0{each}", entitlement_id=team.id) for each in range(2)
            )
            yield Page(scope=f"teams/{team.id}/members", records=members, complete=True)
