"""Events of stored images: uploaded, linked, optimized, deleted, and the clean-up of drafts."""

from __future__ import annotations

from typing import Annotated, Literal

from fundlyhub.events.payload import UUID, Count, Line, Link, Number, Payload, Url
from fundlyhub.events.personal import CODE, CONTENT, Personal


class StorageImageUploaded(Payload, type="storage.image.uploaded", aggregate=("image", "image_id")):
    """An image has been stored."""

    image_id: UUID
    user_id: UUID
    fundraiser_id: UUID | None = None
    storage_path: Annotated[Link, Personal("picture", "user_id")]
    public_url: Annotated[Url, Personal("picture", "user_id")]
    file_name: Annotated[Line, Personal("picture", "user_id")]
    file_size: Count
    mime_type: Annotated[Line, CODE]
    image_type: Literal["cover", "gallery", "draft"]
    bucket: Literal["fundraiser-images", "fundraiser-gallery", "fundraiser-drafts"]
    width: Count | None = None
    height: Count | None = None


class StorageImageDeleted(Payload, type="storage.image.deleted", aggregate=("image", "image_id")):
    """An image has been deleted, or will be."""

    image_id: UUID
    user_id: UUID
    storage_path: Annotated[Link, Personal("picture", "user_id")]
    bucket: Annotated[Line, CODE]
    reason: Literal["user_deleted", "fundraiser_deleted", "draft_expired", "admin_action"]


class StorageImageLinked(Payload, type="storage.image.linked", aggregate=("image", "image_id")):
    """An image now belongs to a campaign."""

    image_id: UUID
    fundraiser_id: UUID
    user_id: UUID
    image_type: Literal["cover", "gallery"]
    previous_fundraiser_id: UUID | None = None


class StorageImageOptimized(Payload, type="storage.image.optimized", aggregate=("image", "image_id")):
    """A smaller version of an image has been created; sizes are in bytes."""

    image_id: UUID
    original_size: Count
    optimized_size: Count
    compression_ratio: Number
    format: Literal["webp", "jpeg", "png"]
    optimized_url: Annotated[Url, CONTENT]


class StorageDraftCleanupRequested(Payload, type="storage.draft.cleanup_requested", aggregate=("storage_job", None)):
    """Drafts older than a number of days are to be deleted, of one user or of all."""

    user_id: UUID | None = None
    older_than_days: Count
    estimated_count: Count | None = None
