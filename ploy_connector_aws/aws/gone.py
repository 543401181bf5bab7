"""Confirms deletions: a call that reports a listed resource missing proves nothing alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from ploy_connector_aws.spec import TemporaryError

MOST_READS = 3
"""How often a run reads a list again. Where AWS reports every listed resource missing, more reads change nothing."""


class ListedAgain:
    """A list that is read again after a call reported one of its members missing. Safe across threads.

    Its ids are kept in memory, as it is rarely read: the longest list, of 100,000 groups (AWS.md section 2.1), takes
    about 15 MB.

    Args:
        what: The kind of resource, for the error.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._lock = threading.Lock()
        self._ids: frozenset[str] | None = None
        self._reads = 0

    def confirm_gone(self, id_: str, read_ids: Callable[[], Iterable[str]]) -> None:
        """Check that the list does not have a resource any more.

        Args:
            id_: The resource.
            read_ids: Reads the list.

        Raises:
            ConnectorError: The list could not be read again.
            TemporaryError: The list still has the resource, so AWS contradicts itself.
        """
        with self._lock:
            # AWS never reuses an id, so a list that lacks it once lacks it for good.
            if self._ids is not None and id_ not in self._ids:
                return
            if self._reads < MOST_READS:
                self._reads += 1
                self._ids = frozenset(read_ids())
                if id_ not in self._ids:
                    return
        raise contradiction(self._what, id_)


def contradiction(what: str, id_: str) -> TemporaryError:
    """Make the error of a resource that one call lists and another reports missing.

    Args:
        what: The kind of resource.
        id_: The resource.
    """
    return TemporaryError(
        f"AWS lists the {what} {id_}, but another call reports that it does not exist; the record is kept.",
        fix="None needed: the next sync reads it again.",
    )
