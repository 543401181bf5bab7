"""What botocore does again for each client is done once for a process of the tests."""

from __future__ import annotations

from typing import Any

from botocore.client import ClientCreator
from botocore.hooks import EventAliaser, NodeList, _PrefixTrie


def speed_up_botocore() -> None:
    """Replace the slow parts of botocore until the process ends."""
    _keep_client_classes()
    _keep_event_names()
    _copy_handlers_fast()


def _keep_client_classes() -> None:
    """Let botocore make the class of each service's clients once: made again for each client it is half of a sync."""
    make, made = ClientCreator._create_client_class, dict[str, type]()

    def make_once(self: ClientCreator, service_name: str, service_model: Any) -> type:
        if service_name not in made:
            made[service_name] = make(self, service_name, service_model)
        return made[service_name]

    ClientCreator._create_client_class = make_once


def _keep_event_names() -> None:
    """Let botocore rename each event once: a thirteenth of a sync goes by while each client renames its own."""
    rename, renamed = EventAliaser._alias_event_name, dict[str, str]()

    def rename_once(self: EventAliaser, event_name: str) -> str:
        if event_name not in renamed:
            renamed[event_name] = rename(self, event_name)
        return renamed[event_name]

    EventAliaser._alias_event_name = rename_once


def _copy_handlers_fast() -> None:
    """Copy botocore's tree of event handlers without the copy module: each client copies it, a twentieth of a sync."""

    def copy(node: dict[str, Any]) -> dict[str, Any]:
        return {
            key: NodeList(list(value.first), list(value.middle), list(value.last))
            if isinstance(value, NodeList)
            else copy(value)
            if isinstance(value, dict)
            else value
            for key, value in node.items()
        }

    _PrefixTrie._recursive_copy = lambda _, node: copy(node)
