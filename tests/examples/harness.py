"""An example as its users have it: installed from its wheel, and an integration of it with a local Ploy."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ploy_connector_aws.sandbox.ploy import LocalPloy
from ploy_connector_aws.spec import Manifest
from tests.deadlines import PATIENCE_SECONDS
from tests.process.conftest import run_with
from tests.sandbox.ploy.browser import Visitor, text

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Installed:
    """An environment of its own with one example."""

    folder: Path
    """Of the example's source."""
    python: Path
    site: Path
    """Where its packages are."""

    def run(self, *arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run Python there."""
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=cwd,
            env={"PATH": os.environ["PATH"], "HOME": str(cwd)} | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )


def install(folder: Path, name: str) -> Installed:
    """Build the wheel of an example, and install it into a fresh environment in which a ``.pth`` file has the rest."""
    source = ROOT / "examples" / name
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    wheel = ("wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder))
    _run(*pip, *wheel, str(source))
    venv.create(folder / "env", symlinks=True)
    python = folder / "env" / "bin" / "python"
    site = folder / "env" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (wheel_file,) = folder.glob("*.whl")
    _run(*pip, "--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel_file))
    (site / "dependencies.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
    return Installed(source, python, site)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def imported(installed: Installed, module: str) -> Iterator[ModuleType]:
    """Import a module of an installed example in this process, for the time of a block."""
    before = {*sys.modules}
    sys.path.insert(0, str(installed.site))
    try:
        found = importlib.import_module(module)
        assert Path(found.__file__ or "").is_relative_to(installed.site)
        yield found
    finally:
        sys.path.remove(str(installed.site))
        for name in {*sys.modules} - before:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(str(installed.site)):
                del sys.modules[name]


@dataclass
class Integration:
    """An integration of an example with a local Ploy. Its commands run in this process, with what is imported."""

    folder: Path
    ploy: LocalPloy
    organisation_id: str
    id: str

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run a command: status, and what it printed on both streams."""
        environment = {"HOME": str(self.folder), "PLOY_CONFIG_FILE": str(self.folder / "ploy.toml"), "COLUMNS": "120"}
        status, out, err = run_with(environment, *arguments)
        return status, out + err

    def read_json(self, *arguments: str) -> Any:
        """Run a command that prints JSON, and return that."""
        status, printed = self.run(*arguments, "--json")
        assert status in (0, 10), printed
        return json.loads(printed)

    def read_page(self, path: str = "") -> str:
        """Return the text of a page of the integration."""
        with Visitor(base_url=self.ploy.url, timeout=PATIENCE_SECONDS) as visitor:
            visitor.fill("/app/login", key="operator")
            visitor.fill("/app/organisation", organisation=self.organisation_id)
            return text(visitor.get(f"/app/integrations/{self.id}{path}").text)


@contextmanager
def integrate(folder: Path, manifest: Manifest, settings: Mapping[str, Any]) -> Iterator[Integration]:
    """Run a local Ploy with an integration of the example that is imported."""
    with LocalPloy(folder / "ploy", operator_token="operator") as ploy:
        organisation = ploy.registry.create_organisation("The owners")
        integration = ploy.registry.create_integration(organisation, manifest.name, settings, issued=())
        token = folder / "token"
        token.write_text(ploy.registry.create_token(organisation).token)
        token.chmod(0o600)
        (folder / "ploy.toml").write_text(
            f'[integration]\nid = "{integration.id}"\nconnector = "{manifest.name}"\n[platform]\nurl = "{ploy.url}"\n'
            f'token_file = "{token}"\n[state]\ndir = "{folder / "state"}"\n'
        )
        ploy.reports.put_manifest(organisation, manifest)
        yield Integration(folder, ploy, organisation, integration.id)
