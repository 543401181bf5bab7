"""Every command and every page with a connector of another field: no word of AWS is in what people read."""

from __future__ import annotations

import inspect
import io
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import typer

from ploy_connector_aws.cli.app import app
from ploy_connector_aws.sandbox.ploy import LocalPloy
from ploy_connector_aws.spec.labels import GENERIC, OF_TYPES
from tests.deadlines import PATIENCE_SECONDS
from tests.host.packages import point_to, write_distribution
from tests.process import doors
from tests.process.conftest import run_with
from tests.sandbox.ploy.browser import Visitor

TERMS = re.compile(r"\b(?:AWS|IAM|SSO|ARNs?|[Cc]onsoles?|permission sets?|Identity Center|[Ee]xternal IDs?)\b")

OF_AWS = {"sandbox", "demo"}
"""Commands that run the local AWS. The test leaves them out, and their lines of the general help."""


def lines_of_aws(text: str) -> list[str]:
    """The lines with a word of AWS."""
    return [line.strip() for line in text.splitlines() if TERMS.search(line)]


@dataclass
class House:
    """An integration of the connector with a local Ploy."""

    folder: Path
    ploy: LocalPloy
    organisation_id: str
    id: str

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run a command in this process: status, and what it printed on both streams."""
        environment = {
            "HOME": str(self.folder),
            "PLOY_CONFIG_FILE": str(self.folder / "ploy.toml"),
            "COLUMNS": "120",
        }
        status, out, err = run_with(environment, *arguments)
        return status, out + err


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """The connector is installed."""
    write_distribution(
        tmp_path / "site", "doors-dist", inspect.getsource(doors), point_to("doors", "doors-dist", "Doors")
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with open_house(tmp_path, "doors") as opened:
        yield opened
    sys.modules.pop("doors_dist", None)


@pytest.fixture
def house_of_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """The connector is a file that the settings name."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "doors_file.py").write_text(inspect.getsource(doors))
    with open_house(tmp_path, f"{tmp_path}/doors_file.py:Doors") as opened:
        yield opened
    sys.modules.pop("doors_file", None)


@contextmanager
def open_house(folder: Path, connector: str) -> Iterator[House]:
    """Run a local Ploy with an integration of the connector, of which the settings file names the connector."""
    with LocalPloy(folder / "ploy", operator_token="operator") as ploy:
        organisation = ploy.registry.create_organisation("The owners")
        book = str(folder / "book.json")
        integration = ploy.registry.create_integration(organisation, "doors", {"book": book})
        token = folder / "token"
        token.write_text(ploy.registry.create_token(organisation).token)
        token.chmod(0o600)
        (folder / "ploy.toml").write_text(
            f'[integration]\nid = "{integration.id}"\nconnector = "{connector}"\n[platform]\nurl = "{ploy.url}"\n'
            f'token_file = "{token}"\n[state]\ndir = "{folder / "state"}"\n'
        )
        ploy.reports.put_manifest(organisation, doors.Doors.manifest)
        yield House(folder, ploy, organisation, integration.id)


def page_of(link: str) -> tuple[str, ...]:
    """What makes two addresses the same page here: the path, the id, and the names of all filters."""
    address = urlsplit(link)
    query = parse_qs(address.query)
    return (address.path, *query.get("id", ()), *sorted(query))


def commands_of() -> dict[str, typer.core.TyperCommand]:
    """Every command, by name."""
    return dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


CONFIRMED = ("--yes",) if any("--yes" in each.opts for each in commands_of()["grant"].params) else ()
"""Without a terminal a change must be confirmed."""

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("connectors",),
    ("manifest", "--connector", "doors"),
    ("check",),
    ("sync",),
    ("sync", "--json"),
    ("sync", "--preview"),
    ("list", "accounts"),
    ("list", "entitlements"),
    ("list", "grants"),
    ("list", "resources"),
    ("list", "findings"),
    ("list", "accounts", "--kind", "nothing"),
    ("list", "accounts", "--kind", "cleaning-robots"),
    ("list", "entitlements", "--kind", "watches"),
    ("list", "grants", "--kind", "cleaning-robot"),
    ("list", "accounts", "--format", "csv"),
    ("who", "The house"),
    ("who", "Keys of the vault"),
    ("who", "The vault"),
    ("who", "no such room"),
    ("access", "ann"),
    ("access", "cleo"),
    ("access", "no-such-person"),
    ("grant", "cleo", "staff", "--preview"),
    ("grant", "ann", "guards", *CONFIRMED),
    ("grant", "ann", "keys", *CONFIRMED),
    ("revoke", "ann", "guards", "--preview"),
    ("revoke", "ann", "staff", *CONFIRMED),
    ("sync",),
    ("history",),
    ("validate", "doors", "--trace"),
    ("setup", "--connector", "doors", "--print", "note"),
)


def test_every_command_speaks_of_the_connector_that_it_has(house: House) -> None:
    found, statuses = {}, {}
    for command in COMMANDS:
        status, printed = house.run(*command)
        calls = getattr(sys.modules.get("doors_dist"), "CALLS", [])
        assert calls == ["configure", "close"] * (len(calls) // 2), command
        assert "Traceback" not in printed, printed
        statuses[command] = status
        if "--kind" in command and status == 10:
            kind = command[-1]
            assert ("sweeper" in printed, "Guards" in printed) == (kind == "cleaning-robots", kind == "watches")
        if lines := lines_of_aws(printed):
            found[command] = lines
    assert found == {}
    # They did what they are for, and did not only fail.
    failed = {" ".join(command[:3]): status for command, status in statuses.items() if status not in (0, 10)}
    assert failed == {
        "list accounts --kind": 2,
        "who no such room": 12,
        "access no-such-person": 12,
        "grant ann keys": 7,
    }
    # `run` prints the log of a service, and one address; `new` has a test of its own.
    assert commands_of().keys() - {command[0] for command in COMMANDS} == {*OF_AWS, "run", "new"}


def test_commands_use_a_connector_from_its_file(house_of_file: House) -> None:
    house = house_of_file
    file = f"{house.folder}/doors_file.py:Doors"
    assert house.run("manifest", "--connector", file)[1].startswith("# Generated")
    assert "Usable: 1 warning, 1 passed." in house.run("check")[1]
    assert "Committed as generation 1." in house.run("sync")[1]
    (house.folder / "ploy.toml").write_text((house.folder / "ploy.toml").read_text().replace(file, "aws"))
    status, printed = house.run("sync", "--connector", file)
    assert (status, "Committed as generation 2" in printed) == (10, True), printed
    assert "--connector: integration.connector: There is no file" in house.run("sync", "--connector", f"x{file}")[1]
    assert "has the connector 'doors' in Ploy, not 'aws'" in house.run("sync")[1]
    assert sorted(each.name for each in (house.folder / "state").glob("*.sqlite")) == [
        f"{house.id}.sqlite",
        f"{house.id}.tasks.sqlite",
    ]


def test_set_up_writes_the_full_path_of_a_connector_in_a_file(
    house_of_file: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = house_of_file
    monkeypatch.chdir(house.folder)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{house.folder / 'book.json'}\n" + "\n" * 9))
    new = ("setup", "--without-ploy", "--config", "new.toml")
    status, printed = house.run(*new, "--connector", "./doors_file.py:Doors")
    assert (status, "Usable: 1 warning, 1 passed." in printed) == (0, True), printed
    assert f'connector = "{house.folder}/doors_file.py:Doors"' in (house.folder / "new.toml").read_text()


@pytest.mark.parametrize("options", [(), ("--without-ploy",)], ids=["at Ploy", "without Ploy"])
def test_setup_speaks_of_the_connector_that_it_sets_up(
    house: House, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    token = (house.folder / "token").read_text()
    typed = () if options else (house.ploy.url, token, "")
    typed = (*typed, str(house.folder / "book.json"), *("",) * 8)
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(typed)))
    _, printed = house.run(
        *("setup", "--connector", "doors", "--overwrite", "--config", str(house.folder / "new.toml"), *options)
    )
    assert "The book" in printed, printed
    assert lines_of_aws(printed) == []


def test_a_reference_that_names_nothing_is_counted_and_named(house: House) -> None:
    line = "resource_id of account sweeper names resource shed"
    commands: tuple[tuple[str, ...], ...] = (("sync", "--preview"), ("sync",), ("history",))
    for command in commands:
        _, printed = house.run(*command)
        assert "1 reference names no record; all are kept:" in printed, command
        assert line in printed, command
    for command in commands:
        _, printed = house.run(*command, "--json")
        found = json.loads(printed)
        assert found["unresolved"]["count"] == 1, command
        assert found["unresolved"]["first"][0]["names"] == {"type": "resource", "id": "shed"}
    assert [run["unresolved"]["count"] for run in found["runs"]] == [1, 1]
    with Visitor(base_url=house.ploy.url, timeout=PATIENCE_SECONDS) as visitor:
        visitor.fill("/app/login", key="operator")
        visitor.fill("/app/organisation", organisation=house.organisation_id)
        shown = visitor.get(f"/app/integrations/{house.id}/unproven").text
    assert "1 in the newest sync. All are kept" in shown
    assert all(f'<span class="code">{each}</span>' in shown for each in ("sweeper", "shed"))


def test_help_of_every_command_speaks_of_no_connector(house: House) -> None:
    found = {
        name: lines for name in commands_of().keys() - OF_AWS if (lines := lines_of_aws(house.run(name, "--help")[1]))
    }
    assert found == {}
    _, printed = house.run("--help")
    lines, is_left_out = [], False
    for line in printed.splitlines():
        first = line.removeprefix("│").split()[:1]
        if line.startswith("│ ") and not line.startswith("│   "):
            is_left_out = first[0] in OF_AWS
        if not is_left_out:
            lines.append(line)
    assert lines_of_aws("\n".join(lines)) == []


def test_every_page_speaks_of_the_connector_that_it_has(house: House) -> None:
    changes = (("grant", "cleo", "staff", *CONFIRMED), ("revoke", "ann", "staff", *CONFIRMED))
    for command in (("sync",), *changes, ("sync",)):
        house.run(*command)
    root = f"/app/integrations/{house.id}"
    found, seen = {}, {}
    with Visitor(base_url=house.ploy.url, timeout=PATIENCE_SECONDS) as visitor:
        found["/app/login"] = lines_of_aws(visitor.get("/app/login").text)
        visitor.fill("/app/login", key="operator")
        visitor.fill("/app/organisation", organisation=house.organisation_id)
        task = visitor.fill(f"{root}/order", kind="check")
        assert task.status_code == 303, task.text
        waiting = ["/app/", *(f"{root}{each}" for each in PAGES), "/app/no-such-page"]
        known = set(map(page_of, waiting))
        while waiting:
            path = waiting.pop()
            answer = visitor.get(path)
            seen[path] = answer.status_code
            found[path] = lines_of_aws(answer.text)
            for link in map(unescape, re.findall(r'href="(/app/(?!static/)[^"#]*)', answer.text)):
                if page_of(link) not in known:
                    known.add(page_of(link))
                    waiting.append(link)
            assert len(seen) < 300
        house.ploy.registry.change_settings(house.id, {"book": "elsewhere"})
        found["refused"] = lines_of_aws(visitor.get(f"{root}/setup/book").text)
    assert {path: lines for path, lines in found.items() if lines} == {}
    assert {path: status for path, status in seen.items() if status >= 500} == {}
    kinds = {re.sub(r"[?].*", "", path.removeprefix(root)).strip("/").partition("/")[0] for path in seen}
    assert kinds >= {"account", "accounts", "entitlement", "resource", "syncs", "tasks", "setup", "unproven"}


PAGES = ("/account?id=cleo", "/account?id=ann", "/entitlement?id=keys", "/resource?id=house", "/grant?account=ben")
"""Pages to begin with; all that they link to is visited as well."""


def test_generic_labels_have_no_term_of_aws() -> None:
    nouns = [noun for each in GENERIC for noun in (each.singular, each.plural)]
    assert lines_of_aws("\n".join((*nouns, *(noun for pair in OF_TYPES.values() for noun in pair)))) == []
