"""Distributions made for a test: a module and its metadata in a folder on ``sys.path``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

GOOD = """
from ploy_connector_aws.spec import *

class Made:
    manifest = Manifest(
        name={name!r}, title="Made", version="1", spec_version=1, description="",
        config_schema={{"type": "object", "properties": {{"token": {{"type": "string", "writeOnly": True}}}}}},
    )

    @hookimpl
    def configure(self, config):
        self.config = config

    @hookimpl
    def test_connection(self):
        return ConnectionReport(checks=(Check(name="door", outcome="passed", message="It is open."),))

    @hookimpl
    def list_accounts(self):
        yield Page(scope="people", records=(Account(id="ann"),), complete=True)
"""
"""The source of a connector in which nothing is wrong."""


def write_distribution(
    folder: Path,
    distribution: str,
    source: str | bytes | None,
    entry_points: str | bytes | None,
    *,
    metadata: bytes | None = b"",
) -> None:
    """Make a distribution: one module of its name, and its metadata.

    Args:
        folder: A folder of ``sys.path``.
        distribution: Its name; the module's is the same with underscores.
        source: Of the module; None for no module.
        entry_points: The text of ``entry_points.txt``; None for no such file.
        metadata: What ``METADATA`` holds instead of name and version; None for no such file.
    """
    module = distribution.replace("-", "_")
    folder.mkdir(exist_ok=True)
    if source is not None:
        (folder / f"{module}.py").write_bytes(source.encode() if isinstance(source, str) else source)
    info = folder / f"{module}-1.dist-info"
    info.mkdir()
    if metadata is not None:
        named = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1\n".encode()
        (info / "METADATA").write_bytes(metadata or named)
    if entry_points is not None:
        text = entry_points.encode() if isinstance(entry_points, str) else entry_points
        (info / "entry_points.txt").write_bytes(text)


def changed(name: str, changes: Mapping[str, str]) -> str:
    """The source of a connector with some of its texts replaced by others; each must be there."""
    source = GOOD.format(name=name)
    for old, new in changes.items():
        assert old in source, old
        source = source.replace(old, new)
    return source


def point_to(name: str, distribution: str, attribute: str = "Made") -> str:
    """An ``entry_points.txt`` that names a class of the distribution's module."""
    return f"[ploy_connector]\n{name} = {distribution.replace('-', '_')}:{attribute}\n"
