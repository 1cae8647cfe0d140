"""A database that is restored from a backup of before an erasure: it is found out, and erased again."""

from __future__ import annotations

import pytest

from fundlyhub import UserProfileUpdated, publish_event
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.people.erasing import again
from fundlyhub.settings import Settings, get_settings
from fundlyhub.testing.databases import copy_of, environment_of
from tests.people.erased import erased, places, take_up
from tests.verification.world import BEN, OURS, found, sql


@pytest.mark.chaos  # for its length
def test_a_restored_database_is_found_out_and_erased_again(at_rest: Settings) -> None:
    sql("CREATE SCHEMA backup")
    for table in ("contacts", "entity_fields", "entities"):
        sql(f"CREATE TABLE backup.{table} AS TABLE app.{table}")
    erased(BEN)
    for table in ("entity_fields", "entities", "contacts"):
        sql(f"TRUNCATE app.{table}")
        sql(f"INSERT INTO app.{table} SELECT * FROM backup.{table}")
    sql("DELETE FROM app.erasures")
    sql("DROP SCHEMA backup CASCADE")
    assert places("ben@example.org")
    finding, *_ = found()
    assert (finding.kind, finding.processor) == ("missing", "people")
    (done,) = again(get_settings(), OURS)
    assert done.whole
    assert places("ben@example.org") == []
    assert found() == []
    assert again(get_settings(), OURS) == []


@pytest.mark.chaos  # for its length
def test_all_databases_are_restored_from_backups_and_erased_again_by_the_journal_in_the_data_folder(
    at_rest: Settings, postgres: Postgres, valkey: Valkey, peopled: str
) -> None:
    """The backup is from before the erasure: nothing but the file in the data folder knows of it."""
    erased(BEN)
    with copy_of(postgres, peopled) as backup, environment_of(backup, valkey, at_rest.data_dir):
        assert places("ben@example.org")
        finding, *_ = found()
        assert (finding.kind, finding.processor) == ("missing", "people")
        later = publish_event(UserProfileUpdated(user_id=BEN, changes={"name": "Ben again"}))
        take_up()
        (done,) = again(get_settings(), OURS)
        assert done.whole
        assert places("ben@example.org") == places("Ben B.") == []
        assert sql("SELECT payload #>> '{changes,name}' FROM events.events WHERE id = %s", later.id) == [("Ben again",)]
        assert found() == []
        assert again(get_settings(), OURS) == []
