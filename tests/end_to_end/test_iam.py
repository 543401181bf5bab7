"""IAM from AWS to Ploy: unread records are kept, and changes are sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from moto.backends import get_backend

from ploy_connector_aws.cli.exit_codes import Exit
from tests.aws.conftest import small_demo_organisation

from .oracle import is_of_iam
from .sync_harness import Site, SiteMaker

USERS = {"ci-deployer", "backup-robot", "henrik.aas", "auditor-2023"}
"""IAM users; Henrik Aas has a namesake in Identity Center."""


@pytest.fixture
def company(sites: SiteMaker) -> Iterator[Site]:
    with sites(small_demo_organisation()) as site:
        assert site.sync().code == Exit.OK
        yield site


def of_iam(site: Site) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {key: each for key, each in site.records_at_ploy().items() if is_of_iam(each)}


def last_logins(site: Site) -> dict[str, str | None]:
    return {
        each["username"]: each.get("last_login_at") for each in of_iam(site).values() if each.get("username") in USERS
    }


@pytest.mark.parametrize(
    ("denied", "unproven"),
    [
        (
            "iam:GetAccountAuthorizationDetails",
            {
                *("iam/policies", "iam/users", "iam/groups", "iam/roles", "iam/trust", "iam/permission-set-roles"),
                "iam/dormant-users",
            },
        ),
        ("iam:ListUsers", {"iam/users", "iam/dormant-users"}),
        ("iam:ListRoles", {"iam/roles", "iam/permission-set-roles"}),
    ],
)
def test_a_denied_call_removes_and_overwrites_nothing(company: Site, denied: str, unproven: set[str]) -> None:
    before, grants = of_iam(company), {key for key in company.records_at_ploy() if key[0] == "grant"}
    company.world.aws.faults.deny(denied)
    synced = company.sync()

    # Each dormant user has a scope of its own, which was not announced.
    found = {scope for scope in synced.unproven if not scope.startswith("iam/dormant-users/")}
    assert (synced.code, found, synced.printed["removed"]) == (Exit.UNPROVEN, unproven, {})
    assert {synced.unproven[scope]["missing_permissions"][0] for scope in unproven} == {denied}
    assert of_iam(company) == before
    assert {key for key in company.records_at_ploy() if key[0] == "grant"} == grants


def test_what_changed_while_a_list_was_denied_is_right_once_it_is_allowed_again(company: Site) -> None:
    users: dict[str, Any] = get_backend("iam")[company.seeded.instance.owner_account_id]["aws"].users
    company.world.aws.faults.deny("iam:ListUsers")
    users["henrik.aas"].password_last_used = datetime(2026, 11, 20, 9, tzinfo=UTC)
    del users["backup-robot"]
    company.sync()
    while_denied = last_logins(company)
    company.world.aws.faults.allow("iam:ListUsers")
    synced = company.sync()

    assert while_denied == {**dict.fromkeys(USERS), "henrik.aas": "2024-02-09T15:20:00Z"}
    assert (synced.code, synced.unproven) == (Exit.OK, {})
    assert last_logins(company) == {**dict.fromkeys(USERS - {"backup-robot"}), "henrik.aas": "2026-11-20T09:00:00Z"}
