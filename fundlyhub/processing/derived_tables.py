"""Says which tables follow from the events of a processor, so that they can be replayed and compared."""

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
