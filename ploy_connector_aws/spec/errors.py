"""What a connector may raise, named by what the caller does next.

- ConnectorError
  - ConfigurationError   fix the settings
  - AuthenticationError  fix trust or credentials
  - PermissionMissing    extend the policy by the actions named
  - TemporaryError       try again
  - NotFound             it does not exist
  - Refused              give up on this one: a person must act
- HookFailedError        what a host makes of anything else that a hook raises: correct the connector
  - InvalidAnswerError   what a host makes of an answer that cannot be true or is of the wrong type
"""

from __future__ import annotations

from typing import ClassVar

from .bounds import to_pause_seconds


class ConnectorError(Exception):
    """Any error of the spec. Raise one of the subclasses.

    Args:
        message: One plain sentence for a person; never contains a secret.
        fix: What a person can do about it.
        request_id: The remote system's id of the failed request.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, fix: str | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
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
    """The connector could not prove who it is, or is not trusted: nothing at all can be read."""

    code = "authentication"


class PermissionMissing(ConnectorError):
    """A call was denied; ``actions`` are the permissions that would have allowed it."""

    code = "permission_missing"

    def __init__(
        self, message: str, *, actions: tuple[str, ...], fix: str | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(message, fix=fix, request_id=request_id)
        self.actions = actions


class TemporaryError(ConnectorError):
    """It may work later; ``retry_after_seconds`` where the source said when: an hour at the most.

    Out of ``grant`` or ``revoke`` it means that nobody knows whether the change took effect, unless
    ``changed_nothing`` says that it was not even asked for.
    """

    code = "temporary"

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


class NotFound(ConnectorError):
    """The source says that it does not exist; ``kind`` and ``id`` name what exactly, where it says so."""

    code = "not_found"

    def __init__(
        self,
        message: str,
        *,
        kind: str | None = None,
        id: str | None = None,  # noqa: A002 - the word of the records
        fix: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, fix=fix, request_id=request_id)
        self.kind = kind
        self.id = id


class Refused(ConnectorError):
    """The source will not do it however often it is asked; a person must act. ``reason`` is a word for machines."""

    code = "refused"

    def __init__(self, message: str, *, reason: str, fix: str | None = None, request_id: str | None = None) -> None:
        super().__init__(message, fix=fix, request_id=request_id)
        self.reason = reason


class HookFailedError(Exception):
    """A hook raised an exception that is not a ``ConnectorError``. Only a host makes it, with the cause attached.

    Args:
        message: The type of the cause, and where it was raised; nothing of its text, which may hold anything.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.fix: str | None = None


class InvalidAnswerError(HookFailedError):
    """A hook answered what it must not: a value of another type, or a change of access that cannot be true."""
