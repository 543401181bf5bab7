"""Pages as AWS cuts them: no longer than the service allows, tokens that survive the deletion of an item."""

from __future__ import annotations

import base64
import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ploy_connector_aws.sandbox.aws.access_denied import AwsError

_EMPTY, _FULL = "e", "f"

Row = TypeVar("Row")


@dataclass(frozen=True)
class PageWords:
    """What a service calls the size of a page, the token asked with and the one answered, and which sizes it takes.

    From AWS.md 1.1. `default` is the size where none is asked for, None for everything at once. More than `most` is
    taken but not given. A plain token is the last item's own key.
    """

    size: str = "MaxResults"
    after: str = "NextToken"
    following: str = "NextToken"
    smallest: int = 1
    largest: int = 100
    most: int = 10_000
    default: int | None = 100
    invalid: str = "ValidationException"
    is_plain: bool = False

    @property
    def parameters(self) -> frozenset[str]:
        """The parameters of a request that are about pages."""
        return frozenset({self.size, self.after})


WORDS: Mapping[str, PageWords] = {
    "dynamodb": PageWords("Limit", "ExclusiveStartTableName", "LastEvaluatedTableName", is_plain=True),
    "ec2": PageWords(
        following="nextToken",
        smallest=5,
        largest=1000,
        default=None,
        invalid="InvalidParameterValue",
    ),
    "ecs": PageWords("maxResults", "nextToken", "nextToken", invalid="InvalidParameterException"),
    "lambda": PageWords(
        "MaxItems",
        "Marker",
        "NextMarker",
        largest=10_000,
        most=50,
        default=50,
        invalid="InvalidParameterValueException",
    ),
    "rds": PageWords("MaxRecords", "Marker", "Marker", smallest=20, invalid="InvalidParameterValue"),
    "s3": PageWords(
        "MaxBuckets", "ContinuationToken", "ContinuationToken", largest=10_000, default=None, invalid="InvalidArgument"
    ),
    "sqs": PageWords(largest=1000, invalid="InvalidParameterValue"),
}
"""Of the services that do not speak of pages as Identity Center and its store do."""


@dataclass(frozen=True)
class Pager:
    """Cuts one page out of the rows of an operation.

    `empty_first` puts an empty page with a token before each real one, which AWS may do at any time.
    """

    operation: str
    parameters: Mapping[str, Any]
    empty_first: bool = False
    words: PageWords = field(default_factory=PageWords)

    def page(
        self, result: str, rows: Iterable[Row], key: Callable[[Row], str], to_item: Callable[[Row], Any]
    ) -> dict[str, Any]:
        """The answer with the items under `result`.

        The token holds the key of the last item and not a position: moto answers InvalidToken once the
        next item was deleted, AWS goes on.
        """
        limit = _limit(self.parameters.get(self.words.size), self.words)
        kind, after = self._position()
        if self.empty_first and kind == _FULL and not self.words.is_plain:
            return {result: [], self.words.following: self._token(_EMPTY, after)}
        following: Iterable[Row] = (row for row in rows if key(row) > after)
        if limit is None:
            return {result: [to_item(row) for row in sorted(following, key=key)]}
        found = heapq.nsmallest(limit + 1, following, key=key)
        page: dict[str, Any] = {result: [to_item(row) for row in found[:limit]]}
        if len(found) > limit:
            page[self.words.following] = self._token(_FULL, key(found[limit - 1]))
        return page

    def _position(self) -> tuple[str, str]:
        token = self.parameters.get(self.words.after)
        if token is None:
            return _FULL, ""
        if self.words.is_plain:
            return _FULL, str(token)
        try:
            operation, kind, after = base64.urlsafe_b64decode(str(token).encode()).decode().split("\n")
        except ValueError:
            operation, kind, after = "", "", ""
        if operation != self.operation:
            raise AwsError(self.words.invalid, f"The {self.words.after} is not valid for this operation.")
        return kind, after

    def _token(self, kind: str, after: str) -> str:
        if self.words.is_plain:
            return after
        return base64.urlsafe_b64encode(f"{self.operation}\n{kind}\n{after}".encode()).decode()


def _limit(asked: Any, words: PageWords) -> int | None:
    if asked is None:
        return words.default
    number = int(asked) if isinstance(asked, int) or str(asked).isdecimal() else 0
    if not words.smallest <= number <= words.largest:
        constraint = (
            f"less than or equal to {words.largest}"
            if number > words.smallest
            else f"greater than or equal to {words.smallest}"
        )
        name = words.size[0].lower() + words.size[1:]
        raise AwsError(
            words.invalid,
            f"1 validation error detected: Value '{asked}' at '{name}' failed to satisfy constraint: "
            f"Member must have value {constraint}",
        )
    return min(number, words.most)
