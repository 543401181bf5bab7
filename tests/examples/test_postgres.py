"""The example for PostgreSQL."""
from __future__ import annotations
import shutil
import pytest
from .harness import Installed, install

@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("postgres"), "ploy-connector-postgres")


def test_kit(installed, tmp_path):
    shutil.copytree(installed.folder / "tests", tmp_path / "tests")
    done = installed.run("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", "-W", "error", "--durations=8", cwd=tmp_path)
    print(done.stdout, done.stderr)
    assert 0
