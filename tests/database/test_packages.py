"""Migrations of other packages: beside the product's and each other's, and only what bears the package's name."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psycopg
import pytest

from fundlyhub.database.migrate import migrate
from fundlyhub.database.packages import packages
from fundlyhub.database.revisions import check, require_current
from fundlyhub.database.roles.declared import of_packages
from fundlyhub.errors import BrokenMigration, FundlyHubError, NewerDatabase, NotMigrated, WrongUse
from fundlyhub.settings import Settings
from tests.support.command import dsns
from tests.support.outside import beside, forget_packages, install, migration, seen_here
from tests.support.roles import Roles

TOTALS = (
    "CREATE TABLE songs_totals (song text PRIMARY KEY, plays bigint NOT NULL, id bigint GENERATED ALWAYS AS IDENTITY)"
)
RIGHTS = 'RIGHTS = {"reader": {"analytics.songs_totals": "SELECT (song)"}}\n'


def settings_of(dsn: str) -> Settings:
    return Settings(events_dsn=dsn, app_dsn=dsn, analytics_dsn=dsn)


def bring(folder: Path, name: str, migrations: Mapping[str, str], more: str = "") -> None:
    """Install a package ``NAME-kit`` whose migrations are these, by path below its folder."""
    files = {f"{name}_kit/{path}": text for path, text in migrations.items()}
    files |= {f"{name}_kit/__init__.py": more}
    install(folder, f"{name}-kit", files, {"fundlyhub.migrations": {name: f"{name}_kit"}})


def bring_all(folder: Path, *names: str) -> None:
    """Install several, each with a file that is never run."""
    for name in names:
        bring(folder, name, {"app/0001_a.py": ""})


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A folder of installed packages, which this process sees."""
    with seen_here(tmp_path / "site"):
        yield tmp_path / "site"


@pytest.fixture
def songs(site: Path) -> Path:
    """A package with a table in the Analytics DB, and one in the App DB."""
    own = "CREATE TABLE songs_seen (id bigint PRIMARY KEY)"
    bring(site, "songs", {"analytics/0001_totals.py": migration("songs", 1, TOTALS),
                          "app/0001_seen.py": migration("songs", 1, own)}, RIGHTS)  # fmt: skip
    return site


def states(dsn: str) -> dict[tuple[str, str], str]:
    return {(one.package, one.branch): one.state for one in check(settings_of(dsn)) if one.package != "fundlyhub"}


def ask(dsn: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as db:
        return db.execute(query).fetchall()


def test_two_packages_are_migrated_beside_each_other_and_have_version_tables_of_their_own(
    dsn: str, songs: Path
) -> None:
    bring(songs, "films", {"analytics/0001_seen.py": migration("films", 1, "CREATE TABLE films_totals (n int)")})
    with pytest.raises(NotMigrated, match="revision none of songs, the songs-kit that is installed needs songs_0001"):
        require_current("app", settings=settings_of(dsn), with_packages=True)
    require_current("app", settings=settings_of(dsn))  # publishers and webhooks do not ask
    migrate(settings_of(dsn))
    assert states(dsn) == dict.fromkeys([("films", "analytics"), ("songs", "app"), ("songs", "analytics")], "current")
    assert ask(dsn, "SELECT version_num FROM analytics.alembic_version_films") == [("films_0001",)]
    assert {one.state for one in migrate(settings_of(dsn))} == {"current"}


def test_a_later_version_goes_on_and_a_newer_database_is_refused(dsn: str, songs: Path) -> None:
    migrate(settings_of(dsn))
    second = songs / "songs_kit/analytics/0002_more.py"
    second.write_text(migration("songs", 2, "ALTER TABLE songs_totals ADD COLUMN more int"))
    forget_packages()
    assert states(dsn)["songs", "analytics"] == "behind"
    migrate(settings_of(dsn))
    second.unlink()
    forget_packages()
    with pytest.raises(
        NewerDatabase, match=r"at revision songs_0002 of songs, newer than .*install the newer songs-kit"
    ):
        migrate(settings_of(dsn))


def test_tables_of_a_package_that_is_gone_stay_and_hold_up_nothing(dsn: str, songs: Path) -> None:
    migrate(settings_of(dsn))
    sys.path.remove(str(songs))
    forget_packages()
    try:
        assert set(states(dsn).values()) == {"not installed"}
        assert [one.state for one in migrate(settings_of(dsn)) if one.package == "songs"] == ["not installed"] * 2
        require_current("analytics", settings=settings_of(dsn), with_packages=True)
    finally:
        sys.path.insert(0, str(songs))


BROKEN: Mapping[str, tuple[str, str]] = {
    "sql": ("CREATE TABLE songs_extra (n int); SELECT 1 / 0", "failed, and nothing of it is applied: division by zero"),
    "our table": ("ALTER TABLE donation_facts ADD COLUMN mine int", "touches analytics.donation_facts"),
    "another name": ("CREATE TABLE totals (n int)", r"touches analytics.totals: it may make and change songs_… alone"),
    "a trigger on ours": (
        "CREATE TRIGGER songs_t BEFORE DELETE ON donation_facts EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "touches analytics.donation_facts",
    ),
    "another schema": ("DROP TABLE app.resends", "touches app.resends"),
    "rights on ours": ("GRANT SELECT ON donation_facts TO pg_monitor", "touches analytics.donation_facts"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_migration_is_named_leaves_nothing_and_holds_up_no_other(dsn: str, songs: Path, what: str) -> None:
    sql, said = BROKEN[what]
    (songs / "songs_kit/analytics/0002_broken.py").write_text(migration("songs", 2, sql))
    bring(songs, "tones", {"analytics/0001_seen.py": migration("tones", 1, "CREATE TABLE tones_totals (n int)")})
    with pytest.raises(BrokenMigration, match=rf"the analytics migration of songs \(songs-kit\) {said}"):
        migrate(settings_of(dsn))
    assert states(dsn) == {
        ("songs", "analytics"): "behind", ("songs", "app"): "current", ("tones", "analytics"): "current",
    }  # fmt: skip
    assert ask(dsn, "SELECT to_regclass('analytics.songs_totals'), to_regclass('analytics.songs_extra')") == [
        (None, None)
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            migration("songs", 1, "SELECT 1"),
            "cannot be run: Revision songs_0001 is present more than once",
        ),  # a second first revision
        (migration("songs", 2, "SELECT 1").replace('"songs_0002"', '"more"'), "ends at revision more: the file"),
        ("import nothing_like_it", "failed, and nothing of it is applied: ModuleNotFoundError"),
    ],
    ids=["two heads", "another revision", "a fault"],
)
def test_a_file_that_is_no_migration_of_its_package_is_explained(dsn: str, songs: Path, text: str, said: str) -> None:
    (songs / "songs_kit/analytics/0002_more.py").write_text(text)
    with pytest.raises(BrokenMigration, match=said):
        migrate(settings_of(dsn))


@pytest.mark.chaos  # for its length
def test_two_processes_at_once_one_migrates_and_the_status_shows_packages(dsn: str, songs: Path) -> None:
    command = [sys.executable, "-m", "fundlyhub", "migrate", "--json"]
    variables = beside(songs, dsns(dsn))
    runs = [subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    outputs = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    found = [[one["state"] for one in json.loads(out) if one["package"] == "songs"] for out, _ in outputs]
    assert [sorted(pair) for pair in zip(*found, strict=True)] == [["current", "migrated"]] * 2
    shown = subprocess.run([*command[:-1], "--check"], env=variables, capture_output=True, text=True, check=True).stdout
    assert "songs_0001" in shown


def test_workers_get_their_rights_on_its_tables_and_others_what_it_declares(dsn: str, songs: Path) -> None:
    migrate(settings_of(dsn))
    roles = Roles(dsn)
    assert roles.may("worker", "INSERT INTO analytics.songs_totals VALUES ('a', 1)")
    assert roles.may("worker", "SELECT version_num FROM analytics.alembic_version_songs")
    assert not roles.may("worker", "UPDATE analytics.alembic_version_songs SET version_num = ''")
    assert roles.may("reader", "SELECT song FROM analytics.songs_totals")
    assert not roles.may("reader", "SELECT plays FROM analytics.songs_totals")
    assert not roles.may("webhooks", "SELECT * FROM app.songs_seen")
    assert [(one.granted, one.revoked) for one in roles.reconcile()] == [(0, 0)] * 3


WRONG: Mapping[str, tuple[Callable[[Path], None], str]] = {
    "a name of ours": (
        lambda site: bring(site, "search", {"analytics/0001_a.py": migration("search", 1, "SELECT 1")}),
        "search_documents is ours and begins with their name|begins with their name",
    ),
    "no name": (
        lambda site: bring(site, "Songs", {"analytics/0001_a.py": ""}), "their name must be small letters",
    ),
    "no folder": (lambda site: bring(site, "songs", {}), "songs_kit has no folder events, app or analytics"),
    "one within the other": (
        lambda site: bring_all(site, "songs", "songs_more"),
        "tables of the second would be the first one's too",
    ),
    "rights on ours": (
        lambda site: bring(site, "songs", {"app/0001_a.py": ""}, 'RIGHTS = {"reader": {"app.contacts": "SELECT"}}'),
        "RIGHTS names 'app.contacts'; a package gives rights on songs_… in one of our schemas",
    ),
    "no such role": (
        lambda site: bring(site, "songs", {"app/0001_a.py": ""}, 'RIGHTS = {"all": {"app.songs_a": "SELECT"}}'),
        "RIGHTS: no such role all; there are publisher",
    ),
    "no module": (
        lambda site: install(site, "songs-kit", {}, {"fundlyhub.migrations": {"songs": "songs_kit"}}),
        "the migrations 'songs' of songs-kit: cannot import songs_kit",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_used_is_refused_by_its_name(site: Path, what: str) -> None:
    make, said = WRONG[what]
    make(site)
    forget_packages()
    with pytest.raises(WrongUse, match=said):
        of_packages()


def test_two_packages_with_one_name_are_refused(site: Path) -> None:
    for one in ("songs-kit", "other-kit"):
        module = one.replace("-", "_")
        install(site, one, {f"{module}/__init__.py": "", f"{module}/app/0001_a.py": ""},
                {"fundlyhub.migrations": {"songs": module}})  # fmt: skip
    forget_packages()
    with pytest.raises(FundlyHubError, match="both call their migrations 'songs': one of them must rename"):
        packages()
