"""``python -m tests.faults.mutants``: does a test die of every small change to the heart?

Each mutant is the package with one small change, in a copy of the repository; the module's own
tests run on it until one fails. A mutant that they let live shows what they do not look at, or
changes nothing that can be seen. Where there are more mutants than ``--most``, every n-th is taken,
so that all parts of the module have their share. What was tried is in ``--record``; a second run
goes on where the first one stopped.
"""

# ruff: noqa: T201 - it prints: that is what it is for

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

import hypothesis.stateful  # noqa: F401 - for the forks
import pydantic_settings  # noqa: F401 - likewise
import pytest
import sqlalchemy.orm  # noqa: F401 - likewise

ROOT = Path(__file__).parents[2]
TESTS: dict[str, tuple[str, ...]] = {
    "decide.py": ("test_decide.py",),
    "copier.py": ("test_copier.py",),
    "journal/store.py": (
        "test_journal.py",
        "test_journal_damage.py",
        "test_upkeep.py",
        "test_flow.py",
    ),
    "journal/runs.py": ("test_journal.py",),
    "mount.py": ("test_mount.py",),
}
"""Which tests are a module's own: those that run in seconds."""
SECONDS = 240.0
"""A mutant whose tests take longer hangs, and a hang is noticed: it is dead."""
_OURS = frozenset({"nas_syncd", "tests"})
RECORD = Path(tempfile.gettempdir()) / "nas-syncd-mutants.jsonl"
_CODE = ("nas_syncd", "tests")
"""Copied. A link to the tests would lead the processes that they start back to the real package."""
_LINKED = ("pyproject.toml", "config.example.env", "docs", "Makefile")
_UNSHRUNK = """
from hypothesis import Phase, settings
settings.register_profile("unshrunk", phases=[Phase.explicit, Phase.generate], database=None)
settings.load_profile("unshrunk")
"""
"""A plugin for pytest: that something fails is enough, the smallest example of it is not needed."""

_OPPOSITES: dict[type[ast.AST], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}
_ARITHMETIC: dict[type[ast.AST], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


@dataclass(frozen=True)
class Mutant:
    """One change: the ``number``-th of a module, on ``line``."""

    module: str
    number: int
    line: int
    change: str
    text: str = ""
    """The line as the mutant has it."""


# -- making them --------------------------------------------------------------------------------


def mutants_of(module: str, source: str) -> list[tuple[Mutant, str]]:
    """Every mutant of *source* with its own source, in the order of the lines."""
    tree = ast.parse(source)
    found = []
    for node in list(_nodes(tree)):
        for change, new in _changes(node):
            before = dict(node.__dict__)
            node.__dict__.update(new)
            found.append(
                (node.lineno, change, ast.unparse(node).splitlines()[0], ast.unparse(tree))
            )
            node.__dict__.update(before)
        for line, body in _shortened(node):
            before = dict(node.__dict__)
            node.__dict__.update(body)
            found.append(
                (line, "removed", source.splitlines()[line - 1].strip(), ast.unparse(tree))
            )
            node.__dict__.update(before)
    found.sort(key=lambda one: one[0])
    return [
        (Mutant(module, number, line, change, text[:100]), mutated)
        for number, (line, change, text, mutated) in enumerate(found)
    ]


def _nodes(node: ast.AST) -> Iterator[Any]:
    """All that is run: annotations are not."""
    yield node
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns"):
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, ast.AST):
                    yield from _nodes(one)


def _changes(node: ast.AST) -> Iterator[tuple[str, dict[str, Any]]]:
    """What can be changed of *node* itself: in words, and its new attributes."""
    match node:
        case ast.Compare(ops=ops):
            for index, operator in enumerate(ops):
                if new := _OPPOSITES.get(type(operator)):
                    words = f"{type(operator).__name__} becomes {new.__name__}"
                    yield words, {"ops": [*ops[:index], new(), *ops[index + 1 :]]}
        case ast.BoolOp(op=ast.Or()):
            yield "or becomes and", {"op": ast.And()}
        case ast.BoolOp():
            yield "and becomes or", {"op": ast.Or()}
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "not is lost", {"operand": ast.UnaryOp(ast.Not(), operand)}
        case ast.BinOp(op=operation) if type(operation) in _ARITHMETIC:
            other = _ARITHMETIC[type(operation)]
            yield f"{type(operation).__name__} becomes {other.__name__}", {"op": other()}
        case ast.Constant(value=value):
            yield from _other_values(value)
        case ast.If(test=test) | ast.IfExp(test=test):
            yield "branches swapped", {"test": ast.UnaryOp(ast.Not(), test)}
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            yield "returns None", {"value": ast.Constant(None)}


def _other_values(value: object) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, bool):
        yield f"{value} becomes {not value}", {"value": not value}
    elif isinstance(value, int | float):
        yield f"{value} becomes {value + 1}", {"value": value + 1}
    elif isinstance(value, str) and value.replace(".", "_").isidentifier():  # a key, a code
        yield "another text", {"value": f"{value}x"}


def _shortened(node: ast.AST) -> Iterator[tuple[int, dict[str, Any]]]:
    """*node*'s bodies without one of their statements: calls, raises, additions."""
    for field in ("body", "orelse", "finalbody"):
        body: Any = getattr(node, field, None)
        for index, statement in enumerate(body if isinstance(body, list) else ()):
            said = isinstance(statement, ast.Expr) and not isinstance(
                statement.value, ast.Constant | ast.Yield
            )
            if said or isinstance(statement, ast.Raise | ast.AugAssign):
                yield statement.lineno, {field: [*body[:index], ast.Pass(), *body[index + 1 :]]}


# -- trying them ----------------------------------------------------------------------------------


class Tries:
    """Up to *jobs* mutants at a time, each in a fork of this process: what takes long to import
    is imported already, and nothing of ours or of the tests' is."""

    def __init__(self, jobs: int, told: Callable[[Mutant, bool], None]) -> None:
        """
        Args:
            told: Called with each mutant, and whether the module's own tests let it live.
        """
        self._jobs = jobs
        self._told = told
        self._going: dict[int, tuple[Mutant, Path, float]] = {}

    def begin(self, mutant: Mutant, source: str) -> None:
        while len(self._going) >= self._jobs:
            self._wait()
        folder = Path(tempfile.mkdtemp(prefix="mutant-"))
        copy = _copy(folder / "copy", mutant.module, source)
        pid = os.fork()
        if pid == 0:
            _be_tried(copy, folder, TESTS[mutant.module])
        self._going[pid] = mutant, folder, time.monotonic() + SECONDS

    def finish(self) -> None:
        while self._going:
            self._wait()

    def _wait(self) -> None:
        """Until one has ended; one that hangs is ended."""
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid:
                break
            for late, (_, _, deadline) in self._going.items():
                if time.monotonic() > deadline:
                    os.kill(late, signal.SIGKILL)
            time.sleep(0.05)
        mutant, folder, _ = self._going.pop(pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # whatever the tests have left
        shutil.rmtree(folder, ignore_errors=True)
        self._told(mutant, status == 0)


def _copy(copy: Path, module: str, source: str) -> Path:
    """The repository with the one module changed."""
    copy.mkdir()
    for name in _LINKED:
        (copy / name).symlink_to(ROOT / name)
    for name in _CODE:
        shutil.copytree(ROOT / name, copy / name)
    (copy / "nas_syncd" / module).write_text(source)
    (copy / "unshrunk.py").write_text(_UNSHRUNK)
    return copy


def _be_tried(copy: Path, folder: Path, tests: Sequence[str]) -> NoReturn:
    """In the fork: run the tests, on the copy's package."""
    status = 1
    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nowhere, descriptor)
        for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
            del sys.modules[name]
        os.chdir(copy)
        sys.path.insert(0, str(copy))
        os.environ.update(PYTHONPATH=str(copy), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "pytest_timeout", "-p", "unshrunk"]
        files = [f"tests/{name}" for name in tests]
        status = int(pytest.main([*options, f"--basetemp={folder / 'tmp'}", *files]))
    finally:
        os._exit(status)


def _passes(module: str, source: str) -> bool:
    """Whether the tests let the module live as it is: if not, every death means nothing."""
    passed = []
    unchanged = Tries(1, lambda _mutant, lived: passed.append(lived))
    unchanged.begin(Mutant(module, -1, 0, "nothing"), source)
    unchanged.finish()
    return passed == [True]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    record = _Record(options.record)
    for module in options.module or TESTS:
        source = (ROOT / "nas_syncd" / module).read_text()
        every = mutants_of(module, source)
        step = max(1.0, len(every) / options.most)
        chosen = [every[int(index * step)] for index in range(min(len(every), options.most))]
        print(f"{module}: {len(every)} mutants, {len(chosen)} of them tried", flush=True)
        left = [one for one in chosen if not record.knows(one[0])]
        if not _passes(module, source):
            print(f"{module}: its tests fail without any change", file=sys.stderr)
            return 2
        tries = Tries(options.jobs, record.add)
        for mutant, mutated in left:
            tries.begin(mutant, mutated)
        tries.finish()
    return record.summary(options.bound)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.mutants", description=__doc__)
    parser.add_argument("--module", action="append", choices=list(TESTS), help="only this one")
    parser.add_argument("--most", type=int, default=100, help="mutants of a module (100)")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--record", type=Path, default=RECORD)
    parser.add_argument("--bound", type=float, default=0.9, help="the part that has to die (0.9)")
    return parser.parse_args(arguments)


class _Record:
    """What was tried, a line for each: a change of the module begins it anew by its text."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[Mutant, bool] = {}
        for line in path.read_text().splitlines() if path.exists() else []:
            known = json.loads(line)
            lived = known.pop("lived")
            self._known[Mutant(**known)] = lived

    def knows(self, mutant: Mutant) -> bool:
        return mutant in self._known

    def add(self, mutant: Mutant, lived: bool) -> None:
        self._known[mutant] = lived
        with self._path.open("a") as file:
            file.write(json.dumps({**asdict(mutant), "lived": lived}) + "\n")
        if lived:
            print(_said(mutant), flush=True)

    def summary(self, bound: float) -> int:
        """Print what came of all that were ever tried; 1 when too few have died."""
        print()
        tried = Counter(mutant.module for mutant in self._known)
        dead = Counter(mutant.module for mutant, lived in self._known.items() if not lived)
        for module, count in tried.items():
            print(f"{module}: {dead[module]} of {count} died ({dead[module] / count:.0%})")
        for mutant in sorted((m for m, lived in self._known.items() if lived), key=_said):
            print(f"lived: {_said(mutant)}")
        return int(any(dead[module] < count * bound for module, count in tried.items()))


def _said(mutant: Mutant) -> str:
    return f"{mutant.module}:{mutant.line}: {mutant.change}: {mutant.text}"


if __name__ == "__main__":
    sys.exit(main())
