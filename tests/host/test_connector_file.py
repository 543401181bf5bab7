"""A connector that is loaded from its file, without being installed."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ploy_connector_aws.host import InvalidConnectorError, is_file_reference, load_file
from ploy_connector_aws.host import connector_file as connector_files
from ploy_connector_aws.spec import ConfigurationError, PloyError

from .packages import GOOD, changed, point_to, write_distribution


@pytest.fixture(autouse=True)
def python_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The path of Python, and its modules, are as before after the test. Relative files are those of the test."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    yield
    connector_files._load_file.cache_clear()
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def write(file: str, source: str = GOOD.format(name="staff")) -> str:
    """Write a module, and return what names the class in it."""
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    return f"{file}:Made"


@pytest.mark.parametrize(
    ("connector", "is_file"),
    [("staff", False), ("google-workspace", False), ("staff.py", True), ("./staff", True), ("staff:Staff", True)],
)
def test_file_is_distinguished_from_a_name(connector: str, is_file: bool) -> None:
    assert is_file_reference(connector) is is_file


def test_class_in_a_file_is_loaded_with_the_modules_beside_it(tmp_path: Path) -> None:
    write("source/staff_client.py", "people = ('ann',)\n")
    reference = write("source/staff_of_file.py", "import staff_client\n" + GOOD.format(name="staff"))
    for each in (reference, f"./{reference}", f"{tmp_path}/{reference}"):
        connector = load_file(each)
        assert (connector.name, connector.manifest.hooks) == (
            "staff",
            ("configure", "test_connection", "list_accounts"),
        )
    assert load_file(reference) is load_file(reference)
    assert load_file("source/staff_of_file.py:Made").distribution == "source/staff_of_file.py"


def test_class_in_a_package_may_import_by_relative_names() -> None:
    write("source/staff_package/client.py", "people = ('ann',)\n")
    reference = write("source/staff_package/__init__.py", "from . import client\n" + GOOD.format(name="staff"))
    inner = write("source/staff_package/plugin.py", "from .client import people\n" + GOOD.format(name="inner"))
    assert (load_file(reference).name, load_file(inner).name) == ("staff", "inner")


def test_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write("staff_at_home.py")
    assert load_file("~/staff_at_home.py:Made").name == "staff"


WRONG: dict[str, tuple[str, str, type[PloyError], str]] = {
    "no class": ("./wrong_a.py", "", ConfigurationError, "'./wrong_a.py' names no class."),
    "no file": ("./nowhere.py:Made", "", ConfigurationError, "There is no file './nowhere.py'."),
    "a folder": (".:Made", "", ConfigurationError, "There is no file '.'."),
    "another class": (
        "./wrong_b.py:Staff",
        GOOD.format(name="staff"),
        InvalidConnectorError,
        "Connector file './wrong_b.py' was refused: it has no class 'Staff'; its classes with a manifest are Made.",
    ),
    "no class of that name at all": (
        "wrong_c.py:Staff",
        "Staff = 5\n",
        InvalidConnectorError,
        "Connector file './wrong_c.py' was refused: it has no class 'Staff'.",
    ),
    "a fault in the module": (
        "./wrong_d.py:Made",
        "\n\n1 / 0\n",
        InvalidConnectorError,
        "Connector file './wrong_d.py' was refused: it cannot be imported (ZeroDivisionError: division by zero, at "
        "{folder}/wrong_d.py line 3).",
    ),
    "an end of the process": (
        "./wrong_e.py:Made",
        "raise SystemExit\n",
        InvalidConnectorError,
        "Connector file './wrong_e.py' was refused: it cannot be imported (SystemExit, at {folder}/wrong_e.py line 1).",
    ),
    "a hook that the specification does not know": (
        "./wrong_f.py:Made",
        changed("staff", {"list_accounts": "list_acounts"}),
        InvalidConnectorError,
        "Connector file './wrong_f.py' was refused: ",
    ),
    "the name of a module of Python": (
        "./calendar.py:Made",
        GOOD.format(name="staff"),
        InvalidConnectorError,
        "Connector file './calendar.py' was refused: Python has a module 'calendar' of its own; rename the file.",
    ),
    "the name of a module that is imported": (
        "./pluggy.py:Made",
        GOOD.format(name="staff"),
        InvalidConnectorError,
        "Connector file './pluggy.py' was refused: another module 'pluggy' is already imported; rename the file.",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_error_names_the_file(tmp_path: Path, case: str) -> None:
    reference, source, kind, message = WRONG[case]
    if source:
        write(reference.partition(":")[0], source)
    path = list(sys.path)
    with pytest.raises(kind) as raised:
        load_file(reference)
    assert str(raised.value).startswith(message.format(folder=tmp_path.name))
    if "module of Python" in case or "is imported" in case:
        assert sys.path == path


def test_name_of_ours_cannot_be_taken_by_a_file() -> None:
    with pytest.raises(InvalidConnectorError) as raised:
        load_file(write("./false_aws.py", GOOD.format(name="aws")))
    assert str(raised.value) == (
        "Connector file './false_aws.py' was refused: the name 'aws' belongs to distribution 'ploy-connector-aws'."
    )
    own = Path(sys.modules["ploy_connector_aws"].__file__ or "").with_name("plugin.py")
    assert load_file(f"{own}:AwsConnector").name == "aws"


def test_file_in_place_of_an_installed_connector_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_distribution(tmp_path / "site", "staff-dist", GOOD.format(name="staff"), point_to("staff", "staff-dist"))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    caplog.set_level(logging.WARNING)
    # The package itself, installed to be edited in place, is the same connector.
    assert load_file("site/staff_dist.py:Made").name == "staff"
    assert caplog.messages == []
    load_file(write("./other_staff.py"))
    report = "is used instead of the installed connector 'staff' of distribution 'staff-dist'"
    assert caplog.messages == [f"./other_staff.py:Made {report}"]


def test_working_copy_of_an_installed_package_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_distribution(tmp_path / "site", "staff-copy", GOOD.format(name="staff"), point_to("staff", "staff-copy"))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    caplog.set_level(logging.WARNING)
    assert load_file(write("copy/staff_copy.py")).connector_class.__module__ == "staff_copy"
    report = "is used instead of the installed connector 'staff' of distribution 'staff-copy'"
    assert caplog.messages == [f"copy/staff_copy.py:Made {report}"]
