"""IAM as people see it: what is privileged, and one tree through Identity Center and IAM."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.sandbox.aws import Assignment
from ploy_connector_aws.sandbox.aws.demo_organisation import demo_organisation
from tests.end_to_end.sync_harness import Site, make_site

from .conftest import run

ADMINISTRATOR = "policy AdministratorAccess  privileged"


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A company that was synced once: no test of this module changes anything."""
    with (
        pytest.MonkeyPatch.context() as patch,
        make_site(tmp_path_factory.mktemp("company"), patch)(demo_organisation()) as site,
    ):
        # The site's account is not the company's own, so what was assigned there is assigned here.
        owner = site.seeded.instance.owner_account_id
        site.seeded.assign(Assignment(owner, "AdministratorAccess", "Cloud Administrators"))
        code, _, err = run(site, "sync")
        assert (code, err) == (Exit.OK, "")
        yield site


def chains(site: Site, account: str) -> set[tuple[str, ...]]:
    """The names along every path of the accounts of this name."""
    code, out, err = run(site, "access", account, "--json")
    assert (code, err) == (Exit.OK, "")
    return {
        tuple(step["name"] for step in path["entitlements"])
        for each in json.loads(out)["accounts"]
        for path in each["paths"]
    }


def test_privileged_entitlements_have_reasons_and_undecided_ones_are_counted(company: Site) -> None:
    code, out, err = run(company, "list", "entitlements", "--privileged", "--json")
    printed = json.loads(out)
    names = {each["name"] for each in printed["entitlements"]}

    assert (code, err) == (Exit.OK, "")
    assert {"legacy-admins", "OrganizationDeploy", "TeamLead", "PolicyAuthors", "BreakGlass"} <= names
    # Its boundary keeps it in; and this one can be harmless only as far as was seen.
    assert names.isdisjoint({"WarehouseAdmin", "auditors", "ReadOnly"})
    assert all(each["privileged"] and each["privileged_reasons"] for each in printed["entitlements"])
    everything = json.loads(run(company, "list", "entitlements", "--json")[1])["entitlements"]
    assert printed["not_judged"] == sum("privileged" not in each for each in everything) > 0

    code, out, err = run(company, "list", "entitlements", "--privileged")
    assert (code, err) == (Exit.OK, "")
    assert f"{len(printed['entitlements'])} privileged entitlements. As of the last sync" in out
    assert f"{printed['not_judged']} more entitlements could not be evaluated" in out


def test_privileged_accounts_are_users_and_roles(company: Site) -> None:
    code, out, err = run(company, "list", "accounts", "--privileged", "--json")
    printed = json.loads(out)
    everything = json.loads(run(company, "list", "accounts", "--json")[1])["accounts"]

    assert (code, err) == (Exit.OK, "")
    names = {each["username"] for each in printed["accounts"]}
    assert {"OrganizationDeploy", "TeamLead", "henrik.aas"} <= names
    assert {each["username"] for each in everything if each.get("privileged") is False} >= {"WarehouseAdmin"}
    assert all(each["privileged_reasons"] for each in printed["accounts"])
    assert printed["not_judged"] == sum("privileged" not in each for each in everything) > 0
    code, out, err = run(company, "list", "accounts", "--privileged")
    assert f"{len(names)} privileged accounts. As of the last sync" in out
    assert "henrik.aas" in out
    assert f"{printed['not_judged']} more accounts were not evaluated" in out


def test_only_accounts_and_entitlements_can_be_privileged(company: Site) -> None:
    assert run(company, "list", "grants", "--privileged")[0] == Exit.USAGE
    assert run(company, "list", "resources", "--privileged")[0] == Exit.USAGE


def test_access_of_a_person_leads_through_identity_center_to_policies(company: Site) -> None:
    owner = company.seeded.instance.owner_account_id
    found = chains(company, "yuki.tanaka")
    (provisioned,) = {chain[2] for chain in found if len(chain) == 3 and chain[2].startswith("AWSReservedSSO_Admin")}

    group_and_account_role = ("Cloud Administrators", f"AdministratorAccess in {owner}")
    assert {
        group_and_account_role,
        (*group_and_account_role, provisioned),
        (*group_and_account_role, provisioned, "AdministratorAccess"),
    } <= found
    lines = {line.strip("│├└─ ") for line in run(company, "access", "yuki.tanaka")[1].splitlines()}
    assert ADMINISTRATOR in lines


def test_access_of_a_role_follows_the_roles_that_it_can_assume(company: Site) -> None:
    pipeline = next(
        each["id"]
        for each in json.loads(run(company, "list", "accounts", "--json")[1])["accounts"]
        if each.get("username") == "PipelineRunner"
    )

    assert chains(company, pipeline) == {
        ("PipelineRunner",),
        ("PipelineRunner", "PipelineArtifacts"),
        ("PipelineRunner", "OrganizationDeploy"),
        ("PipelineRunner", "OrganizationDeploy", "AdministratorAccess"),
        # It trusts its own account, and the policies of OrganizationDeploy open every such role.
        ("PipelineRunner", "OrganizationDeploy", "WarehouseAdmin"),
        ("PipelineRunner", "OrganizationDeploy", "WarehouseAdmin", "AdministratorAccess"),
    }


def test_iam_user_of_the_same_name_has_its_own_tree(company: Site) -> None:
    assert {
        ("legacy-admins", "AdministratorAccess"),
        ("TeamLead", "PolicyAuthors"),
    } <= chains(company, "henrik.aas")


def test_access_of_an_outside_principal_is_what_the_account_allows(company: Site) -> None:
    assert chains(company, "arn:aws:iam::358173209641:root") == {("OldCostReport",), ("OldCostReport", "CostReport")}
