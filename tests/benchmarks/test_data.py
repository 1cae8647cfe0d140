"""The donations of the benchmarks: always the same, few campaigns get most, and their totals are exact."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from benchmarks.data import CAMPAIGNS, START, Gift, differences, gifts, totals, write


def gift(n: int, campaign: int, donor: int, amount: str) -> Gift:
    """A donation with ids that one can read."""
    return Gift(UUID(int=n), START, UUID(int=n), UUID(int=campaign), UUID(int=donor), Decimal(amount))


GIVEN = [gift(1, 7, 1, "10.00"), gift(2, 7, 1, "0.01"), gift(3, 7, 2, "5.00"), gift(4, 8, 1, "1.10")]


def test_the_same_donations_come_each_time_and_a_small_run_has_the_first_of_a_large_one() -> None:
    assert list(gifts(50)) == list(gifts(200))[:50]


def test_no_two_donations_or_events_share_an_id() -> None:
    given = list(gifts(5_000))
    assert len({one.event_id for one in given}) == len({one.donation_id for one in given}) == 5_000


def test_the_campaign_of_rank_n_gets_the_nth_part_of_the_first() -> None:
    counted = Counter(one.campaign_id for one in gifts(50_000)).most_common()
    first = counted[0][1]
    assert len(counted) <= CAMPAIGNS
    for rank in (2, 5, 10):
        assert 0.8 < counted[rank - 1][1] * rank / first < 1.2


def test_totals_are_exact_and_count_each_donor_once() -> None:
    seven, eight = (totals(GIVEN)[UUID(int=n)].row() for n in (7, 8))
    assert seven == (Decimal("15.01"), 3, 2, Decimal("10.00"), Decimal("5.0033"))
    assert eight == (Decimal("1.10"), 1, 1, Decimal("1.10"), Decimal("1.1000"))


def test_an_average_is_rounded_as_the_server_does_it() -> None:
    given = [gift(1, 7, 1, "0.01"), *(gift(n, 7, 1, "0.00") for n in range(2, 41))]  # 0.01 / 40 = 0.00025
    assert totals(given)[UUID(int=7)].row()[4] == Decimal("0.0003"), "half a unit goes up, not to the even one"


def test_right_rows_differ_in_nothing() -> None:
    rows = [(campaign, *total.row()) for campaign, total in totals(GIVEN).items()]
    assert differences(totals(GIVEN), rows) == []


def test_a_wrong_row_a_missing_one_and_one_too_many_are_told() -> None:
    seven, eight = ((UUID(int=n), *totals(GIVEN)[UUID(int=n)].row()) for n in (7, 8))
    wrong = (seven[0], seven[1] + Decimal("0.01"), *seven[2:])
    assert len(differences(totals(GIVEN), [wrong, eight])) == 1
    assert len(differences(totals(GIVEN), [seven])) == 1
    assert len(differences(totals(GIVEN), [seven, eight, (UUID(int=9), *eight[1:])])) == 1


def test_the_file_has_a_line_for_each_event_and_is_made_once(tmp_path: Path) -> None:
    file = write(tmp_path / "gifts.jsonl", 10)
    lines = file.read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [str(one.event_id) for one in gifts(10)]
    paid = json.loads(lines[0], parse_float=Decimal)["payload"]
    assert paid["amount"] == next(gifts(1)).amount, "a number with a point is exact"
    made = file.stat().st_mtime_ns
    assert write(file, 10).stat().st_mtime_ns == made
