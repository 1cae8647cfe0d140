"""Refunds of donations and their total, from events in any order and any number.

Two producers report refunds. The API reports each refund alone. The payment webhook reports the sum returned of a
charge so far, a cumulative amount. Both may report the same refund, so the total is the larger of the two: the highest
cumulative amount, or the sum of the single ones.

The knowledge of a refund id only grows, by a join that is commutative, associative and idempotent: its first single
amount and its highest cumulative one. Each processor that needs it keeps a table of its own, since each has its own
transactions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import Context, Decimal, Inexact, localcontext
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.arrays import Columns, array
from fundlyhub.events import Event
from fundlyhub.events.catalogue.donation import DonationRefunded

EXACT = Context(prec=40_000, traps=[Inexact])
"""For sums of money: a refund may come with as many decimals as PostgreSQL can hold, 16,383."""

NOTHING = Decimal(0)


class Refund(NamedTuple):
    """All events of one refund id.

    ``position`` and ``amount`` are those of its first single event, and of its first cumulative one where it has no
    single one: then it is ``cumulative``. ``highest`` is the highest cumulative amount, if there is any.
    """

    position: int
    amount: Decimal
    cumulative: bool
    highest: Decimal | None


ById = Mapping[str, Refund]
"""The refunds of one donation by their refund ids."""


def said(events: Iterable[Event]) -> dict[UUID, dict[str, Refund]]:
    """The refunds of these events, per donation and refund id."""
    found: dict[UUID, dict[str, Refund]] = {}
    for event in events:
        payload = event.payload
        if isinstance(payload, DonationRefunded):
            refunds = found.setdefault(payload.donation_id, {})
            name = payload.refund_transaction_id
            refunds[name] = join(refunds.get(name), _refund(event, payload))
    return found


def join(one: Refund | None, other: Refund) -> Refund:
    """Join two findings about one refund id."""
    if one is None:
        return other
    first = min(one, other, key=lambda refund: (refund.cumulative, refund.position))
    highest = max((r.highest for r in (one, other) if r.highest is not None), default=None)
    return first._replace(highest=highest)


def total(refunds: Iterable[Refund]) -> Decimal:
    """The total of refunds, even if it exceeds the donation."""
    known = list(refunds)
    highest = max((refund.highest for refund in known if refund.highest is not None), default=NOTHING)
    with localcontext(EXACT):
        return max(highest, sum((refund.amount for refund in known if not refund.cumulative), NOTHING))


def _refund(event: Event, payload: DonationRefunded) -> Refund:
    if event.position is None:
        raise ValueError("an event without a position: it was never published")
    amount, cumulative = payload.refund_amount, payload.is_cumulative
    return Refund(event.position, amount, cumulative, amount if cumulative else None)


_COLUMNS = Columns(
    donation_id="uuid", refund_transaction_id="text", position="bigint", amount="numeric", cumulative="boolean",
    highest="numeric",
)  # fmt: skip
# The join, in one statement, which needs no lock before it. At an equal position it is the same event: how it
# is read now counts, since earlier releases took some cumulative amounts for single ones.
_ADD = f"""
    INSERT INTO {{table}} AS known ({_COLUMNS}) SELECT * FROM {_COLUMNS.given}
    ORDER BY donation_id, refund_transaction_id COLLATE "C"
    ON CONFLICT (donation_id, refund_transaction_id) DO UPDATE
    SET (position, amount, cumulative, highest) = (
        SELECT one.position, one.amount, one.cumulative, greatest(known.highest, excluded.highest)
        FROM (VALUES (excluded.position, excluded.amount, excluded.cumulative, 0),
                     (known.position, known.amount, known.cumulative, 1)) AS one(position, amount, cumulative, older)
        WHERE older = 0 OR known.position <> excluded.position
        ORDER BY one.cumulative, one.position LIMIT 1
    )
    WHERE known.position = excluded.position AND known.cumulative <> excluded.cumulative
       OR (known.cumulative, known.position) > (excluded.cumulative, excluded.position)
       OR known.highest IS DISTINCT FROM greatest(known.highest, excluded.highest)
"""  # noqa: S608 - put together from constants
_READ = f"SELECT {_COLUMNS} FROM {{table}} WHERE donation_id = ANY (%(ids)s::uuid[])"  # noqa: S608


class Refunds:
    """The SQL on one table of refunds: one row per refund id, see `Refund`."""

    def __init__(self, table: str) -> None:
        self._add, self._read = _ADD.format(table=table), _READ.format(table=table)

    def add(self, db: Connection, news: Mapping[UUID, ById]) -> None:
        """Join new refunds to the stored ones."""
        rows = [(donation_id, name, *one) for donation_id, by_id in news.items() for name, one in by_id.items()]
        if rows:
            db.exec_driver_sql(self._add, _COLUMNS.bound(rows))

    def read(self, db: Connection, ids: Collection[UUID]) -> dict[UUID, dict[str, Refund]]:
        """All refunds of these donations; one of which nothing is known has none."""
        found: dict[UUID, dict[str, Refund]] = {donation_id: {} for donation_id in ids}
        if found:
            for donation_id, name, *refund in db.exec_driver_sql(self._read, {"ids": array(found)}).all():
                found[donation_id][name] = Refund(*refund)
        return found
