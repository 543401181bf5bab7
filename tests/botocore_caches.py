"""What botocore does again for each client is done once for a process of the tests."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import botocore.hooks
import botocore.regions
from botocore.client import ClientCreator
from botocore.hooks import EventAliaser, NodeList, _PrefixTrie


def speed_up_botocore() -> None:
    """Let botocore's clients share what never differs between them: making it for each client is half of a sync."""
    _make_once(ClientCreator, "_create_client_class", lambda _, service, model: service)
    _make_once(ClientCreator, "_load_service_model", lambda _, service, version=None: (service, version))
    _make_once(ClientCreator, "_load_service_endpoints_ruleset", lambda _, service, version=None: (service, version))
    _make_once(botocore.regions, "EndpointProvider", lambda ruleset_data, **_: id(ruleset_data))
    _make_once(EventAliaser, "_alias_event_name", lambda _, event: event)
    _make_once(botocore.hooks, "accepts_kwargs", lambda handler: getattr(handler, "__code__", id(type(handler))))
    _share_handlers()


def _make_once(owner: Any, name: str, key: Callable[..., Hashable]) -> None:
    """Let a function make each thing once in this process, and return it to every later caller with the same key."""
    make, made = getattr(owner, name), dict[Hashable, Any]()

    def make_once(*args: Any, **kwargs: Any) -> Any:
        which = key(*args, **kwargs)
        if which not in made:
            made[which] = make(*args, **kwargs), args  # kept, as a key may be the id of an argument
        return made[which][0]

    setattr(owner, name, make_once)


def _share_handlers() -> None:
    """Let copies of botocore's tree of event handlers share its nodes: each client copies it, a twentieth of a sync.

    A change copies the nodes that lead to it, so it reaches no other tree.
    """

    def copying(change: Callable[..., None]) -> Callable[..., None]:
        def change_copies(self: _PrefixTrie, key: str, *args: Any, **kwargs: Any) -> None:
            node = self._root = {**self._root, "children": dict(self._root["children"])}
            for part in key.split("."):
                if part not in node["children"]:
                    break
                child = node["children"][part]
                values = child["values"] and NodeList(*map(list, child["values"]))
                node["children"][part] = node = {**child, "values": values, "children": dict(child["children"])}
            change(self, key, *args, **kwargs)

        return change_copies

    def share(self: _PrefixTrie) -> _PrefixTrie:
        shared = _PrefixTrie()
        shared._root = self._root
        return shared

    _PrefixTrie.append_item = copying(_PrefixTrie.append_item)
    _PrefixTrie.remove_item = copying(_PrefixTrie.remove_item)
    _PrefixTrie.__copy__ = share
