"""Random histories of runs as pages, valid and invalid ones."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ploy_connector_aws.spec import Page, Record, RecordKey

from .records import DENIED, account, finding, group, membership, nesting, resource

# Names sort in another order than the one in which the tree announces them, and in another one than in UTF-16.
TREE = {"r": None, "r/b": "r", "a": "r", "r/b/1": "r/b", "\ufffd": "r/b", "\U0001f600": "a", "s": None, "s/1": "s"}
SCOPES = (*TREE, "lost")
ENDINGS: dict[str, dict[str, Any]] = {
    "complete": {"complete": True},
    "failed": {"failure": DENIED},
    "gone": {"gone": True},
    "excluded": {"excluded": True},
    "open": {},
}
LIKELY_ENDINGS = ("complete", "complete", "complete", "failed", "gone", "excluded", "open")


def to_records(version: int) -> list[Record]:
    """Records that name each other; the content of most depends on a number."""
    name = f"v{version}"
    accounts = [account(id_, name) for id_ in ("u", "v")]
    return [
        *accounts,
        *(group(id_, name) for id_ in ("g", "h")),
        *(membership(each.id, "g") for each in accounts),
        membership("u", "h"),
        nesting("g", "h"),
        resource("x", name),
        finding("f", name),
    ]


RECORDS = st.builds(lambda version, number: to_records(version)[number], st.integers(1, 2), st.integers(0, 9))
KEYS = st.sampled_from([RecordKey(type=each.record_type, id=each.id) for each in to_records(1)])


@st.composite
def page_lists(draw: st.DrawFn) -> list[Page]:
    """One run: pages of some scopes of the tree in any order; most are below a parent that is announced, too."""
    pages: list[Page] = []
    for scope in draw(st.lists(st.sampled_from(SCOPES), min_size=1, max_size=8)):
        parent = TREE.get(scope, "nowhere")
        pages.append(
            Page(
                scope=scope,
                parent=draw(st.sampled_from((parent, parent, parent, parent, parent, None))),
                records=tuple(draw(st.lists(RECORDS, max_size=3))),
                partial=tuple(draw(st.lists(RECORDS, max_size=1))),
                retracted=tuple(draw(st.just([]) | st.just([]) | st.lists(KEYS, max_size=2))),
                origin=draw(st.sampled_from((None, None, None, "d-1", "d-1", "d-2"))),
                **ENDINGS[draw(st.sampled_from(LIKELY_ENDINGS))],
            )
        )
    return pages


def without_origins(pages: list[Page]) -> list[Page]:
    return [page.model_copy(update={"origin": None}) for page in pages]


@st.composite
def histories(draw: st.DrawFn) -> list[list[Page]]:
    """Runs of which some read the same as the one before, in another order; of these, some read everything."""
    history = draw(st.lists(page_lists(), min_size=1, max_size=5))
    for number in range(1, len(history)):
        match draw(st.sampled_from(("other", "other", "same", "all"))):
            case "same":
                history[number] = draw(st.permutations(history[number - 1]))
            case "all":
                history[number - 1] = [to_complete(page) for page in history[number - 1]]
                history[number] = draw(st.permutations(history[number - 1]))
    return history


def to_complete(page: Page) -> Page:
    return Page(
        scope=page.scope,
        parent=page.parent,
        records=page.records,
        partial=page.partial,
        origin=page.origin,
        complete=True,
    )


HISTORIES = histories()
