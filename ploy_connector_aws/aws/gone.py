"""Confirms deletions: one 'not found' response for a listed resource is not enough proof."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from ploy_connector_aws.spec import TemporaryError

MAX_REREADS = 3
"""How often one run rereads a list at most: otherwise each member reported missing would cost a whole read."""


class DeletionConfirmer:
    """Confirms that a listed resource was deleted, by rereading its list. Thread-safe.

    The ids of the list stay in memory: the longest list, of 100,000 groups (AWS.md section 2.1), takes about 15 MB. A
    reread is rare.

    Args:
        resource_kind: The kind of resource, for the error.
    """

    def __init__(self, resource_kind: str) -> None:
        self._resource_kind = resource_kind
        self._lock = threading.Lock()
        self._ids: frozenset[str] | None = None
        self._reads = 0

    def confirm_gone(self, id_: str, read_ids: Callable[[], Iterable[str]]) -> None:
        """Return if the list no longer has a resource.

        Args:
            id_: The resource.
            read_ids: Reads the list.

        Raises:
            ConnectorError: The list could not be reread.
            TemporaryError: The list still has the resource, so AWS contradicts itself.
        """
        with self._lock:
            # AWS never reuses ids, so once an id is missing from the list it stays missing.
            if self._ids is not None and id_ not in self._ids:
                return
            if self._reads < MAX_REREADS:
                self._reads += 1
                self._ids = frozenset(read_ids())
                if id_ not in self._ids:
                    return
        raise contradiction_error(self._resource_kind, id_)


def contradiction_error(resource_kind: str, id_: str) -> TemporaryError:
    """Return the error for a resource that one call lists and another reports missing.

    Args:
        resource_kind: The kind of resource.
        id_: The resource.
    """
    return TemporaryError(
        f"AWS lists the {resource_kind} {id_}, but another call reports that it does not exist; the record is kept.",
        fix="None needed: the next sync reads it again.",
    )
