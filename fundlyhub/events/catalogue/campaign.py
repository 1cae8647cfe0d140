"""Events of campaigns: creation, edits, deletion, status, goal and access."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, StringConstraints

from fundlyhub.events.payload import (
    UUID,
    Amount,
    Changes,
    Count,
    Currency,
    DayOfText,
    Email,
    Flag,
    Kept,
    Line,
    Link,
    ListOf,
    MoneyPayload,
    Payload,
    SignedAmount,
    Slug,
    Text,
    WireModel,
)
from fundlyhub.events.personal import CODE, CONTENT, REFERENCE, Personal

Status = Literal["draft", "pending", "active", "paused", "ended", "closed", "completed", "cancelled"]
Visibility = Literal["public", "private", "unlisted"]


class Milestone(WireModel):
    """A step on the way to a project's goal."""

    title: Annotated[Line, CONTENT]
    description: Annotated[Text | None, CONTENT] = None
    target_amount: Amount
    due_date: DayOfText | None = None


class CampaignCreated(MoneyPayload, type="campaign.created", aggregate=("campaign", "campaign_id")):
    """A campaign has been created; its passcode and link token are secrets and are not stored."""

    money_fields: ClassVar[tuple[str, ...]] = ("goal_amount",)

    campaign_id: UUID
    user_id: UUID
    title: Annotated[Line, CONTENT]
    slug: Annotated[Slug, CONTENT]
    summary: Annotated[Text | None, CONTENT] = None
    story: Annotated[Text, CONTENT]
    goal_amount: Amount
    currency: Currency = "USD"
    category_id: UUID | None = None
    beneficiary_name: Annotated[Line | None, Personal("name", "user_id")] = None
    location: Annotated[Line | None, CONTENT] = None
    cover_image: Annotated[Link | None, CONTENT] = None
    cover_image_id: UUID | None = None
    end_date: DayOfText | None = None
    visibility: Visibility
    type: Annotated[Line, CODE] = "personal"
    status: Status
    is_project: Flag = False
    is_discoverable: Flag = True
    milestones: ListOf[Milestone] | None = None
    allowlist_emails: Annotated[ListOf[Email] | None, Personal("address")] = None

    def _amounts(self) -> Iterator[tuple[str, Decimal | None]]:
        yield from super()._amounts()
        for index, milestone in enumerate(self.milestones or ()):
            yield f"milestones[{index}].target_amount", milestone.target_amount


class CampaignChanges(Changes):
    """Columns of a campaign that an edit may change: never its owner, its secrets or its deletion."""

    title: Annotated[Kept[Line], CONTENT] = None
    slug: Annotated[Kept[Slug], CONTENT] = None
    summary: Annotated[Text | None, CONTENT] = None
    story_html: Annotated[Text | None, CONTENT] = None
    goal_amount: Kept[Amount] = None
    currency: Kept[Currency] = None
    category_id: UUID | None = None
    tags: Annotated[ListOf[Line] | None, CONTENT] = None
    cover_image: Annotated[Link | None, CONTENT] = None
    images: Annotated[ListOf[Link] | None, CONTENT] = None
    video_url: Annotated[Link | None, CONTENT] = None
    status: Kept[Status] = None
    visibility: Kept[Visibility] = None
    type: Annotated[Kept[Line], CODE] = None
    is_discoverable: Kept[Flag] = None
    is_project: Kept[Flag] = None
    beneficiary_name: Annotated[Line | None, Personal("name", "campaign_id")] = None
    beneficiary_contact: Annotated[Line | None, Personal("address", "campaign_id")] = None
    location: Annotated[Line | None, CONTENT] = None
    end_date: DayOfText | None = None


class PreviousCampaignValues(CampaignChanges):
    """The old values by column; for an operator's edit its reason and the campaign's owner instead."""

    slug: Annotated[Kept[Line], CONTENT] = None  # of before there was a rule, perhaps
    reason: Annotated[Text | None, Personal("text", "campaign_id")] = None
    ownerId: UUID | None = None  # camelCase, as the platform's operator page writes it


class CampaignUpdated(Payload, type="campaign.updated", aggregate=("campaign", "campaign_id")):
    """A campaign has been edited, by its owner or an operator."""

    campaign_id: UUID
    user_id: UUID
    changes: CampaignChanges
    previous_values: PreviousCampaignValues | None = None


class CampaignDeleted(Payload, type="campaign.deleted", aggregate=("campaign", "campaign_id")):
    """A campaign has been deleted; the platform keeps its row and marks it."""

    campaign_id: UUID
    user_id: UUID
    reason: Annotated[Text | None, Personal("text", "campaign_id")] = None


class CampaignGoalReached(Payload, type="campaign.goal_reached", aggregate=("campaign", "campaign_id")):
    """A campaign has reached its goal."""

    campaign_id: UUID
    goal_amount: SignedAmount
    total_raised: SignedAmount
    donor_count: Count


class CampaignStatusChanged(Payload, type="campaign.status_changed", aggregate=("campaign", "campaign_id")):
    """The status of a campaign has changed."""

    campaign_id: UUID
    previous_status: Status
    new_status: Status
    reason: Annotated[Text | None, Personal("text", "campaign_id")] = None


class _SnakeCasePayload(Payload):
    """Base of the payloads that the platform's page functions write in snake_case."""

    model_config = ConfigDict(alias_generator=None)


def _allowed(value: Any) -> Any:
    return False if value == "" else value


class CampaignAccessChecked(_SnakeCasePayload, type="campaign.access.checked", aggregate=("campaign", "campaign_id")):
    """Access to a campaign's page was requested; without a token ``allowed`` may be empty, which means false."""

    campaign_id: UUID
    allowed: Annotated[Flag, BeforeValidator(_allowed)] = False
    method: Literal["public", "link_token", "passcode", "allowlist", "denied"]


class CampaignLinkRotated(_SnakeCasePayload, type="campaign.link.rotated", aggregate=("campaign", "campaign_id")):
    """A campaign's private link has been replaced; only the end of the new token is included."""

    campaign_id: UUID
    link_token_last4: Annotated[str, StringConstraints(strict=True, min_length=4, max_length=4), REFERENCE]
    user_id: UUID
