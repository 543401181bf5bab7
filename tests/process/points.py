"""Named points of a command, at one of which it is killed.

A point is before or after an SQL statement, or before or after a send or a receive of a request. Its name is made of
what happens there and on what, never of how many points there were before; ids are replaced by names, so the name is
the same in another run of the tests. The package has no switch for any of this.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import threading
import urllib.parse
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

_HEAD = re.compile(rb"[A-Z]+ \S+ HTTP/1\.1\r\n")
_SIGNED_FOR = re.compile(rb"Credential=[^/]+/\d+/([^/]+)/([^/]+)/aws4_request")
_TARGET = re.compile(rb"X-Amz-Target: \w+\.(\w+)", re.IGNORECASE)
_TEXT, _NUMBER, _TABLE = re.compile(r"'(?:[^']|'')*'|X'[0-9A-Fa-f]*'"), re.compile(r"\b\d+\b"), re.compile(r"_\d+\b")
_RANDOM = re.compile(r"(?:[0-9a-f]{10}-)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{12,}", re.IGNORECASE)
_LEFT_OUT = {"Policy", "Version", "Action", "ExternalId", "NextToken", "Marker"}
"""Parameters that are long, secret or opaque, or that the name has already."""


class Points:
    """Counts the points that the process reaches; at one of them the process ends, as by ``kill -9``.

    Args:
        names: By id: what to call it in the name of a point.
        kill_at: The name of a point, and which of its occurrences ends the process.
        record: The file that gets the name of each point that is reached.
    """

    def __init__(self, names: Mapping[str, str], kill_at: tuple[str, int] | None, record: Path | None) -> None:
        self._names = names
        self._target = kill_at
        self._reached: Counter[str] = Counter()
        self._lock = threading.Lock()
        ids = sorted(names, key=len, reverse=True)
        self._ids = re.compile("|".join(map(re.escape, ids))) if ids else None
        self._record = os.open(record, os.O_WRONLY | os.O_CREAT, 0o600) if record else None

    def named(self, text: str) -> str:
        """Replace what another run of the tests would have otherwise."""
        if self._ids is not None:
            text = self._ids.sub(lambda found: self._names[found[0]], text)
        return _RANDOM.sub("*", text)

    def reach(self, name: str) -> None:
        """The process is at this point now."""
        with self._lock:
            self._reached[name] += 1
            if self._record is not None:
                os.write(self._record, f"{name}\n".encode())
            if (name, self._reached[name]) == self._target:
                os.kill(os.getpid(), signal.SIGKILL)


def watch_sqlite(points: Points) -> None:
    """Reach a point before and after each statement of every connection that is opened from now on."""
    connect = sqlite3.connect

    def watched(database: Any, *, factory: type[sqlite3.Connection] = sqlite3.Connection, **more: Any) -> Any:
        class Watched(factory):  # type: ignore[misc, valid-type]
            """Each of its calls ends at a point; SQLite itself reports each statement that begins."""

            def execute(self, *arguments: Any) -> Any:
                return self._followed(super().execute, arguments)

            def executemany(self, *arguments: Any) -> Any:
                return self._followed(super().executemany, arguments)

            def executescript(self, *arguments: Any) -> Any:
                return self._followed(super().executescript, arguments)

            def _followed(self, call: Callable[..., Any], arguments: Iterable[Any]) -> Any:
                done = call(*arguments)
                points.reach(f"after {self.last}")
                return done

            def begin(self, statement: str) -> None:
                if not statement.startswith("--"):  # a comment, by which SQLite reports a trigger
                    self.last = f"{file}: {to_shape(statement)}"
                    points.reach(f"before {self.last}")

        path = urllib.parse.urlsplit(str(database)).path if more.get("uri") else str(database)
        file = points.named(Path(path).name) if path else "temporary"
        connection = connect(database, factory=Watched, **more)
        connection.last = f"{file}: nothing"
        connection.set_trace_callback(connection.begin)
        return connection

    sqlite3.connect = watched  # type: ignore[assignment]


def to_shape(statement: str) -> str:
    """A statement without the values in it and without the number of its run."""
    shape = _NUMBER.sub("?", _TABLE.sub("_#", _TEXT.sub("?", statement)))
    return " ".join(shape.split())[:100]


class Request:
    """A request that a connection carries, and how often its parts were sent and received."""

    def __init__(self, data: bytes, points: Points) -> None:
        self._head = data
        self._points = points
        self._calls: Counter[str] = Counter()
        self._name = points.named(to_request(data))

    def pass_on(self, kind: str, data: bytes, call: Callable[[], Any]) -> Any:
        """Reach a point before and after a send or a receive."""
        self._calls[kind] += 1
        if kind == "receive" and self._calls[kind] > 1:
            # How many pieces an answer comes in is a matter of time; no name can depend on it.
            return call()
        part = ""
        if kind == "send" and self._calls[kind] > 1:
            self._name, part = self._points.named(to_request(self._head + data)), " (body)"
        self._points.reach(f"before {kind}: {self._name}{part}")
        done = call()
        self._points.reach(f"after {kind}: {self._name}{part}")
        return done


def to_request(data: bytes) -> str:
    """Name a request by what it asks of whom; ``data`` is its head, and its body where that was sent too."""
    head, _, body = data.partition(b"\r\n\r\n")
    method, path, _ = head.decode("latin-1").split(" ", 2)
    signed_for = _SIGNED_FOR.search(head)
    if signed_for is None:
        return f"Ploy {method} {path}"
    region, service = signed_for[1].decode(), signed_for[2].decode()
    target = _TARGET.search(head)
    parameters: dict[str, Any] = {}
    if target is not None and body:
        parameters = json.loads(body)
    elif target is None:
        parameters = dict(urllib.parse.parse_qsl(body.decode()))
    operation = target[1].decode() if target else parameters.get("Action", f"{method} {path}")
    shown = "".join(f" {name}={parameters[name]}" for name in sorted(parameters.keys() - _LEFT_OUT))
    return f"{service}:{operation} in {region}{shown}"


def watch_sockets(points: Points) -> None:
    """Reach a point before and after each send and the first receive of every request from now on."""
    from ploy_connector_aws.deadlines import LimitedSocket  # has taken its methods from the class below already

    requests: weakref.WeakKeyDictionary[socket.socket, Request] = weakref.WeakKeyDictionary()

    def watch(kind_of_socket: type[socket.socket], name: str, kind: str) -> None:
        call = getattr(kind_of_socket, name)

        def watched(self: socket.socket, *arguments: Any) -> Any:
            data = bytes(arguments[0]) if kind == "send" else b""
            if _HEAD.match(data):
                requests[self] = Request(data, points)
            request = requests.get(self)  # None: not a connection to AWS or to Ploy
            if request is None:
                return call(self, *arguments)
            return request.pass_on(kind, data, lambda: call(self, *arguments))

        setattr(kind_of_socket, name, watched)

    for name, kind in {"send": "send", "sendall": "send", "recv": "receive", "recv_into": "receive"}.items():
        for kind_of_socket in (LimitedSocket, socket.socket):
            watch(kind_of_socket, name, kind)


def watch(names: Mapping[str, str], kill_at: tuple[str, int] | None, record: Path | None) -> None:
    """Reach the points of this process from now on; see ``Points``."""
    points = Points(names, kill_at, record)
    watch_sqlite(points)
    watch_sockets(points)
