"""TLS for the fakes, with a certificate that nobody trusts unless a test says so; and breakers that share a state."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from fundlyhub.channels.breaker import Breaker, SharedStorage
from fundlyhub.channels.breaker.burst_storage import BurstStorage
from fundlyhub.channels.breaker.local_storage import OwnStorage, Storage
from fundlyhub.channels.breaker.rules import Rules
from tests.channels.breakers import Clock, Make


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 with its key, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + private)
    return path


@pytest.fixture(scope="session")
def tls(certificate: Path) -> ssl.SSLContext:
    """What a server needs for it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture(scope="package", autouse=True)
def no_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Clients trust nobody. To read the system's 140 certificates takes 20 ms for each client that a test makes."""
    empty = tmp_path_factory.mktemp("trust") / "nobody.pem"
    empty.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(empty))
        yield


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on clients trust it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


@pytest.fixture
def usual_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on clients trust whom the system trusts."""
    monkeypatch.delenv("SSL_CERT_FILE")


@pytest.fixture
def untrusted(tls: ssl.SSLContext, usual_authorities: None) -> Iterator[str]:
    """The address of a server with that certificate, where clients trust whom the system trusts."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, suppress(OSError), tls.wrap_socket(connection, server_side=True) as secured:
                        secured.recv(1)

        threading.Thread(target=answer, daemon=True).start()
        yield f"https://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["own", "redis", "bursts"])
def make(request: pytest.FixtureRequest, clock: Clock) -> Make:
    """Makes breakers that share one state: in this process, and in Valkey."""
    name, own = f"test-{uuid4()}", OwnStorage()
    url = "" if request.param == "own" else request.getfixturevalue("valkey").url

    def make(**rules: Any) -> Breaker:
        storage: Storage = SharedStorage(name, url) if url else own
        if request.param == "bursts":
            storage = BurstStorage(storage, fresh=0)
        return Breaker("test", storage, Rules(**rules), clock=clock)

    return make
