"""A built book in a real browser that reaches nothing else."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Site:
    """A built book served on this machine, and a browser page that can reach nothing else."""

    address: str
    html: Path
    page: object
    complaints: list[str] = field(default_factory=list)

    def open(self, page: str) -> None:
        """Open a page of the book and wait until its equations are set."""
        self.page.goto(f"{self.address}/{page}")
        self.page.wait_for_function("!window.MathJax || (MathJax.startup && MathJax.startup.promise)")
        self.page.evaluate("window.MathJax && MathJax.startup && MathJax.startup.promise.then(() => null)")


class Silent(SimpleHTTPRequestHandler):
    """A file server that keeps no log."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(html: Path, browser: object) -> Iterator[Site]:
    """A site whose every failed request, outside request and console error is a complaint."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=str(html)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    site = Site(address, html, page)

    def answer(route) -> None:
        if route.request.url.startswith((address, "data:", "blob:", "file:")):
            route.continue_()
        else:
            site.complaints.append(f"asks for {route.request.url}")
            route.abort()

    def failed(request) -> None:
        # Aborted: the test went on to the next page before a picture had come, or `answer` has said so.
        if request.failure != "net::ERR_ABORTED" and request.url.startswith((address, "file:")):
            site.complaints.append(f"{page.url}: {request.failure} for {request.url}")

    page.context.route("**/*", answer)
    page.on("console", lambda said: said.type == "error" and site.complaints.append(f"{page.url}: {said.text}"))
    page.on("pageerror", lambda error: site.complaints.append(f"{page.url}: {error}"))
    page.on("requestfailed", failed)
    page.on("response", lambda got: got.status >= 400 and site.complaints.append(f"{got.url}: {got.status}"))
    try:
        yield site
    finally:
        page.close()
        server.shutdown()
        thread.join()
        server.server_close()
