"""What tests of the companion share: a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Any chromium on the PATH."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    if found is None:
        reason = "no chromium on the PATH; on Debian: apt-get install chromium"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    from playwright.sync_api import sync_playwright

    quiet = "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=[*quiet.split(), "--disable-sync"])
        yield launched
        launched.close()
