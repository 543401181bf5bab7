"""IAM as people see it: what is privileged, and one tree through Identity Center and IAM."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.sandbox.aws import Assignment
from ploy_connector_aws.sandbox.aws.demo_organisation import demo_organisation
from tests.end_to_end.sync_harness import Site, make_site

from .conftest import run

ADMINISTRATOR = "AdministratorAccess  administrator  policy"


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
    check_privileges(printed["entitlements"])
    everything = json.loads(run(company, "list", "entitlements", "--json")[1])["entitlements"]
    assert printed["not_judged"] == sum(each["privilege"]["verdict"] == "not_judged" for each in everything) > 0
    # The groups that open administrator access to production have no verdict of their own.
    (on_call,) = (each for each in printed["entitlements"] if each["name"] == "Production On-Call")
    assert ("privileged" in on_call, [each["name"] for each in on_call["privilege"]["path"]]) == (
        False,
        ["AdministratorAccess in 716350982241"],
    )

    code, out, err = run(company, "list", "entitlements", "--privileged")
    assert (code, len(out.splitlines())) == (Exit.OK, len(printed["entitlements"]))
    assert "through AdministratorAccess in 716350982241" in out
    assert err.startswith(f"{len(printed['entitlements'])} privileged groups and roles (")
    assert f"{printed['not_judged']} more could not be evaluated" in err


def test_privileged_accounts_are_users_and_roles(company: Site) -> None:
    code, out, err = run(company, "list", "accounts", "--privileged", "--json")
    printed = json.loads(out)
    everything = json.loads(run(company, "list", "accounts", "--json")[1])["accounts"]

    assert (code, err) == (Exit.OK, "")
    names = {each["username"] for each in printed["accounts"]}
    assert {"OrganizationDeploy", "TeamLead", "henrik.aas"} <= names
    assert {each["username"] for each in everything if each.get("privileged") is False} >= {"WarehouseAdmin"}
    check_privileges(printed["accounts"])
    assert printed["not_judged"] == sum(each["privilege"]["verdict"] == "not_judged" for each in everything) > 0
    code, out, err = run(company, "list", "accounts", "--privileged")
    assert err.startswith(f"{len(printed['accounts'])} privileged people and machines (")
    assert "henrik.aas" in out
    assert f"{printed['not_judged']} more could not be evaluated" in err


def check_privileges(printed: list[dict[str, Any]]) -> None:
    """Each is privileged with reasons of its own, or through something that has them."""
    verdicts = [each["privilege"]["verdict"] for each in printed]
    assert set(verdicts) == {"direct", "through"}
    for each, verdict in zip(printed, verdicts, strict=True):
        assert bool(each["privilege"]["path"]) is (verdict == "through"), each
        assert verdict == "through" or (each["privileged"] and each["privileged_reasons"]), each


def test_privileged_grants_are_those_of_privileged_entitlements(company: Site) -> None:
    code, out, _ = run(company, "list", "grants", "--privileged", "--json")
    grants = json.loads(out)["grants"]
    assert (code, {each["privilege"]["verdict"] for each in grants}) == (Exit.OK, {"direct", "through"})
    names = {(each["principal"]["name"], each["entitlement"]["name"]) for each in grants}
    assert ("Jonas Vik", "Production On-Call") in names
    assert ("Production On-Call", "AdministratorAccess in 716350982241") in names


def test_resource_is_not_privileged_itself(company: Site) -> None:
    assert run(company, "list", "resources", "--privileged")[0] == Exit.USAGE


def test_several_records_of_a_name_are_listed_with_their_ids(company: Site) -> None:
    code, _, err = run(company, "who", "AdministratorAccess")
    assert (code, "policy AdministratorAccess (arn:aws:iam::aws:policy/AdministratorAccess)" in err) == (
        Exit.NOT_FOUND,
        True,
    )
    code, out, _ = run(company, "who", "arn:aws:iam::aws:policy/AdministratorAccess", "--json")
    assert (code, json.loads(out)["target"]["kind"]) == (Exit.OK, "policy")


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
    lines = {line.strip("│├└─ ") for line in run(company, "access", pipeline)[1].splitlines()}
    limited = "privileged by itself, but what limits WarehouseAdmin takes that away"
    assert {ADMINISTRATOR, f"AdministratorAccess  {limited}  policy"} <= lines


def test_iam_user_of_the_same_name_has_its_own_tree(company: Site) -> None:
    assert {
        ("legacy-admins", "AdministratorAccess"),
        ("TeamLead", "PolicyAuthors"),
    } <= chains(company, "henrik.aas")


def test_access_of_an_outside_principal_is_what_the_account_allows(company: Site) -> None:
    assert chains(company, "arn:aws:iam::358173209641:root") == {("OldCostReport",), ("OldCostReport", "CostReport")}
