"""Pages as AWS cuts them: at most 100 items, opaque tokens that survive the deletion of an item."""

from __future__ import annotations

import base64
import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ploy_connector_aws.sandbox.aws.denials import AwsError

MAX_RESULTS = 100
_EMPTY, _FULL = "e", "f"

Row = TypeVar("Row")


@dataclass(frozen=True)
class Pager:
    """Cuts one page out of the rows of an operation.

    `empty_first` puts an empty page with a token before each real one, which AWS may do at any time.
    """

    operation: str
    parameters: Mapping[str, Any]
    empty_first: bool = False

    def page(
        self, result: str, rows: Iterable[Row], key: Callable[[Row], str], to_item: Callable[[Row], Any]
    ) -> dict[str, Any]:
        """The answer with the items under `result`.

        The token holds the key of the last item and not a position: moto answers InvalidToken once the
        next item was deleted, AWS goes on.
        """
        limit = _limit(self.parameters.get("MaxResults"))
        kind, after = self._position()
        if self.empty_first and kind == _FULL:
            return {result: [], "NextToken": self._token(_EMPTY, after)}
        following = heapq.nsmallest(limit + 1, (row for row in rows if key(row) > after), key=key)
        page: dict[str, Any] = {result: [to_item(row) for row in following[:limit]]}
        if len(following) > limit:
            page["NextToken"] = self._token(_FULL, key(following[limit - 1]))
        return page

    def _position(self) -> tuple[str, str]:
        token = self.parameters.get("NextToken")
        if token is None:
            return _FULL, ""
        try:
            operation, kind, after = base64.urlsafe_b64decode(str(token).encode()).decode().split("\n")
        except ValueError:
            operation, kind, after = "", "", ""
        if operation != self.operation:
            raise AwsError("ValidationException", "The NextToken is not valid for this operation.")
        return kind, after

    def _token(self, kind: str, after: str) -> str:
        return base64.urlsafe_b64encode(f"{self.operation}\n{kind}\n{after}".encode()).decode()


def _limit(asked: Any) -> int:
    if asked is None:
        return MAX_RESULTS
    if not isinstance(asked, int) or not 1 <= asked <= MAX_RESULTS:
        constraint = (
            "less than or equal to 100" if isinstance(asked, int) and asked > 1 else "greater than or equal to 1"
        )
        raise AwsError(
            "ValidationException",
            f"1 validation error detected: Value '{asked}' at 'maxResults' failed to satisfy constraint: "
            f"Member must have value {constraint}",
        )
    return asked
