"""``ploy-connector new``: writes the package of a new connector, which runs as it is and keeps the rules of the kit."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from string import Template

import typer

from ploy_connector_aws import __version__
from ploy_connector_aws.host import find_connectors
from ploy_connector_aws.runtime import logs
from ploy_connector_aws.spec.expressions import find_expression
from ploy_connector_aws.spec.manifest import NAME_PATTERN

from .exit_codes import Exit
from .output import console, print_json, text

_PROJECT = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "$distribution"
version = "0.1.0"
description = "Ploy connector for $title."
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["ploy-connector-aws>=$version"]  # the hook specification and the host

[project.optional-dependencies]
test = ["ploy-connector-aws[testing]"]

[project.entry-points.ploy_connector]
$name = "$module:$class_name"
"""

_MODULE = '''\
"""Ploy connector for $title: its people, its groups, and who is in which group."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ploy_connector_aws.spec import (
    SPEC_VERSION,
    Account,
    Check,
    ConfigurationError,
    ConnectionReport,
    ConnectorError,
    Entitlement,
    Failure,
    Grant,
    Manifest,
    Page,
    TemporaryError,
    hookimpl,
)


class $class_name:
    """The connector. Replace the schema, ``_read`` and ``_read_members`` by the settings and calls of your system."""

    manifest = Manifest(
        name="$name",
        title="$title",
        version="0.1.0",
        spec_version=SPEC_VERSION,
        description="The people and the groups of $title.",
        config_schema={
            "type": "object",
            "properties": {
                "path": {"type": "string", "title": "Path", "description": "A JSON file with people and groups."},
            },
            "required": ["path"],
            "additionalProperties": False,
        },
    )

    @hookimpl
    def configure(self, config: Mapping[str, Any]) -> None:
        """Keep the settings. Nothing is called here."""
        self._path = Path(config["path"])

    @hookimpl
    def test_connection(self) -> ConnectionReport:
        """Read what the lists need, and report what is missing with its fix."""
        try:
            people = self._read("people")
        except ConnectorError as error:
            check = Check(name="people", outcome="failed", message=error.message, fix=error.fix, code=error.code)
        else:
            check = Check(name="people", outcome="passed", message=f"{len(people)} people can be read.")
        return ConnectionReport(checks=(check,))

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        """Yield the people. Let exceptions fail the scope: one that ends complete removes whom it did not list."""
        people = tuple(
            Account(id=each["id"], kind="human", username=each["username"], display_name=each["name"])
            for each in self._read("people")
        )
        yield Page(scope="people", records=people, complete=True)

    @hookimpl
    def list_entitlements(self) -> Iterator[Page]:
        """Yield the groups, then the members of each in a scope of its own, so that one can fail without the others."""
        groups = self._read("groups")
        reason = "This connector does not change groups yet."  # grantable=True goes with the hooks grant and revoke
        records = tuple(
            Entitlement(id=each["id"], kind="group", name=each["name"], not_grantable_reason=reason) for each in groups
        )
        yield Page(scope="groups", records=records)
        for group in groups:
            scope = f"groups/{group['id']}/members"
            try:
                members = self._read_members(group)
            except ConnectorError as error:
                yield Page(scope=scope, parent="groups", failure=Failure.from_error(error))
                continue
            grants = tuple(
                Grant(principal_kind="account", principal_id=member, entitlement_id=group["id"]) for member in members
            )
            yield Page(scope=scope, parent="groups", records=grants, complete=True)
        yield Page(scope="groups", complete=True)  # last: complete also means that all scopes below were announced

    def _read_members(self, group: Mapping[str, Any]) -> list[str]:
        """Read the ids of the people in a group; raises as ``_read``. Most systems need a call for each group."""
        return list(group["members"])

    def _read(self, part: str) -> list[dict[str, Any]]:
        """Read one list from the source.

        Raises:
            ConfigurationError: The file does not exist, or is not what it should be.
            TemporaryError: It cannot be read now.
        """
        try:
            found: list[dict[str, Any]] = json.loads(self._path.read_text(encoding="utf-8"))[part]
        except FileNotFoundError as error:
            raise ConfigurationError("The file does not exist.", field="path", fix="correct the path") from error
        except OSError as error:
            raise TemporaryError(f"The file cannot be read: {error.strerror}.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"The file is no JSON object with {part}.", field="path") from error
        return found
'''

_TEST = '''\
"""The connector keeps the rules of the kit. Give it a driver to test changes and partial failures, too."""

from pathlib import Path

from ploy_connector_aws.testing import ConnectorTests


class Test$class_name(ConnectorTests):
    connector = "$name"
    settings = {"path": str(Path(__file__).with_name("$name.json"))}
'''

_DATA = """\
{
  "people": [
    {"id": "p-1", "username": "ann", "name": "Ann Lee"},
    {"id": "p-2", "username": "ben", "name": "Ben Moss"}
  ],
  "groups": [
    {"id": "g-1", "name": "Engineering", "members": ["p-1", "p-2"]},
    {"id": "g-2", "name": "On-Call", "members": ["p-1"]}
  ]
}
"""

_SETTINGS = """\
[integration]
id = "$name-example"
connector = "$name"

[config]
path = "tests/$name.json"
"""

_README = """\
# $distribution

Ploy connector for $title.

```sh
pip install --editable '.[test]'
pytest                                             # the rules of the kit, on tests/$name.json
ploy-connector check --config ploy.toml
ploy-connector list grants --config ploy.toml
ploy-connector validate $name --config ploy.toml   # the rules of the kit, on your system
```

`$module.py` is the connector: replace the schema, `_read` and `_read_members` by the settings and
calls of your system. `ploy.toml` has the settings of the example; only you may read it (`chmod 600 ploy.toml` after a
checkout).
"""

FILES = {
    "pyproject.toml": _PROJECT,
    "README.md": _README,
    "$module.py": _MODULE,
    "ploy.toml": _SETTINGS,
    "tests/test_connector.py": _TEST,
    "tests/$name.json": _DATA,
}
"""The files of a package by their paths, both as templates of ``string.Template``."""


def new(name: str, *, as_json: bool, debug: bool) -> Exit:
    """Write the package of a new connector into a new folder of the current one, and print the next commands."""
    logs.configure(debug=debug, for_people=True)
    if not find_expression(NAME_PATTERN, name) or name.endswith("-"):
        raise typer.BadParameter(
            f"{name!r} is not a connector name: use up to 63 lower-case letters, digits and -, as in google-workspace.",
            param_hint="NAME",
        )
    for other in find_connectors().candidates(name):
        raise typer.BadParameter(
            f"a connector {name!r} is installed already, by distribution {other.distribution!r}.", param_hint="NAME"
        )
    distribution = f"ploy-connector-{name}"
    values = {
        "name": name,
        "title": name.replace("-", " ").title(),
        "distribution": distribution,
        "module": distribution.replace("-", "_"),
        "class_name": f"{name.title().replace('-', '')}Connector",
        "version": __version__,
    }
    folder = Path(distribution)
    try:
        folder.mkdir()
    except FileExistsError:
        raise typer.BadParameter(
            f"{distribution} already exists in this folder; choose another name.", param_hint="NAME"
        ) from None
    files = []
    for path, template in FILES.items():
        file = folder / Template(path).substitute(values)
        file.parent.mkdir(exist_ok=True)
        file.touch(mode=0o600 if template is _SETTINGS else 0o666)  # settings may hold secrets
        file.write_text(Template(template).substitute(values), encoding="utf-8")
        files.append(str(file))
    python = _python()
    following = [
        f"cd {distribution}",
        f"{python} -m pip install --editable '.[test]'",
        f"{python} -m pytest",
    ]
    if as_json:
        print_json({"folder": str(folder), "files": files, "next": following})
        return Exit.OK
    out = console()
    out.print(f"Wrote a connector that works, with its tests, to [bold]{text(distribution)}[/]:", soft_wrap=True)
    for each in files:
        out.print(f"  {text(each)}", soft_wrap=True)
    out.print("\nNext:")
    for each in following:
        out.print(f"  [bold]{text(each)}[/]", soft_wrap=True)
    return Exit.OK


def _python() -> str:
    """Return what a person types to start this Python: its name or, if that is another one, its path."""
    return "python" if shutil.which("python") == sys.executable else shlex.quote(sys.executable)
