"""docker/pin-images.sh: one command pins every image of compose.yaml and of the Dockerfile by its digest."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.containers.composed import DOCKER, composed

DIGEST = f"sha256:{'a' * 64}"
REGISTRY = f"""#!/bin/sh
[ "$1 $2 $3" = "buildx imagetools inspect" ] && [ "$6" != "$REFUSED" ] && echo {DIGEST}
"""
"""In the place of the registry, which is not ours: it knows every image but one."""


def pinned(folder: Path, refused: str = "") -> subprocess.CompletedProcess[str]:
    (docker := folder / "docker").write_text(REGISTRY)
    docker.chmod(0o755)
    return subprocess.run(
        [DOCKER / "pin-images.sh"],
        env={"PATH": f"{folder}:{os.environ['PATH']}", "REFUSED": refused},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_its_lines_pin_every_image_that_is_not_ours(tmp_path: Path) -> None:
    done = pinned(tmp_path)
    lines = dict(line.split("=", 1) for line in done.stdout.splitlines())
    file = composed(lines)
    foreign = {one["image"] for one in file["services"].values() if not one["image"].startswith("fundlyhub:")}
    bases = {one["build"]["args"]["PYTHON_IMAGE"] for one in file["services"].values() if "build" in one}
    assert len(foreign) == 5
    assert all(image.endswith(f"@{DIGEST}") for image in foreign | bases)


def test_the_image_of_ours_is_built_upon_what_can_be_pinned() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    assert set(re.findall(r"(?m)^FROM (\S+)", text)) == {"${PYTHON_IMAGE}"}
    (default,) = re.findall(r"(?m)^ARG PYTHON_IMAGE=(\S+)", text)
    assert {one["build"]["args"]["PYTHON_IMAGE"] for one in composed()["services"].values() if "build" in one} == {
        default
    }


def test_one_that_the_registry_does_not_know_fails_it(tmp_path: Path) -> None:
    assert pinned(tmp_path, refused="postgres:18").returncode != 0
