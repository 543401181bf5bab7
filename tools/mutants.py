"""Mutation tests of one module: mutmut changes its code in one place, and the tests must fail.

``python -m tools.mutants MODULE [TESTS]``, MODULE below ``ploy_connector_aws``. See ``docs/explanation/testing.md``.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from shutil import copytree, ignore_patterns
from typing import Literal, NamedTuple, TypeAlias, get_args

ROOT = Path(__file__).parent.parent
PACKAGE = "ploy_connector_aws"
DOCUMENT = Path("docs") / "explanation" / "testing.md"
PROCESSES = 2


class Tests(NamedTuple):
    """The tests that judge a module: `quick` for each mutant, `wide` for those that survive `quick`."""

    quick: tuple[str, ...]
    wide: tuple[str, ...] = ()


TESTS = {
    "runtime/sync/deletion_guard.py": Tests(
        quick=("tests/runtime/test_deletion_guard.py",),
        wide=("tests/runtime/test_compare_model.py", "tests/runtime/test_sync.py"),
    ),
    "runtime/snapshot/compare.py": Tests(
        quick=("tests/runtime/test_compare.py", "tests/runtime/test_compare_model.py"),
        wide=("tests/runtime/test_histories.py", "tests/runtime/test_store.py"),
    ),
    "aws/client/external_id_proof.py": Tests(
        quick=("tests/aws/test_external_id_proof.py",),
        wide=("tests/test_plugin.py", "tests/aws/connection_test/test_external_id_proof.py"),
    ),
    "aws/policy/documents.py": Tests(
        quick=("tests/aws/policy/test_documents.py",),
        wide=(
            "tests/aws/policy/test_conditions.py",
            "tests/aws/policy/test_trust.py",
            "tests/aws/policy/test_restrictions.py",
        ),
    ),
}

Outcome: TypeAlias = Literal["killed", "timed out", "rejected by mypy", "survived", "not tried"]

WRONG_COPY, NOT_IMPORTED = 97, 98
"""Exit statuses of a run that tested something else than the copy of the module."""

RUN = f"""
import resource, sys
from pathlib import Path
import pytest
resource.setrlimit(resource.RLIMIT_DATA, (4 << 30, 4 << 30))
status = pytest.main(sys.argv[2:])
ours = [module for name, module in sys.modules.items() if name.split(".")[0] in ("{PACKAGE}", "tests")]
if not all(Path(module.__file__).is_relative_to(Path.cwd()) for module in ours if module.__file__):
    sys.exit({WRONG_COPY})
sys.exit({NOT_IMPORTED} if status == 0 and sys.argv[1] not in sys.modules else status)
"""


class Change(NamedTuple):
    """Where a mutant differs from the module: the definition, and the lines without their indentation."""

    definition: str
    removed: tuple[str, ...]
    added: tuple[str, ...]


@dataclass(frozen=True)
class Mutant:
    """The whole source of a module with one change."""

    source: str
    line: int
    change: Change


class UnusableError(Exception):
    """The tests say nothing of a mutant; the message names the reason."""


def generate(source: str) -> list[Mutant]:
    """List the mutants of a module that are valid Python, in the order of its lines."""
    # Imported here: it takes half a second, in each process that collects the tests.
    import libcst
    from mutmut.mutation.file_mutation import deep_replace
    from mutmut.mutation.mutators import mutation_operators

    def mutate(node: libcst.CSTNode) -> Iterator[tuple[libcst.CSTNode, libcst.CSTNode]]:
        """Apply mutmut's operators to everything that is executed, decorated functions included."""
        if isinstance(node, libcst.Annotation | libcst.Decorator):
            return
        for kind, operator in mutation_operators:
            if isinstance(node, kind):
                yield from ((node, mutated) for mutated in operator(node))
        for child in node.children:
            yield from mutate(child)

    module = libcst.MetadataWrapper(libcst.parse_module(source)).module
    mutants = {}
    for node, mutated_node in mutate(module):
        mutated = deep_replace(module, node, mutated_node)
        assert isinstance(mutated, libcst.Module)
        # Letter case is left alone: SQL ignores it, and mutmut changes each text in another way, too.
        if mutated.code.lower() != source.lower() and _is_valid(mutated.code):
            mutants[mutated.code] = _compare(source, mutated.code)
    return sorted(mutants.values(), key=lambda mutant: mutant.line)


def _is_valid(source: str) -> bool:
    try:
        compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def _compare(source: str, mutated: str) -> Mutant:
    old, new = source.splitlines(), mutated.splitlines()
    same_before = _count_equal(old, new)
    same_after = _count_equal(old[same_before:][::-1], new[same_before:][::-1])
    removed, added = (tuple(map(str.strip, lines[same_before : len(lines) - same_after])) for lines in (old, new))
    line = same_before + 1
    return Mutant(mutated, line, Change(definition_at(source, line), removed, added))


def _count_equal(one: Sequence[str], other: Sequence[str]) -> int:
    """Count the equal lines at the start."""
    lines = zip(one, other, strict=False)
    return next((index for index, (line, same) in enumerate(lines) if line != same), min(len(one), len(other)))


def definition_at(source: str, line: int) -> str:
    """Return the dotted name of the class or function around a line; empty for the module itself."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    around = (node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds))
    return ".".join(node.name for node in around if node.lineno <= line <= (node.end_lineno or 0))


def read_accepted(document: str, module: str) -> set[Change]:
    """Read the changes of a module that the document accepts: diffs below a heading that names the module."""
    sections = re.findall(r"^### Survivors of `(.+?)`$(.*?)(?=^##|\Z)", document, re.M | re.S)
    diffs = "".join(
        diff for name, text in sections if name == module for diff in re.findall(r"```diff\n(.*?)```", text, re.S)
    )
    hunks = re.findall(r"^@@ ?(.*?) ?@@\n((?:-.*\n)*)((?:\+.*\n)*)", diffs, re.M)
    return {Change(name, *(_read_lines(lines) for lines in changed)) for name, *changed in hunks}


def _read_lines(lines: str) -> tuple[str, ...]:
    return tuple(line[1:].strip() for line in lines.splitlines())


def show(change: Change) -> str:
    """Write a change as the document has it."""
    changed = [*(f"-{line}" for line in change.removed), *(f"+{line}" for line in change.added)]
    return "\n".join([f"@@ {change.definition} @@", *changed])


class Copy:
    """A copy of the project in which one mutant at a time is judged.

    Args:
        folder: Where it is made.
        module: The path of the module below the package.
        tests: The tests.
        ends_at: When the whole run ends, by the monotonic clock.
    """

    def __init__(self, folder: Path, module: str, tests: Tests, ends_at: float) -> None:
        self._folder, self._ends_at = folder, ends_at
        self._output = folder.with_suffix(".txt")
        copytree(ROOT, folder, ignore=ignore_patterns(".*", "__pycache__", "build", "dist", "try-it"))
        self._module = folder / PACKAGE / module
        self._original = self._module.read_text()
        path = self._module.relative_to(folder)
        pytest = ["-c", RUN, ".".join(path.with_suffix("").parts), "-x", "-n0", "--tb=line", "-p", "no:cacheprovider"]
        self._quick, self._types = [*pytest, *tests.quick], ["-m", "mypy", str(path)]
        self._wide = [*pytest, *tests.wide] if tests.wide else None
        self._seconds: dict[str, float] = {}

    def judge(self, mutant: Mutant) -> Outcome:
        """Report whether the tests, or mypy, find the change.

        Raises:
            UnusableError: They fail without a change, too, or they do not test this copy.
        """
        try:
            found = self._run(mutant, self._quick)
            if found is None and self._run(mutant, self._types) is not None:
                return "rejected by mypy"
            if found is None and self._wide:
                found = self._run(mutant, self._wide)
        except _OutOfTimeError:
            return "not tried"
        return found or "survived"

    def _run(self, mutant: Mutant, command: Sequence[str]) -> Outcome | None:
        """Run a command on the mutant; the first time, on the module as it is before that."""
        key = " ".join(command)
        if key not in self._seconds:
            began = time.monotonic()
            status = self._status(self._original, command, limit=float("inf"))
            if status != 0:
                raise UnusableError(f"Without a mutation, this ended with status {status}:\n{self._output.read_text()}")
            self._seconds[key] = time.monotonic() - began
        status = self._status(mutant.source, command, limit=10 + 5 * self._seconds[key])
        return "timed out" if status is None else "killed" if status else None

    def _status(self, source: str, command: Sequence[str], limit: float) -> int | None:
        """Run a command on a source; None when it took longer than the limit."""
        self._module.write_text(source)
        # The next source may have the same size and second, by which Python would take it for the compiled one.
        for compiled in self._module.parent.glob(f"__pycache__/{self._module.stem}.*"):
            compiled.unlink()
        left = self._ends_at - time.monotonic()
        with self._output.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=self._folder,
                env={**os.environ, "PYTHONPATH": str(self._folder)},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = process.wait(max(0.0, min(left, limit)))
            except subprocess.TimeoutExpired:
                if left < limit:
                    raise _OutOfTimeError from None
                return None
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if status in (WRONG_COPY, NOT_IMPORTED):
            raise UnusableError("The tests did not import the module from the copy.")
        return status


class _OutOfTimeError(Exception):
    """The time of the whole run is over."""


def judge_all(module: str, tests: Tests, mutants: Sequence[Mutant], ends_at: float) -> Iterator[tuple[Mutant, Outcome]]:
    """Judge mutants in two processes, and yield each with its outcome, in order."""
    copies: SimpleQueue[Copy] = SimpleQueue()

    def judge(mutant: Mutant) -> Outcome:
        copy = copies.get()
        try:
            return copy.judge(mutant)
        finally:
            copies.put(copy)

    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ThreadPoolExecutor(PROCESSES) as pool:
        for number in range(PROCESSES):
            copies.put(Copy(Path(folder).resolve() / str(number), module, tests, ends_at))
        yield from zip(mutants, pool.map(judge, mutants), strict=True)


def run(module: str, tests: Tests, seconds: float) -> int:
    """Judge all mutants of a module and print the survivors; return 0 when each of them is accepted.

    Args:
        module: The path of the module below the package.
        tests: The tests.
        seconds: The time for all of it.

    Returns:
        1 when a survivor is not accepted, 2 when some mutants were not tried, otherwise 0.
    """
    ends_at = time.monotonic() + seconds
    mutants = generate((ROOT / PACKAGE / module).read_text())
    accepted = read_accepted((ROOT / DOCUMENT).read_text(), module)
    counts: Counter[str] = Counter()
    unaccepted, stale = 0, set(accepted)
    for number, (mutant, outcome) in enumerate(judge_all(module, tests, mutants, ends_at), 1):
        counts[outcome] += 1
        if outcome in ("survived", "not tried"):
            stale.discard(mutant.change)
        if outcome == "survived" and mutant.change not in accepted:
            unaccepted += 1
            _write(f"{PACKAGE}/{module}:{mutant.line}: survived\n{show(mutant.change)}\n")
        if number % 20 == 0:
            _write(f"  ... {number} of {len(mutants)} mutants\n")
    for change in sorted(stale):
        _write(f"{DOCUMENT} accepts a mutant of {module} that does not survive:\n{show(change)}\n")
    listed = ", ".join(f"{counts[outcome]} {outcome}" for outcome in get_args(Outcome))
    _write(f"{module}: {len(mutants)} mutants: {listed}; {unaccepted} survivors are not accepted in {DOCUMENT}\n")
    return 1 if unaccepted or stale else 2 if counts["not tried"] else 0


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """Run it with the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="make mutants")
    parser.add_argument("module", help=f"its path below {PACKAGE}, e.g. runtime/sync/deletion_guard.py")
    parser.add_argument("tests", nargs="*", help="the tests that judge it, instead of those of the table")
    parser.add_argument("--seconds", type=float, default=900)
    given = parser.parse_args(arguments)
    if not (ROOT / PACKAGE / given.module).is_file():
        parser.error(f"there is no {PACKAGE}/{given.module}")
    tests = Tests(quick=tuple(given.tests)) if given.tests else TESTS.get(given.module)
    if tests is None:
        parser.error(f"TESTS in {Path(__file__).name} has no tests for {given.module}; name them: TESTS=tests/...")
    try:
        return run(given.module, tests, given.seconds)
    except UnusableError as error:
        _write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
