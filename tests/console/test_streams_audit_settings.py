"""Quarantine, audits and settings in the console: decided on, paged, and without secrets."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from fundlyhub.console.masking import HIDDEN, masked
from fundlyhub.database import decisions, get_engine
from tests.console.site import Site

SECRET = "ada@example.org"
HELD = """
    INSERT INTO events.quarantine (stream, entry_id, digest, type, fields, reason)
    SELECT 'events', n || '-0', '', 'x', jsonb_build_array(jsonb_build_array('payload', %(x)s::text)), '<i>no type</i>'
    FROM generate_series(1, 60) AS n RETURNING id
"""


def test_quarantine_is_listed_shown_and_decided_on_under_the_visitors_name(site: Site) -> None:
    with get_engine("events").begin() as db:
        ids = list(db.exec_driver_sql(HELD, {"x": SECRET}).scalars())
    viewer, visitor, privacy = (site.visitor(level) for level in ("viewer", "operator", "privacy"))
    first = viewer.get("/streams").text
    second = viewer.get(f"/streams?before={ids[10]}").text
    assert "Quarantine: 60 open" in first
    assert [one for one in ids if f'/quarantine/{one}"' in first] == ids[10:]
    assert [one for one in ids if f'/quarantine/{one}"' in second] == ids[:10]
    path = f"/streams/quarantine/{ids[0]}"
    page = visitor.get(path).text
    assert "&lt;i&gt;no type" in page
    assert SECRET not in page
    assert privacy.post(f"{path}/fields", {"reason": ""}).status_code == 400
    assert SECRET in privacy.post(f"{path}/fields", {"reason": "ticket 8"}).text
    assert visitor.post(f"{path}/release", {"reason": "mended"}).headers["location"] == path
    assert f"Entry {ids[0]} stays: " in visitor.get(path).text
    assert visitor.post(f"{path}/discard", {"reason": ""}).status_code == 400
    assert visitor.post(f"{path}/discard", {"reason": "a test of theirs"}).status_code == 303
    assert "Decide" not in visitor.get(path).text
    assert visitor.post(f"{path}/discard", {"reason": "twice"}).status_code == 303
    assert "is discarded already" in visitor.get(path).text
    audit = viewer.get("/audit?kind=quarantine").text
    assert audit.count("a test of theirs") == 1
    assert f"entry {ids[0]} in quarantine: ticket 8" in viewer.get("/audit").text


def test_an_audit_is_read_page_by_page_and_by_who(site: Site) -> None:
    with get_engine("events").begin() as db:
        db.exec_driver_sql("DELETE FROM events.processor_pause_audit")
        db.exec_driver_sql("""
            INSERT INTO events.processor_pause_audit (processor, kind, who, action, details)
            SELECT 'activity_feed', 'by hand', CASE n %% 30 WHEN 0 THEN 'eve' ELSE 'ann' END, 'paused', '<u>' || n
            FROM generate_series(1, 120) AS n""")
    visitor = site.visitor("viewer")
    assert visitor.get("/audit?kind=pauses").text.count("&lt;u&gt;") == 50
    assert visitor.get("/audit?kind=pauses&who=eve").text.count("&lt;u&gt;") == 4
    assert visitor.get("/audit?kind=nothing").status_code == 404
    assert visitor.get("/audit?before=x").status_code == 400
    found, before = [], None
    with get_engine("events").connect() as db:
        while True:
            page = decisions.page(db, "pauses", who="eve", before=before, limit=2, most=25)
            found += [line.details for line in page.lines]
            before = page.next
            if before is None:
                break
    assert found == ["<u>120", "<u>90", "<u>60", "<u>30"], "what no page looks through at once is reached all the same"


def test_settings_are_for_operators_and_hold_no_secret(site: Site) -> None:
    assert "/settings" not in site.visitor("viewer").get("/").text
    page = site.visitor("operator").get("/settings").text
    assert "FUNDLYHUB_EVENTS_DSN" in page
    assert HIDDEN in page
    for secret in ("key for tests", "password="):
        assert secret not in page


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("events_dsn", SecretStr("postgresql://ann:s3cret@db:5433/x?password=s3cret"), "host=db port=5433 dbname=x"),
        ("events_dsn", SecretStr("host=db user=ann password='s3cret'"), "host=db"),
        ("events_dsn", SecretStr("s3cret"), HIDDEN),
        ("broker_url", SecretStr("amqp://ann:s3cret@a:5672//;amqp://ann:s3cret@b//"), "amqp://a:5672, amqp://b"),
        ("redis_url", SecretStr("unix://:s3cret@/run/redis.sock"), "unix://"),
        ("sendgrid_api_key", SecretStr("SG.s3cret"), HIDDEN),
        ("elasticsearch_url", SecretStr("https://s3cret@search/s3cret"), "https://search"),
        ("fcm_base_url", "https://ann:s3cret@proxy:8443/s3cret", "https://proxy:8443"),
        ("broker_url", SecretStr("amqp://ann:s3cret/@a"), HIDDEN),
        ("secret_key", None, ""),
    ],
)  # fmt: skip
def test_what_is_shown_of_a_setting_never_holds_its_secret(name: str, value: object, said: str) -> None:
    assert "s3cret" not in masked(name, value)
    assert masked(name, value) == said
