"""Errors of the specification, named by what the caller does next.

- PloyError                  the root of all errors that a host reports by code, message and fix
  - ConnectorError           what a connector may raise, by one of its subclasses
    - ConfigurationError     fix the settings
    - AuthenticationError    fix trust or credentials
    - PermissionDeniedError  extend the policy by the actions named
    - TemporaryError         try again
    - NotFoundError          it does not exist
    - RejectedError          give up on this one: a person must act
  - HookFailedError          a hook raised anything else: correct the connector
    - InvalidAnswerError     a hook returned a value that cannot be true or is of the wrong type
"""

from __future__ import annotations

from .bounds import to_pause_seconds


class PloyError(Exception):
    """An error with a code for programs, and a message and a fix for people.

    Args:
        message: One plain sentence for a person; never contains a secret.
        fix: What a person can do about it.
    """

    code: str = "unexpected"
    """A stable name of what happened, for programs."""
    is_transient: bool = False
    """Whether it is likely to pass by itself within minutes."""

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


class ConnectorError(PloyError):
    """Any error that a connector may raise. Raise one of the subclasses.

    Args:
        message: One plain sentence for a person; never contains a secret.
        fix: What a person can do about it.
        request_id: The remote system's id of the failed request.
    """

    code = "error"

    def __init__(self, message: str, *, fix: str | None = None, request_id: str | None = None) -> None:
        super().__init__(message, fix=fix)
        self.request_id = request_id
        self.origin = ""
        """Where it came from: connector, hook, scope, file and line. A host fills it in for its log."""


class ConfigurationError(ConnectorError):
    """A setting is wrong; ``field`` names it.

    A connector leaves ``is_located`` out: the host sets it once the message names the file or variable as well.
    """

    code = "configuration"

    def __init__(
        self, message: str, *, field: str | None = None, fix: str | None = None, is_located: bool = False
    ) -> None:
        super().__init__(message, fix=fix)
        self.field = field
        self.is_located = is_located


class AuthenticationError(ConnectorError):
    """The source does not accept or trust the connector's credentials: nothing can be read."""

    code = "authentication"


class PermissionDeniedError(ConnectorError):
    """A call was denied; ``actions`` are the permissions that would have allowed it."""

    code = "permission_missing"

    def __init__(
        self, message: str, *, actions: tuple[str, ...], fix: str | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(message, fix=fix, request_id=request_id)
        self.actions = actions


class TemporaryError(ConnectorError):
    """It may work later; ``retry_after_seconds`` is the pause that the source asked for, at most an hour.

    Raised by ``grant`` or ``revoke`` it means that it is unknown whether the change took effect, unless
    ``changed_nothing`` states that the change was not even requested.
    """

    code = "temporary"
    is_transient = True

    def __init__(
        self,
        message: str,
        *,
        retry_after_seconds: float | None = None,
        changed_nothing: bool = False,
        fix: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, fix=fix, request_id=request_id)
        self.retry_after_seconds = to_pause_seconds(retry_after_seconds)
        self.changed_nothing = changed_nothing


class NotFoundError(ConnectorError):
    """The source reports that it does not exist; ``kind`` and ``id`` name what exactly, where known."""

    code = "not_found"

    def __init__(
        self,
        message: str,
        *,
        kind: str | None = None,
        id: str | None = None,  # noqa: A002 - the name of the field in records
        fix: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, fix=fix, request_id=request_id)
        self.kind = kind
        self.id = id


class RejectedError(ConnectorError):
    """The source will never do it; a person must act. ``reason`` is a code for programs."""

    code = "refused"

    def __init__(self, message: str, *, reason: str, fix: str | None = None, request_id: str | None = None) -> None:
        super().__init__(message, fix=fix, request_id=request_id)
        self.reason = reason


class HookFailedError(PloyError):
    """A hook raised an exception that is not a ``ConnectorError``. Only a host raises this, with the cause attached.

    Args:
        message: The type of the cause, and where it was raised; nothing of its text, which may hold anything.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)


class InvalidAnswerError(HookFailedError):
    """A hook returned a value of the wrong type, or a change of access that cannot be true."""
