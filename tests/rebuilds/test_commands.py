"""`fundlyhub rebuild`: what its commands say where they do nothing, or find nothing."""

from __future__ import annotations

from uuid import UUID

from fundlyhub.settings import Settings
from tests.support.command import Done, dsns, fundlyhub
from tests.verification.world import WELLS

NOBODY = UUID(int=7)


def rebuild(settings: Settings, *given: str) -> Done:
    """The command, without a broker."""
    variables = {**dsns(settings.dsn("events")), "COLUMNS": "200", "FUNDLYHUB_SECRET_KEY": "a key for tests"}
    return fundlyhub(*given, settings=variables)


def test_rows_of_one_aggregate_cannot_be_put_back_and_it_is_said_why(at_rest: Settings) -> None:
    done = rebuild(at_rest, "rebuild", "undo", "campaign_stats", "--aggregate", str(WELLS))
    assert (done.returncode, done.stdout) == (2, "")
    assert "are not kept, so there is nothing to go back to" in done.stderr


def test_an_option_of_whole_rebuilds_is_not_left_out_silently(at_rest: Settings) -> None:
    done = rebuild(at_rest, "rebuild", "swap", "campaign_stats", "--aggregate", str(WELLS), "--despite-findings")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--despite-findings is of whole rebuilds" in done.stderr


def test_an_id_that_no_event_names_is_told_from_one_whose_rows_are_right(at_rest: Settings) -> None:
    done = rebuild(at_rest, "rebuild", "swap", "campaign_stats", "--aggregate", str(NOBODY))
    assert f"No event that campaign_stats has applied is about {NOBODY}" in done.stdout
    assert "No event" not in rebuild(at_rest, "rebuild", "swap", "campaign_stats", "--aggregate", str(WELLS)).stdout
    assert (
        "No event that campaign_stats wants is about it"
        in rebuild(at_rest, "explain", "campaign_stats", str(NOBODY)).stdout
    )
    assert "No event" not in rebuild(at_rest, "explain", "campaign_stats", str(WELLS)).stdout


def test_what_shares_a_table_says_how_it_can_be_rebuilt_all_the_same(at_rest: Settings) -> None:
    done = rebuild(at_rest, "rebuild", "start", "reference_write")
    assert done.returncode == 2
    assert "recipient_write writes to entity_fields too" in done.stderr
    assert "The rows of one aggregate can be: `--aggregate ID`" in done.stderr
