"""What tests of the companion share: a browser."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from model_collapse.companion.book import release
from model_collapse.errors import ExternalError


@pytest.fixture(scope="module")
def chrome() -> str:
    """Where a browser is."""
    try:
        return release.chrome()
    except ExternalError:
        reason = "no chromium on the PATH; on Debian: apt-get install chromium"
        raise (pytest.fail.Exception if os.environ.get("CI") else pytest.skip.Exception)(reason) from None


@pytest.fixture(scope="module")
def browser(chrome: str) -> Iterator[object]:
    """Any chromium on the PATH, running."""
    with release.browser() as launched:
        yield launched
