"""Outgoing messages (mail, push, text message) and the interface of their senders.

A message removes control characters and misplaced line breaks from its own fields, so that no channel has to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar, get_args

from fundlyhub.channels.clean_text import lines, one_line

ChannelName = Literal["email", "push", "sms"]
"""The channels to a person."""

CHANNELS: tuple[ChannelName, ...] = get_args(ChannelName)


@dataclass(frozen=True, slots=True)
class Mail:
    """An e-mail. ``reference`` is its id in the ledger, which the provider's webhooks return."""

    to: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    reference: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        _set(self, reference=one_line(self.reference))
        _set(self, subject=one_line(self.subject), headers=_on_one_line(self.headers))


@dataclass(frozen=True, slots=True)
class Push:
    """A message to one device. It replaces an earlier message of the same ``reference`` there."""

    token: str = field(repr=False)
    title: str = field(repr=False)
    body: str = field(repr=False)
    reference: str
    data: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        _set(self, reference=one_line(self.reference))
        _set(self, title=one_line(self.title), body=lines(self.body), data=_on_one_line(self.data))


@dataclass(frozen=True, slots=True)
class Sms:
    """A text message."""

    to: str = field(repr=False)
    body: str = field(repr=False)
    reference: str

    def __post_init__(self) -> None:
        _set(self, reference=one_line(self.reference))
        _set(self, to=one_line(self.to), body=lines(self.body))


def _on_one_line(texts: Mapping[str, str]) -> dict[str, str]:
    """Every value as a text on one line: channels accept nothing else."""
    return {name: one_line(str(text)) for name, text in texts.items()}


def _set(message: Any, **fields: object) -> None:
    for name, value in fields.items():
        object.__setattr__(message, name, value)


Message = Mail | Push | Sms
M_contra = TypeVar("M_contra", bound=Message, contravariant=True)


class Sender(Protocol[M_contra]):
    """A provider's client, or a folder. Safe to use from several threads."""

    provider: str
    """Name of its breaker and in the ledger: sendgrid, smtp, fcm, twilio or file."""

    def send(self, message: M_contra) -> str | None:
        """Send a message and return the provider's id of it, if it gives one.

        Raises Transient, Permanent, AddressGone, Snooze or OutcomeUnknown, as the provider's table says.
        """
