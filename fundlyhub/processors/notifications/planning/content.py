"""The content of each message: the facts of its templates, and its recipient, from the event's payload.

It holds nothing of another person but what is public: an anonymous donation tells its campaign's owner nothing of the
donor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

from fundlyhub.events import Event
from fundlyhub.events import catalogue as payloads
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.planning.browsers import browser_of, network_address
from fundlyhub.processors.notifications.planning.lookup import Campaign, Lookup, Unwanted
from fundlyhub.processors.notifications.rendering.excerpts import excerpt
from fundlyhub.processors.notifications.rendering.template_values import Facts, Money


class Followers(NamedTuple):
    """The recipients of a broadcast: all followers of a campaign, or those who have donated to it."""

    campaign_id: UUID
    donors_only: bool


Decision = payloads.AdminCampaignRejected | payloads.AdminCampaignPaused | payloads.AdminCampaignClosed
Content = tuple[Facts, Person | Followers]
"""The facts of a message, and its recipient as the event says it: a user, a guest, or followers."""


def content_of(template: str, event: Event, lookup: Lookup) -> Content:
    """The content of an event's message.

    Raises Missing when something is not known yet, Unwanted when there is nothing to tell, and Held when a person has
    to decide first.
    """
    lookup.refuse_overtaken(event)
    return _CONTENTS[template](event.payload, event, lookup)


def _campaign(campaign: Campaign | None) -> dict[str, Any]:
    return {"campaign": campaign.title if campaign else None, "campaign_url": campaign.url if campaign else None}


def _welcome(payload: payloads.UserRegistered, event: Event, lookup: Lookup) -> Content:
    return {}, Person(payload.user_id, payload.name, payload.email)


def _receipt(payload: payloads.DonationCompleted, event: Event, lookup: Lookup) -> Content:
    facts: Facts = {
        **_campaign(lookup.campaign(payload.campaign_id)),
        "amount": Money(payload.amount, payload.currency),
        "reference": str(payload.donation_id),
        "donated_at": event.timestamp,
        "anonymous": bool(payload.is_anonymous),
    }
    return facts, Person(payload.donor_id, payload.donor_name, payload.donor_email)


def _donation_failed(payload: payloads.DonationFailed, event: Event, lookup: Lookup) -> Content:
    facts: Facts = {**_campaign(lookup.campaign(payload.campaign_id)), "retryable": payload.retryable}
    return facts, Person(payload.donor_id)


def _refund(payload: payloads.DonationRefunded, event: Event, lookup: Lookup) -> Content:
    gift = lookup.gift(payload.donation_id)
    told = lookup.refund(event, payload, gift)
    facts: Facts = {
        **_campaign(lookup.campaign(gift.campaign_id)),
        "amount": Money(told.amount, gift.currency),
        "total": Money(told.total, gift.currency) if told.total != told.amount else None,
        "given": Money(gift.amount, gift.currency),
        "reference": str(payload.donation_id),
        "refunded_at": event.timestamp,
    }
    return facts, Person(gift.donor_id, gift.name, gift.email)


def _new_donation(payload: payloads.DonationCompleted, event: Event, lookup: Lookup) -> Content:
    """Names the donor only when the payload says that the donation is not anonymous, and the donor is public."""
    campaign = lookup.owned(payload.campaign_id)
    if campaign.owner_id == payload.donor_id:
        raise Unwanted("own donation")
    named = payload.is_anonymous is False and payload.donor_id is not None
    facts: Facts = {
        **_campaign(campaign),
        "amount": Money(payload.amount, payload.currency),
        "donor": lookup.public_name(payload.donor_id) if named and payload.donor_id else None,
    }
    return facts, Person(campaign.owner_id)


def _goal_reached(payload: payloads.CampaignGoalReached, event: Event, lookup: Lookup) -> Content:
    campaign = lookup.owned(payload.campaign_id)
    known = campaign.currency
    facts: Facts = {
        **_campaign(campaign),
        "goal": Money(payload.goal_amount, known) if known else None,
        "raised": Money(payload.total_raised, known) if known else None,
        "donors": payload.donor_count,
    }
    return facts, Person(campaign.owner_id)


def _campaign_approved(payload: payloads.AdminCampaignApproved, event: Event, lookup: Lookup) -> Content:
    campaign = lookup.owned(payload.campaign_id)
    return _campaign(campaign), Person(campaign.owner_id)


def _campaign_decision(payload: Decision, event: Event, lookup: Lookup) -> Content:
    campaign = lookup.owned(payload.campaign_id)
    return {**_campaign(campaign), "reason": payload.reason}, Person(campaign.owner_id)


def _new_follower(payload: payloads.UserFollowedUser, event: Event, lookup: Lookup) -> Content:
    if payload.follower_id == payload.followed_user_id:
        raise Unwanted("own follow")
    return {"follower": lookup.public_name(payload.follower_id)}, Person(payload.followed_user_id)


def _payout_requested(payload: payloads.PayoutRequested, event: Event, lookup: Lookup) -> Content:
    return {"amount": Money(payload.amount, payload.currency)}, Person(payload.user_id)


def _payout(payload: Any, event: Event, lookup: Lookup) -> Content:
    request = lookup.payout(payload.request_id)
    facts: dict[str, Any] = {"amount": Money(request.amount, request.currency)}
    match payload:
        case payloads.PayoutDenied():
            facts["reason"] = payload.denial_reason
        case payloads.PayoutCompleted():
            facts["arrived_on"] = payload.actual_arrival_date
        case payloads.PayoutFailed():
            facts |= {"reason": payload.failure_reason, "retryable": payload.is_retryable}
    return facts, Person(request.user_id)


def _bank_account_failed(
    payload: payloads.PayoutBankAccountVerificationFailed, event: Event, lookup: Lookup
) -> Content:
    facts: Facts = {"reason": payload.failure_reason, "retryable": payload.can_retry}
    return facts, Person(payload.user_id)


def _suspended(payload: payloads.AdminUserSuspended, event: Event, lookup: Lookup) -> Content:
    facts: Facts = {"reason": payload.reason, "until": payload.suspended_until}
    return facts, Person(payload.user_id)


def _new_sign_in(payload: payloads.UserLoggedIn, event: Event, lookup: Lookup) -> Content:
    if not lookup.is_new_place(event, payload):
        raise Unwanted("known place")
    facts: Facts = {
        "at": event.timestamp,
        "device": browser_of(payload.user_agent),
        "address": network_address(payload.ip_address),
    }
    return facts, Person(payload.user_id)


def _project_update(payload: payloads.ProjectUpdateCreated, event: Event, lookup: Lookup) -> Content:
    campaign = lookup.campaign(payload.fundraiser_id)
    if lookup.is_withdrawn(payload.update_id) or (campaign and campaign.deleted):
        raise Unwanted("withdrawn")
    facts: Facts = {**_campaign(campaign), "title": payload.title, "excerpt": excerpt(payload.body)}
    return facts, Followers(payload.fundraiser_id, payload.visibility == "donors_only")


Says = Callable[[Any, Event, Lookup], Content]
"""What a message's content is made by, of the payload, its event and lookups."""

_CONTENTS: dict[str, Says] = {
    "welcome": _welcome,
    "donation_receipt": _receipt,
    "donation_failed": _donation_failed,
    "refund": _refund,
    "new_donation": _new_donation,
    "goal_reached": _goal_reached,
    "campaign_approved": _campaign_approved,
    "campaign_rejected": _campaign_decision,
    "campaign_paused": _campaign_decision,
    "campaign_closed": _campaign_decision,
    "new_follower": _new_follower,
    "payout_requested": _payout_requested,
    "payout_approved": _payout,
    "payout_denied": _payout,
    "payout_completed": _payout,
    "payout_failed": _payout,
    "bank_account_failed": _bank_account_failed,
    "account_suspended": _suspended,
    "new_sign_in": _new_sign_in,
    "project_update": _project_update,
}


def add(template: str, says: Says) -> None:
    """Enter what makes the content of another package's message."""
    _CONTENTS[template] = says
