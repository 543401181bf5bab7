"""A browser without scripts, for the pages of the local Ploy."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:  # its fixtures are made of what is here
    from .conftest import Customer


class Visitor(httpx.Client):
    """A browser without scripts. It speaks plain HTTP: reading certificates takes time."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, verify=False)

    def token(self, path: str = "/app/") -> str:
        found = re.search(r'name="form_token" value="([0-9a-f]{64})"', self.get(path).text)
        assert found is not None
        return found[1]

    def fill(self, path: str, **values: str) -> httpx.Response:
        where = "/app/login" if path == "/app/login" else "/app/"
        return self.post(path, data={"form_token": self.token(where), **values})


def at(customer: Customer, path: str = "") -> str:
    return f"/app/integrations/{customer.id}{path}"


def text(page: str) -> str:
    """Return the text of a page: tags within a line vanish, all others become a space."""
    inline = re.sub(r"</?(?:a|bdi|code|span|strong|time)\b[^>]*>", "", page)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", inline)).split())
