"""What requests carry. Only their shape is checked here: the rules of events are checked when they are published."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field


class NewUser(BaseModel):
    """Somebody signs up."""

    name: str
    email: str


class NewCampaign(BaseModel):
    """Somebody opens a campaign."""

    owner_id: UUID
    title: str = Field(min_length=1)
    story: str = ""
    goal_amount: Decimal = Field(gt=0)
    currency: str = "USD"


class NewDonation(BaseModel):
    """Somebody gives; a guest has no ``donor_id``."""

    campaign_id: UUID
    donor_id: UUID | None = None
    amount: Decimal = Field(gt=0)
    is_anonymous: bool = False


class NewRefund(BaseModel):
    """Some of a gift goes back."""

    donation_id: UUID
    amount: Decimal = Field(gt=0)
    reason: str = "asked for"
    initiated_by: UUID


Kind = Literal["user", "campaign"]
"""What can be followed here."""
