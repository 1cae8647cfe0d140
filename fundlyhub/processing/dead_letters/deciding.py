"""Discards dead letters, and restores discarded ones, for operators.

Both change only what is in the state that they want, and say which letters that were: of two operators with the same
letter in hand, one has changed it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from fundlyhub.database.audited import UNKNOWN, Changes, named, reasoned
from fundlyhub.processing.dead_letters.finding import states
from fundlyhub.processing.dead_letters.model import Action, State

# Letters are always locked in this order, by workers too, so that two writers cannot deadlock.
_CHANGE = """
    WITH chosen AS (
        SELECT id FROM events.dead_letters WHERE id = ANY (%(ids)s::bigint[]) AND state = ANY (%(before)s)
        ORDER BY processor, position FOR UPDATE
    ), changed AS (
        UPDATE events.dead_letters d SET state = %(after)s, changed_at = clock_timestamp()
        FROM chosen WHERE d.id = chosen.id
        RETURNING d.id
    )
    INSERT INTO events.dead_letter_audit (letter_id, who, action, details)
    SELECT id, %(who)s, %(action)s, %(details)s FROM changed ORDER BY id
    RETURNING letter_id
"""
_STOP_WAITING = """
    DELETE FROM events.attempts a
    USING (SELECT a.processor, a.position FROM events.attempts a
           JOIN events.dead_letters d ON d.processor = a.processor AND d.position = a.position
           WHERE d.id = ANY (%(ids)s::bigint[])
           ORDER BY a.processor, a.position FOR UPDATE OF a) gone
    WHERE a.processor = gone.processor AND a.position = gone.position
"""


def discard(db: Connection, ids: Sequence[int], *, who: str, reason: str) -> Changes:
    """Let these letters rest for good; what is under way again is called back, unless a worker has it already.

    Raises WrongUse without a name or a reason.
    """
    done = _change(db, ids, before=("open", "replayed"), after="discarded", who=who, action="discarded", reason=reason)
    db.exec_driver_sql(_STOP_WAITING, {"ids": list(done.changed)})
    return done


def restore(db: Connection, ids: Sequence[int], *, who: str, reason: str | None = None) -> Changes:
    """Open discarded letters again. Raises WrongUse without a name."""
    return _change(db, ids, before=("discarded",), after="open", who=who, action="restored", reason=reason)


def _change(
    db: Connection,
    ids: Sequence[int],
    *,
    before: tuple[State, ...],
    after: State,
    who: str,
    action: Action,
    reason: str | None,
) -> Changes:
    values = {"ids": list(ids), "before": list(before), "after": after, "who": named(who), "action": action}
    details = None if reason is None else reasoned(reason)
    changed = db.exec_driver_sql(_CHANGE, {**values, "details": details}).scalars().all()
    return Changes(tuple(sorted(changed)), unchanged(db, ids, changed))


def unchanged(db: Connection, ids: Sequence[int], changed: Sequence[int]) -> dict[int, str]:
    """The state of each of these letters that was not changed."""
    rest = sorted(set(ids) - set(changed))
    found = states(db, rest)
    return {id: found.get(id, UNKNOWN) for id in rest}
