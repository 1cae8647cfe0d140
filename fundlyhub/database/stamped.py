"""Stamps audits with the account that did it: SQL for the migrations of all databases.

A person says with ``--by`` who they are. A trigger writes beside it the operating system's account, as the process
told it when it connected, and the database role that logged in, which the server alone knows.
"""

from __future__ import annotations

from collections.abc import Mapping

VARIABLE = "fundlyhub.account"
"""The server variable that holds the account of a connection's process."""

# TG_ARGV: the column of the account, and that of the role.
_FUNCTION = """
CREATE FUNCTION {schema}.stamp_account() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW := jsonb_populate_record(NEW, jsonb_build_object(
        TG_ARGV[0], nullif(left(current_setting('fundlyhub.account', true), 200), ''), TG_ARGV[1], session_user));
    RETURN NEW;
END
$$;
"""
_COLUMNS = """
ALTER TABLE {schema}.{table} ADD COLUMN {prefix}account text, ADD COLUMN {prefix}role text;
CREATE TRIGGER {table}_{prefix}account BEFORE {event} ON {schema}.{table}
    FOR EACH ROW EXECUTE FUNCTION {schema}.stamp_account('{prefix}account', '{prefix}role');
"""
_DROP = "ALTER TABLE {schema}.{table} DROP COLUMN {prefix}account, DROP COLUMN {prefix}role;"


def stamp(schema: str, tables: Mapping[str, str]) -> str:
    """The statements that stamp these tables: whenever the event happens to a row, such as ``INSERT``.

    For ``UPDATE OF restored_by`` the columns are called restored_account and restored_role.
    """
    parts = [_COLUMNS.format(schema=schema, **part) for part in _parts(tables)]
    return "".join([_FUNCTION.format(schema=schema), *parts])


def unstamp(schema: str, tables: Mapping[str, str]) -> str:
    """The statements that take it back."""
    parts = [_DROP.format(schema=schema, **part) for part in _parts(tables)]
    return "".join([f"DROP FUNCTION {schema}.stamp_account() CASCADE;", *parts])


def _parts(tables: Mapping[str, str]) -> list[dict[str, str]]:
    return [
        {"table": name.partition("/")[0], "event": event, "prefix": _prefix(event)} for name, event in tables.items()
    ]


def _prefix(event: str) -> str:
    column = event.partition(" OF ")[2]
    return f"{column.removesuffix('_by')}_" if column else ""
