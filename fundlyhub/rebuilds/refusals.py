"""What a rebuild is refused for: the processor, its tables as the database has them, or events that are not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg

from fundlyhub.errors import WrongState, WrongUse
from fundlyhub.events.archived import away
from fundlyhub.processing.processor import NotificationProcessor, Processor
from fundlyhub.retention.archives.wanted import refuse_a_part
from fundlyhub.settings import Branch
from fundlyhub.verification.tables.check import derived_tables

# Whatever hangs on a table and would not move with it. Views are made anew, triggers and rights are copied.
_OBSTACLES = """
    WITH wanted AS (
        SELECT name, to_regclass(format('%%I.%%I', %(live)s::text, name)) AS id FROM unnest(%(tables)s::text[]) AS name
    )
    SELECT name, 'is not there' FROM wanted WHERE id IS NULL
    UNION ALL
    SELECT name, 'is not a plain table' FROM wanted JOIN pg_class ON oid = id
    WHERE relkind <> 'r' OR relispartition OR relhassubclass OR relpersistence <> 'p'
    UNION ALL
    SELECT name, 'belongs to another role, so that it cannot be exchanged' FROM wanted JOIN pg_class ON oid = id
    WHERE NOT pg_has_role(relowner, 'USAGE')
    UNION ALL
    SELECT name, 'inherits from another table' FROM wanted JOIN pg_inherits ON inhrelid = id
    UNION ALL
    SELECT name, 'has the foreign key ' || conname FROM wanted JOIN pg_constraint ON conrelid = id WHERE contype = 'f'
    UNION ALL
    SELECT name, 'is referenced by the foreign key ' || conname FROM wanted JOIN pg_constraint ON confrelid = id
    WHERE contype = 'f' AND conrelid <> id
    UNION ALL
    SELECT name, 'has row-level security' FROM wanted JOIN pg_class ON oid = id
    WHERE relrowsecurity OR EXISTS (SELECT FROM pg_policy WHERE polrelid = id)
    UNION ALL
    SELECT name, 'has the rule ' || rulename FROM wanted JOIN pg_rewrite ON ev_class = id
    UNION ALL
    SELECT name, 'has the disabled or constraint trigger ' || tgname FROM wanted JOIN pg_trigger ON tgrelid = id
    WHERE NOT tgisinternal AND (tgenabled <> 'O' OR tgconstraint <> 0)
    UNION ALL
    SELECT name, 'is published by name' FROM wanted JOIN pg_publication_rel ON prrelid = id
    UNION ALL
    SELECT name, 'has a replica identity of its own' FROM wanted JOIN pg_class ON oid = id WHERE relreplident <> 'd'
    UNION ALL
    SELECT name, 'has the extended statistics ' || stxname FROM wanted JOIN pg_statistic_ext ON stxrelid = id
    UNION ALL
    SELECT DISTINCT name, 'is read by the materialized view ' || view.relname
    FROM wanted JOIN pg_depend ON refobjid = id AND refclassid = 'pg_class'::regclass
              AND classid = 'pg_rewrite'::regclass
         JOIN pg_rewrite ON pg_rewrite.oid = objid JOIN pg_class AS view ON view.oid = ev_class
    WHERE view.relkind = 'm'
    UNION ALL
    SELECT DISTINCT name, 'is read by the view ' || view.relname || ', which belongs to another role'
    FROM wanted JOIN pg_depend ON refobjid = id AND refclassid = 'pg_class'::regclass
              AND classid = 'pg_rewrite'::regclass
         JOIN pg_rewrite ON pg_rewrite.oid = objid JOIN pg_class AS view ON view.oid = ev_class
    WHERE view.relkind = 'v' AND NOT pg_has_role(view.relowner, 'USAGE')
    UNION ALL
    SELECT name, 'is named by the function ' || proname
    FROM wanted JOIN pg_depend ON refobjid = id AND refclassid = 'pg_class'::regclass AND classid = 'pg_proc'::regclass
         JOIN pg_proc ON pg_proc.oid = objid
    UNION ALL
    SELECT name, 'takes numbers from the sequence ' || sequence.relname || ', which is not its own'
    FROM wanted JOIN pg_attrdef ON adrelid = id
         JOIN pg_depend AS uses ON uses.objid = pg_attrdef.oid AND uses.classid = 'pg_attrdef'::regclass
              AND uses.refclassid = 'pg_class'::regclass
         JOIN pg_class AS sequence ON sequence.oid = uses.refobjid AND sequence.relkind = 'S'
    WHERE NOT EXISTS (SELECT FROM pg_depend AS owns WHERE owns.objid = sequence.oid AND owns.refobjid = id)
    ORDER BY 1, 2
"""
_DROPPED = "SELECT coalesce(max(high), 0) FROM {live}.dropped_claims"


def exchanged_tables(processor: type[Processor], others: Mapping[str, type[Processor]]) -> tuple[str, ...]:
    """The tables that a rebuild of a processor exchanges. Pure.

    Raises WrongUse, with the reason, where the processor cannot be rebuilt.
    """
    names = _names(processor)
    if reasons := [*_shared(processor, names, others), *_from_elsewhere(processor)]:
        why = f"an exchange of its tables would lose what others have written: {'; '.join(reasons)}. "
        if processor.aggregate_rows and not [*_from_elsewhere(processor)]:
            raise _refused(processor, f"{why}The rows of one aggregate can be: `--aggregate ID`, of `diff` and `swap`")
        compares = f"`fundlyhub verify --processor {processor.name}` compares the rows that follow from its events"
        raise _refused(processor, why + compares)
    return names


def replaced_tables(processor: type[Processor], others: Mapping[str, type[Processor]]) -> tuple[str, ...]:
    """The tables in which a rebuild of one aggregate replaces rows; others may have rows of their own there. Pure.

    Raises WrongUse, with the reason, where the processor cannot be rebuilt so.
    """
    names = _names(processor)
    shared = _shared(processor, [name for name in names if name not in _with_rows_of_their_own(processor)], others)
    if reasons := [*shared, *_from_elsewhere(processor)]:
        raise _refused(processor, f"that would lose what others have written: {'; '.join(reasons)}")
    return names


def _names(processor: type[Processor]) -> tuple[str, ...]:
    """Its tables, and those of its work. Raises WrongUse where there is nothing to rebuild."""
    if issubclass(processor, NotificationProcessor):
        raise _refused(processor, "it sends messages, which no rebuild may send again")
    tables = derived_tables(processor)
    if not tables:
        raise _refused(processor, "it is not known which tables follow from its events (`tables` names them)")
    return tuple(dict.fromkeys([*(table.name for table in tables), *processor.working_tables]))


def _with_rows_of_their_own(processor: type[Processor]) -> set[str]:
    """The tables of which it says which rows are its own."""
    return {table.name for table in derived_tables(processor) if table.where != "true"}


def _shared(processor: type[Processor], names: Sequence[str], others: Mapping[str, type[Processor]]) -> Iterator[str]:
    """Each table that other processors write to as well."""
    for name in names:
        writers = sorted(
            other.name
            for other in others.values()
            if other.name != processor.name and other.database == processor.database
            and name in {*(table.name for table in derived_tables(other)), *other.working_tables}
        )  # fmt: skip
        if writers:
            yield f"{', '.join(writers)} writes to {name} too"
        elif name in _with_rows_of_their_own(processor):
            yield f"other processors write to {name} too"


def _from_elsewhere(processor: type[Processor]) -> Iterator[str]:
    """Each table with rows or columns that no event has made."""
    for table in derived_tables(processor):
        if left := sorted(set(table.ignored) - set(table.rewritten)):
            yield f"{table.name} has columns that follow from no event: {', '.join(left)}"
        if table.others_insert:
            yield f"{table.name} has rows that follow from no event"


def refuse_obstacles(db: psycopg.Connection[Any], live: Branch, tables: Sequence[str]) -> None:
    """Raise WrongState where something hangs on a table that would not move with it."""
    found = db.execute(_OBSTACLES, {"live": live, "tables": list(tables)}).fetchall()
    if found:
        raise WrongState("; ".join(f"the table {live}.{name} {why}" for name, why in found[:5]))


def refuse_dropped(db: psycopg.Connection[Any], live: Branch) -> None:
    """Raise WrongState where claims were dropped: it is not known any more which events have been applied."""
    (last,) = db.execute(_DROPPED.format(live=live)).fetchone() or (0,)
    if last:
        raise WrongState(f"claims up to position {last:,} have been dropped from the {live} database: without them "
                         "nobody knows which events to apply")  # fmt: skip


def refuse_archived(log: psycopg.Connection[Any], processor: type[Processor]) -> None:
    """Raise EventsArchived, with the files to restore, where events that it handles are in archives."""
    refuse_a_part(away(log), processor, 0)


def _refused(processor: type[Processor], why: str) -> WrongUse:
    return WrongUse(f"{processor.name} cannot be rebuilt: {why}")
