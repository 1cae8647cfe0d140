"""Events of a project's updates, the news of its author."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fundlyhub.events.payload import UUID, Changes, Flag, Kept, Line, ListOf, Payload, Text, Url, WireModel

UpdateVisibility = Literal["public", "donors_only"]


class Attachment(WireModel):
    """A file attached to an update."""

    type: Literal["image", "document"]
    url: Url


class _ProjectUpdate(Payload):
    update_id: UUID
    fundraiser_id: UUID  # the campaign's id, under its former name
    author_id: UUID


class ProjectUpdateCreated(_ProjectUpdate, type="project.update.created", aggregate=("project_update", "update_id")):
    """An update has been published."""

    title: Line
    body: Text
    milestone_id: UUID | None = None
    visibility: UpdateVisibility
    attachments: ListOf[Attachment] | None = None
    used_ai: Flag | None = Field(None, alias="usedAI")


class ProjectUpdateChanges(Changes):
    """Columns of an update that an edit may change."""

    title: Kept[Line] = None
    body: Kept[Text] = None
    visibility: Kept[UpdateVisibility] = None


class ProjectUpdateEdited(_ProjectUpdate, type="project.update.edited", aggregate=("project_update", "update_id")):
    """An update has been edited."""

    changes: ProjectUpdateChanges


class ProjectUpdateDeleted(_ProjectUpdate, type="project.update.deleted", aggregate=("project_update", "update_id")):
    """An update has been deleted."""
