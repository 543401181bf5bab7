"""Confirms that a thing is gone: one call that denies what a list of the same run has proves nothing alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from ploy_connector_aws.spec import TemporaryError

MOST_READS = 3
"""So often one run reads a list again. Where AWS denies everything that it lists, more reads would change nothing."""


class ListedAgain:
    """A list, read again once a call denied one of its members. Safe across threads.

    Its ids are kept in memory, as it is read only where something is denied: the longest list, of 100,000 groups
    (AWS.md section 2.1), takes about 15 MB.

    Args:
        what: The kind of thing, for the error.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._lock = threading.Lock()
        self._ids: frozenset[str] | None = None
        self._reads = 0

    def confirm_gone(self, id_: str, read_ids: Callable[[], Iterable[str]]) -> None:
        """Make sure that the list lacks a thing by now that a call denied.

        Args:
            id_: The thing.
            read_ids: Reads the list.

        Raises:
            ConnectorError: The list could not be read again.
            TemporaryError: The list still has the thing, so AWS contradicts itself.
        """
        with self._lock:
            # An id is never used again, so a list that lacks it once lacks it for good.
            if self._ids is not None and id_ not in self._ids:
                return
            if self._reads < MOST_READS:
                self._reads += 1
                self._ids = frozenset(read_ids())
                if id_ not in self._ids:
                    return
        raise contradiction(self._what, id_)


def contradiction(what: str, id_: str) -> TemporaryError:
    """Make the error of a thing that one call lists and another denies.

    Args:
        what: The kind of thing.
        id_: The thing.
    """
    return TemporaryError(
        f"AWS lists the {what} {id_} and says in another call that it does not exist, so it is kept as it was.",
        fix="Nothing: the next sync asks again.",
    )
