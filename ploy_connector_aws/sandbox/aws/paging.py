"""Pages of lists as AWS returns them: at most the service's page size, with tokens that survive a deleted item."""

from __future__ import annotations

import base64
import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .access_denied import AwsError

_EMPTY, _FULL = "e", "f"

Row = TypeVar("Row")


@dataclass(frozen=True)
class PageForm:
    """How a service pages: the names of the page size and of the request's and response's token, and the valid sizes.

    From AWS.md 1.1. `default` is the size if the request has none, None for everything at once. A size over `most` is
    accepted, but not returned. A plain token is the last item's own key. `truncated` names the member that states
    whether there is more.
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
    truncated: str | None = None

    @property
    def parameters(self) -> frozenset[str]:
        """The parameters of a request that are about pages."""
        return frozenset({self.size, self.after})


PAGE_FORMS: Mapping[str, PageForm] = {
    "dynamodb": PageForm("Limit", "ExclusiveStartTableName", "LastEvaluatedTableName", is_plain=True),
    "ec2": PageForm(
        following="nextToken",
        smallest=5,
        largest=1000,
        default=None,
        invalid="InvalidParameterValue",
    ),
    "ecs": PageForm("maxResults", "nextToken", "nextToken", invalid="InvalidParameterException"),
    "iam": PageForm("MaxItems", "Marker", "Marker", largest=1000, invalid="ValidationError", truncated="IsTruncated"),
    "lambda": PageForm(
        "MaxItems",
        "Marker",
        "NextMarker",
        largest=10_000,
        most=50,
        default=50,
        invalid="InvalidParameterValueException",
    ),
    "organizations": PageForm(largest=20, default=20, invalid="InvalidInputException"),
    "rds": PageForm("MaxRecords", "Marker", "Marker", smallest=20, invalid="InvalidParameterValue"),
    "s3": PageForm(
        "MaxBuckets", "ContinuationToken", "ContinuationToken", largest=10_000, default=None, invalid="InvalidArgument"
    ),
    "sqs": PageForm(largest=1000, invalid="InvalidParameterValue"),
}
"""By service, where it differs from Identity Center and its store."""


@dataclass(frozen=True)
class Pager:
    """Selects one page of the rows of an operation.

    `empty_first` puts an empty page with a token before each real one, which AWS may do at any time.
    """

    operation: str
    parameters: Mapping[str, Any]
    empty_first: bool = False
    form: PageForm = field(default_factory=PageForm)

    def page(
        self, result: str, rows: Iterable[Row], key: Callable[[Row], str], to_item: Callable[[Row], Any]
    ) -> dict[str, Any]:
        """The response with the items under `result`.

        The token holds the key of the last item and not a position: moto returns InvalidToken if the next item was
        deleted, AWS continues.
        """
        limit = _limit(self.parameters.get(self.form.size), self.form)
        kind, after = self._position()
        if self.empty_first and kind == _FULL and not self.form.is_plain:
            return {result: [], **self._more(_EMPTY, after)}
        following: Iterable[Row] = (row for row in rows if key(row) > after)
        if limit is None:
            return {result: [to_item(row) for row in sorted(following, key=key)]}
        found = heapq.nsmallest(limit + 1, following, key=key)
        page: dict[str, Any] = {result: [to_item(row) for row in found[:limit]]}
        if len(found) > limit:
            return page | self._more(_FULL, key(found[limit - 1]))
        return page | ({self.form.truncated: False} if self.form.truncated else {})

    def _position(self) -> tuple[str, str]:
        token = self.parameters.get(self.form.after)
        if token is None:
            return _FULL, ""
        if self.form.is_plain:
            return _FULL, str(token)
        try:
            operation, kind, after = base64.urlsafe_b64decode(str(token).encode()).decode().split("\n")
        except ValueError:
            operation, kind, after = "", "", ""
        if operation != self.operation:
            raise AwsError(self.form.invalid, f"The {self.form.after} is not valid for this operation.")
        return kind, after

    def _more(self, kind: str, after: str) -> dict[str, Any]:
        token = base64.urlsafe_b64encode(f"{self.operation}\n{kind}\n{after}".encode()).decode()
        more = {self.form.truncated: True} if self.form.truncated else {}
        return {**more, self.form.following: after if self.form.is_plain else token}


def _limit(requested: Any, form: PageForm) -> int | None:
    if requested is None:
        return form.default
    number = int(requested) if isinstance(requested, int) or str(requested).isdecimal() else 0
    if not form.smallest <= number <= form.largest:
        constraint = (
            f"less than or equal to {form.largest}"
            if number > form.smallest
            else f"greater than or equal to {form.smallest}"
        )
        name = form.size[0].lower() + form.size[1:]
        raise AwsError(
            form.invalid,
            f"1 validation error detected: Value '{requested}' at '{name}' failed to satisfy constraint: "
            f"Member must have value {constraint}",
        )
    return min(number, form.most)
