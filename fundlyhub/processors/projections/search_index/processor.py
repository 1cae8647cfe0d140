"""The processor of the search index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from fundlyhub.events import Event
from fundlyhub.events.catalogue.donation import DonationCompleted
from fundlyhub.processing import AggregateRows, DerivedTable, ProjectionProcessor
from fundlyhub.processors.projections.search_index import flusher, store
from fundlyhub.processors.projections.search_index.documents import WANTED, Document, document, level
from fundlyhub.processors.projections.search_index.flusher import Flusher
from fundlyhub.processors.projections.search_index.outside import outside_engine
from fundlyhub.processors.shared import last_writer_fields
from fundlyhub.processors.shared.entity_changes import erasures, payloads_of, told
from fundlyhub.processors.shared.event_ids import names_event
from fundlyhub.processors.shared.follow_state import FOLLOW_PAYLOADS, LastWords, last_words
from fundlyhub.processors.shared.last_writer_fields import Entity

_ENTITY = "kind IN ('user', 'campaign', 'organization') AND id = %(id)s"
_last_words = LastWords("search_follows")


class SearchIndexProcessor(ProjectionProcessor):
    """Campaigns, users and organizations, as everybody may find them, with the texts and popularity of each.

    Converges without the claims too: any order of the same events, with any duplication and in any batches,
    ends in the same documents.
    """

    handles = (*payloads_of(*WANTED), *FOLLOW_PAYLOADS, DonationCompleted)
    tables = (
        "entity_fields",
        names_event("search_follows"),
        "search_gifts",
        DerivedTable(
            "search_documents",
            ignored={
                "version": "counts the changes, whose number depends on the order",
                "sent_version": "what the outside search engine has",
                "refused": "what the outside search engine would not have",
            },
            rewritten=("version", "sent_version", "refused"),
        ),
        "campaign_search_projection",
        "user_search_projection",
        "organization_search_projection",
    )

    aggregate_rows = AggregateRows(
        {
            "entity_fields": _ENTITY,
            "search_follows": "followed_id = %(id)s",
            "search_gifts": "campaign_id = %(id)s",
            "search_documents": _ENTITY,
            "campaign_search_projection": "campaign_id = %(id)s",
            "user_search_projection": "user_id = %(id)s",
            "organization_search_projection": "organization_id = %(id)s",
        }
    )

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """Write what is new of the fields and of popularity, and the documents that this changes."""
        writes = last_writer_fields.latest(told(events, WANTED))
        added = _popularity(db, events)
        locked = {entity: added[entity] for entity in {*added, *(entity for entity, _ in writes)}}
        if not locked:
            return
        states = store.lock(db, locked)
        last_writer_fields.write(db, writes)
        store.write(db, _changed(db, states, added, {entity for entity, _ in writes}))

    @classmethod
    def erase(cls, events: Sequence[Event], db: Connection) -> None:
        """Empty what was erased of these events, and make the documents anew that hold it."""
        gone = list(erasures(events, WANTED))
        known = {one for one, said in last_writer_fields.read(db, {entity for entity, _, _ in gone}).items() if said}
        if known:
            states = store.lock(db, dict.fromkeys(sorted(known), 0))
            last_writer_fields.empty(db, gone)
            store.write(db, _changed(db, states, Counter(), known))

    def afterwards(self) -> None:
        """Send what has changed to the outside search engine, where one is set."""
        engine = outside_engine()
        if engine is not None:
            Flusher(engine).flush()

    @classmethod
    def exchanged(cls, db: Connection) -> None:
        """Have the outside search engine filled anew, in an index beside the one that answers searches."""
        flusher.begin_anew(db)

    @classmethod
    def has_more(cls) -> bool:
        """Whether the outside search engine lacks something."""
        return outside_engine() is not None and flusher.is_behind()


def _popularity(db: Connection, events: Sequence[Event]) -> Counter[Entity]:
    """By how much each entity has become more popular; also those that were only mentioned, with 0."""
    words = last_words(events)
    added = Counter({Entity(pair.kind, pair.followed_id): 0 for pair in words})
    for pair, before, after in _last_words.apply(db, words):
        added[Entity(pair.kind, pair.followed_id)] += after.follows - (before.follows if before else False)
    gifts = {(e.payload.campaign_id, e.payload.donation_id) for e in events if isinstance(e.payload, DonationCompleted)}
    added.update({Entity("campaign", campaign_id): 0 for campaign_id, _ in gifts})
    added.update(Entity("campaign", campaign_id) for campaign_id in store.give(db, gifts))
    return added


def _changed(
    db: Connection, states: Mapping[Entity, store.State], added: Counter[Entity], written: set[Entity]
) -> dict[Entity, Document | None]:
    """The documents that differ from what can be found now; None for one that must not be found any more."""
    moved = {
        entity for entity, state in states.items() if level(state.popularity) != level(state.popularity - added[entity])
    }
    changed: dict[Entity, Document | None] = {}
    for entity, fields in last_writer_fields.read(db, written | moved).items():
        made = document(entity, fields, states[entity].popularity)
        if (made.digest if made else None) != states[entity].digest:
            changed[entity] = made
    return changed
