"""The demo: at most 120 lines, readable on a narrow terminal, and over when a chapter does not end as it should."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import NamedTuple

import pytest
from rich.console import Console

from ploy_connector_aws.cli.demo import Demonstration
from ploy_connector_aws.cli.demo_summary import AccountPath, find_account_paths, print_inventory, to_tables
from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.runtime.settings import read_settings
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay
from ploy_connector_aws.sandbox.aws.demo_organisation import demo_organisation
from ploy_connector_aws.sandbox.sandbox import Sandbox
from tests.end_to_end.conftest import sites
from tests.end_to_end.sync_harness import SiteMaker, make_site

__all__ = ["sites"]


@pytest.fixture
def sandbox(sites: SiteMaker) -> Iterator[Sandbox]:
    with sites(demo_organisation()) as site:
        yield site.world


def run(sandbox: Sandbox, *, as_json: bool = False, width: int = 200) -> tuple[Demonstration, Exit, str]:
    out = io.StringIO()
    console = Console(file=out, width=width)
    demo = Demonstration(console, sandbox, read_settings(sandbox.config_file, {}), as_json=as_json)
    return demo, demo.run(), out.getvalue()


class Played(NamedTuple):
    """A demo that ran to its end, and what it left."""

    demo: Demonstration
    code: Exit
    printed: str
    paths: Sequence[AccountPath]
    aws_accounts: Mapping[str, str]
    """Their names by their ids."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    with (
        pytest.MonkeyPatch.context() as patch,
        make_site(tmp_path_factory.mktemp("demo"), patch)(demo_organisation()) as site,
    ):
        ran = run(site.world, width=100)
        names = {account.id: account.name for account in site.seeded.organisation.accounts}
        with Store(site.settings.snapshot_path) as store:
            assert store.baseline is not None
            return Played(*ran, find_account_paths(Overlay(store.baseline)), names)


def test_demo_prints_what_matters_in_120_lines_of_100_columns(played: Played) -> None:
    demo, code, printed, *_ = played

    assert (code, len(demo.chapters)) == (Exit.OK, 9)
    lines = sum(max(1, ceil(len(line) / 100)) for line in printed.splitlines())
    assert lines <= 112, "this leaves 8 lines for the start and the signs of life"
    for part in (
        "✓ external-id-exact: ",
        "Usable: 39 passed.",
        "✓ Committed as generation 1.",
        "and 20 more paths, into 6 AWS accounts in all",
        "Jonas Vik (disabled)",
        "external id missing",
        "Ploy shows: removed grant: Nora Lind in Production On-Call",
        "147 grants kept unproven",
        '"Action":["identitystore:ListGroupMemberships"]',
        "none was deleted",
        "✓ Granted: Aisha Bello now holds Engineering.",
        "✓ Revoked: Aisha Bello no longer holds Engineering.",
        "5 kinds of path cannot be seen, if there are any: docs/reference/commands.md",
        "That was the main job.",
    ):
        assert part in printed


def test_failed_check_ends_the_demo_with_its_message(sandbox: Sandbox) -> None:
    sandbox.allow_without("identitystore:ListUsers")
    demo, code, printed = run(sandbox)
    assert (code, [chapter["title"] for chapter in demo.chapters]) == (
        Exit.PERMISSION,
        ["A company, its AWS, and Ploy", "Can we get in?"],
    )
    assert "The role may not call identitystore:ListUsers" in printed
    assert "That was the main job" not in printed


def test_unproven_sync_ends_the_demo_with_its_exit_status(sandbox: Sandbox) -> None:
    # The check, which comes first, makes the first such call.
    sandbox.aws.faults.before("ListPermissionSets", lambda: sandbox.allow_without("sso:ListPermissionSets"), nth=2)
    demo, code, printed = run(sandbox, as_json=True)
    assert (code, printed) == (Exit.UNPROVEN, "")
    unproven = {failed["scope"]: failed["failure"] for failed in demo.chapters[-1]["sync"]["unproven"]}
    assert set(unproven) == {"identity-center/permission-sets", "iam/permission-set-roles"}
    assert [failure["missing_permissions"] for failure in unproven.values()] == [["sso:ListPermissionSets"]] * 2


@pytest.mark.parametrize("width", [80, 100, 120])
def test_account_paths_are_readable_at_every_width(played: Played, width: int) -> None:
    check_account_paths(played.paths, played.aws_accounts, width)


def test_inventory_without_findings_announces_no_rows() -> None:
    out = Console(file=io.StringIO(), width=80)
    trusted = {"outsider": "arn:aws:iam::111122223333:root", "role": "Deploy", "issues": []}
    print_inventory(out, [trusted, {**trusted, "role": "Audit"}], [], {})
    assert isinstance(out.file, io.StringIO)
    assert out.file.getvalue().splitlines() == [
        "2 external trust grants; 0 through a weak trust policy.",
        "0 IAM groups, roles and policies are privileged.",
        "Resources: -.",
    ]


def check_account_paths(found: Sequence[AccountPath], names: Mapping[str, str], width: int) -> None:
    out = Console(file=io.StringIO(), width=width)
    for table in to_tables(found, names):
        out.print(table)
    assert isinstance(out.file, io.StringIO)
    lines = out.file.getvalue().splitlines()
    shown = set(out.file.getvalue().replace(",", " ").split())

    assert max(len(line) for line in lines) <= width
    assert len(lines) <= 3 * len(found)
    for account_path in found:
        assert {names[account_path.aws_account_id], account_path.role, *account_path.path.split()} <= shown
        assert any(f" {account_path.role} " in line and f" {account_path.path} " in line for line in lines)
    assert {"(disabled)", "Kovac", "Okafor"} <= shown
