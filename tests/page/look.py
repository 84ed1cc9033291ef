"""The page in a real browser, and what must hold of it whatever the test is about."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it may not be installed
    from playwright.sync_api import BrowserContext, Locator, Page

SECONDS = 15
SERIOUS = ("serious", "critical")
TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
"""
BROKEN_LINE = "Failed to load resource"
"""What the browser itself writes of an answer that is an error, and of none."""


class Look:
    """One visit to the page. Errors, violations and foreign requests are noted from the start."""

    def __init__(self, context: BrowserContext, base: str, path: str) -> None:
        self.base = base
        self.wrong: list[str] = []
        self.forgiven: set[str] = set()
        context.add_init_script(TELL_VIOLATIONS)
        self.page: Page = context.new_page()
        self.page.set_default_timeout(SECONDS * 1000)
        self.page.on("console", lambda said: self._note(said.type, said.text))
        self.page.on("pageerror", lambda error: self.wrong.append(f"uncaught: {error}"))
        self.page.on("request", lambda request: self._leaves(request.url))
        self.page.goto(base + path)

    def _note(self, kind: str, words: str) -> None:
        if kind in ("error", "warning"):
            self.wrong.append(words)

    def _leaves(self, url: str) -> None:
        if not url.startswith((self.base, "data:")):
            self.wrong.append(f"request off the host: {url}")

    def forgive(self, words: str) -> None:
        """What contains *words* is what this test provokes."""
        self.forgiven.add(words)

    def left_over(self) -> list[str]:
        return [one for one in self.wrong if not any(words in one for words in self.forgiven)]

    # -- seeing -----------------------------------------------------------------------------

    def at(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def sees(self, selector: str, words: str) -> None:
        """Wait until the first match of *selector* says *words* (a regular expression)."""
        from playwright.sync_api import expect

        pattern = re.compile(words, re.DOTALL)
        expect(self.at(selector).first).to_have_text(pattern, timeout=SECONDS * 1000)

    def state(self, kind: str, sentence: str) -> None:
        """Wait until the sentence says *sentence*, in the state *kind*."""
        self.sees("#sentence", sentence)
        self.at(f"#hero.{kind}").wait_for()

    def count(self, selector: str, number: int) -> None:
        from playwright.sync_api import expect

        expect(self.at(selector)).to_have_count(number, timeout=SECONDS * 1000)

    def gone(self, selector: str) -> None:
        self.at(selector).first.wait_for(state="hidden")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def focused(self) -> str:
        """Return what has the focus: its id, or its text."""
        words = self.page.evaluate(
            "document.activeElement.id || document.activeElement.textContent.trim()"
        )
        return str(words)

    def tab_to(self, wanted: str, most: int = 40) -> None:
        """Press Tab until *wanted* (an id or a text) has the focus."""
        for _ in range(most):
            self.press("Tab")
            if self.focused() == wanted:
                return
        raise AssertionError(f"{wanted} cannot be reached with Tab, at last: {self.focused()}")

    # -- judging ----------------------------------------------------------------------------

    def is_accessible(self) -> None:
        """axe-core finds nothing serious, in light and in dark."""
        from axe_playwright_python.sync_playwright import Axe

        everything: dict[str, Any] = {"resultTypes": ["violations"]}
        colours = {**everything, "runOnly": ["color-contrast"]}  # the rest is the same in the dark
        for dark, options in ((False, everything), (True, colours)):
            self.page.emulate_media(color_scheme="dark" if dark else "light")
            found = Axe().run(self.page, options=options).response["violations"]
            serious = [
                f"{one['id']}: {node['html']} {node.get('failureSummary')}"
                for one in found
                if one["impact"] in SERIOUS
                for node in one["nodes"]
            ]
            assert not serious, "\n".join(serious)

    def fits(self, width: int) -> None:
        """At this width nothing is wider than the window."""
        self.page.set_viewport_size({"width": width, "height": 740})
        assert self.page.evaluate("document.documentElement.scrollWidth") <= width
