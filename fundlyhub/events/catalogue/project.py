"""Events of a project's updates: the news that its author tells."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fundlyhub.events.payload import UUID, Changes, Flag, Kept, Line, ListOf, Payload, Text, Url, WireModel

UpdateVisibility = Literal["public", "donors_only"]


class Attachment(WireModel):
    """A file that goes with an update."""

    type: Literal["image", "document"]
    url: Url


class _ProjectUpdate(Payload):
    update_id: UUID
    fundraiser_id: UUID  # the campaign's id, by its older name
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
    """What an edit of an update may change."""

    title: Kept[Line] = None
    body: Kept[Text] = None
    visibility: Kept[UpdateVisibility] = None


class ProjectUpdateEdited(_ProjectUpdate, type="project.update.edited", aggregate=("project_update", "update_id")):
    """An update has been edited."""

    changes: ProjectUpdateChanges


class ProjectUpdateDeleted(_ProjectUpdate, type="project.update.deleted", aggregate=("project_update", "update_id")):
    """An update has been deleted."""
