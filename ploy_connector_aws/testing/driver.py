"""``Driver``: the one place where an author writes how the source is changed, for the rules of tiers 1 and 2."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, NoReturn

from ploy_connector_aws.spec import RecordKey

from .results import NotTestedError


class Driver:
    """Changes a source that the author may break: a container, a test tenant, a folder; never the real one.

    Override what the source can do. A rule that needs a method which is not overridden is skipped, and the report names
    the method. A method that cannot do it for this scope or record raises ``NotTestedError`` with the reason; the rule
    then tries another one. A context manager undoes at its end what it did at its beginning, also after an exception.

        class StaffDriver(Driver):
            def add_account(self) -> str:
                return self.directory.create_person("Test person").id

            @contextmanager
            def throttle(self) -> Iterator[None]:
                self.directory.limit(calls_per_second=1)
                try:
                    yield
                finally:
                    self.directory.limit(None)

    ``CuttingProxy`` cuts and delays the connections to a source that speaks TCP.

    Args:
        settings: The settings of the test class.
    """

    longest_read_seconds: ClassVar[float] = 120
    """The time in which a read must end while the line is cut or slow, its retries included."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings: Mapping[str, Any] = dict(settings)
        """The settings that the connector gets. A driver that starts the source itself replaces them here."""

    def close(self) -> None:
        """Stop what the driver started. Called once, after the last rule."""

    def require(self, *methods: str) -> None:
        """Raise ``NotTestedError`` if one of these methods is not overridden."""
        for method in methods:
            if getattr(type(self), method) is getattr(Driver, method):
                self._lacks(method)

    # Tier 1: the source fails.

    def add_account(self) -> str:
        """Make a person at the source that holds nothing, and return the id that the lists give it."""
        self._lacks("add_account")

    def remove_account(self, account_id: str) -> None:
        """Delete a person whom ``add_account`` made, with everything that it holds."""
        self._lacks("remove_account")

    def deny(self, scope: str) -> AbstractContextManager[Collection[str]]:
        """Take from the connector the permission to read one scope, for the time of a ``with`` block.

        Yield the names of the other scopes that cannot be read without it, because they need the same permission or
        rest on what the scope lists; often there are none. The scopes below need not be named.
        """
        self._lacks("deny")

    def hide(self, record: RecordKey) -> AbstractContextManager[None]:
        """Let the source leave one record out of its lists without an error, for the time of a ``with`` block."""
        self._lacks("hide")

    def delete_between_list_and_detail(self) -> AbstractContextManager[RecordKey]:
        """Let one record vanish after the source listed it and before it is asked for the details; yield its key."""
        self._lacks("delete_between_list_and_detail")

    def throttle(self) -> AbstractContextManager[None]:
        """Let the source refuse some requests for being too many, for the time of a ``with`` block."""
        self._lacks("throttle")

    def slow_down(self, seconds: float) -> AbstractContextManager[None]:
        """Delay each response of the source, for the time of a ``with`` block."""
        self._lacks("slow_down")

    def cut_line(self, after_bytes: int) -> AbstractContextManager[None]:
        """Cut each connection after so many bytes from the source, for the time of a ``with`` block."""
        self._lacks("cut_line")

    # Tier 2: the connector writes.

    def add_entitlement(self) -> str:
        """Make something without holders that the connector can grant, and return the id that the lists give it."""
        self._lacks("add_entitlement")

    def remove_entitlement(self, entitlement_id: str) -> None:
        """Delete what ``add_entitlement`` made, also if accounts hold it."""
        self._lacks("remove_entitlement")

    def holds(self, account_id: str, entitlement_id: str) -> bool:
        """Ask the source, by another path than the connector's, whether an account directly holds an entitlement."""
        self._lacks("holds")

    def cut_before_write(self) -> AbstractContextManager[None]:
        """Let the next write of the connector fail before the source has made it."""
        self._lacks("cut_before_write")

    def cut_after_write(self) -> AbstractContextManager[None]:
        """Let the source make the next write of the connector, and lose its response."""
        self._lacks("cut_after_write")

    def _lacks(self, method: str) -> NoReturn:
        raise NotTestedError(f"the driver {type(self).__name__} has no method {method}")
