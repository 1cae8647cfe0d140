"""The app of the webhooks, with the keys of both providers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from pydantic import SecretStr

from fundlyhub.database import get_engine
from fundlyhub.settings import Settings
from fundlyhub.webhooks.app import make_app
from tests.webhooks.asking import PUBLIC, TOKEN, Ask, asking


@pytest.fixture
def configured(settings: Settings) -> Settings:
    """Both providers' keys are set; nobody has asked anything yet."""
    with redis.Redis.from_url(settings.redis) as client:
        for key in client.scan_iter("fundlyhub:webhooks:*"):
            client.delete(key)
    changes: Any = {"sendgrid_webhook_key": PUBLIC, "public_url": "https://hooks.example"}
    return settings.model_copy(update={**changes, "twilio_auth_token": SecretStr(TOKEN)})


@pytest.fixture
def ask(configured: Settings) -> Iterator[Ask]:
    """Requests to the app."""
    yield asking(make_app(configured, get_engine("app")))
