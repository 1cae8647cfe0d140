"""Each form of a server's URL works, or is refused at the start in a line that says what is allowed."""

from __future__ import annotations

import pytest

from fundlyhub.database.faults import parsed_dsn
from fundlyhub.errors import WrongUse
from fundlyhub.server_urls import AMQP, REDIS, SOCKETS, check, for_kombu, for_redis, where

PORT, PASSWORD = "its port must be a number from 1 to 65535", "s3cret"
ONE = "Sentinel and Cluster are not supported"
DATABASE = "the database must be one number"

WRONG = [
    (f"sentinel://:{PASSWORD}@a:26379/0", ONE),
    (f"redis+sentinel://:{PASSWORD}@a:26379/mymaster/0", ONE),
    (f"rediss+cluster://:{PASSWORD}@a:6379", ONE),
    (f"redis://:{PASSWORD}@a:6379,b:6379/0", "names several hosts|its port"),
    (f"redis://:{PASSWORD}@a:99999/0", PORT),
    (f"redis://:{PASSWORD}@a:0/0", PORT),
    (f"redis://:{PASSWORD}@a:-1/0", PORT),
    (f"redis://:{PASSWORD}@a:abc/0", PORT),
    (f"redis://:{PASSWORD}/with/slashes@a:6379/0", PORT),
    (f"redis://:{PASSWORD}@[::1/0", PORT),
    (f"redis://:{PASSWORD}@/0", "names no host"),
    ("redis://", "names no host"),
    ("redis:///0", "names no host"),
    (f"redis://:{PASSWORD}@a:6379/main", DATABASE),
    (f"redis://:{PASSWORD}@a:6379/0/1", DATABASE),
    (f"redis://:{PASSWORD}@a:6379/-1", DATABASE),
    (f"redis://:{PASSWORD}@a:6379/0?db=1", DATABASE),
    (f"redis://:{PASSWORD}@a:6379/0?colour={PASSWORD}", "has a parameter that is not known"),
    (f"redis://:{PASSWORD}@a:6379/0?ssl_cert_reqs=none", "begin with rediss://"),
    (f"rediss://:{PASSWORD}@a:6379/0?ssl_cert_reqs={PASSWORD}", "ssl_cert_reqs must be required or optional or none"),
    (f"unix://:{PASSWORD}@/", "names no path"),
    ("unix://run/redis.sock", "begins with a third slash"),
    ("redis+socket://", "names no path"),
    (f"redis:/{PASSWORD}", "must begin with one of"),
    (f"valkey://:{PASSWORD}@a", "must begin with one of"),
]
WRONG_BROKERS = [
    (f"amqp://u:{PASSWORD}@a:99999//", PORT),
    (f"amqp://u:{PASSWORD}@a:abc//", PORT),
    (f"amqps://u:{PASSWORD}@//", "names no host"),
    (f"amqp://u:{PASSWORD}@a:5672//;amqp://u:{PASSWORD}@b:0//", PORT),
    (f"amqp://u:p@a//,amqp://u:{PASSWORD}@b//", "by a semicolon"),
    (f"amqp://u:p@a,amqp://u:{PASSWORD}@b//", "by a semicolon"),
    (f"amqp://u:{PASSWORD}@a,b//", "by a semicolon"),
    (f"amqp://u:{PASSWORD}@a//;amqps://u:{PASSWORD}@b//", "must begin alike"),
    (f"amqp://u:{PASSWORD}@a//;redis://u:{PASSWORD}@b/0", "must begin alike"),
    (f"amqp://u:{PASSWORD}@a//;", "must begin with one of"),
    (f"amqp+x://u:{PASSWORD}@a:5672//", "must begin with one of"),
    (f"pyamqp://u:{PASSWORD}@a:5672//", "must begin with one of"),
]


@pytest.mark.parametrize(("url", "said"), [*WRONG, *WRONG_BROKERS])
def test_what_cannot_be_is_refused_without_its_password(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        check(url, (*AMQP, *REDIS, *SOCKETS))
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "by_redis", "by_kombu", "shown"),
    [
        ("redis://a", "redis://a:6379?db=0", "redis://a:6379/0", "a:6379"),
        ("redis://u:p%40@a:1/5", "redis://u:p%40@a:1?db=5", "redis://u:p%40@a:1/5", "a:1"),
        ("redis://:p@a:1?db=5", "redis://:p@a:1?db=5", "redis://:p@a:1/5", "a:1"),
        ("redis://[::1]:7/2", "redis://[::1]:7?db=2", "redis://[::1]:7/2", "[::1]:7"),
        ("rediss://a", "rediss://a:6379?db=0", "rediss://a:6379/0?ssl_cert_reqs=required", "a:6379"),
        (
            "rediss://a/1?ssl_cert_reqs=CERT_NONE",
            "rediss://a:6379?ssl_cert_reqs=none&db=1",
            "rediss://a:6379/1?ssl_cert_reqs=CERT_NONE",
            "a:6379",
        ),
        ("unix:///run/r.sock", "unix:///run/r.sock?db=0", "redis+socket:///run/r.sock?virtual_host=0", "/run/r.sock"),
        (
            "redis+socket://:p@/run/r.sock?virtual_host=3",
            "unix://:p@/run/r.sock?db=3",
            "redis+socket://:p@/run/r.sock?virtual_host=3",
            "/run/r.sock",
        ),
    ],
)
def test_each_client_gets_what_it_understands(url: str, by_redis: str, by_kombu: str, shown: str) -> None:
    check(url, (*REDIS, *SOCKETS))
    assert (for_redis(url), for_kombu(url), where(url)) == (by_redis, by_kombu, shown)


@pytest.mark.parametrize("port", ["99999", "0", "abc", "5432,70000"])
@pytest.mark.parametrize("form", ["postgresql://u:s3cret@{hosts}:{port}/d", "host={hosts} port={port} password=s3cret"])
def test_a_dsn_with_a_wrong_port_is_refused(port: str, form: str) -> None:
    if "," in port and form.startswith("postgresql"):
        form, port = "postgresql://u:s3cret@a:5432,b:70000/d", ""
    with pytest.raises(WrongUse, match="FUNDLYHUB_EVENTS_DSN") as caught:
        parsed_dsn("events", form.format(hosts="a,b" if "," in port else "a", port=port))
    assert PASSWORD not in str(caught.value)
