"""Mutation testing: break the code in one place after another and see whether a test notices.

`make mutants` does it for the files of `[tool.mutants.tests]` in `pyproject.toml`, with the tests that are
named there; FILES="steps/send.py" takes some of them. Where and how to break it is mutmut's: its operators.
The tests are collected once; each mutant then has a process of its own, forked from there, and runs those that
call the function that it breaks, the fastest first. A mutant of what is outside of functions, constants and
tables, imports all of ours anew.

A mutant that survives is a missing test, or it is equivalent: no caller can tell it from the code. The
equivalent ones are explained in `tests/mutants.toml`.
"""

from __future__ import annotations

import argparse
import difflib
import gc
import inspect
import os
import resource
import signal
import sys
import threading
import time
import tomllib
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass
from functools import _lru_cache_wrapper, cached_property
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from itertools import zip_longest
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, TypedDict

import libcst as cst
import pytest
from mutmut.mutation.file_mutation import MutationVisitor, deep_replace
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import get_ignored_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType

EXPLAINED = Path("tests/mutants.toml")

KILLED_AT_LEAST = 0.95
CORES = 2
PATIENCE = 10
"""Seconds of CPU time that a mutant may take besides its tests, which may take ten times as long as before."""

Identity = tuple[str, str, str, str]


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    file: str
    place: str
    module: cst.Module
    before: cst.CSTNode
    after: cst.CSTNode

    @cached_property
    def source(self) -> str:
        """The file with the change."""
        changed = deep_replace(self.module, self.before, self.after)
        assert isinstance(changed, cst.Module)
        return changed.code

    @cached_property
    def diff(self) -> tuple[int, str, str]:
        """The first line that changes, and the lines before and after, without their indentation."""
        old, new = self.module.code.splitlines(), self.source.splitlines()
        changes = [
            c
            for c in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
            if c[0] != "equal"
        ]
        was, becomes = (
            "\n".join(line.strip() for line in lines)
            for lines in (old[changes[0][1] : changes[-1][2]], new[changes[0][3] : changes[-1][4]])
        )
        return changes[0][1] + 1, was, becomes

    @property
    def identity(self) -> Identity:
        """What `tests/mutants.toml` knows it by: line numbers and counters move."""
        _, was, becomes = self.diff
        return self.file, self.place, was, becomes

    def __str__(self) -> str:
        line, was, becomes = self.diff
        shown = [f"- {text}" for text in was.splitlines()] + [
            f"+ {text}" for text in becomes.splitlines()
        ]
        return "\n    ".join([f"{self.file}:{line} {self.place}", *shown])


class _EveryFunction(MutationVisitor):
    """Goes where mutmut does, and into decorated functions."""

    def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.FunctionDef) and node.decorators:
            return False
        return super()._skip_node_and_children(node)


def _places(module: cst.Module) -> dict[cst.CSTNode, tuple[str | None, str]]:
    """Return the class, if any, and the name of each function and each statement outside of functions."""
    places: dict[cst.CSTNode, tuple[str | None, str]] = {}
    for statement in module.body:
        if isinstance(statement, cst.FunctionDef):
            places[statement] = (None, statement.name.value)
        if isinstance(statement, cst.ClassDef):
            name = statement.name.value
            for child in statement.body.body:
                places[child] = (
                    name,
                    child.name.value if isinstance(child, cst.FunctionDef) else "",
                )
    return places


def mutants_of(file: str) -> list[Mutant]:
    """Make every mutant of a file."""
    source = Path(file).read_text()
    wrapper = cst.MetadataWrapper(cst.parse_module(source))
    visitor = _EveryFunction(mutation_operators, get_ignored_lines(file, source, wrapper))
    module = wrapper.visit(visitor)
    places = _places(module)
    mutants = []
    for mutation in visitor.mutations:
        owner = mutation.contained_by_top_level_function
        names = places.get(owner, ()) if owner else ()
        place = ".".join(name for name in names if name) or "module"
        mutants.append(Mutant(file, place, module, mutation.original_node, mutation.mutated_node))
    return mutants


# --- what a mutant changes ------------------------------------------------------------------------


@dataclass(frozen=True)
class Compiled:
    """A file's functions by their qualified names, and the rest of it in a form that can be compared."""

    functions: dict[str, CodeType]
    rest: object

    @classmethod
    def of(cls, file: str, source: str) -> Compiled:
        """Compile a file."""
        functions: dict[str, CodeType] = {}
        code = compile(source, str(Path(file).resolve()), "exec", dont_inherit=True)
        return cls(functions, _without_lines(code, functions))

    def changes_to(self, other: Compiled) -> dict[str, CodeType] | None:
        """Return the functions that `other` has in another form; None where more than functions changes."""
        if self.rest != other.rest:
            return None
        return {
            name: code
            for name, code in other.functions.items()
            if _without_lines(code) != _without_lines(self.functions[name])
        }


def _without_lines(code: CodeType, functions: dict[str, CodeType] | None = None) -> object:
    """Return all of a code object but its line numbers; put the functions in it into `functions`, if given."""
    constants: list[object] = []
    for constant in code.co_consts:
        if not isinstance(constant, CodeType):
            constants.append((type(constant), repr(constant)))
        elif functions is None or constant.co_name.startswith("<"):
            constants.append(_without_lines(constant))
        elif constant.co_flags & inspect.CO_OPTIMIZED:
            assert constant.co_qualname not in functions, "two functions of one name"
            functions[constant.co_qualname] = constant
            constants.append(constant.co_qualname)
        else:
            constants.append(_without_lines(constant, functions))
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_flags, constants


@dataclass(frozen=True)
class Imported:
    """What the imported modules hold of a file's functions, and of ours what is cached."""

    functions: list[FunctionType]
    caches: list[_lru_cache_wrapper[object]]

    @classmethod
    def of(cls, file: str) -> Imported:
        """Find the functions, whoever holds them."""
        path, ours = str(Path(file).resolve()), _ours()
        objects = gc.get_objects()
        return cls(
            [o for o in objects if type(o) is FunctionType and o.__code__.co_filename == path],
            [
                o
                for o in objects
                if type(o) is _lru_cache_wrapper and o.__module__.partition(".")[0] in ours
            ],
        )

    def change(self, codes: dict[str, CodeType]) -> None:
        """Give functions other code, and forget what the old one said."""
        for function in self.functions:
            function.__code__ = codes.get(function.__code__.co_qualname, function.__code__)
        for cache in self.caches:
            cache.cache_clear()


def _ours() -> set[str]:
    """Return the names of the packages and modules of the project."""
    return {path.stem for path in Path().iterdir()}


class _Loader(SourceFileLoader):
    source: str

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.source, self.get_filename(fullname), "exec", dont_inherit=True)


@dataclass(frozen=True)
class _Finder(MetaPathFinder):
    """Imports a file's mutant in its place."""

    file: str
    source: str

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        if fullname != self.file.removesuffix(".py").replace("/", "."):
            return None
        loader = _Loader(fullname, str(Path(self.file).resolve()))
        loader.source = self.source
        return spec_from_file_location(fullname, loader.path, loader=loader)


# --- the run of one file --------------------------------------------------------------------------


class Config(TypedDict):
    """`[tool.mutants]` of `pyproject.toml`: pytest's arguments, and by each file its tests."""

    pytest: list[str]
    tests: dict[str, list[str]]


class Run:
    """A plugin of pytest that, instead of the tests, runs them on each mutant of a file."""

    def __init__(
        self, file: str, tests: list[str], arguments: list[str], mutants: list[Mutant]
    ) -> None:
        """Prepare to run `tests` on the `mutants` of `file`; `arguments` are pytest's."""
        self.file, self.tests, self.arguments, self.mutants = file, tests, arguments, mutants
        self.seconds: dict[str, float] = {}
        self.called: dict[str, set[str]] = defaultdict(set)
        """By each function's qualified name, the tests that call it."""
        self.failed: list[str] = []
        self.statuses: dict[int, str] = {}
        self._running: dict[int, int] = {}
        self._imported = Imported([], [])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note which tests fail, and how long they take."""
        if report.failed:
            self.failed.append(report.nodeid)
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0) + report.duration

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests once on the code as it is, then on each mutant."""
        source = Path(self.file).read_text()
        self._watch(session.items)
        items = sorted(session.items, key=lambda item: self.seconds[item.nodeid])
        unchanged = Mutant(self.file, "", cst.parse_module(source), cst.Pass(), cst.Pass())
        original = Compiled.of(self.file, source)
        gc.unfreeze()  # what the file before this one froze, `gc` would not show
        self._imported = Imported.of(self.file)
        called = {n for n in self.called if n in original.functions and "<locals>" not in n}
        if missing := called - {f.__code__.co_qualname for f in self._imported.functions}:
            raise pytest.UsageError(f"called, and yet not found: {missing}")
        gc.freeze()  # so that no process looks at, and so copies, all that was there before it
        for number, codes in ((-1, None), (-2, original.functions)):
            self._start(number, unchanged, codes, items)
            self._wait()
        if self.failed or any(self.statuses.pop(n) != "survived" for n in (-1, -2)):
            raise pytest.UsageError(f"the tests fail on the code as it is: {self.failed}")
        try:
            for number, mutant in enumerate(self.mutants):
                codes = original.changes_to(Compiled.of(self.file, mutant.source))
                calling = set().union(*(self.called[name] for name in codes or ()))
                if not calling:  # called by an import, if at all
                    codes = None
                self._start(number, mutant, codes, [i for i in items if i.nodeid in calling])
            while self._running:
                self._wait()
        finally:
            for pid in self._running:
                os.kill(pid, signal.SIGKILL)
        return True

    def _watch(self, items: list[pytest.Item]) -> None:
        """Run the tests and see which functions of the file each calls."""
        path = str(Path(self.file).resolve())

        def profile(frame: FrameType, event: str, _: object) -> None:
            if event == "call" and frame.f_code.co_filename == path:
                self.called[frame.f_code.co_qualname].add(running)

        threading.setprofile(profile)
        sys.setprofile(profile)
        for item, following in zip_longest(items, items[1:]):
            running = item.nodeid
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        sys.setprofile(None)
        threading.setprofile(None)

    def _start(
        self,
        number: int,
        mutant: Mutant,
        codes: dict[str, CodeType] | None,
        items: list[pytest.Item],
    ) -> None:
        """Fork a process for a mutant, once there is room for it."""
        while len(self._running) >= CORES:
            self._wait()
        if pid := os.fork():
            self._running[pid] = number
            return
        self._running.clear()
        tests = [i.nodeid for i in items] if codes is not None else list(self.seconds)
        _limit(PATIENCE + 10 * sum(self.seconds[test] for test in tests))
        noticed = True
        # Whatever a mutant raises, where it is imported above all, somebody has noticed it.
        with suppress(BaseException):
            if codes is None:
                noticed = self._fails_anew(mutant)
            else:
                self._imported.change(codes)
                noticed = self._fails(items)
        os._exit(noticed)

    def _fails(self, items: list[pytest.Item]) -> bool:
        for item, following in zip_longest(items, items[1:]):
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                return True
        return False

    def _fails_anew(self, mutant: Mutant) -> bool:
        """Import all of ours anew, and the mutant in its place; run the tests, the first file first."""
        ours = _ours()
        for name in [name for name in sys.modules if name.partition(".")[0] in ours]:
            del sys.modules[name]
        sys.meta_path.insert(0, _Finder(self.file, mutant.source))
        first, *others = self.tests
        return any(
            pytest.main([*self.arguments, "-x", *tests]) != pytest.ExitCode.OK
            for tests in ([first], others)
            if tests
        )

    def _wait(self) -> None:
        """Wait for a process to end."""
        pid, status = os.wait()
        number = self._running.pop(pid)
        code = os.waitstatus_to_exitcode(status)
        named = {0: "survived", 1: "killed"} | dict.fromkeys(TIME_OUTS, "timed out")
        self.statuses[number] = named.get(code, "killed")  # A signal: it broke the interpreter.


TIME_OUTS = (-signal.SIGPROF, -signal.SIGALRM)
"""How a process ends that worked, or waited, too long."""


def _limit(seconds: float) -> None:
    """End this process after so much CPU time, or ten times as long: a busy machine is no hanging mutant."""
    for timer, number, limit in (
        (signal.ITIMER_PROF, signal.SIGPROF, seconds),
        (signal.ITIMER_REAL, signal.SIGALRM, 10 * seconds),
    ):
        signal.signal(number, signal.SIG_DFL)
        signal.setitimer(timer, limit)


def run(file: str, tests: list[str], arguments: list[str]) -> list[tuple[Mutant, str]]:
    """Run tests on each mutant of a file; return what became of it."""
    mutants = mutants_of(file)
    run = Run(file, tests, arguments, mutants)
    sys.stdout.flush()
    with Path(os.devnull).open("w") as nowhere:
        stdout, stderr = os.dup(1), os.dup(2)
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        try:
            code = pytest.main([*arguments, *tests], plugins=[run])
        finally:
            sys.stdout.flush()
            os.dup2(stdout, 1)
            os.dup2(stderr, 2)
    if len(run.statuses) != len(mutants):
        sys.exit(f"{file}: no end ({code!r}). Tests that fail on the code as it is: {run.failed}")
    return [(mutant, run.statuses[number]) for number, mutant in enumerate(mutants)]


# --- the report -----------------------------------------------------------------------------------


def explained(files: Iterable[str]) -> dict[Identity, str]:
    """Return the identity of each explained mutant of `files`, and why it is equivalent."""
    entries = tomllib.loads(EXPLAINED.read_text()).get("equivalent", [])
    return {
        (e["file"], e["place"], e["was"].strip(), e["becomes"].strip()): e["why"]
        for e in entries
        if e["file"] in files
    }


def figures(statuses: list[tuple[Mutant, str]], reasons: dict[Identity, str]) -> Iterator[str]:
    """Yield a line for each file, and one for all."""
    by_file: dict[str, Counter[str]] = defaultdict(Counter)
    for mutant, status in statuses:
        for name in (mutant.file, "all"):
            by_file[name][status] += 1
            by_file[name]["explained"] += status == "survived" and mutant.identity in reasons
    for file, count in by_file.items():
        total = count["killed"] + count["timed out"] + count["survived"]
        noticed = 1 - count["survived"] / total
        yield (
            f"{file:28} {total:5} mutants: {count['killed']:4} killed,"
            f" {count['timed out']:2} timed out, {count['survived']:3} survived,"
            f" of them {count['explained']:3} explained. {noticed:6.1%} noticed."
        )


def report(statuses: list[tuple[Mutant, str]], reasons: dict[Identity, str]) -> bool:
    """Print the survivors and the figures; return whether they are good enough."""
    survivors = [mutant for mutant, status in statuses if status == "survived"]
    known = {mutant.identity for mutant in survivors} & reasons.keys()
    for mutant in survivors:
        print(f"{mutant}\n    {reasons.get(mutant.identity, 'NOT EXPLAINED')}\n")
    for identity in reasons.keys() - known:
        print("explained, but not among the survivors:", *identity, sep="\n    ")
    print(*figures(statuses, reasons), sep="\n")
    noticed = 1 - len(survivors) / len(statuses)
    every_survivor_is_explained = all(mutant.identity in known for mutant in survivors)
    return noticed >= KILLED_AT_LEAST and every_survivor_is_explained and reasons.keys() == known


def main() -> None:
    """Run all mutants of all files, or of those that are named."""
    config: Config = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["mutants"]
    tests = config["tests"]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", default=list(tests))
    files: list[str] = parser.parse_args().files
    statuses = []
    for file in files:
        started = time.monotonic()
        statuses += run(file, tests[file], config["pytest"])
        print(f"{file}: {time.monotonic() - started:.0f} s", flush=True)
    good = report(statuses, explained(files))
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{(time.process_time() + children.ru_utime + children.ru_stime) / 60:.1f} minutes of CPU time"
    )
    sys.exit(not good)


if __name__ == "__main__":
    main()
