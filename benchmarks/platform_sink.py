"""A light platform for the benchmarks: it takes uploads, keeps the records, and says yes."""

from __future__ import annotations

import json
import threading
import zlib
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .organisations import Truth

Key = tuple[str, str]


class PlatformSink(ThreadingHTTPServer):
    """Serves one integration on loopback while the block runs."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.generation = 0
        self.modes: list[str] = []
        """How each committed run was sent."""
        self._contents: dict[Key, dict[str, Any]] = {}
        self._scopes: dict[str, set[Key]] = defaultdict(set)
        self._staged: list[bytes] = []
        self._mode = "full"

    def __enter__(self) -> PlatformSink:
        """Start to serve."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.shutdown()
        self.server_close()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def records(self) -> Truth:
        """Return the records that are visible now, as ``organisations.truth`` has them."""
        found: Truth = {"account": set(), "entitlement": set(), "grant": set(), "resource": set()}
        for type_, id_ in set().union(*self._scopes.values()):
            content = self._contents[type_, id_]
            match type_:
                case "account":
                    found[type_].add((id_, content.get("username", ""), content.get("display_name", "")))
                case "entitlement":
                    found[type_].add((id_, content["kind"]))
                case "grant":
                    names = ("principal_kind", "principal_id", "entitlement_id")
                    found[type_].add(tuple(content[name] for name in names))
                case _:
                    found.setdefault(type_, set()).add((id_,))
        return found

    def answer(self, method: str, path: str, body: bytes) -> dict[str, Any]:
        """Answer a call of the contract."""
        if "/batches/" in path:
            lines = zlib.decompress(body, wbits=31)
            self._staged.append(lines)
            return {"number": int(path.rpartition("/")[2]), "lines": lines.count(b"\n")}
        sent = json.loads(body)
        if path.endswith("/hello"):
            return {"generation": self.generation}
        if path.endswith("/syncs"):
            self._mode, self._staged = sent["mode"], []
            answer = self._commit() if sent.get("commit") is not None else None
            return {"id": "sync", "batches": [], "lease_seconds": 900, "answer": answer}
        if path.endswith("/commit"):
            return self._commit()
        return {"name": "aws", "version": "0"} if method == "PUT" else {}

    def _commit(self) -> dict[str, Any]:
        if self._mode == "full":
            self._contents.clear()
            self._scopes.clear()
        for batch in self._staged:
            for line in batch.splitlines():
                self._apply(json.loads(line))
        self._staged = []
        self.generation += 1
        self.modes.append(self._mode)
        return {"status": "committed", "generation": self.generation}

    def _apply(self, line: dict[str, Any]) -> None:
        """Apply a line; a scope that is gone or no longer announced lists nothing."""
        if line["line"] == "scope":
            if not line.get("is_announced", True) or line.get("ending") == "gone":
                self._scopes.pop(line["name"], None)
            return
        key = (line["type"], line["id"])
        if line["line"] == "record":
            if line.get("record") is not None:
                self._contents[key] = line["record"]
            for scope in line["scopes"]:
                self._scopes[scope].add(key)
            return
        for scope in line.get("scopes") or list(self._scopes):
            self._scopes[scope].discard(key)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: PlatformSink

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = json.dumps(self.server.answer(self.command, self.path, body)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST = do_PATCH = _serve  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Print nothing."""
