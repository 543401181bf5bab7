"""What ``--help``, ``--version`` and shell completion import: they answer before anything heavy is loaded."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ploy_connector_aws import __version__

OURS = {
    "ploy_connector_aws",
    "ploy_connector_aws.cli",
    "ploy_connector_aws.cli.app",
    "ploy_connector_aws.cli.commands",
    "ploy_connector_aws.cli.exit_codes",
    "ploy_connector_aws.cli.stdout",
    "ploy_connector_aws.cli.stopping",
}
"""Our modules that may be imported."""
HEAVY = {"boto3", "botocore", "httpcore", "httpx", "pluggy", "prometheus_client", "pydantic", "structlog", "yaml"}

QUESTIONS = {
    "version": (["--version"], {}),
    "completion of commands": ([], {"COMP_WORDS": "ploy-connector re", "COMP_CWORD": "1"}),
    "completion of options": ([], {"COMP_WORDS": "ploy-connector check --co", "COMP_CWORD": "2"}),
    "help": (["--help"], {}),
    "help of a command": (["setup", "--help"], {}),
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
    if environment:
        os.environ["_PLOY_CONNECTOR_COMPLETE"] = "complete_bash"
    from ploy_connector_aws.cli import main
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main()
    os.environ.pop("_PLOY_CONNECTOR_COMPLETE", None)
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
    assert "Test the connection and each permission" in answers["help"][0]
    assert "--without-ploy" in answers["help of a command"][0]


@pytest.mark.parametrize("question", QUESTIONS)
def test_help_version_and_completion_import_no_more_than_is_listed(
    answers: dict[str, tuple[str, list[str]]], question: str
) -> None:
    _, modules = answers[question]
    assert {each for each in modules if each.partition(".")[0] == "ploy_connector_aws"} == OURS
    assert HEAVY & set(modules) - OF_TYPER.get(question, set()) == set()
