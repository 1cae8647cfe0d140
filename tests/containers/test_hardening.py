"""docker/compose.yaml: what each container may do, whom it can reach, and which secrets it holds."""

from __future__ import annotations

import inspect
import re
import stat
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import fundlyhub.processors  # noqa: F401  # registers them
from fundlyhub.database.roles import NAMES, PREFIX
from fundlyhub.errors import WrongUse
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.queues import KEYED, QUEUES
from fundlyhub.processing.registry import processors
from fundlyhub.processing.task_names import REBUILDS
from fundlyhub.rebuilds.refusals import exchanged_tables
from tests.containers.composed import DOCKER, composed, made_secrets, ours, secrets_of

SERVICES: dict[str, dict[str, Any]] = composed()["services"]
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|API_KEY|DSN|BROKER_URL|REDIS_URL|BASIC_AUTH|DEFAULT_PASS|:[^@/ ]+@", re.I)
# Of each service exactly these, and no other secret.
DATABASE = {"relay": "relay", "ingest": "ingest", "webhooks": "webhooks", "metrics": "monitor", "console": "console",
            "operator": "console", "owner": "owner", "eraser": "eraser", "migrate": "superuser",
            **{f"worker-{queue}": "worker" for queue in QUEUES}}  # fmt: skip
BROKER = {"relay", "metrics", "console", "operator", "owner"} | {
    name for name in DATABASE if name.startswith("worker-")
}
OWN = {"postgres": {"postgres_password"}, "rabbitmq": {"rabbitmq_conf", "rabbitmq_definitions"},
       "valkey": {"valkey_conf"}, "flower": {"flower_broker_url", "flower_broker_api", "flower_password"}}  # fmt: skip
OUTWARD = {"webhooks", "console", "flower"}
WITH_KEYS = {"worker-notifications", "worker-broadcasts"}


def code_of(queue: str) -> str:
    """The source of the processors whose batches come through a queue, with the packages that they stand in."""
    found = processors().values()
    if queue == REBUILDS:
        running = [one for one in found if can_be_rebuilt(one)]
    else:
        running = [one for one in found if one.queue == queue]
    folders = {Path(inspect.getfile(one)).parent for one in running}
    return "".join(path.read_text() for folder in sorted(folders) for path in sorted(folder.rglob("*.py")))


def can_be_rebuilt(processor: type[Processor]) -> bool:
    try:
        exchanged_tables(processor, processors())
    except WrongUse:
        return False
    return True


CODE = {f"worker-{queue}": code_of(queue) for queue in QUEUES}
KEY = {"webhooks", "console", "operator", "owner", "eraser"} | {
    name for name, code in CODE.items() if re.search(r"settings(\(\))?\.secret\b", code)
}
REDIS = {name for name in DATABASE if name != "migrate" and name not in CODE} | {
    name for name, code in CODE.items() if re.search(r"\bbreaker", code)
}


def test_a_worker_asks_for_the_key_exactly_where_its_processors_use_it() -> None:
    assert {name for name in KEY if name in CODE} == {f"worker-{queue}" for queue in KEYED}
    assert "worker-projections" not in KEY
    assert "worker-writes" not in REDIS


@pytest.mark.parametrize("name", SERVICES)
def test_each_container_can_do_little(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert "/tmp" in service["tmpfs"]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert 0 < service["pids_limit"] <= 4096
    for forbidden in ("privileged", "cap_add", "devices", "pid", "ipc", "network_mode", "userns_mode"):
        assert forbidden not in service
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", []))


@pytest.mark.parametrize("name", SERVICES)
def test_it_is_no_root(name: str) -> None:
    """The servers' images begin as root and step down, which takes capabilities: these begin as themselves."""
    plain = {"prometheus", "elasticsearch"}  # their images name an account
    assert name in ours(composed()) or name in plain or SERVICES[name]["user"] not in ("root", "0")


@pytest.mark.parametrize("name", SERVICES)
def test_it_faces_outward_only_if_it_must(name: str) -> None:
    ports = SERVICES[name].get("ports", [])
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert bool(ports) == (name in OUTWARD) == ("outward" in SERVICES[name]["networks"])
    assert ("providers" in SERVICES[name]["networks"]) == (name in WITH_KEYS)


def test_networks_lead_out_only_where_somebody_must() -> None:
    networks = composed()["networks"]
    assert {name for name, one in networks.items() if not one.get("internal")} == {"providers", "outward"}
    reached = {name: {at for at, one in SERVICES.items() if name in one["networks"]} for name in networks}
    assert reached["database"] == {*DATABASE, "postgres"}
    assert reached["broker"] == {*BROKER, "flower", "rabbitmq"}
    assert reached["cache"] == {*REDIS, "valkey"}


@pytest.mark.parametrize("name", SERVICES)
def test_it_holds_the_secrets_that_it_needs_and_no_others(name: str) -> None:
    wanted = {f"{DATABASE[name]}_dsn"} if name in DATABASE else set()
    wanted |= {"secret_key"} if name in KEY else set()
    wanted |= {"broker_url"} if name in BROKER else set()
    wanted |= {"redis_url"} if name in REDIS else set()
    assert set(secrets_of(SERVICES[name]).values()) == wanted | OWN.get(name, set())
    mounted = [
        str(volume).partition(":")[0] for volume in SERVICES[name].get("volumes", []) if "secrets" in str(volume)
    ]
    folders = {"webhooks": "webhooks", "migrate": "roles", **dict.fromkeys(WITH_KEYS, "providers")}
    assert mounted == ([f"./secrets/{folders[name]}"] if name in folders else [])


def command_of(name: str) -> list[str]:
    command: list[str] = SERVICES[name].get("command", [])
    return command


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_stands_in_an_environment_or_on_a_command_line(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        assert variable.endswith("_FILE") or not SECRET.search(f"{variable}={value}"), variable
        if variable.endswith("_FILE"):
            assert value in secrets_of(SERVICES[name]), f"{variable} names a secret that the service does not have"
    named = re.sub(
        r"\w+=\"[^\"]*\$\(cat /run/secrets/\w+\)\"|/run/secrets/\w+|--passwords", "", " ".join(command_of(name))
    )
    assert not SECRET.search(named)
    files = [one["path"] for one in SERVICES[name].get("env_file", [])]
    assert ("providers.env" in files) == (name in WITH_KEYS)
    assert ("webhooks.env" in files) == (name == "webhooks")


def test_the_script_makes_every_secret_once(tmp_path: Path) -> None:
    folder = made_secrets(tmp_path / "secrets")
    wanted = {one["file"].removeprefix("./secrets/") for one in composed()["secrets"].values()}
    there = {path.name: path for path in folder.iterdir() if path.is_file()}
    assert wanted <= there.keys()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o444 for path in there.values())
    assert {path.name for path in (folder / "roles").iterdir()} == set(NAMES)
    for name in NAMES:
        url = urlsplit(there[f"{name.removeprefix(PREFIX)}_dsn"].read_text().strip())
        assert (url.username, url.password) == (name, (folder / "roles" / name).read_text().strip())
    before = {name: path.read_text() for name, path in there.items()}
    assert len(set(before.values())) == len(before), "no two are alike"
    (folder / "redis_url").unlink()
    made_secrets(folder)
    assert {path.name: path.read_text() for path in folder.iterdir() if path.is_file()} == before


def test_the_script_is_no_secret_and_what_it_makes_is_never_committed() -> None:
    ignored = (DOCKER.parent / ".gitignore").read_text().split()
    assert {"docker/secrets/", "docker/providers.env", "docker/webhooks.env", "docker/settings.env", "docker/.env"} <= {
        *ignored
    }
    allowed = (DOCKER / "Dockerfile.dockerignore").read_text()
    assert "secrets" not in allowed
    assert allowed.splitlines()[1] == "*"
