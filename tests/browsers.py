"""A headless Chromium for tests, and what a page said and asked for."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# WebGL in software; nothing that asks the network by itself.
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-gl=angle", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]  # fmt: skip


def chromium() -> str | None:
    """Path of the machine's Chromium, None if there is none."""
    names = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
    given = os.environ.get("HPO_CORE_TEST_BROWSER")
    return given or next((path for name in names if (path := shutil.which(name))), None)


@contextmanager
def launched() -> Iterator[Any]:
    """A browser of Playwright's; the test is skipped if the machine has none and it is not required."""
    path = chromium()
    if path is None and os.environ.get("HPO_CORE_REQUIRE_BROWSER", "0") in ("", "0"):
        pytest.skip("no chromium; HPO_CORE_REQUIRE_BROWSER=1 makes this an error")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page of a browser, with the dialogs, errors and requests that it has caused.

    Attributes
    ----------
    page : playwright.sync_api.Page
    dialogs, errors, requests : list of str
        What dialogs said, uncaught errors and errors of the console, and addresses of requests.
    """

    def __init__(self, browser: Any, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)  # a busy machine
        self.dialogs: list[str] = []
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("dialog", self._close)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._hear)
        self.page.on("request", lambda request: self.requests.append(request.url))

    def _close(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _hear(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def until(self, expression: str, *, seconds: float = 60.0) -> Any:
        """Wait until a JavaScript expression is true, and return it.

        Playwright's own ``wait_for_function`` evaluates text in the page, which a strict policy forbids.
        """
        end = time.monotonic() + seconds
        while not (found := self.page.evaluate(expression)):
            assert time.monotonic() < end, f"never true: {expression}"
            self.page.wait_for_timeout(20)
        return found
