"""The demo's story: readable on a narrow terminal, and over where something is not as it should be."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence

import pytest
from rich.console import Console

from ploy_connector_aws.cli.account_access import Entrance, find_entrances, to_tables
from ploy_connector_aws.cli.demo import Story
from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.runtime.settings import read_settings
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay
from ploy_connector_aws.sandbox.aws.demo_organisation import demo_organisation
from ploy_connector_aws.sandbox.sandbox import Sandbox
from tests.end_to_end.conftest import sites
from tests.end_to_end.sync_harness import SiteMaker

__all__ = ["sites"]


@pytest.fixture
def world(sites: SiteMaker) -> Iterator[Sandbox]:
    with sites(demo_organisation()) as site:
        yield site.world


def tell(world: Sandbox, *, as_json: bool = False) -> tuple[Story, Exit, str]:
    out = io.StringIO()
    story = Story(Console(file=out, width=200), world, read_settings(world.config_file, {}), as_json=as_json)
    return story, story.tell(), out.getvalue()


def test_a_check_that_fails_ends_the_story_with_its_sentence(world: Sandbox) -> None:
    world.allow_without("identitystore:ListUsers")
    story, code, told = tell(world)
    assert (code, [chapter["title"] for chapter in story.chapters]) == (
        Exit.PERMISSION,
        ["A company, its AWS, and Ploy", "Can we get in?"],
    )
    assert "The role may not call identitystore:ListUsers" in told
    assert "That was the main job" not in told


def test_a_sync_that_does_not_end_as_it_should_ends_the_story_with_its_code(world: Sandbox) -> None:
    # The check, which comes first, makes the first such call.
    world.aws.faults.before("ListPermissionSets", lambda: world.allow_without("sso:ListPermissionSets"), nth=2)
    story, code, told = tell(world, as_json=True)
    assert (code, told) == (Exit.UNPROVEN, "")
    unproven = {failed["scope"]: failed["failure"] for failed in story.chapters[-1]["sync"]["unproven"]}
    assert set(unproven) == {"identity-center/permission-sets", "iam/permission-set-roles"}
    assert [failure["missing_permissions"] for failure in unproven.values()] == [["sso:ListPermissionSets"]] * 2


def test_who_can_enter_is_readable_at_every_width(world: Sandbox) -> None:
    assert tell(world, as_json=True)[1] is Exit.OK
    names = {account.id: account.name for account in world.seeded.organisation.accounts}
    with Store(read_settings(world.config_file, {}).snapshot_path) as store:
        assert store.baseline is not None
        found = find_entrances(Overlay(store.baseline))
    for width in (80, 100, 120):
        check_entrances(found, names, width)


def check_entrances(found: Sequence[Entrance], names: Mapping[str, str], width: int) -> None:
    out = Console(file=io.StringIO(), width=width)
    for table in to_tables(found, names):
        out.print(table)
    assert isinstance(out.file, io.StringIO)
    lines = out.file.getvalue().splitlines()
    words = set(out.file.getvalue().replace(",", " ").split())

    assert max(len(line) for line in lines) <= width
    assert len(lines) <= 3 * len(found)
    for entrance in found:
        assert {names[entrance.aws_account_id], entrance.role, *entrance.way.split()} <= words
        assert any(f" {entrance.role} " in line and f" {entrance.way} " in line for line in lines)
    assert {"(disabled)", "Kovac", "Okafor"} <= words
