import subprocess
import sys
from pathlib import Path

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.openapi import CALLS, render_yaml, to_openapi
from ploy_connector_aws.sandbox.ploy import contract
from tests.yaml_files import read_yaml

DOCUMENT = Path(__file__).parents[2] / "docs" / "platform-api.yaml"


def test_document_matches_the_models() -> None:
    assert DOCUMENT.read_text() == render_yaml(), (
        "generate it again: python -m ploy_connector_aws.platform.openapi > docs/platform-api.yaml"
    )


def test_command_writes_the_document() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "ploy_connector_aws.platform.openapi"], capture_output=True, text=True, check=False
    )

    assert (run.stdout, run.stderr) == (DOCUMENT.read_text(), "")


def test_first_line_names_the_owner_of_the_contract() -> None:
    assert DOCUMENT.read_text().splitlines()[0] == "# This contract is ours, not Ploy's: Ploy publishes no HTTP API."


def test_the_local_ploy_has_exactly_the_calls_of_the_document() -> None:
    documented = {
        (operation["operationId"], method.upper(), path)
        for path, operations in read_yaml(DOCUMENT)["paths"].items()
        for method, operation in operations.items()
    }

    served = {
        (route.name, method, route.path)  # type: ignore[attr-defined]
        for route in contract.router.routes
        for method in route.methods  # type: ignore[attr-defined]
    }

    assert served == documented


def test_every_call_has_a_client_method_and_every_problem_a_call() -> None:
    from ploy_connector_aws.platform.client import PlatformClient

    assert {call.name for call in CALLS} == {
        name for name in vars(PlatformClient) if not name.startswith("_") and name != "close"
    }
    assert {code for call in CALLS for code in call.refusals} == wire.PROBLEMS.keys()


def test_every_reference_in_the_document_resolves() -> None:
    document = to_openapi()

    def references(part: object) -> set[str]:
        if isinstance(part, dict):
            own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
            return own.union(*(references(value) for value in part.values()))
        return set().union(*map(references, part)) if isinstance(part, list) else set()

    names = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document) == names
