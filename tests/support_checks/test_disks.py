"""The servers' data lie in memory where they have room, and on disk where they have none."""

from __future__ import annotations

from pathlib import Path

from fundlyhub.testing.disks import quick_folder


def test_a_folder_in_memory_with_room_is_taken(tmp_path: Path) -> None:
    assert quick_folder(tmp_path, room=1) == tmp_path


def test_one_without_room_or_none_at_all_is_not(tmp_path: Path) -> None:
    assert quick_folder(tmp_path, room=1 << 60) in (Path("/var/tmp"), None)
    assert quick_folder(tmp_path / "missing", room=1) in (Path("/var/tmp"), None)
