"""The layers of the package, checked over all imports, and the modules that need neither AWS nor HTTP libraries."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ploy_connector_aws

PACKAGE = "ploy_connector_aws"
ROOT = Path(ploy_connector_aws.__file__).parent

ALLOWED = {
    "": {""},
    "spec": set(),
    "host": {"spec"},
    "reference": {"spec"},
    "testing": {"spec", "host", "reference"},
    "graph": {"spec"},
    "config": {"spec"},
    "deadlines": set(),
    # What policies allow is computed from documents alone.
    "aws.policy": {"spec"},
    "aws": {"spec", "config", "deadlines", "aws.policy", ""},
    "platform": {"spec", "deadlines", ""},
    # The manifest is made of two modules of aws, and a third remembers; they need no AWS library.
    "plugin": {"spec", "config", "aws.features", "aws.labels", "aws.setup", "aws.client.external_id_proof", ""},
    # Imports of the runtime run one way: snapshot, sync, tasks, service.
    "runtime.snapshot": {"spec", "host", "graph", "platform", ""},
    "runtime.sync": {"spec", "host", "graph", "platform", "runtime.snapshot", "runtime.logs", "runtime.errors", ""},
    "runtime.tasks": {
        "spec",
        "host",
        "graph",
        "platform",
        "runtime.snapshot",
        "runtime.sync",
        "runtime.heartbeats",
        "runtime.backoff",
        "runtime.errors",
        "",
    },
    "runtime.service": {"spec", "host", "graph", "platform", "runtime", ""},
    "runtime": {"spec", "host", "graph", "platform", "runtime.snapshot", "runtime.sync", ""},
    "sandbox": {"spec", "host", "reference", "graph", "platform.wire", "sandbox.ploy", ""},
    # The local Ploy is a judge of runtimes, so it shares none of their code.
    "sandbox.ploy": {"spec", "host", "reference", "graph", "platform.wire", ""},
    "cli": {
        "spec",
        "host",
        "reference",
        "testing",
        "graph",
        "config",
        "aws",
        "platform",
        "plugin",
        "runtime",
        "sandbox",
        "",
    },
}
"""What a layer may import of ours besides itself; '' is the package itself (its version)."""
LAZY = {("plugin", "aws")}
"""What a layer may import inside functions only."""
THIRD_PARTY = {
    "boto3": {"aws", "sandbox"},
    "botocore": {"aws", "sandbox"},
    "moto": {"sandbox"},
    "httpcore": {"platform"},
    "httpx": {"platform"},
    "prometheus_client": {"runtime"},
    "pytest": {"testing"},
    "structlog": {"runtime"},
    "fastapi": {"sandbox"},
    "jinja2": {"sandbox"},
    "jsonschema": {"host"},
    "uvicorn": {"sandbox"},
    "werkzeug": {"sandbox"},
}


def layer_of(module: str) -> str:
    """The layer of one of our modules, by its first name below the package; two names where the rules have them."""
    names = module.removeprefix(PACKAGE).removeprefix(".").split(".")
    return ".".join(names[:2]) if ".".join(names[:2]) in ALLOWED else names[0]


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module that a file imports, as an absolute name, and whether inside a function."""
    module = ".".join(("x", *path.relative_to(ROOT).with_suffix("").parts)).replace("x.", f"{PACKAGE}.", 1)
    package = module.removesuffix(".__init__") if path.name == "__init__.py" else module.rpartition(".")[0]
    tree = ast.parse(path.read_text())
    inside = {
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node in inside
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([node.module] if node.module else [])])
            folder = ROOT.joinpath(*base.split(".")[1:])
            for alias in node.names:
                is_module = (folder / alias.name).is_dir() or (folder / f"{alias.name}.py").exists()
                is_ours = base.split(".")[0] == PACKAGE
                yield (f"{base}.{alias.name}" if is_ours and is_module else base), node in inside


def violations(path: Path) -> list[str]:
    """Return the forbidden imports of a file."""
    layer = layer_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    layer = "" if layer == "__init__" else layer
    found = []
    for module, is_inside in imports(path):
        if module == PACKAGE or module.startswith(f"{PACKAGE}."):
            target = layer_of(module)
            inner = module.removeprefix(f"{PACKAGE}.")
            allowed = ALLOWED[layer] | {layer}
            is_allowed = target in allowed or any(
                inner == name or (inner.startswith(f"{name}.") and not (name == layer and target != layer))
                for name in allowed
                if name
            )
            if not is_allowed and not (is_inside and (layer, target) in LAZY):
                found.append(f"{path.relative_to(ROOT)} imports {module}")
        else:
            owners = THIRD_PARTY.get(module.split(".")[0])
            if owners is not None and (
                layer not in owners if layer == "aws.policy" else layer.split(".")[0] not in owners
            ):
                found.append(f"{path.relative_to(ROOT)} imports {module}")
    return found


def test_every_file_imports_only_what_its_layer_may() -> None:
    files = sorted(ROOT.rglob("*.py"))
    assert len(files) > 250
    assert [violation for path in files for violation in violations(path)] == []


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("spec", "from ploy_connector_aws.config import AwsConfig"),
        ("runtime", "from ploy_connector_aws import plugin"),
        ("runtime", "import boto3"),
        ("runtime", "from ploy_connector_aws.runtime.tasks.journal import Journal"),
        ("runtime/snapshot", "from ploy_connector_aws.runtime.sync.engine import Sync"),
        ("runtime/snapshot", "from ploy_connector_aws.runtime.settings import load_settings"),
        ("runtime/sync", "from ploy_connector_aws.runtime.tasks.journal import Journal"),
        ("runtime/tasks", "from ploy_connector_aws.runtime.service.control import Control"),
        ("runtime", "from ploy_connector_aws.reference import compare"),
        ("runtime", "def f():\n    from ..sandbox import ploy"),
        ("spec", "from ploy_connector_aws.host import find_connectors"),
        ("aws", "from ploy_connector_aws.host import find_connectors"),
        ("host", "from ploy_connector_aws.platform import wire"),
        ("reference", "from ploy_connector_aws.platform.wire import Commit"),
        ("reference", "from ploy_connector_aws.runtime.snapshot.store import Store"),
        ("reference", "import httpx"),
        ("testing", "import httpx"),
        ("testing/checks", "from ploy_connector_aws.runtime.snapshot.store import Store"),
        ("host", "import pytest"),
        ("graph", "from ploy_connector_aws.reference import compare"),
        ("graph", "from ploy_connector_aws.runtime.snapshot.store import Store"),
        ("runtime", "def f():\n    from ..aws import session"),
        ("aws/policy", "from ploy_connector_aws.aws.client.errors import to_connector_error"),
        ("aws/policy", "import boto3"),
        ("platform", "from ploy_connector_aws.runtime.snapshot.store import Store"),
        ("sandbox", "from ploy_connector_aws.platform.client import PlatformClient"),
        ("sandbox", "from ploy_connector_aws.platform import PlatformClient"),
        ("sandbox", "import httpx"),
        ("sandbox", "from ploy_connector_aws.runtime.snapshot.lock import SyncLock"),
        ("sandbox/ploy", "from ploy_connector_aws.runtime.snapshot.store import Store"),
        ("sandbox/ploy", "def f():\n    from ploy_connector_aws.runtime import store"),
        ("sandbox/ploy", "from ploy_connector_aws.sandbox.folder import SandboxFolder"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, line: str) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    for name in ("plugin.py", f"{folder}/planted.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(line)
    assert len(violations(tmp_path / folder / "planted.py")) == 1


def test_no_file_is_longer_than_400_lines() -> None:
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in ROOT.rglob("*.py")}
    assert {path: lines for path, lines in long.items() if lines > 400} == {}


def test_only_the_profiles_decide_how_many_examples_a_property_plays() -> None:
    tests = ROOT.parent / "tests"
    setting = re.compile("|".join(("max_examples", "stateful_step_count", "derandomize", "deadline=None")))
    others = [path for path in sorted(tests.rglob("*.py")) if path not in (tests / "soak.py", Path(__file__))]
    assert [str(path.relative_to(tests)) for path in others if setting.search(path.read_text())] == []


WITHOUT = """
import importlib, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("boto3", "botocore", "httpx"):
            raise ImportError(name + " is absent")
sys.meta_path.insert(0, Absent())
importlib.import_module(sys.argv[1])
"""


@pytest.mark.parametrize("module", ["spec", "host", "reference", "testing.rules", "plugin"])
def test_the_specification_the_reference_and_the_plugin_import_without_aws_and_http_libraries(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, f"{PACKAGE}.{module}"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
