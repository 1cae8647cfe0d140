"""axe-core, vendored for tests alone: what it finds on a page of a browser."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

VENDORED = Path(__file__).parent / "vendored"
RUN = """
    async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
        .filter(one => ["serious", "critical"].includes(one.impact))
        .map(one => [one.id, one.help, ...one.nodes.slice(0, 5).map(node => node.html + node.failureSummary)].join())
"""
"""What is wrong, each with the elements that it is about."""


def faults(page: Page) -> list[str]:
    """The serious and critical findings about what a tab shows."""
    page.evaluate((VENDORED / "axe.min.js").read_text())  # evaluated by the debugger: the policy of the page stands
    found: list[str] = page.evaluate(RUN)
    return found
