"""What a membership and a direct assignment have in common: an edge that is looked up, ordered and read back."""

from __future__ import annotations

from typing import Protocol

from ploy_connector_aws.spec import Grant

from .plan import Direction, Plan, Seen
from .writes import WriteResult


class Link(Protocol):
    """One edge between a person and what the person is to hold or to lose. Used for one order."""

    @property
    def scope(self) -> str:
        """The scope in which the lists emit the edge."""
        ...

    @property
    def wanted(self) -> Grant:
        """The edge, without what only AWS can say of it."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know of a change; after ``look``."""
        ...

    def look(self, *, again: bool = False) -> Seen:
        """See whether the edge is there, in the read session.

        Args:
            again: Believe nothing that was remembered from before.

        Raises:
            NotFoundError: The person or the thing does not exist.
            ConnectorError: It could not be seen.
        """
        ...

    def check(self) -> None:
        """Make sure that the edge may be changed here; after ``look``.

        Raises:
            RejectedError: It may not.
        """
        ...

    def open(self, direction: Direction) -> None:
        """Enter a session that can make this one change and no other.

        Raises:
            ConnectorError: It could not be had.
        """
        ...

    def order(self, direction: Direction, plan: Plan) -> WriteResult:
        """Order the change; after ``open``."""
        ...

    def read_back(self) -> Seen:
        """See whether the edge is there, after ``order``.

        Raises:
            NotFoundError: The person or the thing does not exist.
            ConnectorError: It could not be seen.
        """
        ...

    def close(self) -> None:
        """Leave the session of the change."""
        ...
