"""A plug-in of pytest that finds the unit tests: those that start no process, neither themselves nor by a fixture.

No test is marked by hand. What a test uses is followed through the code of its function, of the fixtures that it asks
for, and of the helpers in tests/, fundlyhub.embedded and fundlyhub.testing that those name. A test from which that
leads to a module that starts processes is no unit test. What this cannot see (a process that other code of the product
starts) fails the test when it runs.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeGuard

import pytest

OURS = ("tests.", "fundlyhub.embedded.", "fundlyhub.testing.")
STARTING_MODULES = {"subprocess", "multiprocessing", "billiard"}
STARTING_CALLS = {"fork", "forkpty", "posix_spawn", "posix_spawnp", "system"}
AUDITED = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"})

Code = Callable[..., Any] | type
_verdicts: dict[Any, bool] = {}
_harmless: set[Code] = set()
"""Code that was followed to its ends."""
_running: list[str] = []
"""The unit test that runs, if one does."""


def pytest_configure() -> None:
    """Watch for processes that start."""
    sys.addaudithook(_refuse)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the unit tests, before pytest picks by marks, and put files that hold others first.

    What takes long then begins early, and no process of pytest-xdist is left alone with it at the end.
    """
    for item in items:
        if isinstance(item, pytest.Function) and not starts_any(item):
            item.add_marker(pytest.mark.unit)
    long = {item.path for item in items if item.get_closest_marker("unit") is None}
    items.sort(key=lambda item: item.path not in long)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Hold a unit test to it."""
    if item.get_closest_marker("unit") is None:
        return (yield)
    _running.append(item.nodeid)
    try:
        return (yield)
    finally:
        _running.clear()


def _refuse(event: str, _: object, audited: frozenset[str] = AUDITED, running: list[str] = _running) -> None:
    # What it needs it holds itself: at the end of the interpreter, which it sees too, no global name is left.
    if event in audited and running:
        pytest.fail(f"{running[0]} counts as a unit test and starts a process: see tests/support/units.py")


def starts_any(item: pytest.Function) -> bool:
    """Whether a test, its fixtures, or anything that these use starts processes."""
    parameters = list(item.callspec.params.values()) if hasattr(item, "callspec") else []
    codes = frozenset(inspect.unwrap(one) for one in parameters if _is_code(one))
    fixtures = item.session._fixturemanager
    names = frozenset(one for one in parameters if isinstance(one, str) and fixtures.getfixturedefs(one, item))
    what = (item.parent, item.function, codes, names)  # the same for most of the cases of a parametrized test
    if what not in _verdicts:
        _verdicts[what] = finds_a_start(item, codes, names)
    return _verdicts[what]


def finds_a_start(item: pytest.Function, codes: Iterable[Code], names: Iterable[str]) -> bool:
    """Whether a test's function, its fixtures, or anything that these use starts processes.

    Of its parameters, ``codes`` are functions and classes, and ``names`` those of fixtures. Code from which no start
    was found, and none that asks for fixtures by name, is not followed again.
    """
    manager, known = item.session._fixturemanager, set[str]()

    def made_by(names: Iterable[str]) -> Iterator[Code]:
        """The functions of fixtures, and of those that they ask for."""
        for name in set(names) - known:
            known.add(name)
            for fixture in manager.getfixturedefs(name, item) or ():
                yield inspect.unwrap(fixture.func)
                yield from made_by(fixture.argnames)

    found: set[Code] = set()
    waiting: list[Code] = [inspect.unwrap(item.function), *made_by(item.fixturenames), *codes]
    if item.cls is not None:
        waiting += methods(item.cls)
    plain = True
    while waiting:
        code = waiting.pop()
        if code in found or code in _harmless:
            continue
        if starts_processes(code):
            return True
        found.add(code)
        waiting += uses(code)
        if asked := asks_for(code):
            plain = False
            waiting += made_by([*asked, *names])
    if plain:
        _harmless.update(found)
    return False


@cache
def uses(code: Code) -> list[Code]:
    """The functions and classes of ours that a function or a class names."""
    if isinstance(code, type):
        return [*code.__bases__, *methods(code)] if code.__module__.startswith(OURS) else []
    return [named for named in map(inspect.unwrap, filter(_is_code, _named(code))) if named.__module__.startswith(OURS)]


@cache
def starts_processes(code: Code) -> bool:
    """Whether a function names what starts processes."""
    if isinstance(code, type):
        return False
    modules = [named for named in _named(code) if isinstance(named, ModuleType)]
    return any(module.__name__.split(".")[0] in STARTING_MODULES for module in modules) or (
        os in modules and any(name in STARTING_CALLS for part in _parts(code) for name in part.co_names)
    )


@cache
def asks_for(code: Code) -> list[str]:
    """The strings of a function that calls ``request.getfixturevalue``; among them are the names of fixtures."""
    asking = [part for part in _parts(code) if "getfixturevalue" in part.co_names]
    return [constant for part in asking for constant in part.co_consts if isinstance(constant, str)]


def methods(cls: type) -> list[Code]:
    """The functions of a class, properties and static ones among them."""
    bare = [_bare(member) for member in vars(cls).values()]
    return [inspect.unwrap(member) for member in bare if isinstance(member, FunctionType)]


def _bare(member: Any) -> Any:
    """The function in a property, or in a static or class method; another member as it is."""
    if isinstance(member, property):
        return member.fget
    return member.__func__ if isinstance(member, staticmethod | classmethod) else member


def _is_code(value: Any) -> TypeGuard[Code]:
    return isinstance(value, type | FunctionType)


def _named(code: Code) -> Iterator[Any]:
    """The values of a function's global names, of names in modules of ours, and of its closure."""
    if not isinstance(code, FunctionType):
        return
    for part in _parts(code):
        for name in part.co_names:
            value = code.__globals__.get(name)
            yield value
            if isinstance(value, ModuleType) and value.__name__.startswith(OURS):
                yield from (vars(value).get(attribute) for attribute in part.co_names)
    yield from (cell.cell_contents for cell in code.__closure__ or ())


def _parts(code: Code) -> Iterator[CodeType]:
    """A function's code, and that of the functions in it."""
    waiting = [code.__code__] if isinstance(code, FunctionType) else []
    while waiting:
        part = waiting.pop()
        yield part
        waiting += [inner for inner in part.co_consts if isinstance(inner, CodeType)]
