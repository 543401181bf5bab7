"""``Validation``: one connector under test, and the reads that its rules share."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from ploy_connector_aws.host import Connector, InstalledConnector, check_connector, find_connectors

from .driver import Driver
from .reading import Reading, read_lists
from .results import NotTestedError, Result, Rule, examine


def find_connector(connector: str | type) -> InstalledConnector:
    """Return a connector by its name, or check its class.

    Raises:
        InvalidConnectorError: It breaks the specification.
        KeyError: None of that name is installed.
    """
    if isinstance(connector, str):
        return find_connectors()[connector]
    return check_connector(connector.__module__, connector)


class Validation:
    """One connector under test. A context manager: its end closes the driver.

    Args:
        connector: The name of an installed connector, or a class.
        settings: Those of the integration.
        driver: Changes the source, for tiers 1 and 2; None to test tier 0 only.
        every_page: Whether reads are cut at every page, for a source with few of them.
    """

    def __init__(
        self,
        connector: str | type,
        settings: Mapping[str, Any],
        driver: type[Driver] | None = None,
        *,
        every_page: bool = False,
    ) -> None:
        self._connector = connector
        self._settings = dict(settings)
        self._driver_class = driver
        self.every_page = every_page

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the driver."""
        if "driver" in vars(self):
            self.driver.close()

    @cached_property
    def installed(self) -> InstalledConnector:
        """The connector."""
        return find_connector(self._connector)

    @cached_property
    def driver(self) -> Driver:
        """The driver.

        Raises:
            NotTestedError: There is none.
        """
        if self._driver_class is None:
            raise NotTestedError("there is no driver that changes the source")
        return self._driver_class(self._settings)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings of the integration; those of the driver where there is one."""
        return self._settings if self._driver_class is None else self.driver.settings

    def open(self, settings: Mapping[str, Any] | None = None) -> Connector:
        """Open an instance of its own.

        Args:
            settings: Other settings than those of the integration.
        """
        return self.installed.open(self.settings if settings is None else settings)

    @cached_property
    def first(self) -> Reading:
        """The first read."""
        return read_lists(self.open())

    def check(self, rule: Rule) -> Result:
        """Test one rule."""
        return examine(rule, self)
