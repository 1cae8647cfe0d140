"""What a processor class may say of itself, and what is refused when it is defined."""

from __future__ import annotations

import pytest

from fundlyhub import DonationCompleted, DonationRefunded
from fundlyhub.errors import WrongUse
from fundlyhub.processing import ProjectionProcessor, WriteProcessor, registry
from fundlyhub.processing.processor import Processor


def test_its_name_and_task_follow_from_the_class() -> None:
    class ThankYouHTMLNoteProcessor(WriteProcessor, register=False):
        handles = (DonationCompleted,)

        def handle(self, event: object, db: object) -> None: ...

    assert ThankYouHTMLNoteProcessor.name == "thank_you_html_note"
    assert ThankYouHTMLNoteProcessor.task_name() == "writes.thank_you_html_note"
    assert ThankYouHTMLNoteProcessor.database == "app"


def test_it_handles_classes_patterns_and_aliases() -> None:
    class Mixed(ProjectionProcessor, register=False):
        handles = (DonationCompleted, DonationRefunded, "payout.**", "user.campaign_followed")

        def handle(self, event: object, db: object) -> None: ...

    assert Mixed.patterns() == (
        "donation.completed",
        "donation.refunded",
        "payout.**",
        "user.followed_campaign",
    )


def test_two_of_one_name_fail_when_the_second_is_defined() -> None:
    from tests.support.processors import TestCountProcessor

    with pytest.raises(WrongUse, match="two processors are called 'test_count'"):

        class Other(ProjectionProcessor):
            name = TestCountProcessor.name
            handles = (DonationCompleted,)

            def handle(self, event: object, db: object) -> None: ...

    assert registry.processors()["test_count"] is TestCountProcessor


def test_a_class_without_a_handler_is_refused() -> None:
    with pytest.raises(WrongUse, match=r"needs handle\(\) or handle_batch\(\)"):

        class Idle(ProjectionProcessor, register=False):
            handles = (DonationCompleted,)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"batch_size": 0}, "batch_size must be from 1 to 2000"),
        ({"batch_size": 2001}, "batch_size must be from 1 to 2000"),
        ({"max_attempts": 0}, "max_attempts and max_crashes must be at least 1"),
        ({"handles": ("Donation Completed",)}, "is no type pattern"),
        ({"handles": ("donation..completed",)}, "is no type pattern"),
    ],
)
def test_nonsense_is_refused_with_the_reason(attributes: dict[str, object], reason: str) -> None:
    body = {"handles": (DonationCompleted,), "handle": lambda self, event, db: None, **attributes}
    with pytest.raises(WrongUse, match=reason):
        type("Nonsense", (ProjectionProcessor,), body, register=False)


def test_a_class_of_no_kind_is_refused() -> None:
    with pytest.raises(WrongUse, match="subclass WriteProcessor, ProjectionProcessor or NotificationProcessor"):
        type(
            "Bare",
            (Processor,),
            {"handles": ("a.b",), "handle": lambda self, event, db: None},
            register=False,
        )


def test_a_module_that_is_not_there_is_named() -> None:
    with pytest.raises(WrongUse, match="FUNDLYHUB_PROCESSORS: cannot import no_such_module"):
        registry.load("tests.support.processors, no_such_module")
