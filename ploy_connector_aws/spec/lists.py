"""Comma lists: split one that a person typed, and join names for a message."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice


def split_list(text: str) -> list[str]:
    """Split ``a, b,`` into its items, without spaces and empty items."""
    return [item for part in text.split(",") if (item := part.strip())]


def join_names(names: Collection[str], most: int) -> str:
    """Join names with commas; of more than ``most``, name the first and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(islice(names, most)) + more
