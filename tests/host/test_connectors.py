"""The checks of connectors, and the isolation of instances from other integrations."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

import pytest

from ploy_connector_aws.host import InvalidConnectorError, check_connector, find_connectors
from ploy_connector_aws.spec import (
    Account,
    AuthenticationError,
    ConfigurationError,
    ConnectionReport,
    Failure,
    HookFailedError,
    Manifest,
    NotFoundError,
    Page,
    PermissionDeniedError,
    RejectedError,
    TemporaryError,
    hookimpl,
)

MANIFEST = Manifest(name="tiny", title="Tiny", version="1.0", spec_version=1, description="A test.", config_schema={})


class Tiny:
    """The smallest connector, without needless parameters."""

    manifest = MANIFEST

    @hookimpl
    def configure(self, config: Mapping[str, Any]) -> None:
        self.name = config["name"]

    @hookimpl
    def test_connection(self) -> ConnectionReport:
        return ConnectionReport(checks=())

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        yield Page(scope="users", records=(Account(id=self.name),), complete=True)


class Misspelt(Tiny):
    @hookimpl
    def list_acounts(self, skip: object) -> None: ...


class WithDefault(Tiny):
    @hookimpl
    def list_accounts(self, skip: object = None) -> Iterator[Page]:
        yield Page(scope="users")


class CatchAll(Tiny):
    @hookimpl
    def list_accounts(self, **rest: object) -> Iterator[Page]:
        yield Page(scope="users")


class UnknownParameter(Tiny):
    @hookimpl
    def list_accounts(self, cursor: object) -> Iterator[Page]:  # type: ignore[override]
        yield Page(scope="users")


class Later(Tiny):
    manifest = MANIFEST.model_copy(update={"spec_version": 2})


class NoManifest(Tiny):
    manifest = None  # type: ignore[assignment]


class Incomplete:
    manifest = MANIFEST

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        yield Page(scope="users")


def test_implemented_hooks_are_read_from_the_code() -> None:
    class Boaster(Tiny):
        manifest = MANIFEST.model_copy(update={"hooks": ("grant",)})

    found = check_connector("tiny", Boaster)

    hooks = ("configure", "test_connection", "list_accounts")
    assert found.manifest.model_copy(update={"wizard": None}) == MANIFEST.model_copy(update={"hooks": hooks})
    assert found.open({"name": "x"}).installed.manifest.hooks == hooks


@pytest.mark.parametrize(
    ("connector_class", "reason"),
    [
        (Misspelt, "unknown hook 'list_acounts'"),
        (WithDefault, "parameter 'skip' of hook 'list_accounts' has a default, so it would not be passed"),
        (CatchAll, "parameter 'rest' of hook 'list_accounts' is a catch-all, so it would receive nothing"),
        (UnknownParameter, "hook 'list_accounts'"),
        (
            Later,
            "it needs version 2 of the hook specification, but this host supports version 1; upgrade the host",
        ),
        (NoManifest, "class 'NoManifest' has no class attribute 'manifest'"),
        (Incomplete, "it does not implement configure, test_connection"),
    ],
)
def test_connector_that_breaks_the_specification_is_rejected_by_distribution(
    connector_class: type, reason: str
) -> None:
    with pytest.raises(InvalidConnectorError) as caught:
        check_connector("guilty-dist", connector_class)
    assert str(caught.value).startswith("Connector distribution 'guilty-dist' was refused: ")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        (AuthenticationError, {}),
        (ConfigurationError, {"field": "name", "is_located": True}),
        (NotFoundError, {"kind": "USER", "id": "u1"}),
        (PermissionDeniedError, {"actions": ("read",)}),
        (RejectedError, {"reason": "full"}),
        (TemporaryError, {"retry_after_seconds": 2.0, "changed_nothing": True}),
    ],
)
def test_an_error_of_an_author_s_own_class_keeps_all_fields_of_the_specification(
    kind: Any, more: dict[str, Any]
) -> None:
    class Own(kind):  # type: ignore[misc]
        def __str__(self) -> str:
            return "not its message"

    class Failing(Tiny):
        @hookimpl
        def configure(self, config: Mapping[str, Any]) -> None:
            raise Own("No.", **more)

    with pytest.raises(kind) as caught:
        check_connector("dist", Failing).open({"name": "one"})
    assert type(caught.value) is kind
    assert {**vars(caught.value), "origin": ""} == vars(kind("No.", **more))


def test_each_integration_has_an_instance_of_its_own() -> None:
    tiny = check_connector("dist", Tiny)
    one, two = tiny.open({"name": "one"}), tiny.open({"name": "two"})
    read = [[page.records for page in each.hooks.list_accounts(skip=frozenset())] for each in (one, two, one)]
    assert read == [[(Account(id="one"),)], [(Account(id="two"),)], [(Account(id="one"),)]]


class Catching(Tiny):
    """Catches what is raised while it lists."""

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        try:
            yield Page(scope="users", records=(Account(id="one"),))
        except TemporaryError as error:
            yield Page(scope="users", failure=Failure.from_error(error))
        yield Page(scope="more", complete=True)


class NoGenerator(Tiny):
    """Lists through an iterator into which nothing can be thrown."""

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        return iter([Page(scope="users"), Page(scope="more")])


def test_what_is_thrown_into_a_list_is_raised_in_the_hook() -> None:
    error = TemporaryError("It is busy.")
    pages = check_connector("dist", Catching).open({"name": "one"}).hooks.list_accounts(skip=frozenset())
    assert isinstance(pages, Generator)
    assert next(pages).ending is None
    caught = pages.throw(error)
    assert (caught.scope, caught.failure, [page.scope for page in pages]) == (
        "users",
        Failure.from_error(error),
        ["more"],
    )


@pytest.mark.parametrize("connector", [Catching, NoGenerator])
def test_what_a_hook_does_not_catch_ends_its_list(connector: type) -> None:
    pages = check_connector("dist", connector).open({"name": "one"}).hooks.list_accounts(skip=frozenset())
    assert isinstance(pages, Generator)
    next(pages)
    with pytest.raises(HookFailedError, match="KeyError"):
        pages.throw(KeyError("x"))
    assert list(pages) == []


class Closing(Tiny):
    closed: list[str] = []

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        raise OSError("no network")

    @hookimpl
    def close(self) -> None:
        self.closed.append(self.name)
        raise OSError("a secret text")


def test_instance_is_closed_once_also_after_a_failure_and_its_error_is_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Closing.closed.clear()
    with pytest.raises(HookFailedError), check_connector("dist", Closing).open({"name": "one"}) as connector:
        connector.hooks.list_accounts(skip=frozenset())
    connector.close()
    assert Closing.closed == ["one"]
    (record,) = caplog.records
    assert (record.levelname, record.connector, record.hook) == ("WARNING", "tiny", "close")  # type: ignore[attr-defined]
    assert "OSError" in record.getMessage()
    assert "secret" not in record.getMessage()


def test_own_method_named_close_is_neither_refused_nor_called() -> None:
    class Older(Tiny):
        def close(self, force: bool) -> None:
            raise AssertionError

    with check_connector("dist", Older).open({"name": "one"}) as connector:
        assert not connector.implements("close")


def test_implements_reports_the_implemented_hooks() -> None:
    tiny = check_connector("dist", Tiny).open({"name": "one"})
    assert [hook for hook in ("list_accounts", "list_entitlements", "grant") if tiny.implements(hook)] == [
        "list_accounts"
    ]


def test_installed_aws_connector_is_found() -> None:
    found = find_connectors()
    assert {name: connector.distribution for name, connector in found.items()} == {"aws": "ploy-connector-aws"}
