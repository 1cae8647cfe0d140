"""The board: who gave how much, whatever comes when; and its own events on their whole way."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from donor_leaderboard.events import BadgeAwarded, BadgeAwardedV1
from donor_leaderboard.processors import BadgesProcessor, LeaderboardProcessor
from fundlyhub import DonationCompleted, DonationRefunded, get_engine, publish_event, publish_events
from fundlyhub.settings import Settings
from fundlyhub.testing import Platform, apply, assert_converges, build, drain

ANN, BEN, WELLS, ROOFS = (UUID(int=n) for n in (1, 2, 11, 12))
DONATIONS = [UUID(int=n) for n in range(21, 25)]
amounts = st.decimals(1, 9, places=2)
gifts = st.builds(
    lambda donation, campaign, donor, amount: build(
        DonationCompleted, donation_id=donation, campaign_id=campaign, donor_id=donor, amount=amount,
        net_amount=amount, transaction_id=f"pi_{donation}",
    ),
    st.sampled_from(DONATIONS), st.sampled_from([WELLS, ROOFS]), st.sampled_from([ANN, BEN, None]), amounts,
)  # fmt: skip
refunds = st.builds(
    lambda donation, refund, amount, by: build(
        DonationRefunded, donation_id=donation, refund_transaction_id=refund, refund_amount=amount, initiated_by=by
    ),
    st.sampled_from(DONATIONS), st.sampled_from(["re_1", "re_2"]), amounts, st.sampled_from(["system", ANN]),
)  # fmt: skip


def gift(amount: str, donor: UUID = ANN, **fields: Any) -> DonationCompleted:
    payload = build(DonationCompleted, campaign_id=WELLS, donor_id=donor, amount=Decimal(amount), **fields)
    assert isinstance(payload, DonationCompleted)
    return payload


def refund(of: DonationCompleted, name: str, amount: str) -> Any:
    given = {"donation_id": of.donation_id, "refund_transaction_id": name, "initiated_by": BEN}
    return build(DonationRefunded, refund_amount=Decimal(amount), **given)


def board() -> list[tuple[UUID, str, Decimal]]:
    query = """SELECT donor_id, currency, total FROM leaderboard_totals WHERE campaign_id = %s
               ORDER BY total DESC, donor_id"""
    with get_engine("analytics").connect() as db:
        return [tuple(row) for row in db.exec_driver_sql(query, (WELLS,))]


def command(*args: str) -> Any:
    """What a command prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "fundlyhub", *args, "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_donors_are_ranked_by_what_they_gave_and_did_not_get_back(fundlyhub_settings: Settings) -> None:
    first, second = gift("30.10"), gift("20", BEN)
    back = [refund(first, "a", "5"), refund(first, "b", "7.05")]
    apply(LeaderboardProcessor, [back[1], first, second, back[0], gift("99", is_anonymous=True)])
    assert board() == [(BEN, "USD", Decimal(20)), (ANN, "USD", Decimal("18.05"))]


def test_currencies_are_never_added(fundlyhub_settings: Settings) -> None:
    apply(LeaderboardProcessor, [gift("10", currency="USD"), gift("20", currency="EUR")])
    assert board() == [(ANN, "EUR", Decimal(20)), (ANN, "USD", Decimal(10))]


def test_any_order_ends_in_the_same_board(fundlyhub_settings: Settings) -> None:
    assert_converges(LeaderboardProcessor, st.one_of(gifts, refunds))


def test_a_badge_of_the_first_version_is_read_as_one_of_the_second(fundlyhub_settings: Settings) -> None:
    apply(BadgesProcessor, [BadgeAwardedV1(campaign_id=WELLS, donor_id=ANN, badge="top donor")])
    with get_engine("analytics").connect() as db:
        assert db.exec_driver_sql("SELECT badge, place FROM leaderboard_badges").all() == [("top donor", 1)]


def test_a_donor_is_told_of_a_badge_once(fundlyhub_settings: Settings) -> None:
    publish_event(build("user.registered", user_id=ANN, email="ann@example.org", name="Ann"))
    drain()
    badge = BadgeAwarded(campaign_id=WELLS, donor_id=ANN, badge="top donor", place=2)
    publish_events([badge, badge])
    drain()
    mails = [path.read_text() for path in (fundlyhub_settings.data_dir / "outbox").rglob("*.eml")]
    assert sum("you have earned the badge" in mail.lower() for mail in mails) == 1


def test_all_of_it_goes_the_whole_way_through_real_processes(
    fundlyhub_platform: Platform, fundlyhub_settings: Settings
) -> None:
    fundlyhub_platform.start()
    for user, name in ((ANN, "Ann"), (BEN, "Ben")):
        publish_event(build("user.registered", user_id=user, email=f"{name}@example.org", name=name))
    publish_event(build("campaign.created", campaign_id=WELLS, user_id=BEN, title="Wells"))  # messages name it
    publish_events([gift("30"), gift("20", BEN)])
    publish_event(BadgeAwardedV1(campaign_id=WELLS, donor_id=ANN, badge="first donor"))
    stands = fundlyhub_platform.settled()
    assert (stands["leaderboard"]["applied"], stands["leaderboard_badges"]["applied"]) == (2, 1)
    assert board() == [(ANN, "USD", Decimal(30)), (BEN, "USD", Decimal(20))]
    outbox = fundlyhub_settings.data_dir / "outbox"
    assert any("Your badge at Wells" in path.read_text() for path in outbox.rglob("*.eml")), fundlyhub_platform.logs()
    assert [(one["package"], one["state"]) for one in command("migrate", "--check")][-1] == ("leaderboard", "current")
    assert command("verify", "--grace", "0")["ok"]
    with get_engine("analytics").begin() as db:
        db.exec_driver_sql("UPDATE leaderboard_gifts SET amount = 1 WHERE donor_id = %s", (BEN,))
    done = subprocess.run([sys.executable, "-m", "fundlyhub", "verify", "--grace", "0", "--json"],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert [one["table"] for one in json.loads(done.stdout)["findings"]] == ["leaderboard_gifts"]
    command("rebuild", "start", "leaderboard")
    command("rebuild", "status", "leaderboard", "--wait", "100")
    assert sum(one["changed"] for one in command("rebuild", "diff", "leaderboard")) == 1
    command("rebuild", "swap", "leaderboard")
    assert command("verify", "--grace", "0")["ok"]
    assert board() == [(ANN, "USD", Decimal(30)), (BEN, "USD", Decimal(20))]
