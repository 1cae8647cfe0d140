"""The repository's own rules: imports go one way, modules introduce themselves, every event type has an owner."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import fundlyhub.processors  # noqa: F401  # registers them
from fundlyhub.events.catalogue import VERSIONS
from fundlyhub.processing import registry
from fundlyhub.processing.routing import Router
from tests.architecture.layers import MAY_IMPORT, WIRED_BY, WIRING

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fundlyhub"
MODULES = sorted(PACKAGE.rglob("*.py"))
FOLDERS = [ROOT / name for name in ("benchmarks", "examples", "fundlyhub", "tests")]
FILES = sorted(path for folder in FOLDERS for path in folder.rglob("*.py") if "node_modules" not in path.parts)
MAX_LINES = 300

# Types that no processor wants yet, with the reason. A type that is in neither place is a mistake.
NOT_YET = """
    admin.user.role_assigned admin.user.role_revoked admin.role.created admin.role.updated admin.role.deleted
    admin.role.permissions_updated admin.permission.created payout.processing payout.info_required
"""
ON_RECORD = """
    campaign.access.checked campaign.link.rotated search.query.submitted
    search.results.projected search.suggestion.generated search.user_projection.updated
    search.analytics.recorded storage.image.uploaded storage.image.deleted storage.image.linked
    storage.image.optimized storage.draft.cleanup_requested
"""
UNHANDLED: Mapping[str, str] = {
    **dict.fromkeys(NOT_YET.split(), "its processors are not built yet"),
    **dict.fromkeys(ON_RECORD.split(), "kept for those who ask what happened; nothing follows from it"),
}


def part_of(path: Path) -> str:
    """The part of the package that a module belongs to: its first folder, or its own name."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@cache
def imports(path: Path) -> Sequence[tuple[str, str]]:
    """Each module of ours that a module imports, wherever in it, and each name that it takes from there."""
    return list(_imports(path))


def _imports(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.split(".")[0] == "fundlyhub")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            if (node.module or "").split(".")[0] == "fundlyhub":
                yield from ((node.module or "", alias.name) for alias in node.names)


def imported_part(module: str, name: str) -> str:
    """The part that ``from module import name`` reaches into."""
    parts = [*module.split("."), name][1:]
    first = parts[0]
    is_part = (PACKAGE / first).is_dir() or (PACKAGE / f"{first}.py").is_file()
    return first if is_part else "__init__"


def test_every_part_has_its_arrows() -> None:
    parts = {part_of(path) for path in MODULES}
    assert parts == {*MAY_IMPORT, *WIRING, "__main__"}
    assert set(WIRED_BY) == WIRING


def wrong_imports(path: Path) -> Iterator[str]:
    """What a module imports and must not, as sentences."""
    part, place = part_of(path), path.relative_to(ROOT)
    for module, name in imports(path):
        target = imported_part(module, name)
        if target == part:
            continue
        if target in WIRING:
            if part not in WIRED_BY[target]:
                yield f"{place}: {target} wires other parts, and {part} must not import {module}"
        elif part in MAY_IMPORT and target not in MAY_IMPORT[part]:
            yield f"{place}: {part} must not import {module}"


def first_paragraph(path: Path) -> str:
    """The first paragraph of a module's docstring; empty where there is none."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0]


def test_imports_go_one_way() -> None:
    assert [wrong for path in MODULES for wrong in wrong_imports(path)] == []


def test_each_module_says_in_one_sentence_what_it_is_for() -> None:
    assert [str(path.relative_to(ROOT)) for path in MODULES if not first_paragraph(path).endswith((".", ":"))] == []


def test_each_file_can_be_read_in_one_sitting() -> None:
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in FILES}
    assert {place: count for place, count in lines.items() if count > MAX_LINES} == {}


SHARED_BY_A_FORK = re.compile(
    r"threading\.(R?Lock|Condition|local)\(|ThreadPoolExecutor\(|create_(async_)?engine\(|\bEnvironment\(|"
    r"from_url\(|redis_at\(|(?<!\w)Connection\(|HTTPAdapter\(|Session\(\)|Elasticsearch\(|BatchSpanProcessor\((?!OwnExporter)"
)
# Where that is right: who runs alone in a process that never forks, or makes it for one call.
NEVER_FORKED: Mapping[str, str] = {
    "monitoring/servers.py": "a connection for one look",
    "people/outside.py": "a client for one look",
    "redis_servers.py": "it makes what others register",
    "channels/requesting.py": "the same",
    "processing/broker_connections.py": "the same",
    "streams/reader.py": "the ingest's own process",
}


def test_what_a_fork_would_share_is_made_anew_in_each_process() -> None:
    found = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if part_of(path) not in {"demo", "embedded", "testing"}
        and SHARED_BY_A_FORK.search(path.read_text())
        and "from fundlyhub.forks import" not in path.read_text()
    }
    assert found == set(NEVER_FORKED), "register it with fundlyhub.forks, or say why no fork can share it"


def test_processors_see_only_the_public_names_of_processing() -> None:
    import fundlyhub.processing as processing

    for path in (PACKAGE / "processors").rglob("*.py"):
        for module, name in imports(path):
            if imported_part(module, name) == "processing":
                assert module == "fundlyhub.processing", f"{path}: {module} is not public"
                assert name in processing.__all__


def test_every_event_type_is_handled_or_named_as_unhandled() -> None:
    ours = {name: cls for name, cls in registry.processors().items() if cls.__module__.startswith("fundlyhub.")}
    router = Router(ours)
    handled = {kind for kind in VERSIONS if any(one.reads_contents for one in router.wanting(kind))}
    assert handled | set(UNHANDLED) == set(VERSIONS)
    assert not handled & set(UNHANDLED), "these are handled now: take them off the list"
