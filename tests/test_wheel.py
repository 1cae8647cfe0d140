"""What is installed works without the checkout: Celery's settings, the migrations, the type marker."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.wheel import built


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content."""
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(built(folder)) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.mark.chaos  # for its length
def test_celery_finds_our_settings_in_an_installed_wheel_beside_another_applications(
    installed: Path, tmp_path: Path
) -> None:
    code = (
        "import fundlyhub, fundlyhub.celery as c;"
        "print(fundlyhub.__file__, c.app.conf.task_acks_late, sorted(c.app.tasks)[-1])"
    )
    (tmp_path / "celeryconfig.py").write_text("task_acks_late = False  # of another application")
    environment = {**os.environ, "PYTHONPATH": str(installed), "FUNDLYHUB_BROKER_URL": "redis://127.0.0.1:1/0"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    package, acks_late, task = done.stdout.split()
    assert Path(package).parent.parent == installed
    assert (acks_late, task) == ("True", "writes.subscription_write")


def test_the_wheel_holds_migrations_and_the_type_marker_and_no_tests(installed: Path) -> None:
    assert list((installed / "fundlyhub/database/migrations/events/versions").glob("*.py"))
    assert (installed / "fundlyhub/py.typed").exists()
    assert sorted(path.name for path in installed.iterdir() if path.suffix != ".dist-info") == ["fundlyhub"]
