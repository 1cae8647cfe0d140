"""`fundlyhub dlq edit`: correct an event's payload in an editor, by a JSON patch, or from a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import click

from fundlyhub.cli.audit import disclose
from fundlyhub.cli.databases import transaction
from fundlyhub.cli.options import ID, by_option, optional_reason
from fundlyhub.cli.output import Answer, Aside, answers, say
from fundlyhub.errors import FundlyHubError, InvalidEvent, WrongState, WrongUse
from fundlyhub.events.encoding import dumps
from fundlyhub.events.log import decode
from fundlyhub.events.rules import parse_json
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters import Corrected, Draft


@click.command("edit", short_help="Correct the payload of an event, for the processor that gave up on it.")
@click.argument("letter", metavar="ID", type=ID)
@click.option("--patch", type=click.File("rb"), help="Apply this JSON patch (RFC 6902); - is stdin.")
@click.option("--payload", type=click.File("rb"), help="Take this file as the new payload; - is stdin.")
@click.option("--undo", is_flag=True, help="Use the event's original payload again.")
@click.option("--all-processors", is_flag=True, help="Edit it for every processor that gave up on this event.")
@optional_reason
@by_option
@answers
def edit(
    letter: int, patch: BinaryIO | None, payload: BinaryIO | None, undo: bool, all_processors: bool,
    reason: str | None, who: str,
) -> Answer:  # fmt: skip
    """Correct the payload of an open letter's event; without an option, in $EDITOR.

    The new payload is validated as `publish_event` validates it. Only this letter's processor uses it, or with
    --all-processors each one that has an open letter of the event. Replay the letters afterwards. The event in the log
    does not change.
    """
    if sum((patch is not None, payload is not None, undo)) > 1:
        raise WrongUse("give one of --patch, --payload and --undo")
    if undo:
        with transaction("events") as db:
            letters = [letter, *(dead_letters.neighbours(db, letter, corrected=True) if all_processors else ())]
            for one in sorted(letters):
                dead_letters.undo(db, one, who=who, reason=reason)
        return _answer(letters, None)
    with transaction("events") as db:
        draft = dead_letters.draft(db, letter)
        others = dead_letters.neighbours(db, letter) if all_processors else []
    save = _Save(draft, others, who, reason)
    if payload is not None:
        done = save(payload.read())
    elif patch is not None:
        operations = _parsed(patch.read(), "the patch")
        done = save(dumps(dead_letters.patched(_readable(draft), operations)))
    else:
        done = _edited(save)
    return _answer([letter, *others], done)


@dataclass(frozen=True, slots=True)
class _Save:
    """Saves a payload for a letter, and in the same transaction for others of its event."""

    draft: Draft
    others: Sequence[int]
    who: str
    reason: str | None

    def __call__(self, text: bytes | str) -> Corrected:
        payload = _parsed(text, "the payload")
        as_of = {self.draft.letter: self.draft.as_of}
        with transaction("events") as db:
            done = {  # in one order, so that two corrections of the same event at once cannot deadlock
                one: dead_letters.correct(db, one, payload, who=self.who, reason=self.reason, as_of=as_of.get(one))
                for one in sorted([self.draft.letter, *self.others])
            }
        return done[self.draft.letter]


def _edited(save: _Save) -> Corrected:
    """Save what the editor returns; on a terminal, offer to edit it again if it is refused."""
    is_person = sys.stdin.isatty()
    if not is_person and not any(os.environ.get(name) for name in ("VISUAL", "EDITOR")):
        raise WrongUse("set $EDITOR, or give --patch or --payload")
    disclose(save.who, f"dead letter {save.draft.letter}, to an editor")
    text = before = dumps(_readable(save.draft), pretty=True, whole=True).decode()
    while True:
        text = _in_editor(text)
        if text.strip() == before:
            raise WrongState("nothing was changed in the editor: nothing is saved")
        try:
            return save(text)
        except InvalidEvent as error:
            if not is_person:
                raise
            say(f"refused: {error}", err=True)
            if not click.confirm("Edit it again?", default=True, err=True):
                raise


def _in_editor(text: str) -> str:
    """A text as the editor leaves it. Its file is readable by this account alone, and removed."""
    try:
        return click.edit(text, extension=".json", require_save=False) or ""
    except click.ClickException as error:
        raise FundlyHubError(f"{error.format_message()}: nothing is saved") from None


def _parsed(text: bytes | str, what: str) -> Any:
    try:
        return parse_json(text)
    except InvalidEvent as error:
        raise InvalidEvent(f"{what}: {error}") from None


def _readable(draft: Draft) -> Any:
    if draft.payload is None:
        raise WrongState(f"the payload of dead letter {draft.letter} is too large to be edited: give a whole one")
    return decode(draft.payload)


def _answer(letters: Sequence[int], done: Corrected | None) -> Answer:
    """Names of fields only: what is in them is people's data."""
    which = ", ".join(map(str, letters))
    changed, ignored = (done.changed, done.ignored) if done else ((), ())
    ids = " ".join(map(str, letters))
    saved = "the event's own payload counts again"
    if done:
        saved = f"saved ({', '.join(changed) or 'nothing differs'}); `fundlyhub dlq replay {ids}`"
    return Answer(
        {"id": letters[0], "changed": changed, "ignored": ignored, "undone": done is None, "letters": letters},
        *([Aside(f"{which}: the type knows no {', '.join(ignored)}; left out")] if ignored else ()),
        f"{which}: {saved}",
    )
