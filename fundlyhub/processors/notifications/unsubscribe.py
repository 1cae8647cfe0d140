"""Unsubscribe links: signed tokens by which a reader of a mail opts out of a category, without a login."""

from __future__ import annotations

import hmac
from uuid import UUID

from fundlyhub.errors import FundlyHubError
from fundlyhub.processors.shared.address_hashes import keyed_hash


class InvalidToken(FundlyHubError):
    """A token that was not made with this installation's secret."""


def unsubscribe_url(public_url: str, user_id: UUID, category: str, secret: bytes) -> str:
    """The link by which the reader of a mail opts out of a category. It never expires."""
    return f"{public_url.rstrip('/')}/unsubscribe/{token_for(user_id, category, secret)}"


def token_for(user_id: UUID, category: str, secret: bytes) -> str:
    """A user's id and a category, signed."""
    said = f"{user_id.hex}.{category}"
    return f"{said}.{keyed_hash('unsubscribe', said, secret)}"


def read_token(token: str, secret: bytes) -> tuple[UUID, str]:
    """The user and the category of a token. Raises InvalidToken when its signature is wrong."""
    said, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature.encode(), keyed_hash("unsubscribe", said, secret).encode()):
        raise InvalidToken("this link is not one of ours, or it is not whole")
    user, _, category = said.partition(".")
    return UUID(user), category
