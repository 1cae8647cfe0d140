"""A file that others may read, or a link, lies where people's data will be written: nobody else reads it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from fundlyhub.embedded.process import Child
from fundlyhub.private_files import replacing
from fundlyhub.retention.archives.file import write
from tests.security.test_operators import ID, ROWS, SECRET
from tests.support.command import Done, dsns, fundlyhub


@pytest.fixture
def log(dsn: str) -> Iterator[psycopg.Connection]:
    """A log with one event, which is a dead letter."""
    with psycopg.connect(dsn, autocommit=True) as db:
        psycopg.ClientCursor(db).execute(ROWS, {"id": ID, "x": SECRET})
        yield db


def export(dsn: str, file: Path) -> Done:
    return fundlyhub("dlq", "export", str(file), "--payload", settings=dsns(dsn))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("log")
def test_an_export_onto_a_file_that_others_may_read_is_read_by_none_of_them(dsn: str, tmp_path: Path) -> None:
    file = tmp_path / "letters"
    file.touch(0o666)
    file.chmod(0o666)
    with file.open() as open_before:
        assert export(dsn, file).returncode == 0
        assert mode(file) == 0o600
        assert SECRET in file.read_text()
        assert open_before.read() == "", "who had it open reads on"
    assert sorted(tmp_path.iterdir()) == [file]


@pytest.mark.usefixtures("log")
def test_what_a_killed_export_has_left_is_gone_after_the_next_one(dsn: str, tmp_path: Path) -> None:
    """Half a file with people's data, which nobody would look for. What another process is writing stays."""
    file = tmp_path / "letters"
    script = """if True:
        import os, pathlib, sys
        from fundlyhub.private_files import replacing
        with replacing(pathlib.Path(sys.argv[1])) as file:
            file.write(b"x")
            os.kill(os.getpid(), 9)
    """
    subprocess.run([sys.executable, "-c", script, str(file)], check=False, timeout=60)
    (partial,) = tmp_path.iterdir()
    assert mode(partial) == 0o600
    with replacing(file) as other:
        (being_written,) = set(tmp_path.iterdir()) - {partial}
        for one in (partial, being_written):
            os.utime(one, (0, 0))
        assert export(dsn, file).returncode == 0
        assert set(tmp_path.iterdir()) == {file, being_written}
        other.write(b"mine")
    assert file.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.usefixtures("log")
def test_an_export_does_not_write_through_a_link(dsn: str, tmp_path: Path) -> None:
    other, file = tmp_path / "other", tmp_path / "letters"
    other.write_text("mine")
    file.symlink_to(other)
    done = export(dsn, file)
    assert (done.returncode, done.stderr) == (1, f"fundlyhub: cannot write {file}: it is a symbolic link\n")
    assert other.read_text() == "mine"


@pytest.mark.usefixtures("log")
def test_an_export_that_fails_leaves_what_was_there(dsn: str, tmp_path: Path) -> None:
    file, pipe = tmp_path / "letters", tmp_path / "pipe"
    file.write_text("before")
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("ALTER TABLE events.corrections RENAME TO elsewhere")
    assert export(dsn, file).returncode == 1
    assert file.read_text() == "before"
    os.mkfifo(pipe)
    assert "it is no regular file" in export(dsn, pipe).stderr
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert {path.name for path in tmp_path.iterdir()} == {"letters", "pipe"}


@pytest.mark.parametrize("laid", ["file", "link"])
def test_an_archive_is_not_written_into_what_somebody_has_laid(
    log: psycopg.Connection, tmp_path: Path, laid: str
) -> None:
    partial, other = tmp_path / ".events-000000000001.partial", tmp_path / "other"
    other.touch(0o666)
    if laid == "link":
        partial.symlink_to(other)
    else:
        partial.touch()
        partial.chmod(0o666)
    with partial.open("rb") as open_before:
        written = write(log, 1, 1, tmp_path, lambda done: None)
        assert open_before.read() == b""
    assert mode(written.file) == 0o600
    assert not written.file.is_symlink()


def test_logs_of_processes_are_for_our_account_alone(tmp_path: Path) -> None:
    """Those that a former release or another umask has left open too."""
    log = tmp_path / "worker.log"
    log.write_text("before\n")
    log.chmod(0o644)
    before = os.umask(0)
    try:
        for path in (log, tmp_path / "relay.log"):
            child = Child("echo", ["echo", "said"], log=path, pid_file=tmp_path / "pid")
            child.process.wait(30)
            child.stop()
            assert mode(path) == 0o600
    finally:
        os.umask(before)
    assert log.read_text() == "before\nsaid\n"


def test_a_log_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic links"):
        Child("echo", ["echo", "said"], log=tmp_path / "log", pid_file=tmp_path / "pid")
    assert not (tmp_path / "other").exists()
