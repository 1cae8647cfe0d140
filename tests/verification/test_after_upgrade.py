"""What an upgrade finds of older events, and that docs/verify.md puts it right: its statements, then the repair."""

from __future__ import annotations

import psycopg

from fundlyhub.processors.writes import RecipientWriteProcessor
from fundlyhub.settings import Settings
from tests.docs.blocks import blocks_of
from tests.support import ROOT
from tests.verification.world import apply, found, sql, verified

NEW_TYPES = "type = 'donation.refunded' OR type LIKE 'payout.%' AND type <> 'payout.requested'"
FORMERLY = (
    f"DELETE FROM app.processed_events WHERE processor = 'recipient_write' AND position IN "
    f"(SELECT position FROM events.events WHERE {NEW_TYPES})",
    "DELETE FROM app.entity_fields WHERE kind IN ('payout', 'bank_account')",
    "DELETE FROM app.gift_refunds",
    "UPDATE app.gift_donors SET transaction_id = NULL",
    "UPDATE app.sign_ins SET place = md5(place)",
)  # fmt: skip
"""Makes the rows of recipients those of a release that knew neither payouts' states, nor refunds, nor
transactions, and to which a place was something else."""


def statements_of_the_page() -> str:
    (block,) = (one for one in blocks_of(ROOT / "docs" / "verify.md") if "gift_donors" in one.text)
    return block.text


def test_each_finding_of_the_page_is_found_and_its_repair_leaves_none(at_rest: Settings) -> None:
    for statement in FORMERLY:
        sql(statement)
    first = {(one.kind, one.table) for one in found("recipient_write")}
    assert first >= {("missing", None), ("missing", "entity_fields"), ("different", "gift_donors")}

    apply([RecipientWriteProcessor])  # as `verify --repair` does
    left = {(one.kind, one.table) for one in found("recipient_write")}
    signed_in = {("missing", "sign_ins"), ("double", "sign_ins")}
    assert left == {("missing", "entity_fields"), ("different", "gift_donors"), *signed_in}

    with psycopg.connect(at_rest.dsn("app"), autocommit=True) as db:
        db.execute("SET search_path = app")
        db.execute(statements_of_the_page().encode())
    apply([RecipientWriteProcessor])
    assert verified("recipient_write").findings.listed == []
