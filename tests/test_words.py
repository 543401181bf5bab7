"""The project uses the words of its field: no private vocabulary in texts, names of code, and documents."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXTS = (".py", ".md", ".yaml", ".html", ".js", ".css", ".service", ".toml")

WORDS = re.compile(
    r"\b(nobody|somebody|whoever|anew|amiss|mend(?:s|ed|ing)?|heed(?:s|ed|ing)?|wish(?:es|ed|ing)?"
    r"|goes before|gone on with|hand(?:s|ed|ing)? over|so long as)\b",
    re.I,
)
PARTS = frozenset(
    (
        *("way", "ways", "word", "words", "say", "says", "said", "tell", "tells", "told", "picture", "pictures"),
        *("crew", "desk", "bell", "bells", "hindrance", "setback"),
    )
)
"""Not used as a part of an identifier: parts end at an underscore or before a capital."""

EXCEPTIONS: dict[tuple[str, str], str] = {
    ("tests/test_words.py", "*"): "It lists the words.",
    ("ploy_connector_aws/aws/policy/trust.py", "whoever"): "A text in records, which this change keeps as they are.",
}
"""File and word, with the reason; at most ten."""


def files() -> Iterator[Path]:
    for folder in ("ploy_connector_aws", "tests", "docs", "tools", "benchmarks", "examples"):
        yield from (path for path in sorted((ROOT / folder).rglob("*")) if path.suffix in TEXTS)
    yield from (ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "manifest.yaml")


def parts(identifier: str) -> set[str]:
    return {part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier)}


def banned(path: Path) -> Iterator[tuple[str, int]]:
    """Every banned word of a file, and every banned part of an identifier once, with its line."""
    text = path.read_text()
    for number, line in enumerate(text.splitlines(), 1):
        yield from ((found[0].lower(), number) for found in WORDS.finditer(line))
    if path.suffix != ".py":
        return
    seen = set()
    if not any(parts(each) & PARTS for each in set(re.findall(r"\w+", text))):
        return  # reading the tokens of a file takes longer
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and token.string not in seen and parts(token.string) & PARTS:
            seen.add(token.string)
            yield token.string, token.start[0]


def test_no_text_and_no_identifier_has_a_word_of_the_private_vocabulary() -> None:
    found = []
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        if name.startswith("tests/data/") or (name, "*") in EXCEPTIONS:
            continue
        found += [f"{name}:{line}: {word}" for word, line in banned(path) if (name, word) not in EXCEPTIONS]
    assert found == []


def test_there_are_at_most_ten_exceptions_and_each_is_needed() -> None:
    assert len(EXCEPTIONS) <= 10
    for name, word in EXCEPTIONS:
        words = {each for each, _ in banned(ROOT / name)}
        assert words if word == "*" else word in words


def test_a_banned_word_is_found(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text('"""Nobody heeds it."""\ntell_all = sayHello = away = 1  # mended so long as it goes before\n')
    assert [word for word, _ in banned(planted)] == [
        *("nobody", "heeds", "mended", "so long as", "goes before"),
        *("tell_all", "sayHello"),
    ]
