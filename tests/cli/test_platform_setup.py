"""Which integration at Ploy a set-up uses: one that a person chose, or a new one."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import SecretStr
from rich.console import Console

from ploy_connector_aws.cli.platform_setup import Joined, join
from ploy_connector_aws.cli.prompts import Prompt
from ploy_connector_aws.host import find_connectors
from ploy_connector_aws.runtime.settings import OperatorSettings, PlatformSettings
from ploy_connector_aws.sandbox.ploy import LocalPloy


class Person(Prompt):
    """Answers each question with the next text, and remembers what was complained about."""

    def __init__(self, out: Console, *answers: str) -> None:
        super().__init__(out)
        self._answers = iter(answers)
        self.complaints: list[str] = []

    def ask(self, question: str, *, suggestion: str | None = None, is_secret: bool = False) -> str:
        return next(self._answers)

    def complain(self, message: str) -> None:
        self.complaints.append(message)


@dataclass
class Platform:
    """A local Ploy with one organisation, and what a set-up there showed."""

    ploy: LocalPloy
    organisation: str
    token: str
    shown: io.StringIO = field(default_factory=io.StringIO)

    def join(self, *answers: str) -> tuple[Joined, list[str]]:
        """Join it with these answers to the questions behind those for address and token."""
        given = OperatorSettings(platform=PlatformSettings(url=self.ploy.url, token=SecretStr(self.token)))
        out = Console(file=self.shown, width=200)
        person = Person(out, *answers)
        return join(out, person, given, find_connectors()["aws"]), person.complaints


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    with LocalPloy(tmp_path) as ploy:
        organisation = ploy.registry.create_organisation("Acme")
        token = ploy.registry.create_token(organisation).token
        monkeypatch.setenv("PLOY_URL", ploy.url)
        monkeypatch.setenv("PLOY_TOKEN", token)
        ploy.reports.put_manifest(organisation, find_connectors()["aws"].manifest)
        yield Platform(ploy, organisation, token)


@pytest.mark.parametrize("typed", ["2", "its id"])
def test_an_integration_of_the_connector_is_chosen_by_its_number_or_its_id(platform: Platform, typed: str) -> None:
    other = platform.ploy.registry.create_integration(platform.organisation, "directory").id
    ids = [platform.ploy.registry.create_integration(platform.organisation, "aws").id for _ in range(2)]
    shown = sorted(
        ids, key=lambda id_: [each.integration.id for each in platform.ploy.registry.integrations()].index(id_)
    )
    answer = shown[1] if typed == "its id" else typed
    joined, complaints = platform.join("3", other, answer)
    assert (joined.integration.id, joined.is_open) == (shown[1], False), "it is in use"
    assert complaints == ["There is no such integration."] * 2
    assert other not in platform.shown.getvalue()
    assert len(platform.ploy.registry.integrations()) == 3


def test_where_there_is_none_ploy_makes_one_and_a_set_up_that_was_broken_off_is_continued(platform: Platform) -> None:
    (first, _), (second, _) = platform.join(), platform.join()
    assert [each.integration.id for each in platform.ploy.registry.integrations()] == [first.integration.id]
    assert (second.integration.id, second.is_open) == (first.integration.id, True)
