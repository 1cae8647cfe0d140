"""Says which tables follow from the events of a processor, and which of their rows from those of one aggregate.

So they can be replayed, compared and made anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field


@dataclass(frozen=True, slots=True)
class DerivedTable:
    """A table of the processor's database, for its ``tables``, of which more is to be said than its name.

    Types, nulls, the primary key and which columns are whole numbers are read from the database. Conditions and
    expressions are SQL about one row; a percent sign is written twice.

    ::

        from fundlyhub import DerivedTable, ProjectionProcessor

        class NewsCountProcessor(ProjectionProcessor):
            \"\"\"How many updates each campaign has published.\"\"\"

            handles = ("project.update.created",)
            tables = (DerivedTable("news_counts", ignored={"hidden": "the API service writes it"}),)

            def handle(self, event, db):
                db.exec_driver_sql(
                    \"\"\"INSERT INTO news_counts AS known (campaign_id, number) VALUES (%s, 1)
                    ON CONFLICT (campaign_id) DO UPDATE SET number = known.number + 1\"\"\",
                    (event.payload.fundraiser_id,),
                )
    """

    name: str
    """Its name, without a schema."""
    _: KW_ONLY
    key: Sequence[str] = ()
    """The columns that tell its rows apart, none of them null, where they are not the primary key."""
    ignored: Mapping[str, str] = field(default_factory=dict)
    """Columns that do not follow from the events, each with the reason."""
    rewritten: Collection[str] = ()
    """Of the ignored columns, those that the processor itself writes: a rebuild makes them anew. A table with other
    ignored columns cannot be rebuilt beside the live one, since their values come from elsewhere."""
    expressions: Mapping[str, str] = field(default_factory=dict)
    """What is compared in place of a column that follows from the events in part. ``{schema}`` stands for the schema
    in which other tables are read."""
    where: str = "true"
    """Which rows are the processor's, where other processors write to the table too."""
    others_insert: bool = False
    """Whether there may be rows of which no event tells."""
    read_from: str | None = None
    """The view in which its rows are complete, where the table lacks some of them for a while."""
    shown: Collection[str] = ()
    """Columns whose values may be shown to operators, beside the key and whole numbers: no personal data."""
    sample: str | None = None
    """Which rows belong to a sample of campaigns, for `fundlyhub verify --sample`: ``%(campaigns)s`` and
    ``%(donations)s`` are lists of UUIDs. A table without it takes no part in samples."""


@dataclass(frozen=True, slots=True)
class AggregateRows:
    """Which rows of a processor's tables follow from the events of one campaign, user or other aggregate alone.

    Its events are those whose payload has its id anywhere, and those that are linked to them. A row belongs to it where
    these events make the whole of it, as a replay of no others shows. With it, `fundlyhub rebuild diff` and `swap` take
    ``--aggregate``.

    ::

        from fundlyhub import AggregateRows, ProjectionProcessor

        class NewsTotalProcessor(ProjectionProcessor):
            \"\"\"How many updates each campaign has published.\"\"\"

            handles = ("project.update.created",)
            tables = ("news_totals",)
            aggregate_rows = AggregateRows({"news_totals": "campaign_id = %(id)s"})

            def handle(self, event, db):
                db.exec_driver_sql(
                    \"\"\"INSERT INTO news_totals AS known (campaign_id, number) VALUES (%s, 1)
                    ON CONFLICT (campaign_id) DO UPDATE SET number = known.number + 1\"\"\",
                    (event.payload.fundraiser_id,),
                )
    """

    rows: Mapping[str, str]
    """For each of the processor's ``tables`` a condition on a row, in SQL: ``%(id)s`` is the aggregate's id, a UUID,
    ``%(linked)s`` a list of the ids that link events to it, and ``{schema}`` stands for the schema of the table. An
    index should answer it, since the tables are locked meanwhile."""
    _: KW_ONLY
    linked_by: str | None = None
    """A field of the payload, as it stands in the log, such as ``donationId``: events that have the same value there as
    an event that names the aggregate belong to it too."""
    waiting: Mapping[str, str] = field(default_factory=dict)
    """The same of ``working_tables`` in which something waits for the rows: what waits there for replaced rows goes."""
