"""A service account's file for the fake of FCM, with a key of its own."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


def service_account(folder: Path, token_url: str) -> Path:
    """Write the file into a folder; access tokens are asked for at ``token_url``."""
    path = folder / "service-account.json"
    account = {
        "type": "service_account", "project_id": "fundlyhub-test", "private_key_id": "1", "private_key": _private_key(),
        "client_email": "test@fundlyhub-test.iam.gserviceaccount.com", "client_id": "1", "token_uri": token_url,
    }  # fmt: skip
    path.write_text(json.dumps(account))
    return path


@cache
def _private_key() -> str:
    key = rsa.generate_private_key(65537, key_size=1024)  # noqa: S505  # a longer one takes 20 ms at each reading
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
