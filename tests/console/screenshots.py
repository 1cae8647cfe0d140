"""Pictures of every page of the console on a small platform that works, wide and narrow, light and dark.

::

    python -m tests.console.screenshots FOLDER          # all of them, to be looked at
    python -m tests.console.screenshots --docs FOLDER   # light and 1280 px wide, the upper part: those of docs/

Those of ``docs/pictures/console`` are reduced to 128 colours, with any tool, which makes them a third as large.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from playwright.sync_api import Page, sync_playwright

from fundlyhub.database import get_engine
from fundlyhub.demo.publisher import Publisher
from fundlyhub.demo.run import TAKERS
from fundlyhub.demo.stream import Stream
from fundlyhub.testing.databases import migrated_template
from fundlyhub.testing.servers import folder_of_servers, quick_postgres, running_valkey
from tests.console.stage import Stage, paths, staged
from tests.console.widths import LOOKS, outside, tab
from tests.verification import world

TRAFFIC = 12.0
"""Seconds of traffic before the first picture, so that rates are known; the charts of docs/ show the minutes before."""
PAUSE = 0.15
"""Seconds between two transactions of a writer."""
TALLEST = {"processors": 640, "events": 480, "letters": 600, "letter": 520, "letters-chosen": 600, "messages": 580,
           "streams": 720, "audit": 560, "settings": 520, "api": 620}  # fmt: skip
"""Pixels of a picture of docs/ from the top, where they are not 860: a traceback names paths of this machine."""


@contextmanager
def busy(stage: Stage) -> Iterator[None]:
    """Relay and workers run, and people go on giving."""
    stop = threading.Event()

    def give() -> None:
        publisher = Publisher(get_engine("events"), TAKERS, stop)
        publisher.run(one for one in Stream(7, 7, 100_000).transactions() if not stop.wait(PAUSE))

    stage.work()
    giving = threading.Thread(target=give)
    giving.start()
    try:
        yield
    finally:
        stop.set()
        giving.join()


@contextmanager
def platform(traffic: float) -> Iterator[Stage]:
    """A platform with servers of its own, after so many seconds of traffic."""
    with (
        folder_of_servers() as root,
        quick_postgres(root / "postgres") as postgres,
        running_valkey(root / "valkey") as valkey,
    ):
        folder = root / "console"
        folder.mkdir(mode=0o755)
        full = world.filled(postgres, valkey, migrated_template(postgres), "fundlyhub_shown", folder)
        with staged(postgres, valkey, full, folder) as stage, busy(stage):
            time.sleep(traffic)
            yield stage


def take(page: Page, path: str, file: Path, tallest: int | None = None) -> None:
    """A picture of a page: all of it, or its upper part."""
    page.goto(path)
    snap(page, file, tallest)


def snap(page: Page, file: Path, tallest: int | None = None) -> None:
    """A picture of what a tab shows."""
    page.wait_for_load_state("networkidle")
    height = page.evaluate("document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": 1280, "height": min(height, tallest)} if tallest else None
    page.screenshot(path=file, full_page=True, clip=clip)  # type: ignore[arg-type]  # a rectangle
    click.echo(f"{file.name}  {file.stat().st_size / 1000:.0f} kB")


@click.command()
@click.option("--docs", is_flag=True, help="Those of docs/ alone.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def main(folder: Path, docs: bool) -> None:
    """Take the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with platform(6 * TRAFFIC if docs else TRAFFIC) as stage, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for width, colours in LOOKS[:1] if docs else LOOKS:
            with tab(browser, stage.site, "privacy", width, colours) as page:
                for name, path in paths(stage).items():
                    file = folder / (f"{name}.png" if docs else f"{name}-{width}-{colours}.png")
                    take(page, path, file, TALLEST.get(name, 860) if docs else None)
            for name, _, page in () if docs else outside(browser, stage.site, width, colours):
                snap(page, folder / f"{name}-{width}-{colours}.png")
        browser.close()


if __name__ == "__main__":
    main()
