"""Why entitlements are privileged, or why that was not evaluated, in the sentences of the records that decide."""

from __future__ import annotations

import json
from collections import deque

from .edges import Edges


class Reasons:
    """Finds reasons, and keeps those that it found.

    Args:
        edges: The generation with its later changes.
    """

    def __init__(self, edges: Edges) -> None:
        self._edges = edges
        self._found: dict[int, tuple[str, ...]] = {}

    def of(self, number: int) -> tuple[str, ...]:
        """Return the reasons of the nearest record with any on the path that decides; empty where none has one.

        Args:
            number: An entitlement or account that is privileged, or whose privilege was not evaluated.
        """
        if number not in self._found:
            self._found[number] = self._find(number)
        return self._found[number]

    def _find(self, start: int) -> tuple[str, ...]:
        privilege = self._edges.privileges([start]).get(start)
        if privilege is None or privilege.verdict == "no":
            return ()
        if privilege.path:
            decider = self._edges.number("entitlement", privilege.path[-1].id)
            start = start if decider is None else decider
        seen, todo = {start}, deque([start])
        while todo:
            number = todo.popleft()
            if reasons := self._own(number):
                return reasons
            if not privilege.is_privileged:  # what it leads to was not evaluated either
                new = {to for to, _ in self._edges.steps(number)} - seen
                verdicts = self._edges.privileges(new)
                new = {each for each in new if verdicts[each].verdict == "not_judged"}
                seen |= new
                todo += sorted(new)
        return ()

    def _own(self, number: int) -> tuple[str, ...]:
        tables = self._edges.tables
        row = self._edges.db.execute(
            f"SELECT json_extract(b.body, '$.privileged_reasons') FROM {tables.names} n"
            f" JOIN {tables.bodies} b ON b.rowid = n.body WHERE n.number = ? AND n.own IS NOT 0",
            (number,),
        ).fetchone()
        return tuple(json.loads(row[0])) if row and row[0] else ()
