"""An activity as a sentence, also when a name is not known yet. Pure."""

from __future__ import annotations

from decimal import Decimal

from fundlyhub.processors.shared.money import plain_money

SENTENCES = {
    "followed_user": ("{actor} followed {target}", "someone"),
    "followed_organization": ("{actor} followed {target}", "an organization"),
    "followed_campaign": ("{actor} followed {target}", "a campaign"),
    "campaign_created": ("{actor} started {target}", "a campaign"),
    "campaign_updated": ("{actor} updated {target}", "a campaign"),
    "goal_reached": ("{target} reached its goal", "a campaign"),
    "donation_made": ("{actor} gave {money} to {target}", "a campaign"),
    "update_posted": ("{actor} posted {detail} on {target}", "a campaign"),
    "organization_verified": ("{target} was verified", "an organization"),
}
"""Each type's sentence, and what stands there for a target without a name."""


def sentence(
    kind: str,
    actor: str | None,
    target: str | None,
    detail: str | None = None,
    amount: Decimal | None = None,
    currency: str | None = None,
) -> str:
    """The sentence; someone without a name is "someone", and so is an anonymous donor."""
    template, nameless = SENTENCES[kind]
    text = template.format(
        actor=actor or "someone",
        target=target or nameless,
        detail=f'"{detail}"' if detail else "an update",
        money=plain_money(amount, currency) if amount is not None and currency else "something",
    )
    return text[:1].upper() + text[1:]
