"""Checks of a connector's methods: what pluggy would not call, or would call without some values."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from types import FunctionType
from typing import Any

import pluggy

from ploy_connector_aws.spec.hooks import PROJECT_NAME, ConnectorHooks

from .safe_errors import name_file

LIST_HOOKS = ("list_accounts", "list_entitlements", "list_resources")
"""The hooks of a sync, in the order in which a host calls them."""

REQUIRED_HOOKS = ("configure", "test_connection", "list_accounts")

HOOKS = tuple(name for name in vars(ConnectorHooks) if not name.startswith("_"))

PARAMETERS: dict[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(getattr(ConnectorHooks, name)).parameters)[1:] for name in HOOKS
}
"""The parameters that an implementation of each hook may have, without ``self``."""

ADDED_LATER = frozenset({"close"})
"""Hooks of names that connectors of the first hosts may use otherwise: without ``@hookimpl`` they are no mistake."""

_METHODS = (FunctionType, staticmethod, classmethod)
_NEAR = 0.85
_WITHOUT_PARAMETERS = {*LIST_HOOKS, "test_connection"}
"""Hooks that mean something without their parameters: a method without any may be one of these, misspelt."""


def create_manager(name: str, instance: object) -> pluggy.PluginManager:
    """Register an instance of a connector with a manager of its own.

    Args:
        name: The connector's name.
        instance: The instance.

    Raises:
        ValueError: Its methods break the specification; the message is the rest of a sentence about the connector.
    """
    manager = pluggy.PluginManager(PROJECT_NAME)
    manager.add_hookspecs(ConnectorHooks)
    try:
        manager.register(instance, name=name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        problem = next(_find_wrong_parameters(type(instance)), None)
        raise ValueError(problem or _first_line(error)) from None
    for problem in _find_problems(manager.hook, instance):
        raise ValueError(problem)
    return manager


def _find_problems(hooks: pluggy.HookRelay, instance: object) -> Iterator[str]:
    """Describe every problem of the methods, the most important first."""
    implemented = {name: getattr(hooks, name).get_hookimpls() for name in HOOKS}
    for name, implementations in implemented.items():
        for implementation in implementations:
            yield from _find_problems_of_one(name, implementation)
        unmarked = inspect.getattr_static(instance, name, None)  # no property is read
        if not implementations and unmarked is not None and name not in ADDED_LATER:
            kind = "method" if isinstance(unmarked, _METHODS) else "attribute"
            yield f"its {kind} {name!r} has the name of a hook, and no @hookimpl{_place(unmarked)}"
    unknown = sorted(name for name in vars(hooks) if not name.startswith("_") and name not in HOOKS)
    yield from (f"it implements an unknown hook {name!r}{_meant(name, HOOKS)}" for name in unknown)
    yield from _find_misspelt(
        type(instance), [name for name in HOOKS if not implemented[name] and name not in ADDED_LATER]
    )
    missing = [name for name in REQUIRED_HOOKS if not implemented[name]]
    if missing:
        yield f"it does not implement {', '.join(missing)}"


def _find_problems_of_one(hook: str, implementation: pluggy.HookImpl) -> Iterator[str]:
    """Describe why pluggy would not call an implementation as specified, or would ignore its result."""
    function = implementation.function
    place = _place(function)
    own = getattr(function, "__func__", function)
    first = next(iter(inspect.signature(own).parameters), None)
    if own is not function and first in PARAMETERS[hook]:
        yield f"hook {hook!r} has no parameter 'self' before {first!r}{place}"
    for parameter in inspect.signature(function).parameters.values():
        where = f"parameter {parameter.name!r} of hook {hook!r}"
        if parameter.default is not inspect.Parameter.empty:
            yield f"{where} has a default, so it would not be passed{place}"
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            yield f"{where} is a catch-all, so it would receive nothing{place}"
        if parameter.kind is parameter.KEYWORD_ONLY:
            yield f"{where} is keyword-only, so it would not be passed{place}"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        yield f"hook {hook!r} is asynchronous, and hosts do not await hooks{place}"
    elif inspect.isgeneratorfunction(function) and hook not in LIST_HOOKS:
        yield f"hook {hook!r} contains a yield, so a call would do nothing{place}"
    if implementation.hookwrapper or implementation.wrapper:
        yield f"hook {hook!r} is a hook wrapper, which hosts do not support{place}"


def _find_wrong_parameters(connector_class: type) -> Iterator[str]:
    for hook, known in PARAMETERS.items():
        method = inspect.getattr_static(connector_class, hook, None)
        for name in _parameters_of(method):
            if name not in known:
                yield (
                    f"parameter {name!r} of hook {hook!r} is unknown; the hook has"
                    f" {' and '.join(map(repr, known)) or 'none'}{_place(method)}"
                )


def _find_misspelt(connector_class: type, open_hooks: list[str]) -> Iterator[str]:
    """Describe each unmarked method that is probably meant to be a hook: by its name and its parameters."""
    by_letters = {_letters(hook): hook for hook in open_hooks}
    for name in dir(connector_class):
        method = inspect.getattr_static(connector_class, name, None)
        near = [] if name.startswith("_") else get_close_matches(_letters(name), by_letters, n=1, cutoff=_NEAR)
        if not near or name in HOOKS or not isinstance(method, _METHODS):
            continue
        hook, parameters = by_letters[near[0]], _parameters_of(method)
        if set(parameters) <= set(PARAMETERS[hook]) and (parameters or hook in _WITHOUT_PARAMETERS):
            yield f"its method {name!r} looks like the hook {hook!r}, but is not one; rename it{_place(method)}"


def _letters(name: str) -> str:
    return name.lower().replace("_", "")


def _parameters_of(method: Any) -> list[str]:
    """Return the names of a method's parameters without the first one, unless it is a static method."""
    function = getattr(method, "__func__", method)
    if not isinstance(method, _METHODS) or not callable(function):
        return []
    return list(inspect.signature(function).parameters)[0 if isinstance(method, staticmethod) else 1 :]


def _place(method: Any) -> str:
    """Return the file and line of a method, in brackets; nothing where it has none."""
    function: Callable[..., Any] = getattr(method, "__func__", getattr(method, "fget", method))
    code = getattr(inspect.unwrap(function) if callable(function) else None, "__code__", None)
    return f" ({name_file(code.co_filename)} line {code.co_firstlineno})" if code is not None else ""


def _meant(name: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; the hooks are {', '.join(known)}"


def _first_line(error: Exception) -> str:
    """The message of pluggy, without the lines for its developers."""
    lines = str(error).splitlines()
    message = lines[0].split(" in plugin ")[0]
    return f"{message}: {lines[-1].strip()}" if len(lines) > 1 else message
