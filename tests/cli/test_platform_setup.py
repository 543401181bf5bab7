"""The integration in Ploy that a set-up uses: one that a person chose, or a new one."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import SecretStr
from rich.console import Console

from ploy_connector_aws.cli.prompts import ChosenIntegration, Prompt, choose_integration
from ploy_connector_aws.host import find_connectors
from ploy_connector_aws.runtime.settings import OperatorSettings, PlatformSettings
from ploy_connector_aws.sandbox.ploy import LocalPloy


class ScriptedPrompt(Prompt):
    """Answers each question with the next text, and records the printed errors."""

    def __init__(self, out: Console, *answers: str) -> None:
        super().__init__(out)
        self._answers = iter(answers)
        self.errors: list[str] = []

    def ask(self, question: str, *, suggestion: str | None = None, is_secret: bool = False) -> str:
        return next(self._answers)

    def print_error(self, message: str) -> None:
        self.errors.append(message)


@dataclass
class Platform:
    """A local Ploy with one organisation, and the output of a set-up there."""

    ploy: LocalPloy
    organisation: str
    token: str
    shown: io.StringIO = field(default_factory=io.StringIO)

    def choose(self, *answers: str) -> tuple[ChosenIntegration, list[str]]:
        """Choose an integration with these answers to the questions after address and token."""
        given = OperatorSettings(platform=PlatformSettings(url=self.ploy.url, token=SecretStr(self.token)))
        out = Console(file=self.shown, width=200)
        prompt = ScriptedPrompt(out, *answers)
        return choose_integration(out, prompt, given, find_connectors()["aws"]), prompt.errors


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
def test_integration_is_chosen_by_number_or_id(platform: Platform, typed: str) -> None:
    other = platform.ploy.registry.create_integration(platform.organisation, "directory").id
    ids = [platform.ploy.registry.create_integration(platform.organisation, "aws").id for _ in range(2)]
    shown = sorted(
        ids, key=lambda id_: [each.integration.id for each in platform.ploy.registry.integrations()].index(id_)
    )
    answer = shown[1] if typed == "its id" else typed
    chosen, errors = platform.choose("3", other, answer)
    assert (chosen.integration.id, chosen.is_editable) == (shown[1], False), "it is in use"
    assert errors == ["No such integration."] * 2
    assert other not in platform.shown.getvalue()
    assert len(platform.ploy.registry.integrations()) == 3


def test_new_integration_is_created_once_and_reused_by_the_next_set_up(platform: Platform) -> None:
    (first, _), (second, _) = platform.choose(), platform.choose()
    assert [each.integration.id for each in platform.ploy.registry.integrations()] == [first.integration.id]
    assert (second.integration.id, second.is_editable) == (first.integration.id, True)
