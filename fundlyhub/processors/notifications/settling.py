"""Settling a message whose outcome is unknown, after a person has looked it up at the provider."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database.audited import MAX_REASON, named, reasoned

# The token stays: a worker that was slow and not dead may still report that the provider has accepted the message.
# One that was not sent keeps the time of its change, so that a replay of its event, which failed after that, sends it.
_SETTLE = """
    UPDATE notifications
    SET state = CASE WHEN %(sent)s::boolean THEN 'sent' ELSE 'failed' END, reason = %(reason)s, lease_until = NULL,
        sent_at = CASE WHEN %(sent)s::boolean THEN coalesce(sent_at, changed_at) END,
        changed_at = CASE WHEN %(sent)s::boolean THEN clock_timestamp() ELSE changed_at END
    WHERE id = %(id)s AND state = 'unknown'
"""


def settle(db: Connection, id: UUID, *, sent: bool, who: str, reason: str) -> bool:
    """Settle a message of unknown outcome as sent, or as not sent; False when its outcome is not unknown.

    One that was sent is never sent again. One that was not is ``failed``: a replay of its event's dead letter sends it,
    and `fundlyhub notifications resend` does if there is none. Who decided, and why, is the row's reason. Raises
    WrongUse without a name or a reason.
    """
    said = f"{'sent' if sent else 'not sent'}, says {named(who)}: {reasoned(reason)}"
    return db.exec_driver_sql(_SETTLE, {"id": id, "sent": sent, "reason": said[:MAX_REASON]}).rowcount > 0
