"""A site whose syncs run as commands in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.aws.conftest import ORGANISATION
from tests.end_to_end.site import Site, SiteMaker, make_site

COMMAND = str(Path(sys.executable).with_name("ploy-connector"))


@pytest.fixture
def sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SiteMaker:
    return make_site(tmp_path, monkeypatch)


@pytest.fixture
def site(sites: SiteMaker) -> Iterator[Site]:
    with sites(ORGANISATION) as made:
        yield made


def start(site: Site, *arguments: str) -> subprocess.Popen[str]:
    """Start the command with this site's configuration."""
    return subprocess.Popen(
        [COMMAND, *arguments, "--config", str(site.world.config_file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(site),
    )


def run(site: Site, *arguments: str) -> tuple[int, str, str]:
    """Run the command to its end: exit code, standard output, standard error."""
    with start(site, *arguments) as process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def clean_environment(site: Site, more: Sequence[tuple[str, str]] = ()) -> dict[str, str]:
    """The operator's environment for this site, and nothing of the caller's but its PATH and HOME."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, **site.world.environment, "PLOY_AWS_RATE_FACTOR": "1000", "COLUMNS": "120", **dict(more)}
