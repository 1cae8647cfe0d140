"""Documents: the searchable content of public entities, from their fields. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from fundlyhub.processors.projections.search_index.texts import clean, folded
from fundlyhub.processors.shared.last_writer_fields import Entity
from fundlyhub.processors.shared.visibility import DECIDING, shown

Fields = Mapping[str, Any]

VERIFIED = 3
"""What being verified adds to popularity: as much as seven more followers do to one."""

WANTED: Mapping[str, frozenset[str]] = {
    "campaign": DECIDING["campaign"]
    | {
        "title",
        "summary",
        "story",
        "beneficiary_name",
        "location",
        "slug",
        "category_id",
        "is_discoverable",
        "created_at",
    },
    "user": DECIDING["user"] | {"name", "bio", "location", "is_verified", "created_at"},
    "organization": DECIDING["organization"] | {"legal_name", "dba_name", "categories", "country", "created_at"},
}
"""The fields that documents are made of, per kind. No e-mail address is among them."""


class Document(NamedTuple):
    """A row of its kind's table: ``columns`` are those of its own, without the key."""

    entity: Entity
    columns: Mapping[str, Any]
    created_at: datetime | None
    popularity: int
    title_key: str

    @property
    def digest(self) -> str:
        """The same for the same content."""
        content = [self.columns, self.created_at, self.popularity, self.title_key]
        return sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def level(count: int) -> int:
    """Popularity on a scale that few events move: the number of binary digits of the count."""
    return max(0, count).bit_length()


def document(entity: Entity, fields: Fields, followers: int) -> Document | None:
    """The document of an entity; None if it is private, hidden, deleted or has no name."""
    if not shown(entity.kind, fields) or fields.get("is_discoverable") is False:
        return None
    columns, names, verified = _MAKERS[entity.kind](fields)
    title = " ".join(name for name in names if name)
    if not title:
        return None
    created = fields.get("created_at")
    return Document(
        entity,
        columns,
        datetime.fromisoformat(created) if created else None,
        level(followers) + (VERIFIED if verified else 0),
        folded(title),
    )


def _campaign(fields: Fields) -> tuple[Mapping[str, Any], tuple[str, ...], bool]:
    title = clean(fields.get("title"))
    return (
        {
            "title": title,
            "summary": clean(fields.get("summary")),
            "beneficiary_name": clean(fields.get("beneficiary_name")),
            "story_text": clean(fields.get("story")),
            "location": clean(fields.get("location")),
            "slug": fields.get("slug"),
            "category_id": fields.get("category_id"),
            "status": fields["status"],
        },
        (title,),
        False,
    )


def _user(fields: Fields) -> tuple[Mapping[str, Any], tuple[str, ...], bool]:
    name, verified = clean(fields.get("name")), bool(fields.get("is_verified"))
    bio, location = clean(fields.get("bio")), clean(fields.get("location"))
    return {"name": name, "bio": bio, "location": location, "is_verified": verified}, (name,), verified


def _organization(fields: Fields) -> tuple[Mapping[str, Any], tuple[str, ...], bool]:
    legal, known = clean(fields.get("legal_name")), clean(fields.get("dba_name"))
    status = fields.get("verification_status") or "pending"
    return (
        {
            "legal_name": legal,
            "dba_name": known,
            "categories": [category for name in fields.get("categories") or () if (category := clean(name))],
            "country": clean(fields.get("country")),
            "verification_status": status,
        },
        (known, legal),
        status == "verified",
    )


_MAKERS: Mapping[str, Callable[[Fields], tuple[Mapping[str, Any], tuple[str, ...], bool]]] = {
    "campaign": _campaign,
    "user": _user,
    "organization": _organization,
}
"""Per kind: the columns, what it is called, and whether it is verified."""
