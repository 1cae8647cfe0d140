"""Events of a project's updates, the news of its author."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fundlyhub.events.payload import UUID, Changes, Flag, Kept, Line, ListOf, Payload, Text, Url, WireModel
from fundlyhub.events.personal import CONTENT

UpdateVisibility = Literal["public", "donors_only"]


class Attachment(WireModel):
    """A file attached to an update."""

    type: Literal["image", "document"]
    url: Annotated[Url, CONTENT]


class _ProjectUpdate(Payload):
    update_id: UUID
    fundraiser_id: UUID  # the campaign's id, under its former name
    author_id: UUID


class ProjectUpdateCreated(_ProjectUpdate, type="project.update.created", aggregate=("project_update", "update_id")):
    """An update has been published."""

    title: Annotated[Line, CONTENT]
    body: Annotated[Text, CONTENT]
    milestone_id: UUID | None = None
    visibility: UpdateVisibility
    attachments: ListOf[Attachment] | None = None
    used_ai: Flag | None = Field(None, alias="usedAI")


class ProjectUpdateChanges(Changes):
    """Columns of an update that an edit may change."""

    title: Annotated[Kept[Line], CONTENT] = None
    body: Annotated[Kept[Text], CONTENT] = None
    visibility: Kept[UpdateVisibility] = None


class ProjectUpdateEdited(_ProjectUpdate, type="project.update.edited", aggregate=("project_update", "update_id")):
    """An update has been edited."""

    changes: ProjectUpdateChanges


class ProjectUpdateDeleted(_ProjectUpdate, type="project.update.deleted", aggregate=("project_update", "update_id")):
    """An update has been deleted."""
