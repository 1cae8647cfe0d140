"""The whole system's stream: what it consists of, what its effects are, and that a wrong one is a failure."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benchmarks import effects
from benchmarks.cast import fill_cast, fill_wishes, publish_file
from benchmarks.effects import Copy
from benchmarks.measures import whole
from benchmarks.outlets import Taken, ToFiles
from benchmarks.peers.whole_effects import EFFECTS
from benchmarks.peers.whole_messages import CHANNELS
from benchmarks.publisher import checked
from benchmarks.rows import WHOLE
from benchmarks.rows.whole import PROCESSORS, OneProcessor
from benchmarks.stage import Failed, Place
from benchmarks.stream import KINDS, Stream, number_of
from fundlyhub.processing.registry import processors
from fundlyhub.settings import Settings
from fundlyhub.testing import drain

SMALL = Stream(300)


def test_a_stream_is_always_the_same_and_the_beginning_of_a_longer_one() -> None:
    one, other = Stream(50, start=SMALL.start), Stream(100, start=SMALL.start)
    assert all(left == right for left, right in zip(one.happenings, other.happenings[:50], strict=True))
    assert {happening.type for happening in SMALL.happenings} == set(KINDS)


def test_every_event_of_a_stream_is_one_that_the_platform_takes() -> None:
    for one in SMALL.happenings:
        line = {**one._asdict(), "id": str(one.id), "at": one.at.isoformat()}
        assert checked(line).type == one.type


def test_all_rows_have_the_same_number_of_effects() -> None:
    assert len({row.effects(SMALL.happenings) for row in WHOLE.values()}) == 1
    assert set(EFFECTS) == set(CHANNELS) == set(KINDS)
    assert len(PROCESSORS) == 9


def test_a_processor_alone_gets_events_that_it_handles() -> None:
    for name in PROCESSORS:
        one = OneProcessor(name)
        some = Stream(20, one.kinds)
        assert one.effects(some.happenings) == 20
        assert some.name != SMALL.name


def test_nobody_reaches_a_limit_on_messages() -> None:
    stream = Stream(20_000)
    told = Counter(effects.copies(stream, [one for one in stream.happenings if one.type != "payout.completed"]))
    receipts = Counter(
        copy for one in stream.happenings if one.type == "donation.completed"
        for copy in [Copy("email", f"person{number_of(one.payload['donorId'])}@example.org")]
    )  # fmt: skip
    assert max((told - receipts).values()) < 20


def test_a_missing_row_and_one_too_many_are_told() -> None:
    should = {"follows": Counter([(1, 2), (1, 3)])}
    assert effects.wrong(should, {"follows": Counter([(1, 2), (1, 3)])}) == []
    assert effects.wrong(should, {"follows": Counter([(1, 2)])}) == [
        "follows: 2 rows expected, 1 found; missing: (1, 3)"
    ]
    assert "too many" in effects.wrong(should, {"follows": Counter([(1, 2), (1, 3), (1, 3)])})[0]


@pytest.mark.chaos  # for its length
def test_effects_of_the_real_processors_are_those_that_are_expected(settings: Settings, tmp_path: Path) -> None:
    """And a wrong total, a message too many and one that is missing are failures of the run."""
    row, dsn = WHOLE["whole"], settings.dsn("analytics")
    place = Place(dsn, tmp_path, {})
    place.db.execute(Path("benchmarks/peers/schema.sql").read_text())
    fill_cast(dsn)
    fill_wishes(dsn, SMALL)
    publish_file(dsn, SMALL.write(tmp_path))
    drain({name: one for name, one in processors().items() if one.__module__.startswith("fundlyhub.")})
    messages = effects.copies(SMALL, SMALL.happenings)
    taken = [Taken(copy, "reference", 0.0) for copy in messages.elements()]
    whole.verify(place, row, SMALL.happenings, messages, taken)
    files = ToFiles(Place(dsn, settings.data_dir, {}))
    assert files.count() == messages.total()
    whole.verify(place, row, SMALL.happenings, messages, files.taken())
    for went in (taken[1:], [*taken, taken[0]]):
        with pytest.raises(Failed, match="messages"):
            whole.verify(place, row, SMALL.happenings, messages, went)
    place.db.execute("UPDATE analytics.campaign_stats_projection SET total_raised = total_raised + 0.01")
    with pytest.raises(Failed, match="statistics"):
        whole.verify(place, row, SMALL.happenings, messages, taken)
    place.close()
