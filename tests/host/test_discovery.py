"""The discovery of connectors: a broken one is reported by its distribution and does not affect the others."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest

from ploy_connector_aws.host import InvalidConnectorError, discovery, find_connectors

from .packages import GOOD, changed, point_to, write_distribution

NAME, DIST = "broken", "broken-dist"
CLASS = "class Made:"
CONFIGURE = "def configure(self, config):"
LIST = "def list_accounts(self):"

SOURCES: dict[str, tuple[str | bytes, str]] = {
    "a module that does not exist is imported": ("import nowhere_at_all\n", "No module named 'nowhere_at_all'"),
    "a name that does not exist is imported": ("from json import nothing\n", "cannot import name"),
    "the module is no Python": ("class Made(:\n", "SyntaxError"),
    "the module is not UTF-8": (b"class Made: x = '\xff\xfe'\n", "SyntaxError"),
    "the module has a zero byte": (b"class Made: pass\0\n", "SyntaxError"),
    "the module divides by zero": ("1 / 0\n", "ZeroDivisionError: division by zero, at"),
    "the module ends the process": ("import sys; sys.exit(0)\n", "SystemExit"),
    "the module interrupts": ("raise KeyboardInterrupt\n", "KeyboardInterrupt"),
    "the module raises what is no Exception": ("class Own(BaseException): pass\nraise Own('x')\n", "Own: x"),
    "the module raises an exception that cannot be shown": (
        "class Own(Exception):\n    def __str__(self): raise ValueError\nraise Own\n",
        "(Own, at",
    ),
    "the module calls itself without end": ("def f(): f()\nf()\n", "RecursionError"),
    "the module raises lone surrogates": ("raise ValueError('\\ud800')\n", "ValueError: ?"),
    "the class is missing": ("Other = 1\n", "has no attribute 'Made'"),
    "it is no class but an instance": (changed(NAME, {CLASS: "class Real:"}) + "\nMade = Real()\n", "not name a class"),
    "it is no class but a function": ("def Made(): ...\n", "does not name a class"),
    "it is no class but a module": ("import json as Made\n", "does not name a class"),
    "there is no manifest": ("class Made: ...\n", "has no class attribute 'manifest'"),
    "the manifest is a dict": ("class Made:\n    manifest = {'name': 'broken'}\n", "only something of type 'dict'"),
    "the manifest is a property": (
        "class Made:\n    @property\n    def manifest(self): ...\n",
        "only something of type 'property'",
    ),
    "the manifest raises when it is read": (
        "class Meta(type):\n    @property\n    def manifest(cls): raise OSError('no file')\n"
        "class Made(metaclass=Meta): ...\n",
        "the manifest of class 'Made' cannot be read (OSError: no file",
    ),
    "the manifest ends the process when it is read": (
        "import sys\nclass Meta(type):\n    @property\n    def manifest(cls): sys.exit(0)\n"
        "class Made(metaclass=Meta): ...\n",
        "SystemExit",
    ),
    "the manifest was made without checks": (
        changed(NAME, {"Manifest(": "Manifest.model_construct(", 'title="Made"': "title=5"}),
        "its manifest is not valid",
    ),
    "the manifest lacks a field": (
        changed(NAME, {"Manifest(": "Manifest.model_construct(", 'title="Made", ': ""}),
        "its manifest is not valid (title missing)",
    ),
    "the manifest refuses its own fields": (
        changed(NAME, {'title="Made"': "title=5"}),
        "ValidationError: Manifest: title string_type",
    ),
    "the manifest holds lone surrogates": (changed(NAME, {'"Made"': '"\\ud800"'}), "its manifest is not valid"),
    "the specification is a later one": (
        changed(NAME, {"spec_version=1": "spec_version=2"}),
        "version 2 of the hook specification, but this host supports version 1; upgrade the host",
    ),
    "the specification is none": (
        changed(NAME, {"Manifest(": "Manifest.model_construct(", "spec_version=1": "spec_version='1'"}),
        "version '1' of the hook specification, but this host supports version 1; write spec_version=SPEC_VERSION",
    ),
    "the manifest has another name": (
        changed("another", {}),
        "its entry point is named 'broken' and its manifest 'another'",
    ),
    "a required hook is missing": (changed(NAME, {"def test_connection": "def no_hook"}), "unknown hook 'no_hook'"),
    "configure is missing": (changed(NAME, {f"@hookimpl\n    {CONFIGURE}": "def put(self, config):"}), "configure"),
    "a hook is misspelt": (changed(NAME, {"list_accounts": "list_acounts"}), "unknown hook 'list_acounts'"),
    "a misspelt hook is optional": (
        changed(NAME, {}) + "\n    @hookimpl(optionalhook=True)\n    def revoked(self, request): ...\n",
        "unknown hook 'revoked'",
    ),
    "a hook is not marked": (
        changed(NAME, {}) + "\n    def grant(self, request): ...\n",
        "its method 'grant' has the name of a hook, and no @hookimpl",
    ),
    "a hook is marked for another project": (
        "import pluggy\nother = pluggy.HookimplMarker('other')\n"
        + changed(NAME, {})
        + "\n    @other\n    def revoke(self, request): ...\n",
        "its method 'revoke' has the name of a hook",
    ),
    "a parameter has a default": (changed(NAME, {LIST: "def list_accounts(self, skip=()):"}), "has a default"),
    "a parameter is unknown": (
        changed(NAME, {LIST: "def list_accounts(self, cursor):"}),
        "parameter 'cursor' of hook 'list_accounts' is unknown; the hook has 'skip' (",
    ),
    "the parameter self is missing": (
        changed(NAME, {CONFIGURE: "def configure(config):", "self.config = config": "pass"}),
        "hook 'configure' has no parameter 'self' before 'config'",
    ),
    "a property has a hook's name": (
        changed(NAME, {}) + "\n    @property\n    def grant(self): ...\n",
        "its attribute 'grant' has the name of a hook, and no @hookimpl (",
    ),
    "a static method has a hook's name": (
        changed(NAME, {}) + "\n    @staticmethod\n    def grant(request): ...\n",
        "its method 'grant' has the name of a hook, and no @hookimpl",
    ),
    "an attribute has a hook's name": (
        changed(NAME, {}) + "\n    revoke = print\n",
        "its attribute 'revoke' has the name of a hook, and no @hookimpl",
    ),
    "an instance's attribute has a hook's name": (
        changed(NAME, {CLASS: f"{CLASS}\n    def __init__(self): self.grant = print"}),
        "its attribute 'grant' has the name of a hook, and no @hookimpl",
    ),
    "an inherited hook is replaced by a method without a mark": (
        changed(NAME, {CLASS: "class Base:"}) + "\nclass Made(Base):\n    def list_accounts(self): ...\n",
        "its method 'list_accounts' has the name of a hook, and no @hookimpl",
    ),
    "an asynchronous method has a hook's name": (
        changed(NAME, {}) + "\n    async def grant(self, request): ...\n",
        "its method 'grant' has the name of a hook, and no @hookimpl",
    ),
    "a method is nearly a hook": (
        changed(NAME, {}) + "\n    def list_entitlement(self): ...\n",
        "its method 'list_entitlement' looks like the hook 'list_entitlements', but is not one; rename it (",
    ),
    "a method is a hook in another spelling": (
        changed(NAME, {}) + "\n    def listResources(self, skip): ...\n",
        "its method 'listResources' looks like the hook 'list_resources', but is not one; rename it",
    ),
    "a method is nearly a hook with parameters": (
        changed(NAME, {}) + "\n    def grants(self, request): ...\n",
        "its method 'grants' looks like the hook 'grant', but is not one; rename it",
    ),
    "it imports what only a later host has": (
        changed(NAME, {"from ploy_connector_aws.spec import *": "from ploy_connector_aws.spec import Hook, Manifest"}),
        "if it is written for a later version of ploy-connector-aws, pip install --upgrade",
    ),
    "its manifest has a field that only a later host has": (
        changed(NAME, {'title="Made"': 'title="Made", colours=()'}),
        "if it is written for a later version of ploy-connector-aws, pip install --upgrade",
    ),
    "a parameter takes all": (changed(NAME, {LIST: "def list_accounts(self, *rest):"}), "is a catch-all"),
    "a parameter takes all names": (changed(NAME, {LIST: "def list_accounts(self, **rest):"}), "is a catch-all"),
    "a parameter can be named only": (
        changed(NAME, {LIST: "def list_accounts(self, *, skip):"}),
        "is keyword-only",
    ),
    "a list is asynchronous": (changed(NAME, {LIST: f"async {LIST}"}), "is asynchronous"),
    "a hook is a coroutine": (changed(NAME, {CONFIGURE: f"async {CONFIGURE}"}), "is asynchronous"),
    "a hook that answers is a generator": (
        changed(NAME, {"self.config = config": "yield"}),
        "hook 'configure' contains a yield",
    ),
    "a hook is a wrapper": (
        changed(NAME, {f"@hookimpl\n    {LIST}": f"@hookimpl(wrapper=True)\n    {LIST}"}),
        "is a hook wrapper",
    ),
    "an instance needs arguments": (
        changed(NAME, {CLASS: f"{CLASS}\n    def __init__(self, client): ..."}),
        "an instance of its class 'Made' cannot be created (TypeError",
    ),
    "an instance cannot be created": (
        changed(NAME, {CLASS: f"{CLASS}\n    def __init__(self): raise KeyError('OKTA_URL')"}),
        "cannot be created (KeyError: 'OKTA_URL', at",
    ),
    "an instance ends the process": (
        changed(NAME, {CLASS: f"{CLASS}\n    def __init__(self): raise SystemExit(0)"}),
        "SystemExit",
    ),
    "the class is abstract": (
        "import abc\n"
        + changed(NAME, {CLASS: "class Made(abc.ABC):\n    @abc.abstractmethod\n    def missing(self): ..."}),
        "TypeError",
    ),
    "the class makes instances of another": (
        changed(NAME, {CLASS: f"{CLASS}\n    def __new__(cls): return 5"}),
        "its class 'Made' creates an instance of another class (int)",
    ),
    "the class has hooks of its metaclass's making": (
        changed(NAME, {CLASS: f"{CLASS}\n    def __dir__(self): raise OSError('dir')"}),
        "OSError: dir",
    ),
}
"""What is wrong with a module, and what the reason says of it."""

METADATA: dict[str, tuple[str | bytes, bytes | None, str]] = {
    "the entry points are not UTF-8": (b"[ploy_connector]\nbroken = \xff\xfe:Made\n", b"", "is not UTF-8"),
    "an entry point has no value": ("[ploy_connector]\nbroken\n", b"", "cannot be read"),
    "an entry point has an empty value": ("[ploy_connector]\nbroken =\n", b"", "cannot be"),
    "an entry point has spaces in it": ("[ploy_connector]\nbroken = broken dist : Made\n", b"", "cannot be"),
    "an entry point names no class": ("[ploy_connector]\nbroken = broken_dist\n", b"", "does not name a class"),
    "an entry point leads nowhere": ("[ploy_connector]\nbroken = nowhere.at.all:Made\n", b"", "No module named"),
    "an entry point stands twice": (point_to(NAME, DIST) + "broken = broken_dist:Made\n", b"", "names 'broken' twice"),
    "the metadata has no name, and the class a fault": (point_to(NAME, DIST, "Gone"), b"Version: 1\n", "attribute"),
    "there is no metadata, and the class has a fault": (point_to(NAME, DIST, "Gone"), None, "attribute 'Gone'"),
    "the metadata is not UTF-8, and the class has a fault": (point_to(NAME, DIST, "Gone"), b"Name: \xff\n", "Gone"),
}
"""What is wrong with the metadata: the entry points, the rest, and what the reason says of it."""


@pytest.fixture(autouse=True)
def few_distributions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Leave our own distribution of those that are installed here: reading a hundred for each case takes time.

    The test's own ``monkeypatch`` would restore the path as it is when the test first prepends a folder to it.
    """
    importlib.import_module("jsonschema")  # what is imported later would not be found
    own = tmp_path_factory.mktemp("own")
    shutil.copytree(str(distribution("ploy-connector-aws")._path), own / "ploy_connector_aws-1.dist-info")  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(own), *(each for each in sys.path if "site-packages" not in each)])
        yield


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed distributions, first on Python's path."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield tmp_path / "site"
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def refusals(of: str = DIST) -> dict[str | None, str]:
    return {each.name: each.reason for each in find_connectors().refused if of in each.distribution.replace("_", "-")}


def test_broken_distribution_is_reported_and_affects_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = []
    kinds: list[tuple[str, str | bytes, str | bytes, bytes | None, str]]
    kinds = [(kind, source, point_to(NAME, DIST), b"", reason) for kind, (source, reason) in SOURCES.items()]
    kinds += [(kind, GOOD.format(name=NAME), *rest) for kind, rest in METADATA.items()]
    assert len(kinds) > 50
    for number, (kind, source, entry_points, metadata, reason) in enumerate(kinds):
        site = tmp_path / str(number)
        write_distribution(site, DIST, source, entry_points, metadata=metadata)
        write_distribution(site, "good-dist", GOOD.format(name="good"), point_to("good", "good-dist"))
        with monkeypatch.context() as patched:
            patched.syspath_prepend(str(site))
            found = find_connectors()
            refused = [(each.distribution.replace("_", "-"), each.reason) for each in found.refused]
            if {name: each.distribution for name, each in found.items()} != {
                "aws": "ploy-connector-aws",
                "good": "good-dist",
            }:
                wrong.append(f"{kind}: usable are {list(found)}")
            if not refused or any(dist != DIST or reason not in why for dist, why in refused):
                wrong.append(f"{kind}: refused are {refused}")
            if any(each.name == NAME for each in found.refused):
                try:
                    found[NAME]
                except InvalidConnectorError as error:
                    if error.distribution.replace("_", "-") != DIST:
                        wrong.append(f"{kind}: who asks for it is told {error}")
                else:
                    wrong.append(f"{kind}: who asks for it gets it")
            for module in ("broken_dist", "good_dist"):
                sys.modules.pop(module, None)
    assert not wrong, "\n".join(wrong)


def test_helpers_with_names_near_to_hooks_are_accepted(folder: Path) -> None:
    helpers = (
        "grants(self, group)",
        "grants_of(self)",
        "list_account(self, id)",
        "revoked(self)",
        "_grant(self, request)",
    )
    source = changed("good", {}) + "".join(f"\n    def {each}: ...\n" for each in helpers) + "\n    revoke = None\n"
    write_distribution(folder, "good-dist", source, point_to("good", "good-dist"))
    assert find_connectors()["good"].manifest.hooks == ("configure", "test_connection", "list_accounts")


def test_connector_is_imported_at_first_access(folder: Path) -> None:
    write_distribution(folder, DIST, "raise RuntimeError\n", point_to(NAME, DIST))
    assert find_connectors()["aws"].distribution == "ploy-connector-aws"
    assert "broken_dist" not in sys.modules
    with pytest.raises(KeyError):
        find_connectors()["nowhere"]


def test_two_connectors_of_one_name_are_both_rejected_and_name_each_other(folder: Path) -> None:
    for dist in ("first-dist", "second-dist"):
        write_distribution(folder, dist, GOOD.format(name="same"), point_to("same", dist))
    assert [(each.name, each.distribution, each.reason) for each in find_connectors().refused] == [
        ("same", "first-dist", "its name 'same' is also that of distribution 'second-dist'"),
        ("same", "second-dist", "its name 'same' is also that of distribution 'first-dist'"),
    ]
    with pytest.raises(InvalidConnectorError, match=r"'first-dist' was refused: .*'second-dist'"):
        find_connectors()["same"]


def test_installed_or_removed_package_is_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Other folders of the path, such as the one in which the tests run, may change at any moment.
    own = distribution("ploy-connector-aws").locate_file("")
    monkeypatch.setattr(sys, "path", [str(folder), str(own)])
    write_distribution(folder, "good-dist", GOOD.format(name="good"), point_to("good", "good-dist"))
    assert list(find_connectors()) == ["aws", "good"]  # the first import writes its compiled module into the folder
    found = find_connectors()
    assert (list(found), find_connectors() is found) == (["aws", "good"], True)
    write_distribution(folder, "more-dist", GOOD.format(name="more"), point_to("more", "more-dist"))
    assert list(find_connectors()) == ["aws", "good", "more"]
    shutil.rmtree(folder / "good_dist-1.dist-info")
    assert list(find_connectors()) == ["aws", "more"]


def test_name_aws_belongs_to_our_distribution(folder: Path) -> None:
    write_distribution(folder, "aaa-dist", GOOD.format(name="aws"), point_to("aws", "aaa-dist"))
    write_distribution(folder, "thief", None, "[ploy_connector]\naws = ploy_connector_aws.plugin:AwsConnector\n")
    found = find_connectors()
    assert found["aws"].distribution == "ploy-connector-aws"
    reason = "the name 'aws' belongs to distribution 'ploy-connector-aws'"
    assert [(each.distribution, each.reason) for each in found.refused] == [("aaa-dist", reason), ("thief", reason)]


def test_distribution_with_our_name_hides_no_connector_of_ours(folder: Path) -> None:
    write_distribution(folder, "ploy-connector-aws", None, None)
    assert list(find_connectors()) == ["aws"]


def test_unreadable_metadata_of_other_packages_is_ignored(folder: Path) -> None:
    write_distribution(folder, "stranger", None, b"[console_scripts]\n\xff = x:y\n")
    write_distribution(folder, "nameless", None, None, metadata=None)
    (folder / "empty-1.dist-info").mkdir()
    assert (list(find_connectors()), find_connectors().refused) == (["aws"], ())


def test_hanging_import_is_rejected_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "LOAD_SECONDS", 0.2)
    # A name of its own: Python lets every later import of the module wait for the one that hangs.
    dist = "hanging-dist"
    write_distribution(folder, dist, "import threading; threading.Event().wait()\n", point_to(NAME, dist))
    assert refusals(dist) == {NAME: "it could not be imported and checked within 0.2 seconds"}
    assert refusals(dist) == {NAME: "it could not be imported and checked within 0.2 seconds"}
    assert list(find_connectors()) == ["aws"]


def test_property_of_a_connector_is_not_read_before_configure(folder: Path) -> None:
    source = changed("good", {CLASS: f"{CLASS}\n    @property\n    def client(self): return self.config['x']"})
    write_distribution(folder, "good-dist", source, point_to("good", "good-dist"))
    assert find_connectors()["good"].manifest.hooks == ("configure", "test_connection", "list_accounts")
