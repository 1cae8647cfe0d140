"""The error tree: every error that this package raises on purpose.

::

    FundlyHubError                 anything below; its text is one line that says what to do
    ├── WrongUse                   a setting, an option or an argument is wrong        (exit status 2)
    ├── Unavailable                a server cannot be reached or is not ready          (exit status 1)
    │   ├── NotMigrated            a database is older than the code
    │   ├── NewerDatabase          a database is newer than the code
    │   └── BrokenMigration        the migration of another package failed: nothing of it is applied
    ├── WrongState                 what is asked of a thing does not fit the state that it is in
    │   └── EventsArchived         events that are needed were taken out of the log: restore them first
    ├── InvalidEvent               an event was refused at the door
    │   ├── UnknownEventType       no such type: a typo, most likely
    │   ├── UnknownVersion         the type is known, this version of it is not
    │   ├── UnreadableEvent        the code that reads events of its type failed on it
    │   └── ConflictingEvent       the id is taken by an event with other content
    └── ProcessingError            what a handler raises to say what became of an event
        ├── Transient              try again, with backoff, a limited number of times
        ├── Permanent              never try again: a dead letter at once
        │   ├── ClaimsDropped      so old that nobody knows any more whether it was applied
        │   ├── Held               nobody is told before a person has decided
        │   ├── RepeatedPayment    its payment counts already, as another donation
        │   ├── Untold             what somebody must be told of cannot be told: something it needs never came
        │   └── AddressGone        nobody is there any more: an address or device to be forgotten
        ├── Snooze                 wait without spending an attempt
        │   ├── Limited            the service takes no more messages for a while
        │   └── ServiceRefuses     the service refuses us, whatever we send; counts against the service
        └── OutcomeUnknown         a call may have been accepted or not

No text here may carry a value of an event: names of fields, types, limits and ids only, since these
texts end in logs, in Flower and in dead letters.
"""

from __future__ import annotations


class FundlyHubError(Exception):
    """Base of all errors of this package. Its text is one line, and quotes no value of an event.

    ::

        try:
            publish_event(payload)
        except FundlyHubError as error:
            print(f"not published: {error}")
    """


class WrongUse(FundlyHubError):
    """A setting, an option or an argument is wrong: the caller can mend it.

    ::

        try:
            upcasts("campaign.praised", "2.0.0", "1.0.0")
        except WrongUse as error:
            print(error)
    """


class Unavailable(FundlyHubError):
    """A server cannot be reached, or is not ready for us.

    ::

        try:
            publish_event(payload)
        except Unavailable:
            print("nothing is published: try again later, with the same id")
    """


class NotMigrated(Unavailable):
    """A database has not got the tables that this version of the code needs.

    ::

        try:
            publish_event(payload)
        except NotMigrated:
            print("run fundlyhub migrate first")
    """


class NewerDatabase(Unavailable):
    """A database was migrated by a newer version of the code."""


class BrokenMigration(Unavailable):
    """The migration of another package failed: nothing of it is applied, and the product's own tables are current."""


class WrongState(FundlyHubError):
    """A thing is not there, or not in the state that is wanted; somebody else may have been faster."""


class EventsArchived(WrongState):
    """Events that are needed were taken out of the log: a part of them must not stand for all."""


class InvalidEvent(FundlyHubError):
    """An event that breaks the rules of its type or of the envelope.

    ``reasons`` holds one text per fault, each beginning with the field's path.

    ::

        try:
            Event.model_validate({"type": "user.followed_campaign", "version": "1.0.0", "payload": {}})
        except InvalidEvent as error:
            assert "payload.userId: is required" in error.reasons
    """

    def __init__(self, *reasons: str) -> None:
        self.reasons = reasons
        super().__init__("; ".join(reasons))


class UnknownEventType(InvalidEvent):
    """The type is not in the catalogue.

    ::

        try:
            Event.model_validate({"type": "user.folowed_campaign", "version": "1.0.0", "payload": {}})
        except UnknownEventType as error:
            print(error)
    """


class UnknownVersion(InvalidEvent):
    """The type is known, but not in this version.

    ``newer`` tells whether the version is above all that we know: then a deploy may be under way,
    and waiting helps.

    ::

        try:
            Event.model_validate({"type": "user.followed_campaign", "version": "9.0.0", "payload": {}})
        except UnknownVersion as error:
            assert error.newer
    """

    def __init__(self, reason: str, *, newer: bool) -> None:
        self.newer = newer
        super().__init__(reason)


class UnreadableEvent(InvalidEvent):
    """The code that reads events of this type failed: a payload class, a validator, an upcaster, or an encoder.

    Whatever it raised belongs to this event alone. ``error_class`` names it.

    ::

        try:
            publish_event(payload)
        except UnreadableEvent as error:
            print(f"mend the payload class: it raised {error.error_class}")
    """

    def __init__(self, error_class: str) -> None:
        self.error_class = error_class
        super().__init__(f"the event cannot be read: the code that reads its type raised {error_class}")


class ConflictingEvent(InvalidEvent):
    """An event of this id is in the log already, with other content.

    ::

        publish_event(UserFollowedCampaign(user_id=ann, campaign_id=wells, follow_type="user"), id=request_id)
        try:
            publish_event(UserFollowedCampaign(user_id=bo, campaign_id=wells, follow_type="user"), id=request_id)
        except ConflictingEvent as error:
            print(error)
    """


class ProcessingError(FundlyHubError):
    """What a handler raises to tell the executor what became of an event."""


class Transient(ProcessingError):
    """A passing fault, surely without effect: retried with backoff, a limited number of times.

    ::

        def handle(self, event, db):
            answer = self.geocoder.get(event.payload.city)
            if answer.status_code == 503:
                raise Transient("the geocoder answered 503")
    """


class Permanent(ProcessingError):
    """A fault that no retry can mend: a dead letter at once.

    ::

        def handle(self, event, db):
            if event.payload.currency not in self.rates:
                raise Permanent("payload.currency: there is no rate for it")
    """


class ClaimsDropped(Permanent):
    """The claims at this position have been dropped: nobody knows any more whether the event was applied."""

    def __init__(self) -> None:
        super().__init__("too old: its claims have been dropped, so that it may have been applied before")


class Held(Permanent):
    """Nobody is told before a person has decided: a dead letter, which is replayed to tell it after all."""


class RepeatedPayment(Permanent):
    """The payment of this donation has been counted as another donation: a dead letter until a person decides."""


class Untold(Permanent):
    """What a message must tell never came: a dead letter, which is replayed once it is there."""


class AddressGone(Permanent):
    """The provider says that this address or device will never take a message: it is not to be tried again.

    ``unwanted`` tells that somebody is there, and wants no messages of ours.
    """

    def __init__(self, reason: str, *, unwanted: bool = False) -> None:
        self.unwanted = unwanted
        super().__init__(reason)


class Snooze(ProcessingError):
    """Not now: wait ``seconds`` without spending an attempt, up to the processor's ``snooze_limit``.

    ::

        def handle(self, event, db):
            if self.campaign(event.payload.campaign_id, db) is None:
                raise Snooze("the campaign's own event is not there yet", seconds=30)
    """

    def __init__(self, reason: str, *, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(reason)


class Limited(Snooze):
    """The service says that we send too much: it takes no more for a while. That says nothing against it."""


class ServiceRefuses(Snooze):
    """The service refuses us, whatever we send: wrong credentials, or an account that is blocked.

    No message is to blame, so all of them wait; and it counts against the service: its breaker opens.
    """


class OutcomeUnknown(ProcessingError):
    """A call to an outside service that may have been accepted: never repeated blindly.

    ::

        def send(self, event):
            try:
                self.partner.post(event.payload_wire())
            except TimeoutError:
                raise OutcomeUnknown("the partner did not answer in time") from None
    """


LONGEST = 2_000
"""Characters of an error's text that are kept."""


def text_of(error: BaseException) -> str:
    """An error's text as any log and any database can hold it; of one that cannot tell its text, the class."""
    try:
        text = str(error)
    except Exception:  # a subclass may be anybody's
        text = type(error).__name__
    return text[:LONGEST].replace("\0", "?").encode("utf-8", "replace").decode()
