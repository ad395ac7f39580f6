"""Mutation testing: break the code in one place after another and see whether a test notices.

`make mutants` does it with mutmut, for the files of `[tool.mutmut]` in `pyproject.toml`; FILES="steps/send.py"
takes some of them. mutmut's mutants live inside functions, all in one process. What it passes over, constants,
tables and decorated functions, is mutated here by the same operators, and each such mutant is imported anew.

A mutant that survives is a missing test, or it is equivalent: no caller can tell it from the code. The
equivalent ones are explained in `tests/mutants.toml`.
"""

from __future__ import annotations

import argparse
import difflib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

import libcst as cst
import pytest
from mutmut.mutation.file_mutation import MutationVisitor, deep_replace
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import get_ignored_lines
from mutmut.mutation.trampoline_templates import mangle_function_name
from mutmut.stats import status_by_exit_code

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import CodeType

EXPLAINED = Path("tests/mutants.toml")
WORK = Path(".local/mutants")
"""mutmut works in the folder `mutants` of its current one."""

KILLED_AT_LEAST = 0.95
CORES = 2
IMPORT_TIME = 60
"""Seconds that a mutant outside of functions may take besides its tests."""

Config = dict[str, Any]


@dataclass(frozen=True)
class Mutant:
    """One change of one file. `key`: its name at mutmut, which has those inside functions alone."""

    file: str
    place: str
    key: str | None
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
    def identity(self) -> tuple[str, str, str, str]:
        """What `tests/mutants.toml` knows it by: line numbers and counters move."""
        _, was, becomes = self.diff
        return self.file, self.place, was, becomes

    def __str__(self) -> str:
        line, was, becomes = self.diff
        shown = [f"- {text}" for text in was.splitlines()] + [
            f"+ {text}" for text in becomes.splitlines()
        ]
        return "\n    ".join([f"{self.file}:{line} {self.place}", *shown])


def _has_trampoline(function: cst.FunctionDef) -> bool:
    """Say whether mutmut mutates a function itself: one that is decorated it leaves alone."""
    names = [cst.Module([]).code_for_node(d.decorator) for d in function.decorators]
    return not names or names in (["staticmethod"], ["classmethod"])


class _EveryFunction(MutationVisitor):
    """Goes where mutmut does, and into decorated functions."""

    def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.FunctionDef) and not _has_trampoline(node):
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
    numbers: Counter[str] = Counter()
    mutants = []
    for mutation in visitor.mutations:
        owner = mutation.contained_by_top_level_function
        class_name, function = places.get(owner, (None, "")) if owner else (None, "")
        key = None
        if isinstance(owner, cst.FunctionDef) and _has_trampoline(owner):
            mangled = mangle_function_name(name=function, class_name=class_name)
            numbers[mangled] += 1
            key = f"{module_name(file)}.{mangled}__mutmut_{numbers[mangled]}"
        place = ".".join(name for name in (class_name, function) if name) or "module"
        mutants.append(
            Mutant(file, place, key, module, mutation.original_node, mutation.mutated_node)
        )
    return mutants


def module_name(file: str) -> str:
    """Name the module of a file."""
    return file.removesuffix(".py").replace("/", ".")


# --- inside functions: mutmut ---------------------------------------------------------------------


def run_mutmut(files: Iterable[str]) -> dict[str, str]:
    """Run mutmut on a copy of the code; return each of its mutants' status."""
    shutil.rmtree(WORK, ignore_errors=True)
    for name in ("steps", "statemachines", "infra", "tests", "pyproject.toml"):
        if Path(name).is_file():
            shutil.copy2(name, WORK / name)
        else:
            skip = shutil.ignore_patterns("node_modules", "__pycache__", "built")
            shutil.copytree(name, WORK / name, ignore=skip)
    mutmut = Path(sys.executable).with_name("mutmut")
    patterns = [f"{module_name(file)}.*" for file in files]
    subprocess.run([mutmut, "run", "--max-children", str(CORES), *patterns], cwd=WORK, check=True)
    codes: dict[str, int | None] = {}
    for file in files:
        codes |= json.loads((WORK / "mutants" / f"{file}.meta").read_text())["exit_code_by_key"]
    return {key: status_by_exit_code[code] for key, code in codes.items()}


def tests_of(file: str) -> tuple[list[str], int]:
    """List the tests that call a file's functions, the quick ones after those named after the file.

    Returns:
        The tests, and the seconds after which they hang: a busy machine is five times as slow.
    """
    stats = json.loads((WORK / "mutants/mutmut-stats.json").read_text())
    seconds: dict[str, float] = stats["duration_by_test"]
    path = Path(file).relative_to("steps")
    own = Path("tests/unit", path.parent, f"test_{path.name}")
    named = {test for test in seconds if test.startswith(f"{own}::")}
    calling = {
        test
        for function, tests in stats["tests_by_mangled_function_name"].items()
        if function.rpartition(".")[0] == module_name(file)
        for test in tests
    }
    tests = sorted(named | calling, key=lambda test: (test not in named, seconds[test]))
    return tests, round(IMPORT_TIME + 5 * sum(seconds[test] for test in tests))


# --- outside of functions: one import each --------------------------------------------------------


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
        if fullname != module_name(self.file):
            return None
        loader = _Loader(fullname, str(Path(self.file).resolve()))
        loader.source = self.source
        return spec_from_file_location(fullname, loader.path, loader=loader)


class _TimeOut(BaseException):
    pass


def _time_out(*_: object) -> None:
    raise _TimeOut


def _run_tests(job: tuple[int, str, str, list[str], int, list[str]]) -> tuple[int, str]:
    """Run tests on a mutant, in a process of its own; return its number and status."""
    number, file, source, tests, seconds, arguments = job
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.dup2(devnull, 2)
    os.chdir(WORK)
    sys.path.insert(0, str(Path.cwd()))
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Finder(file, source))
    signal.signal(signal.SIGALRM, _time_out)
    signal.alarm(seconds)
    try:
        code = pytest.main(["-x", "-q", *arguments, *tests])
    except _TimeOut:
        return number, "timeout"
    except Exception:  # A mutant may break whatever imports it.
        return number, "killed"
    return number, "survived" if code in (0, 5) else "killed"


def run_outside(mutants: list[Mutant], config: Config) -> Iterator[tuple[Mutant, str]]:
    """Yield each mutant's status, printing how far it is."""
    # Imported once, for all processes that are forked from here. None of it is ours.
    for name in ("aws_lambda_powertools", "boto3", "moto", "pydantic"):
        import_module(name)
    tests = {file: tests_of(file) for file in {m.file for m in mutants}}
    arguments = config["pytest_add_cli_args"]
    unchanged = [(n, file, Path(file).read_text()) for n, file in enumerate(tests)]
    changed = [(n, m.file, m.source) for n, m in enumerate(mutants)]
    with multiprocessing.get_context("fork").Pool(CORES, maxtasksperchild=1) as pool:

        def run(sources: list[tuple[int, str, str]]) -> Iterator[tuple[int, str]]:
            jobs = ((n, file, source, *tests[file], arguments) for n, file, source in sources)
            return pool.imap_unordered(_run_tests, jobs)

        if any(status != "survived" for _, status in run(unchanged)):
            sys.exit("The tests fail on the code as it is.")
        for done, (number, status) in enumerate(run(changed), 1):
            yield mutants[number], status
            if done % 20 == 0 or done == len(mutants):
                print(f"outside of functions: {done}/{len(mutants)}", flush=True)


# --- the report -----------------------------------------------------------------------------------


def explained(files: Iterable[str]) -> dict[tuple[str, str, str, str], str]:
    """Return the identity of each explained mutant of `files`, and why it is equivalent."""
    entries = tomllib.loads(EXPLAINED.read_text()).get("equivalent", [])
    return {
        (e["file"], e["place"], e["was"].strip(), e["becomes"].strip()): e["why"]
        for e in entries
        if e["file"] in files
    }


def report(
    statuses: list[tuple[Mutant, str]], reasons: dict[tuple[str, str, str, str], str]
) -> bool:
    """Print the figures and the survivors; return whether they are good enough."""
    counts = Counter(status for _, status in statuses)
    survivors = [m for m, status in statuses if status not in ("killed", "timeout")]
    known = {m.identity for m in survivors} & reasons.keys()
    unexplained = [m for m in survivors if m.identity not in known]
    killed = 1 - len(survivors) / len(statuses)
    by_file: dict[str, Counter[str]] = defaultdict(Counter)
    for mutant, status in statuses:
        by_file[mutant.file][status] += 1
    for file, figures in sorted(by_file.items()):
        print(f"{file:28}", *(f"{n} {status}" for status, n in sorted(figures.items())), sep="  ")
    for mutant in survivors:
        why = reasons.get(mutant.identity, "NOT EXPLAINED")
        print(f"\n{mutant}\n    {why}")
    for identity in reasons.keys() - known:
        print("\nexplained, but not among the survivors:", *identity, sep="\n    ")
    print(
        f"\n{len(statuses)} mutants: {counts['killed']} killed, {counts['timeout']} timed out, "
        f"{len(survivors)} survived, of them {len(unexplained)} not explained. {killed:.1%} noticed."
    )
    return killed >= KILLED_AT_LEAST and not unexplained and reasons.keys() == known


def main() -> None:
    """Run all mutants of all files, or of those that are named."""
    config: Config = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["mutmut"]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", default=config["only_mutate"])
    files: list[str] = parser.parse_args().files
    mutants = [mutant for file in files for mutant in mutants_of(file)]
    status = run_mutmut(files)
    statuses = [(m, status[m.key]) for m in mutants if m.key]
    statuses += run_outside([m for m in mutants if not m.key], config)
    sys.exit(not report(statuses, explained(files)))


if __name__ == "__main__":
    main()
