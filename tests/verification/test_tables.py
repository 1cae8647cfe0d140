"""Every column and row of every table that follows from the events: what was changed by hand is found and named."""

from __future__ import annotations

from uuid import UUID

import pytest

from fundlyhub.database import get_engine
from fundlyhub.processing.executor import execute
from fundlyhub.processors.projections import CampaignStatsProcessor
from fundlyhub.settings import Branch, Settings
from fundlyhub.verification import Finding
from fundlyhub.verification.tables.check import derived_tables
from fundlyhub.verification.tables.columns import Comparison, comparison
from tests.verification.world import GIFT, NAMELESS, OURS, WELLS, found, sql, verified

OTHER = {
    "text": "coalesce({0}, '') || 'x'",
    "uuid": "gen_random_uuid()",
    "bigint": "coalesce({0}, 0) + 1000000",
    "integer": "{0} + 1",
    "smallint": "{0} + 1",
    "numeric": "coalesce({0}, 0) + 1",
    "boolean": "NOT {0}",
    "timestamp with time zone": "coalesce({0}, now()) + interval '1 day'",
    "time without time zone": "'12:00'",
    "jsonb": "'\"another\"'",
    "tsvector": "'another'::tsvector",
    "ARRAY": "array_append({0}, 'another')",
}
"""Another value of a column, by its type."""

PROCESSORS = sorted(name for name, cls in OURS.items() if cls.tables)


def tables_of(processor: str) -> list[tuple[Branch, Comparison]]:
    """The tables that a processor keeps, and where."""
    branch = OURS[processor].database
    with get_engine(branch).connect() as db:
        kept = [comparison(db, branch, processor, one) for one in derived_tables(OURS[processor])]
    return [(branch, one) for one in kept if one]


def others(branch: Branch, name: str) -> dict[str, str]:
    """Per column of a table, SQL for another value of it."""
    columns = sql(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = %s AND is_generated = 'NEVER'",
        branch, name,
    )  # fmt: skip
    return {column: OTHER[kind].format(column) for column, kind in columns}


def some_row(branch: Branch, kept: Comparison) -> str:
    """A condition for one row, one that events have told of in full where that matters."""
    told = "email IS NOT NULL AND name IS NOT NULL" if kept.table.name == "contacts" else kept.table.where
    order = ", ".join(f"{column} DESC" if kept.table.where != "true" else column for column in kept.key)
    return f"ctid = (SELECT ctid FROM {branch}.{kept.table.name} WHERE {told} ORDER BY {order} LIMIT 1)"


def of_table(findings: list[Finding], kept: Comparison) -> list[Finding]:
    """Those that the comparison of this table has found."""
    return [one for one in findings if one.table == kept.table.name and "log's JSON" not in one.what]


@pytest.mark.parametrize("processor", PROCESSORS)
class TestEachTable:
    def test_another_value_in_any_column_is_found_and_the_column_named(self, at_rest: Settings, processor: str) -> None:
        changed = {}
        for branch, kept in tables_of(processor):
            given = {
                column: other for column, other in others(branch, kept.table.name).items() if column in kept.columns
            }
            if given:
                changes = ", ".join(f"{column} = {other}" for column, other in given.items())
                sql(f"UPDATE {branch}.{kept.table.name} SET {changes} WHERE {some_row(branch, kept)}")
                changed[kept.table.name] = given.keys()
        findings = found(processor)
        for _, kept in tables_of(processor):
            if kept.table.name in changed:
                (one,) = of_table(findings, kept)
                assert (one.kind, one.processor) == ("different", processor)
                assert set(one.columns) >= changed[kept.table.name]
                assert all(column in one.what for column in one.columns)

    def test_a_row_that_is_gone_is_missing(self, at_rest: Settings, processor: str) -> None:
        gone = {}
        for branch, kept in tables_of(processor):
            key = ", ".join(kept.key)
            rows = sql(f"DELETE FROM {branch}.{kept.table.name} WHERE {some_row(branch, kept)} RETURNING {key}")
            gone[kept.table.name] = [dict(zip(kept.key, row, strict=True)) for row in rows]
        findings = found(processor)
        for _, kept in tables_of(processor):
            missing = [one.key for one in of_table(findings, kept) if one.kind == "missing"]
            assert missing == gone[kept.table.name], kept.table.name

    def test_a_row_too_many_is_double(self, at_rest: Settings, processor: str) -> None:
        for branch, kept in tables_of(processor):
            values = others(branch, kept.table.name)
            chosen = ", ".join(values[column] if column == kept.key[-1] else column for column in values)
            sql(
                f"INSERT INTO {branch}.{kept.table.name} ({', '.join(values)})"
                f" SELECT {chosen} FROM {branch}.{kept.table.name} WHERE {some_row(branch, kept)}"
            )
        findings = found(processor)
        for _, kept in tables_of(processor):
            extra = of_table(findings, kept)
            assert [one.kind for one in extra] == ([] if kept.table.others_insert else ["double"]), kept.table.name


def test_what_waits_to_be_added_to_the_statistics_counts_with_them(at_rest: Settings) -> None:
    with get_engine("analytics").begin() as db:
        db.exec_driver_sql("""
            WITH gone AS (DELETE FROM campaign_stats_projection RETURNING *)
            INSERT INTO campaign_stats_waiting (campaign_id, currency, total_raised, donation_count, unique_donors,
                largest_donation, first_donation_at, last_donation_at, refund_count, total_refunded)
            SELECT campaign_id, currency, total_raised, donation_count, unique_donors, largest_donation,
                first_donation_at, last_donation_at, refund_count, total_refunded FROM gone
        """)
    assert found("campaign_stats") == []
    sql("UPDATE analytics.campaign_stats_waiting SET unique_donors = unique_donors + 1 WHERE campaign_id = %s", WELLS)
    (one,) = found("campaign_stats")
    assert (one.table, one.columns) == ("campaign_stats_projection", ("unique_donors",))


def test_no_text_of_anybody_is_in_a_finding(at_rest: Settings) -> None:
    sql("UPDATE app.contacts SET email = 'secret@example.org', name = 'Somebody Secret'")
    sql("UPDATE app.gift_donors SET amount = 4711")
    sql("UPDATE analytics.user_search_projection SET name = 'Somebody Secret'")
    document = str(verified("recipient_write", "search_index").document())
    assert "contacts (user_id" in document and "email" in document
    assert not any(word in document for word in ("secret@", "Secret", "4711", "Amara", "example.org"))


def test_what_the_api_service_writes_is_no_finding(at_rest: Settings) -> None:
    sql("UPDATE app.contacts SET phone = '+1', locale = 'de', quiet_from = '21:00', time_zone = 'Europe/Berlin'")
    sql("INSERT INTO app.contacts (user_id, name, email) VALUES (gen_random_uuid(), 'Ann', 'ann@example.org')")
    sql("INSERT INTO app.devices (user_id, token) VALUES (gen_random_uuid(), 'a token')")
    sql("INSERT INTO app.preferences VALUES (gen_random_uuid(), '*', 'email', false)")
    sql("INSERT INTO app.suppressions (channel, address_hash, reason) VALUES ('email', 'a hash', 'bounced')")
    assert sql("UPDATE app.contacts SET name = 'Given there' WHERE user_id = %s RETURNING email", NAMELESS)
    sql("UPDATE analytics.search_documents SET sent_version = version, version = version + 3, refused = 'no'")
    assert found() == []


def test_an_address_of_somebody_who_left_is_found(at_rest: Settings) -> None:
    sql("UPDATE app.contacts SET email = 'again@example.org' WHERE deleted")
    (one,) = found("recipient_write")
    assert (one.kind, one.table, one.columns) == ("different", "contacts", ("email",))


def test_numbers_that_differ_are_shown_as_they_are_and_as_they_should_be(at_rest: Settings) -> None:
    ((raised,),) = sql(
        "UPDATE analytics.campaign_stats_projection SET total_raised = total_raised + 7 WHERE campaign_id = %s"
        " RETURNING total_raised", WELLS,
    )  # fmt: skip
    one, other = found("campaign_stats")
    assert one.columns == ("total_raised", "average_donation")
    assert (one.expected["total_raised"], one.found["total_raised"]) == (str(raised - 7), str(raised))
    assert "from the log's JSON alone" in other.what


def test_a_fault_that_a_processor_makes_each_time_is_seen_by_the_sums_that_share_no_code(at_rest: Settings) -> None:
    """As if its code were wrong: both sides of the comparison of rows are, but not the log's JSON."""
    sql("UPDATE events.events SET payload = jsonb_set(payload, '{amount}', '0.01') WHERE type = 'donation.completed'"
        " AND payload ->> 'donationId' = %s", str(GIFT))  # fmt: skip
    (one,) = [one for one in found("campaign_stats") if "log's JSON" in one.what]
    assert one.kind == "different"
    assert one.columns == ("donation_count", "total_raised + total_refunded")


def test_what_a_person_has_corrected_counts_as_corrected(at_rest: Settings) -> None:
    position = broken_and_corrected()
    assert execute(CampaignStatsProcessor, [position], ends_wait=True).outcomes == {"done": 1}
    assert found("campaign_stats") == []
    sql("UPDATE events.corrections SET payload = jsonb_set(payload, '{amount}', '7')")
    assert {one.table for one in found("campaign_stats")} == {
        "donation_facts", "campaign_stats_projection",
    }  # fmt: skip


def broken_and_corrected() -> int:
    """A gift that came by SQL without an amount, and that an operator has given one and sent again."""
    gift = f'{{"donationId": "{UUID(int=77)}", "campaignId": "{WELLS}", "currency": "USD", "netAmount": 5,'
    gift += ' "paymentProvider": "stripe", "transactionId": "pi"}'
    sql("SELECT events.publish_event('donation.completed', %s::jsonb, version => '2.0.0')", gift)
    ((position,),) = sql("SELECT max(position) FROM events.events")
    assert execute(CampaignStatsProcessor, [position]).outcomes == {"dead": 1}
    sql("INSERT INTO events.corrections SELECT 'campaign_stats', position, id, version,"
        " payload || '{\"amount\": 5}' FROM events.events WHERE position = %s", position)  # fmt: skip
    sql("UPDATE events.dead_letters SET state = 'replayed'")
    return int(position)


class TestSample:
    def test_a_sample_of_all_campaigns_is_right_where_everything_is(self, at_rest: Settings) -> None:
        report = verified(sample=10_000)
        assert report.document()["findings"] == []
        assert report.sampled["campaigns"] > 10
        assert report.sampled["events"] == report.checked["events"] > 600
        writes = {cls.name for cls in OURS.values() if cls.queue in ("writes", "projections")}
        assert set(report.left_out) == writes - {"campaign_stats"}

    def test_a_small_sample_is_right_too(self, at_rest: Settings) -> None:
        report = verified("campaign_stats", sample=2)
        assert report.document()["findings"] == []
        assert report.sampled["campaigns"] == 2
        # The events are drawn by position, and a position that was rolled back has none.
        assert report.sampled["events"] == report.checked["events"] <= 2

    @pytest.mark.parametrize(
        "harm",
        [
            "UPDATE analytics.campaign_stats_projection SET unique_donors = unique_donors + 1",
            "DELETE FROM analytics.campaign_stats_projection",
            "DELETE FROM analytics.donation_refunds",
            "UPDATE analytics.donation_facts SET amount = amount + 1",
            "UPDATE analytics.campaign_donors SET donor_id = gen_random_uuid()",
            "INSERT INTO analytics.campaign_stats_projection (campaign_id, currency, total_raised, donation_count,"
            " unique_donors, largest_donation, first_donation_at, last_donation_at, refund_count, total_refunded)"
            " VALUES (gen_random_uuid(), 'USD', 1, 1, 1, 1, now(), now(), 0, 0)",
        ],
    )
    def test_what_is_wrong_in_it_is_found(self, at_rest: Settings, harm: str) -> None:
        sql(harm)
        assert found("campaign_stats", sample=10_000) != []
