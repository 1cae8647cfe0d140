"""The catalogue of messages: which event sends what to whom, through which channels, and how urgently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from fundlyhub.channels.messages import ChannelName
from fundlyhub.errors import WrongUse
from fundlyhub.events import Payload
from fundlyhub.events import catalogue as payloads
from fundlyhub.processors.notifications.ledger.matters import DAY, EVENT

Recipient = Literal["user", "donor", "owner", "followed", "creator", "followers"]
"""The recipient: the user that the event is about, the donor, the campaign's owner, the followed user, the creator who
requested a payout, or all followers of the campaign."""
Category = Literal["account", "receipts", "donations", "campaigns", "payouts", "security", "social", "updates"]
"""What a user may opt out of, where it is not transactional. Messages of other packages may have categories of
their own."""
Priority = Literal["low", "medium", "high", "urgent"]
"""Urgent ones are not held back in quiet hours."""
IfUnknown = Literal["dead letter", "send again"]
"""What to do with a message that may or may not have gone out."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A kind of message to people: which event sends it, to whom, and through which channels.

    ``matter`` are the fields of its payload that make its business key: nobody gets it twice. ``facts`` are the values
    that its templates use beside the recipient's name. A ``short_lived`` one is not sent for events that were published
    late (``FUNDLYHUB_SIGN_IN_MAX_AGE``). ``summed`` are the facts of its digest beside the count.

    ::

        from fundlyhub import PayoutCancelled
        from fundlyhub.messages import Notice

        Notice(
            "payout_cancelled", PayoutCancelled, matter=("request_id",), recipient="creator", channels=("email", "push"),
            category="payouts", priority="high", transactional=True, facts=("amount",),
        )
    """

    template: str
    payload: type[Payload]
    matter: tuple[str, ...]
    recipient: Recipient
    channels: tuple[ChannelName, ...]
    category: Category | str
    priority: Priority
    transactional: bool
    facts: tuple[str, ...] = ()
    again: frozenset[ChannelName] = frozenset({"push"})
    limited: bool = True
    short_lived: bool = False
    summed: tuple[str, ...] = ()
    per_day: int | None = None
    """Most of them to one person or address in a day: a stranger can cause it, at an address that is not theirs."""

    @property
    def is_limited(self) -> bool:
        """Whether the hourly limit applies. Transactional messages are not limited."""
        return self.limited and not self.transactional

    @property
    def greets(self) -> bool:
        """Whether it greets its reader by name: not where the name may be a stranger's words."""
        return self.per_day is None

    @property
    def for_many(self) -> bool:
        """Whether it is a broadcast: all followers of a campaign get it."""
        return self.recipient == "followers"

    def if_unknown(self, channel: ChannelName) -> IfUnknown:
        """The policy; a push message is sent again, since the device shows the second in the first one's place."""
        return "send again" if channel in self.again else "dead letter"


_CAMPAIGN = ("campaign", "campaign_url")
_BY_CAMPAIGN = (*_CAMPAIGN, "parts", "others")
_DONATION, _PAYOUT = ("donation_id",), ("request_id",)
# The payment provider may report a refund id again with a larger sum: then the difference is a message of its own.
_REFUND = (*_DONATION, "refund_transaction_id", "refund_amount")
# A campaign may be paused, resumed and paused again: a decision is sent once a day.
_DECISION = ("campaign_id", DAY)
_REASONED = (*_DECISION, "reason")
_EVERYWHERE: frozenset[ChannelName] = frozenset({"email", "push", "sms"})
_EMAIL: tuple[ChannelName, ...] = ("email",)
_SCREEN: tuple[ChannelName, ...] = ("email", "push")
_ALL: tuple[ChannelName, ...] = ("email", "push", "sms")

# One message a line, as a table.
# fmt: off
_OURS: tuple[Notice, ...] = (
    Notice("welcome", payloads.UserRegistered, ("user_id",), "user", _EMAIL, "account", "medium", True, per_day=3),
    Notice("donation_receipt", payloads.DonationCompleted, _DONATION, "donor", _EMAIL, "receipts", "high", True, (*_CAMPAIGN, "amount", "reference", "donated_at", "anonymous")),
    Notice("donation_failed", payloads.DonationFailed, _DONATION, "donor", _SCREEN, "receipts", "high", True, (*_CAMPAIGN, "retryable"), per_day=20),
    Notice("refund", payloads.DonationRefunded, _REFUND, "donor", _EMAIL, "receipts", "high", True, (*_CAMPAIGN, "amount", "total", "given", "reference", "refunded_at")),
    Notice("new_donation", payloads.DonationCompleted, _DONATION, "owner", _SCREEN, "donations", "medium", False, (*_CAMPAIGN, "amount", "donor"), summed=("amount", *_BY_CAMPAIGN)),
    Notice("goal_reached", payloads.CampaignGoalReached, ("campaign_id", "goal_amount"), "owner", _SCREEN, "campaigns", "medium", False, (*_CAMPAIGN, "goal", "raised", "donors"), limited=False),
    Notice("campaign_approved", payloads.AdminCampaignApproved, _DECISION, "owner", _SCREEN, "campaigns", "high", True, _CAMPAIGN),
    Notice("campaign_rejected", payloads.AdminCampaignRejected, _REASONED, "owner", _SCREEN, "campaigns", "high", True, (*_CAMPAIGN, "reason")),
    Notice("campaign_paused", payloads.AdminCampaignPaused, _REASONED, "owner", _SCREEN, "campaigns", "high", True, (*_CAMPAIGN, "reason")),
    Notice("campaign_closed", payloads.AdminCampaignClosed, _REASONED, "owner", _SCREEN, "campaigns", "high", True, (*_CAMPAIGN, "reason")),
    Notice("new_follower", payloads.UserFollowedUser, ("follower_id", "followed_user_id"), "followed", _SCREEN, "social", "low", False, ("follower",)),
    Notice("payout_requested", payloads.PayoutRequested, _PAYOUT, "creator", _EMAIL, "payouts", "medium", True, ("amount",)),
    Notice("payout_approved", payloads.PayoutApproved, _PAYOUT, "creator", _SCREEN, "payouts", "medium", True, ("amount",)),
    Notice("payout_denied", payloads.PayoutDenied, _PAYOUT, "creator", _SCREEN, "payouts", "high", True, ("amount", "reason")),
    Notice("payout_completed", payloads.PayoutCompleted, _PAYOUT, "creator", _ALL, "payouts", "high", True, ("amount", "arrived_on")),
    Notice("payout_failed", payloads.PayoutFailed, _PAYOUT, "creator", _ALL, "payouts", "high", True, ("amount", "reason", "retryable")),
    Notice("bank_account_failed", payloads.PayoutBankAccountVerificationFailed, ("bank_account_id", "attempt_count"), "user", _ALL, "payouts", "high", True, ("reason", "retryable")),
    Notice("account_suspended", payloads.AdminUserSuspended, ("user_id", "suspended_until", "reason"), "user", _EMAIL, "security", "urgent", True, ("reason", "until")),
    Notice("new_sign_in", payloads.UserLoggedIn, (EVENT,), "user", _ALL, "security", "urgent", True, ("at", "device", "address"), again=_EVERYWHERE, short_lived=True, per_day=5),
    Notice("project_update", payloads.ProjectUpdateCreated, ("update_id",), "followers", _SCREEN, "updates", "low", False, (*_CAMPAIGN, "title", "excerpt"), summed=_BY_CAMPAIGN),
)
# fmt: on

_notices: list[Notice] = []
_by_template: dict[str, Notice] = {}
_digests: dict[str, Notice] = {}
_templates: dict[str, Notice] = {}

NOTICES: Sequence[Notice] = _notices
"""All messages: ours, then those that other packages have added."""
BY_TEMPLATE: Mapping[str, Notice] = MappingProxyType(_by_template)
"""The same by template."""
DIGESTS: Mapping[str, Notice] = MappingProxyType(_digests)
"""The digests of messages beyond the hourly limit, by the templates that count to it."""
TEMPLATES: Mapping[str, Notice] = MappingProxyType(_templates)
"""All messages, digests included, by template."""


def add(notice: Notice) -> None:
    """Enter a message, with its digest where it is limited. Raises WrongUse when a template is taken."""
    if taken := {notice.template, f"{notice.template}_digest"} & _templates.keys():
        raise WrongUse(f"there is a message {taken.pop()} already")
    _notices.append(notice)
    _by_template[notice.template] = _templates[notice.template] = notice
    if notice.is_limited:
        digest = _digests[notice.template] = digest_of(notice)
        _templates[digest.template] = digest


def remove(notice: Notice) -> None:
    """Take an added message out again, for tests."""
    _notices.remove(notice)
    del _by_template[notice.template], _templates[notice.template]
    if notice.is_limited:
        del _templates[_digests.pop(notice.template).template]


def digest_of(notice: Notice) -> Notice:
    """The digest of a limited message.

    No event waits for a digest, so it cannot become a dead letter: one that may have gone out is sent again.
    """
    return replace(
        notice, template=f"{notice.template}_digest", matter=(), recipient="user", limited=False,
        facts=("count", *notice.summed), again=_EVERYWHERE,
    )  # fmt: skip


def notices_of(payload: type[Payload], channel: ChannelName) -> tuple[Notice, ...]:
    """The messages of a payload class through a channel."""
    return tuple(notice for notice in NOTICES if notice.payload is payload and channel in notice.channels)


def payloads_through(channel: ChannelName, *, for_many: bool) -> tuple[type[Payload], ...]:
    """The payload classes with messages, or with broadcasts, through a channel; for a processor's ``handles``."""
    found = (notice for notice in NOTICES if channel in notice.channels and notice.for_many == for_many)
    return tuple(dict.fromkeys(notice.payload for notice in found))


for _one in _OURS:
    add(_one)
