"""docker/compose.yaml: as its published schema wants it, and with a worker for every queue."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fundlyhub.processing.queues import QUEUES
from fundlyhub.settings import Settings
from tests.containers.composed import DOCKER, composed, interpolated, ours, seconds

FILE = DOCKER / "compose.yaml"


def test_it_is_what_the_published_schema_wants() -> None:
    argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


def test_the_schema_says_no_to_what_is_wrong(tmp_path: Path) -> None:
    wrong = composed()
    wrong["services"]["relay"]["stop_grace_period"] = {"seconds": 45}
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump(wrong))
    argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*argv, str(tmp_path / "compose.yaml")], capture_output=True, timeout=60, check=False)
    assert done.returncode == 1


def docker_compose() -> list[str]:
    """The command of Docker Compose; without it the test is skipped. It needs no daemon to read a file."""
    for argv in (["docker", "compose"], ["docker-compose"]):
        if (path := shutil.which(argv[0])) is not None:
            done = subprocess.run([path, *argv[1:], "version"], capture_output=True, text=True, check=False)
            if done.returncode == 0 and re.search(r"v[2-9]", done.stdout):
                return [path, *argv[1:]]
    pytest.skip("Docker Compose (2 or newer) is not installed")


def test_docker_compose_reads_it_as_these_tests_do(tmp_path: Path) -> None:
    argv = docker_compose()
    (tmp_path / "env").touch()
    argv += ["--env-file", str(tmp_path / "env"), "-f", str(FILE), "--profile", "*", "config"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    read, here = yaml.safe_load(done.stdout)["services"], composed()["services"]
    assert set(read) == set(here)
    for name, service in here.items():
        for field in ("image", "command", "environment"):
            # `config` prints a file that could be read again: $ stands there as $$.
            theirs = yaml.safe_load(yaml.safe_dump(read[name].get(field)).replace("$$", "$"))
            assert theirs == service.get(field), f"{field} of {name}"


def consumed(service: dict[str, Any]) -> set[str]:
    """The queues that a service consumes."""
    command = service.get("command", [])
    return set(command[command.index("-Q") + 1].split(",")) if "worker" in command else set()


def test_every_queue_has_a_worker_of_its_own() -> None:
    workers = {name: queues for name, service in ours(composed()).items() if (queues := consumed(service))}
    assert workers == {f"worker-{queue}": {queue} for queue in QUEUES}


def test_workers_have_time_to_finish_and_tell_flower() -> None:
    file = composed()
    for name, service in ours(file).items():
        limit = float(service["environment"]["FUNDLYHUB_STOP_LIMIT"])
        assert limit == Settings.model_fields["stop_limit"].default
        assert seconds(service["stop_grace_period"]) >= limit + 15, name
        if consumed(service):
            assert "-E" in service["command"], "else Flower sees none of its tasks"
            assert {"--without-gossip", "--without-mingle"} <= set(service["command"])


def test_two_relays_that_wait_for_the_tables() -> None:
    file = composed()
    assert file["services"]["relay"]["deploy"]["replicas"] == 2
    for name, service in ours(file).items():
        wants = service["depends_on"]
        assert name == "migrate" or wants["migrate"] == {"condition": "service_completed_successfully"}, name
    for name, service in file["services"].items():
        assert "healthcheck" in service or service["image"].startswith("fundlyhub:"), name
        assert ":" in service["image"], f"{name} names no version"


def test_the_settings_are_real_ones() -> None:
    known = {f"FUNDLYHUB_{name.upper()}{end}" for name in Settings.model_fields for end in ("", "_FILE")}
    for name, service in ours(composed()).items():
        given = {variable for variable in service["environment"] if variable.startswith("FUNDLYHUB_")}
        assert given <= known, name


def test_prometheus_finds_the_metrics_and_its_rules() -> None:
    services = composed()["services"]
    mounts = [volume.split(":") for volume in services["prometheus"]["volumes"]]
    inside = {to: DOCKER / file for file, to, *_ in mounts if file.startswith("./")}
    (config,) = (word.partition("=")[2] for word in services["prometheus"]["command"] if "config.file" in word)
    read = yaml.safe_load(inside[config].read_text())
    assert [inside[f"{config.rpartition('/')[0]}/{name}"].name for name in read["rule_files"]] == ["alerts.yaml"]
    (target,) = read["scrape_configs"][0]["static_configs"][0]["targets"]
    command = services["metrics"]["command"]
    assert target == f"metrics:{command[command.index('--port') + 1]}"
    assert "ports" not in services["metrics"], "it tells names and counts to whoever asks"


def test_prometheus_own_tool_finds_nothing() -> None:
    if (promtool := shutil.which("promtool")) is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    argv = [promtool, "check", "config", str(DOCKER / "prometheus.yaml")]  # and the rules that it names
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_elasticsearch_is_not_older_than_its_client() -> None:
    pinned = re.search(r"^elasticsearch==(\d+)\.(\d+)", (DOCKER.parent / "requirements/image.txt").read_text(), re.M)
    image = composed()["services"]["elasticsearch"]["image"]
    server = re.fullmatch(r"elasticsearch:(\d+)\.(\d+)\.\d+", image)
    assert pinned is not None
    assert server is not None
    assert (server[1], int(server[2])) >= (pinned[1], int(pinned[2]))


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("a ${A} b", "a 1 b"),
        ("${B:-x}", "x"),
        ("${A:-x}", "1"),
        ("${B:-x${A:-no}y}z", "x1yz"),
        ("$$HOSTNAME ${B}", "$HOSTNAME "),
    ],
)
def test_variables_are_put_in(text: str, filled: str) -> None:
    assert interpolated(text, {"A": "1"}) == filled
