"""The broker's user that docs and compose give to Flower, on the broker of a test."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

from tests.containers.composed import made_secrets
from tests.support.platform import Platform
from tests.support.rabbitmq import RabbitNode

USER = "flower"


def watcher(platform: Platform, folder: Path) -> str:
    """The broker's address for Flower."""
    url = urlsplit(platform.environment["FUNDLYHUB_BROKER_URL"])
    if url.scheme != "amqp":
        return url.geturl()  # docs/flower.md says why there is none
    password = _on_rabbitmq(platform.broker, url.path[1:], folder)
    return url._replace(netloc=f"{USER}:{password}@{url.hostname}:{url.port}").geturl()


def _on_rabbitmq(node: object, vhost: str, folder: Path) -> str:
    """The users of docker/make-secrets.sh, with their rights in this virtual host in the place of ``/``."""
    assert isinstance(node, RabbitNode)
    made = made_secrets(folder / "secrets")
    definitions = json.loads((made / "rabbitmq_definitions").read_text())
    definitions["vhosts"] = []
    for one in definitions["permissions"]:
        one["vhost"] = vhost
    (file := folder / "definitions.json").write_text(json.dumps(definitions))
    node.ctl("import_definitions", str(file))
    return (made / "flower_broker_password").read_text().strip()
