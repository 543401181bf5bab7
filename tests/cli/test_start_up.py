"""What ``--help``, ``--version`` and shell completion import: they answer before anything heavy is loaded."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from typing import Any

import pytest
import typer

from ploy_connector_aws import __version__
from ploy_connector_aws.cli.app import app
from ploy_connector_aws.cli.examples import EXAMPLES

OURS = {
    "ploy_connector_aws",
    "ploy_connector_aws.cli",
    "ploy_connector_aws.cli.app",
    "ploy_connector_aws.cli.commands",
    "ploy_connector_aws.cli.examples",
    "ploy_connector_aws.cli.exit_codes",
    "ploy_connector_aws.cli.options",
    "ploy_connector_aws.cli.stdout",
    "ploy_connector_aws.cli.stopping",
}
"""Our modules that may be imported."""
HEAVY = {"boto3", "botocore", "httpcore", "httpx", "pluggy", "prometheus_client", "pydantic", "structlog", "yaml"}

COMPLETE = "_PLOY_CONNECTOR_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
QUESTIONS: dict[str, tuple[list[str], dict[str, str]]] = {
    "version": (["--version"], {}),
    "completion of commands": (
        [],
        {COMPLETE: "complete_bash", "COMP_WORDS": "ploy-connector re", "COMP_CWORD": "1"},
    ),
    "completion of options": (
        [],
        {COMPLETE: "complete_bash", "COMP_WORDS": "ploy-connector check --co", "COMP_CWORD": "2"},
    ),
    "completion in zsh": ([], {COMPLETE: "complete_zsh", "_TYPER_COMPLETE_ARGS": "ploy-connector re"}),
    "completion in fish": (
        [],
        {
            COMPLETE: "complete_fish",
            "_TYPER_COMPLETE_ARGS": "ploy-connector re",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        },
    ),
    **{f"completion script of {shell}": ([], {COMPLETE: f"source_{shell}"}) for shell in SHELLS},
    "help": (["--help"], {}),
    "help of a command": (["setup", "-h"], {}),
}
OF_TYPER = {"help of a command": {"pydantic"}}
"""What Typer (0.29) itself imports: it converts the absent ``--help`` of the program, before it reads the command's."""

ASK = """
import contextlib, io, json, os, sys
before = set(sys.modules)
answers = {}
for name, (arguments, environment) in json.loads(sys.argv[1]).items():
    sys.argv = ["ploy-connector", *arguments]
    os.environ.update(environment)
    from ploy_connector_aws.cli import main
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main()
    for name_of_variable in environment:
        del os.environ[name_of_variable]
    answers[name] = (out.getvalue(), sorted(set(sys.modules) - before))
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers() -> dict[str, tuple[str, list[str]]]:
    """The output of each question, and the modules that were imported up to its end; all in one process."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, json.dumps(QUESTIONS)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, tuple[str, list[str]]] = json.loads(done.stdout)
    return found


def test_help_version_and_completion_answer(answers: dict[str, tuple[str, list[str]]]) -> None:
    assert answers["version"][0] == f"ploy-connector {__version__}\n"
    assert answers["completion of commands"][0].split() == ["revoke"]
    assert answers["completion of options"][0].split() == ["--config", "--connector"]
    assert answers["completion in zsh"][0].count("revoke") == 1
    assert answers["completion in fish"][0].partition("\t")[0] == "revoke"
    assert all(COMPLETE in answers[f"completion script of {shell}"][0] for shell in SHELLS)
    assert "Test the connection and each permission" in answers["help"][0]
    assert "--without-ploy" in answers["help of a command"][0]
    assert "ploy-connector setup --print policy" in answers["help of a command"][0]
    assert "<bool>" not in answers["help of a command"][0] + answers["help"][0]


def test_every_command_has_examples_that_it_accepts() -> None:
    program: Any = typer.main.get_command(app)
    assert EXAMPLES.keys() == program.commands.keys()
    for name, examples in EXAMPLES.items():
        for example in examples:
            command, *arguments = shlex.split(example)
            assert command == name
            with program.commands[name].make_context(name, arguments):
                pass


@pytest.mark.parametrize("question", QUESTIONS)
def test_help_version_and_completion_import_no_more_than_is_listed(
    answers: dict[str, tuple[str, list[str]]], question: str
) -> None:
    _, modules = answers[question]
    assert {each for each in modules if each.partition(".")[0] == "ploy_connector_aws"} == OURS
    assert HEAVY & set(modules) - OF_TYPER.get(question, set()) == set()
