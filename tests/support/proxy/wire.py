"""What passes over one connection, cut into messages: the base of the protocols."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

Side = Literal["client", "server"]
"""Who said it."""


@dataclass(frozen=True, slots=True)
class Message:
    """One whole message. ``text`` is what it says, empty where that is of no interest.

    ``number`` ties an answer to its question; ``answered`` is whether the server answers it at all.
    """

    raw: bytes
    text: str = ""
    number: int = 0
    answered: bool = True


class Wire(ABC):
    """One connection. Fed from both sides in the order in which the bytes come."""

    def __init__(self) -> None:
        self._rest: dict[Side, bytes] = {"client": b"", "server": b""}

    def feed(self, side: Side, data: bytes) -> list[Message]:
        """The messages that are whole with these bytes; what is left waits for more."""
        rest = self._rest[side] + data
        messages = []
        while rest:
            length = self.length(side, rest)
            if length is None or length > len(rest):
                break
            messages.append(self.read(side, rest[:length]))
            rest = rest[length:]
        self._rest[side] = rest
        return messages

    def answers(self, question: Message, message: Message) -> bool:
        """Whether the server's ``message`` is the answer to ``question``."""
        return message.number == question.number

    @abstractmethod
    def length(self, side: Side, data: bytes) -> int | None:
        """Bytes of the message that begins here; None while that cannot be told."""

    @abstractmethod
    def read(self, side: Side, raw: bytes) -> Message:
        """Make sense of one message."""
