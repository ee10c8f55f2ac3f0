"""A hub on the loopback interface: the requests that `corpora.hub` makes, and what can go wrong with each."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".bin", ".parquet", ".gguf")
"""Files that the hub keeps apart: their content comes from another origin, and their sha256 is known."""


@dataclass
class Faults:
    """What goes wrong, with requests whose path contains `only`, `times` times (None: always)."""

    status: int | None = None
    code: str = ""
    cut: int | None = None
    delay: float = 0.0
    wrong: bool = False
    page: bool = False
    only: str = ""
    times: int | None = None

    def due(self, path: str) -> Faults:
        if self.only not in path or self.times == 0:
            return Faults()
        if self.times is not None:
            self.times -= 1
        return self


@dataclass
class FakeHub:
    """repositories: (kind, owner/name, commit) -> name of a file -> content; a context that is served while it lasts.

    token     the only one that is taken; None: any or none
    password  that it wants as a proxy, see `Proxy-Authorization`
    log       "path status" of each request that was answered, in order; " token" after those that came with one
    """

    repositories: dict[tuple[str, str, str], dict[str, bytes]] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    token: str | None = None
    proxy: bool = False
    log: list[str] = field(default_factory=list)
    licence: str = "apache-2.0"

    def __enter__(self) -> FakeHub:
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *x: None  # a client that goes away
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        hub = self.hub
        proxied = self.path.startswith("http")
        path = unquote(urlsplit(self.path).path)
        faults = hub.faults.due(path)
        time.sleep(faults.delay)
        self.faults = faults
        if proxied and not hub.proxy:
            return self._answer(407, b"")
        if faults.page:
            return self._answer(200, b"<html>Log in, please</html>", {"Content-Type": "text/html"})
        if faults.status:
            return self._answer(faults.status, b"", {"X-Error-Code": faults.code} if faults.code else {})
        sent = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if hub.token and sent and sent != hub.token:
            return self._answer(401, b"")
        if path.startswith("/large/"):
            content = next(c for files in hub.repositories.values() for c in files.values() if _sha(c) == path[7:])
            return self._content(content, {"ETag": '"of-no-use"'})
        if path.startswith("/api/models/"):
            repository, _, revision = path.removeprefix("/api/models/").partition("/revision/")
            return self._about(repository, revision)
        kind = "dataset" if path.startswith("/datasets/") else "model"
        repository, _, rest = path.removeprefix("/datasets").strip("/").partition("/resolve/")
        commit, _, name = rest.partition("/")
        if not any(known == repository for _, known, _ in hub.repositories):
            return self._answer(401, b"", {"X-Error-Code": "RepoNotFound"})
        files = hub.repositories.get((kind, repository, commit))
        if files is None:
            return self._answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        if name not in files:
            return self._answer(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        content = files[name]
        if not name.endswith(LARGE):
            return self._content(content, {"X-Repo-Commit": commit, "ETag": f'"{_blob(content)}"'})
        about = {"X-Repo-Commit": commit, "X-Linked-Etag": f'"{_sha(content)}"', "X-Linked-Size": str(len(content))}
        where = {"Location": f"http://localhost:{hub.port}/large/{_sha(content)}"}
        return self._answer(302, b"", about | where)

    def _about(self, repository: str, revision: str) -> None:
        for (kind, name, commit), files in self.hub.repositories.items():
            if (kind, name) == ("model", repository) and revision in (commit, "main"):
                siblings = [
                    {"rfilename": file, "size": len(content), "blobId": _blob(content)}
                    | ({"lfs": {"sha256": _sha(content), "size": len(content)}} if file.endswith(LARGE) else {})
                    for file, content in files.items()
                ]
                about = {"sha": commit, "siblings": siblings, "cardData": {"license": self.hub.licence}}
                return self._answer(200, json.dumps(about).encode())
        return self._answer(404, b"", {"X-Error-Code": "RepoNotFound"})

    def _content(self, content: bytes, headers: dict[str, str]) -> None:
        if self.faults.wrong:
            content = content[: len(content) // 2] + b"?" + content[len(content) // 2 + 1 :]
        wanted = self.headers.get("Range")
        if wanted:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                return self._answer(416, b"")
            return self._answer(206, content[start:], headers)
        return self._answer(200, content, headers)

    def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.hub.log.append(f"{urlsplit(self.path).path} {status}" + " token" * ("Authorization" in self.headers))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        cut = self.faults.cut
        self.wfile.write(content if cut is None else content[:cut])
        if cut is not None and cut < len(content):
            self.close_connection = True


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _blob(content: bytes) -> str:
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
