"""URLs of brokers and of Redis: which forms there are, what is wrong with one, and how our two clients want them.

Nothing here quotes a URL: it may hold a password, also in a place where none belongs.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

AMQP, REDIS, SOCKETS = ("amqp", "amqps"), ("redis", "rediss"), ("unix", "redis+socket")
SCHEMES = {
    "broker_url": (*AMQP, *REDIS, *SOCKETS),
    "redis_url": (*REDIS, *SOCKETS),
    "streams_url": (*REDIS, *SOCKETS),
    "smtp_url": ("smtp", "smtps"),
    "elasticsearch_url": ("http", "https"),
    **dict.fromkeys(
        ("site_url", "public_url", "sendgrid_base_url", "fcm_base_url", "twilio_base_url"), ("http", "https")
    ),
}
"""How the URLs begin, by setting."""
_TLS = {
    "ssl_cert_reqs": ("required", "optional", "none", "CERT_REQUIRED", "CERT_OPTIONAL", "CERT_NONE"),
    "ssl_check_hostname": ("true", "false", "True", "False"),
    "ssl_ca_certs": (),
    "ssl_certfile": (),
    "ssl_keyfile": (),
}
_PORT = "its port must be a number from 1 to 65535"
_DATABASE = ("db", "virtual_host")
ONE_SERVER = (
    "Sentinel and Cluster are not supported: name one server, or a proxy or service that leads to the present primary"
)


NODES = "separate the nodes of a RabbitMQ cluster by a semicolon: amqp://user:password@a//;amqp://user:password@b//"


class Place(NamedTuple):
    """A Redis or Valkey server: at ``host`` and ``port``, or at the socket ``path``."""

    tls: bool
    host: str
    port: int
    path: str
    user: str
    password: str
    database: int
    options: dict[str, str]


def check(url: str, schemes: tuple[str, ...]) -> None:
    """Raise ValueError, which says what is wrong and what is right, unless a server can be meant by this URL."""
    for one in nodes(url):
        _check_one(one, schemes)
    if len({one.partition("://")[0] for one in nodes(url)}) > 1:
        raise ValueError("all nodes must begin alike, with amqp:// or amqps://")


def nodes(url: str) -> list[str]:
    """The URL of each server in the URL of a broker: a RabbitMQ cluster has several."""
    return url.split(";") if url.startswith("amqp") else [url]


def _check_one(url: str, schemes: tuple[str, ...]) -> None:
    scheme = url.partition("://")[0]
    if scheme not in schemes or "://" not in url:
        known = ", ".join(f"{name}://" for name in schemes)
        clustered = "sentinel" in scheme or "cluster" in scheme
        raise ValueError(f"must begin with one of {known}{f'; {ONE_SERVER}' if clustered else ''}")
    if scheme in (*REDIS, *SOCKETS):
        redis_place(url)
        return
    if scheme in AMQP:  # after a comma, which kombu would take for the name of a virtual host and show
        if "," in (parts := _split(url)).netloc or "://" in parts.path:
            raise ValueError(NODES)
        _amqp_options(url)
    _host_and_port(url)


def redis_place(url: str) -> Place:
    """The server that a Redis URL names. Raises ValueError that says what is wrong."""
    parts, scheme = _split(url), url.partition("://")[0]
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if scheme in SOCKETS:
        if parts.hostname is not None and not parts.netloc.endswith("@"):
            raise ValueError("a socket's path begins with a third slash: unix:///run/redis.sock?db=0")
        if len(parts.path) < 2:
            raise ValueError("names no path: write unix:///run/redis.sock?db=0")
        host, port, path, named = "", 0, unquote(parts.path), ""
    else:
        host, port = _host_and_port(url)
        path, named = "", parts.path.strip("/")
    databases = [*([named] if named else []), *(options.pop(name) for name in _DATABASE if name in options)]
    if any(not (text.isascii() and text.isdigit()) or len(text) > 5 for text in databases) or len(set(databases)) > 1:
        raise ValueError("the database must be one number: redis://host:6379/0, or unix:///run/redis.sock?db=0")
    _check_options(options, scheme == "rediss")
    return Place(
        scheme == "rediss", host, port or 6379, path, unquote(parts.username or ""), unquote(parts.password or ""),
        int(databases[0]) if databases else 0, options,
    )  # fmt: skip


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # it is read when it is asked for
    except ValueError:
        raise ValueError(f"{_PORT}, and special signs of a password written as %40") from None
    return parts


def _check_options(options: dict[str, str], tls: bool) -> None:
    for name, value in options.items():
        if name not in _TLS:
            raise ValueError(f"has a parameter that is not known; there are {', '.join((*_DATABASE[:1], *_TLS))}")
        if not tls:
            raise ValueError("has parameters of TLS: begin with rediss:// or amqps://")
        if not value or (_TLS[name] and value not in _TLS[name]):
            raise ValueError(f"{name} must be {' or '.join(_TLS[name][:3]) or 'the path of a file'}")


def _host_and_port(url: str) -> tuple[str, int]:
    """Of any URL; the port is 0 where it names none."""
    parts = _split(url)
    port = parts.port
    if port == 0:
        raise ValueError(_PORT)
    if not parts.hostname:
        raise ValueError("names no host")
    if "," in parts.netloc:
        raise ValueError(f"names several hosts; {ONE_SERVER}")
    return parts.hostname, port or 0


def for_redis(url: str) -> str:
    """A checked Redis URL as redis-py takes it."""
    place = redis_place(url)
    options = {**place.options, "db": str(place.database)}
    if "ssl_cert_reqs" in options:
        options["ssl_cert_reqs"] = options["ssl_cert_reqs"].removeprefix("CERT_").lower()
    scheme = "unix" if place.path else "rediss" if place.tls else "redis"
    rest = quote(place.path) if place.path else _netloc(place)
    return f"{scheme}://{_credentials(place)}{rest}?{urlencode(options)}"


def for_kombu(url: str) -> str:
    """A checked URL of a broker as kombu takes it."""
    if url.startswith("amqp"):  # what the parameters of TLS say is in `amqp_tls`
        return ";".join(one.partition("?")[0] for one in nodes(url))
    place = redis_place(url)
    if place.path:
        return f"redis+socket://{_credentials(place)}{quote(place.path)}?virtual_host={place.database}"
    # Without a parameter of TLS kombu would not speak TLS at all.
    options = f"?{urlencode({'ssl_cert_reqs': 'required', **place.options})}" if place.tls else ""
    return f"{'rediss' if place.tls else 'redis'}://{_credentials(place)}{_netloc(place)}/{place.database}{options}"


class _OfEachServer(dict[str, Any]):
    """Options in which kombu finds no name of a server: it would check all of a cluster's by the first one's name."""

    def __getitem__(self, key: str) -> Any:
        return None if key == "server_hostname" else super().__getitem__(key)


def amqp_tls(url: str) -> dict[str, Any] | None:
    """TLS to RabbitMQ as kombu takes it; None without TLS.

    The certificate must be that of the server's name, from the CAs of ``ssl_ca_certs`` or of the system.
    """
    if not url.startswith("amqps"):
        return None
    options = _amqp_options(url)
    wanted = options.get("ssl_cert_reqs", "required").removeprefix("CERT_").upper()
    files = {"ca_certs": "ssl_ca_certs", "certfile": "ssl_certfile", "keyfile": "ssl_keyfile"}
    found: dict[str, Any] = {name: options[given] for name, given in files.items() if given in options}
    found["cert_reqs"] = ssl.VerifyMode[f"CERT_{wanted}"]
    if wanted != "NONE" and options.get("ssl_check_hostname", "true").lower() == "true":
        found["server_hostname"] = None
    return _OfEachServer(found)


def _amqp_options(url: str) -> dict[str, str]:
    """The parameters of TLS of the first server, which hold for all. Raises ValueError for others."""
    parts = _split(url.partition(";")[0])
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    _check_options(options, parts.scheme == "amqps")
    return options


def _credentials(place: Place) -> str:
    if not place.user and not place.password:
        return ""
    return f"{quote(place.user, safe='')}:{quote(place.password, safe='')}@"


def _netloc(place: Place) -> str:
    return f"[{place.host}]:{place.port}" if ":" in place.host else f"{place.host}:{place.port}"


def where(url: str) -> str:
    """Host and port, or path, of a checked URL: all of it that may be shown."""
    if url.partition("://")[0] in (*REDIS, *SOCKETS):
        place = redis_place(url)
        return place.path or _netloc(place)
    found = []
    for one in nodes(url):
        parts = urlsplit(one)
        found.append(f"{parts.hostname}:{parts.port or (5671 if parts.scheme == 'amqps' else 5672)}")
    return ", ".join(found)


# What servers and drivers say, and what it means; the rest of their texts may quote.
_MEANINGS = {
    "Moved": f"it is a node of a cluster; {ONE_SERVER}",
    "ClusterDown": f"it is a node of a cluster; {ONE_SERVER}",
    "Keys in request": f"it is a node of a cluster; {ONE_SERVER}",
    "cluster mode": f"it is a node of a cluster; {ONE_SERVER}",
    "DB index": "it has no database of that number",
    "Authentication required": "it wants a password",
    "invalid username-password": "it refuses our user or password",
    "AuthenticationError": "it refuses our user or password",
    "NoPermission": "our user lacks a right",
    "ReadOnly": "it is a replica: name the primary",
    "BusyLoading": "it is still loading its data",
    "MASTERDOWN": "it is a replica without its primary",
    "OutOfMemory": "its memory is full",
    "MISCONF": "it cannot save its data, and so takes none",
    "ACCESS_REFUSED": "it refuses our user or password",
    "NOT_ALLOWED": "it has no such virtual host, or lets our user not into it",
    "WRONG_VERSION_NUMBER": "it does not speak TLS at this port",
}


def reason(error: BaseException) -> str:
    """Why a server was not reached, in words that quote nothing of what it said."""
    chain = list(_chain(error))
    for one in chain:
        if isinstance(one, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted ({one.verify_message or 'it cannot be verified'})"
        if isinstance(one, ssl.SSLError):
            said = one.reason or ""
            return _MEANINGS.get(said, f"TLS failed ({said.replace('_', ' ').lower() or 'no reason given'})")
    for one in chain:
        text = f"{type(one).__name__} {one}"  # redis-py puts its classes in the place of the server's codes
        for word, meaning in _MEANINGS.items():
            if word in text:
                return meaning
    for one in chain:
        if isinstance(one, TimeoutError) or "Timeout" in type(one).__name__:
            return "no answer in time"
        if isinstance(one, OSError) and one.strerror:
            return one.strerror
    return type(error).__name__


def is_misconfigured(error: BaseException) -> bool:
    """Whether no waiting helps: a cluster, or a database that is not there."""
    return reason(error) in {_MEANINGS["Moved"], _MEANINGS["DB index"]}


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        yield from (one for one in error.args if isinstance(one, BaseException))
        error = error.__cause__ or error.__context__
