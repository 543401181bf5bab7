"""Checks of every page before a host stores it: an invalid record fails its scope, and the failure names it.

Records are never rewritten. The valid records of a page are kept; a failed scope removes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from ploy_connector_aws.spec.bounds import describe_errors
from ploy_connector_aws.spec.errors import InvalidAnswerError
from ploy_connector_aws.spec.pages import Failure, Page
from ploy_connector_aws.spec.records import Record, RecordType, to_checked_json

from .redaction import Redactor, redact
from .safe_errors import LONGEST_FIX, LONGEST_MESSAGE, to_text

CLOCK_TOLERANCE = timedelta(minutes=5)
"""The tolerated difference between the clocks of two machines."""

LARGEST_LINE_BYTES = 1_000_000
"""The default limit of a record with its id and the name of its scope; the platform may set another."""

_FRAME_BYTES = 100
"""The size of the rest of a record's line."""

_FIELDS = frozenset(Page.model_fields)
_FIX = "correct the connector, or leave this record out of its list; all other records were kept"
_LONGEST_ORIGIN = 2_048
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()
"""What pydantic writes for a lone surrogate in the name of a member, instead of an error."""
_NOT_IN_HOOK: Mapping[str, tuple[RecordType, ...]] = {"list_resources": ("account", "entitlement", "grant")}
"""A scope that only this hook announces hides no path of access where it is switched off: a host relies on that."""
_SURROGATES = (0xD800, 0xDFFF)


class PageProblem(NamedTuple):
    """What is invalid on a page."""

    kind: Literal["page", "record", "text", "size", "secret"]
    """The page itself; the class or a field of a record; no text for UTF-8; too large for a batch; a secret."""
    message: str
    """The rest of a sentence that begins with the scope, without secrets."""


class CheckedPage(NamedTuple):
    """A page that can be stored, and the JSON of its records, then of its partial ones."""

    page: Page
    bodies: list[bytes]
    problems: tuple[PageProblem, ...] = ()
    """Everything that is invalid on the page, in order."""

    @property
    def problem(self) -> str | None:
        """The first problem, which is also the failure of its scope; None where the page is valid."""
        return self.problems[0].message if self.problems else None


class PageCheck:
    """Checks the pages of one run, in order.

    Args:
        redactor: Finds the secrets of the integration.
        max_line_bytes: A record that is larger, with its id and its scope, fails its scope: no batch can hold it.
        now: The clock.
    """

    def __init__(
        self,
        redactor: Redactor,
        max_line_bytes: int = LARGEST_LINE_BYTES,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._redactor = redactor
        self._max_line_bytes = max_line_bytes
        self._now = now
        self._parents: dict[str, str | None] = {}
        """The parents of scopes that cannot be stored, as their names contain a secret."""

    def check(self, page: Page, hook: str) -> CheckedPage:
        """Check a page.

        Args:
            page: The page.
            hook: The name of the list hook that it is from.

        Returns:
            The page itself; if a part of it is invalid, the rest of it with a failure of its scope; if its scope cannot
            be named, a failure of the scope that lists it.

        Raises:
            InvalidAnswerError: It belongs to no scope that can be named.
        """
        given = _fields_of(page)
        try:
            # Records are checked one by one, so that an invalid one does not affect the others.
            page = Page.model_validate({**given, "records": (), "partial": ()})
        except ValidationError as error:
            return self._failed(page, f"the page is not valid: {redact(describe_errors(error))}")
        except Exception as error:  # noqa: BLE001 - a connector's own class may do anything
            return self._failed(page, f"the page cannot be read ({type(error).__name__})")
        names = tuple(name for name in (page.scope, page.parent) if name is not None)
        if any(self._redactor.is_in(name) for name in names):
            return self._unnamed(page)
        header_problem = self._check_header(page)
        problems = [] if header_problem is None else [header_problem]
        is_empty = all(type(given.get(field)) is tuple and not given[field] for field in ("records", "partial"))
        if is_empty and not problems and page.failure is None:
            return CheckedPage(page, [])
        kept: dict[str, tuple[Record, ...]] = {}
        bodies: list[bytes] = []
        for field in ("records", "partial"):
            records = given.get(field, ())
            good: list[Record] = []
            if not isinstance(records, tuple | list):
                message = f"its {field} are a {type(records).__name__}, and a tuple is expected"
                problems.append(PageProblem("page", message))
                records = ()
            for record in records:
                body, invalid = self._encode(record, page.scope)
                if invalid is None and record.record_type in _NOT_IN_HOOK.get(hook, ()):
                    invalid = PageProblem("record", f"{_named(record)} is not allowed in {hook}")
                if invalid is None:
                    good.append(record)
                    bodies.append(body)
                else:
                    problems.append(invalid)
            kept[field] = tuple(good)
        failure = _clean(page.failure) if page.failure is not None else None
        update: dict[str, Any] = {**kept, "failure": failure}
        if problems:
            update |= {"failure": _failure(problems[0].message), "complete": False, "gone": False, "excluded": False}
        if header_problem is not None:
            update |= {"origin": None, "began_at": None}
        return CheckedPage(page.model_copy(update=update), bodies, tuple(problems))

    def _check_header(self, page: Page) -> PageProblem | None:
        if page.origin is not None:
            if len(page.origin) > _LONGEST_ORIGIN or _has_surrogates(page.origin):
                message = f"its origin is longer than {_LONGEST_ORIGIN} characters, or no text that UTF-8 can hold"
                return PageProblem("page", message)
            if self._redactor.is_in(page.origin):
                return PageProblem("secret", "its origin contains the value of a secret setting")
        if page.began_at is not None and page.began_at > self._now() + CLOCK_TOLERANCE:
            return PageProblem("page", "its began_at lies in the future")
        return None

    def _encode(self, record: Record, scope: str) -> tuple[bytes, PageProblem | None]:
        """Return a record as JSON, or what is wrong with it."""
        kind: Literal["record", "text", "size", "secret"] = "record"
        try:
            body = to_checked_json(record)
            where = _find_surrogate(record) if _REPLACEMENT in body else None
            if where is not None:
                kind, message = "text", f"cannot be written as JSON: {where} holds a lone surrogate"
        except TypeError:
            name = to_text(type(record).__name__, 100)
            message = f"is of the class {name}, and an Account, Entitlement, Grant, Resource or Finding is expected"
        except ValidationError as error:
            message = f"is not valid: {redact(describe_errors(error))}"
        except (PydanticSerializationError, UnicodeError, ValueError, RecursionError) as error:
            where = _find_surrogate(record)
            kind = "text" if where else "record"
            what = f"{where} holds a lone surrogate, which is no text" if where else _reason(error)
            message = f"cannot be written as JSON: {what}"
        except Exception as error:  # noqa: BLE001 - a connector's own class may do anything
            message = f"cannot be read ({type(error).__name__})"
        else:
            if where is None:
                size = self._size_of_large(body, record.id, scope)
                if size is None and not self._redactor.is_in_body(body):
                    return body, None
                kind, message = "secret", "contains the value of a secret setting"
                if size is not None:
                    kind = "size"
                    message = f"has {size} bytes as JSON, more than a batch of {self._max_line_bytes} can hold"
        return b"", PageProblem(kind, f"{_named(record)} {message}")

    def _size_of_large(self, body: bytes, id_: str, scope: str) -> int | None:
        """Return the size of a record that no batch can hold, with its id and its scope; None for any other."""
        if 2 * len(body) <= self._max_line_bytes - _FRAME_BYTES - 8 * len(scope):  # the body contains the id as well
            return None
        size = len(body) + sum(len(json.dumps(each, ensure_ascii=False).encode()) for each in (id_, scope))
        return size if size + _FRAME_BYTES > self._max_line_bytes else None

    def _unnamed(self, page: Page) -> CheckedPage:
        """Fail the parent of a scope whose name contains a secret: it cannot be stored, and must not seem gone."""
        parent = page.parent if page.parent is not None else self._parents.get(page.scope)
        self._parents[page.scope] = parent
        while parent is not None and self._redactor.is_in(parent):
            parent = self._parents.get(parent)
        message = "the name of a scope below it contains the value of a secret setting, so the scope was not kept"
        if parent is None:
            raise InvalidAnswerError(
                "the connector failed unexpectedly (ValueError): the name of a scope contains the value of a secret"
                " setting, and no scope is named that lists it"
            )
        return CheckedPage(Page(scope=parent, failure=_failure(message)), [], (PageProblem("secret", message),))

    def _failed(self, page: Page, problem: str) -> CheckedPage:
        """Fail the scope of an invalid page, if the name of the scope is valid."""
        fields = _fields_of(page)
        for names in ({"scope": fields.get("scope"), "parent": fields.get("parent")}, {"scope": fields.get("scope")}):
            try:
                named = Page.model_validate({**names, "failure": _failure(problem)})
            except ValidationError:
                continue
            if self._redactor.is_in(named.scope):
                return self._unnamed(named)
            return CheckedPage(named, [], (PageProblem("page", problem),))
        raise InvalidAnswerError(f"the connector failed unexpectedly (ValueError): {problem}")


def _fields_of(page: Page) -> dict[str, Any]:
    return {name: value for name, value in vars(page).items() if name in _FIELDS}


def _failure(problem: str) -> Failure:
    message = to_text(f"The connector reported an invalid record or page: {problem}.", LONGEST_MESSAGE)
    return Failure(code="invalid_record", message=message, fix=_FIX)


def _clean(failure: Failure) -> Failure:
    """Return a failure without secrets and lone surrogates, within bounds; the same object if nothing changes."""
    cleaned = Failure(
        code=to_text(failure.code, 256) or "error",
        message=to_text(failure.message, LONGEST_MESSAGE),
        missing_permissions=tuple(to_text(each, 256) for each in failure.missing_permissions[:1000]),
        fix=None if failure.fix is None else to_text(failure.fix, LONGEST_FIX),
        request_id=None if failure.request_id is None else to_text(failure.request_id, 256),
    )
    return failure if cleaned == failure else cleaned


def _named(record: Record) -> str:
    """The record's type and id, cut and without secrets."""
    if not isinstance(record, BaseModel):
        return f"an item of type {type(record).__name__}"
    id_ = getattr(record, "id", None)
    shown = repr(to_text(id_, 200)) if isinstance(id_, str) else f"with an id of type {type(id_).__name__}"
    return f"the {getattr(record, 'record_type', 'record')} {shown}"


def _reason(error: Exception) -> str:
    text = str(error)
    if "Circular reference" in text or isinstance(error, RecursionError):
        return "it is nested too deeply, or contains itself"
    return f"a value is of the wrong type ({type(error).__name__})"


def _find_surrogate(value: Any, place: str = "", depth: int = 0) -> str | None:
    """Name the first field that holds half of a surrogate pair."""
    if isinstance(value, str):
        return (place or "a text") if _has_surrogates(value) else None
    inner: Iterator[tuple[Any, Any]]
    if isinstance(value, BaseModel):
        inner = iter(vars(value).items())
    elif isinstance(value, dict):
        inner = iter(value.items())
    elif isinstance(value, list | tuple):
        inner = iter(enumerate(value))
    else:
        return None
    if depth > 50:
        return None
    for name, each in inner:
        if isinstance(name, str) and _has_surrogates(name):
            return f"a name in {place or 'the record'}"
        found = _find_surrogate(each, f"{place}.{to_text(str(name), 64)}".lstrip("."), depth + 1)
        if found:
            return found
    return None


def _has_surrogates(text: str) -> bool:
    return any(_SURROGATES[0] <= ord(each) <= _SURROGATES[1] for each in text)
