"""Files of the Hugging Face hub at a pinned revision, each checked before anything reads it.

    path = hub.fetch(hub.File("owner/name", REVISION, "model.safetensors", size, sha256), instead="use ...")

A file that lies in the hub's own cache, or in ours, is taken from there without a request. One that is damaged is
downloaded anew, once. An interrupted download resumes, also in a later process. It is a plain HTTP
request by the hub's client, which knows its token, proxies and certificates.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from model_collapse import paths
from model_collapse.errors import ExternalError, InputError

PATIENCE = 10.0
"""Seconds to wait for an answer, and for each further piece of it."""

PAUSES = (1.0, 3.0)
"""Seconds before another try where the hub asks for it or is out of order for a moment."""

LARGE = 10e6
"""Bytes from which on a download is announced."""

HASH = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
"""What the hub calls the content of a file: sha256 of a large one, git's sha1 of a small one."""

Progress = Callable[[int, int | None], None]
"""Called with the progress of a download: bytes received, bytes in total if the hub says so."""


@dataclass(frozen=True)
class File:
    """A file of a repository.

    revision  commit, 40 hexadecimal digits
    size      in bytes, where it is known beforehand
    sha256    of the content, where it is known beforehand; else the hub's own checksum is held to
    """

    repository: str
    revision: str
    name: str
    size: int | None = None
    sha256: str | None = None
    kind: Literal["model", "dataset"] = "model"

    def __str__(self) -> str:
        return f"{self.name} of {self.repository}"

    @property
    def place(self) -> Path:
        """Where our cache has it."""
        return _folder(self.repository, self.kind) / self.revision / self.name


@dataclass(frozen=True)
class Listing:
    """What a repository of a model holds at a commit.

    licence  as its page says it; "" where it says nothing
    """

    commit: str
    files: Mapping[str, File]
    licence: str = ""


class Refused(Exception):
    """Why a file could not be had, as the user reads it; `for_now` if another try may help."""

    def __init__(self, reason: str, for_now: bool = False) -> None:
        super().__init__(reason)
        self.for_now = for_now


def fetch(file: File, *, instead: str, progress: Progress | None = None) -> Path:
    """The local path of a file whose content is right.

    ExternalError in one line with the reason if it cannot be had; `instead` says what the user can do without it.
    InputError if our cache cannot be written.
    """
    found = cached(file)
    if found is not None:
        return found
    from filelock import FileLock

    place = file.place
    with writing(place.parent), FileLock(_beside(place, "lock")):
        # Another process may have brought it in the meantime.
        if _is_right(place, file.size, file.sha256 or _sum(place)):
            return place
        try:
            for _ in range(2):
                digest = _download(file, _beside(place, "part"), progress)
                if _is_right(_beside(place, "part"), file.size, file.sha256 or digest):
                    _beside(place, "sum").write_text(file.sha256 or digest or "", encoding="utf-8")
                    os.replace(_beside(place, "part"), place)
                    return place
                _beside(place, "part").unlink()
            raise Refused("what came is not what was published, twice: another size or checksum")
        except Refused as refused:
            raise ExternalError(f"{file} cannot be had from the hub: {refused}; {instead}") from None


def cached(file: File) -> Path | None:
    """The file in the hub's cache or in ours, if it is there and right; one that is damaged is reported on stderr."""
    from huggingface_hub import try_to_load_from_cache

    theirs = try_to_load_from_cache(file.repository, file.name, revision=file.revision, repo_type=file.kind)
    for found in (Path(theirs) if isinstance(theirs, str) else None, file.place):
        if found is None or not found.is_file():
            continue
        # The hub's cache calls a file by its checksum, and links to it.
        digest = file.sha256 or (_sum(found) if found == file.place else found.resolve().name)
        if _is_right(found, file.size, digest):
            return found
        print(f"{found} is damaged; {file} is looked for again", file=sys.stderr)
    return None


def listing(repository: str, revision: str = "main", *, instead: str, anew: bool = False) -> Listing:
    """What a model's repository holds. A branch or tag keeps the commit that it had when it was first asked for.

    anew  ask the hub what it is today. ExternalError as of `fetch`; without the hub, what other programs left in its
          cache will do.
    """
    kept = _folder(repository, "model") / f"{quote(revision, safe='')}.json"
    if kept.is_file() and not anew:
        try:
            return _listed(repository, json.loads(kept.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError):
            pass  # damaged: asked for again
    address = f"{_endpoint()}/api/models/{quote(repository)}/revision/{quote(revision, safe='')}?blobs=true"
    try:
        about = _patiently(lambda: _about(address))
        found = _listed(repository, about)
    except Refused as refused:
        if not anew and (left := _in_their_cache(repository, revision)):
            return left
        raise ExternalError(f"{repository}@{revision} cannot be had from the hub: {refused}; {instead}") from None
    with writing(kept.parent):
        part = _beside(kept, f"{os.getpid()}.part")
        part.write_text(json.dumps(about), encoding="utf-8")
        os.replace(part, kept)
    return found


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Makes a folder of our cache to write into; a full disk is an ExternalError, a forbidden place an InputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, "", str(folder))
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise ExternalError(
                f"no space left in {folder}: free some, or name another folder with MODEL_COLLAPSE_CACHE; the same "
                "command then goes on"
            ) from None
        raise InputError(f"MODEL_COLLAPSE_CACHE: {folder} cannot be written; name a folder that can") from None


# The cache


def _folder(repository: str, kind: str) -> Path:
    return paths.cache() / "hub" / f"{kind}s--{repository.replace('/', '--')}"


def _beside(place: Path, kind: str) -> Path:
    return place.with_name(f".{place.name}.{kind}")


def _sum(place: Path) -> str | None:
    """What was written down of a file of our cache."""
    try:
        return _beside(place, "sum").read_text(encoding="utf-8") or None
    except (OSError, ValueError):
        return None


def _is_right(path: Path, size: int | None, digest: str | None) -> bool:
    """Whether a file is there with this size and checksum; what is not known is not asked."""
    if not path.is_file() or (size is not None and path.stat().st_size != size):
        return False
    if digest is None or not HASH.fullmatch(digest):
        return True
    total = hashlib.sha256() if len(digest) == 64 else hashlib.sha1(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as stream:
        while piece := stream.read(2**20):
            total.update(piece)
    return total.hexdigest() == digest


def _listed(repository: str, about: dict[str, Any]) -> Listing:
    files = {}
    for entry in about["siblings"]:
        large = entry.get("lfs") or {}
        name = entry["rfilename"]
        files[name] = File(repository, about["sha"], name, entry.get("size"), large.get("sha256"))
    licence = (about.get("cardData") or {}).get("license") or ""
    return Listing(about["sha"], files, licence if isinstance(licence, str) else ", ".join(map(str, licence)))


def _in_their_cache(repository: str, revision: str) -> Listing | None:
    """What other programs left in the hub's cache, if weights are among it."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
    named = folder / "refs" / revision
    commit = named.read_text(encoding="utf-8").strip() if named.is_file() else revision
    snapshot = folder / "snapshots" / commit
    if not snapshot.is_dir() or not any(snapshot.glob("*.safetensors")):
        return None
    files = {}
    for path in snapshot.iterdir():
        if path.is_file():
            blob = path.resolve().name
            sha256 = blob if len(blob) == 64 and HASH.fullmatch(blob) else None
            files[path.name] = File(repository, commit, path.name, path.stat().st_size, sha256)
    return Listing(commit, files)


# Requests


def _endpoint() -> str:
    from huggingface_hub import constants

    return constants.ENDPOINT


def _download(file: File, part: Path, progress: Progress | None) -> str | None:
    """Complete `part`, over as many connections as it takes while each brings something; the hub's checksum of it."""
    if progress is None and file.size and file.size > LARGE:
        print(f"{file}: {file.size / 1e6:.0f} MB from the hub", file=sys.stderr)
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            return _patiently(lambda: _transfer(file, part, progress))
        except _Cut as cut:
            have = part.stat().st_size if part.exists() else 0
            if have <= before:
                raise Refused(f"{cut}; the {have / 1e6:.1f} MB that came are kept, and the next try goes on") from None


def _patiently(request: Callable[[], Any]) -> Any:
    """The outcome of a request, with some more tries where that may help."""
    for pause in PAUSES:
        try:
            return request()
        except Refused as refused:
            if not refused.for_now:
                raise
            time.sleep(pause)
    return request()


class _Cut(Exception):
    """The connection broke off in the middle of a file."""


def _transfer(file: File, part: Path, progress: Progress | None) -> str | None:
    """Append to `part` what is missing; the hub's checksum of the whole, if it gives one."""
    have = part.stat().st_size if part.exists() else 0
    if file.size is not None and have > file.size:
        part.unlink()
        have = 0
    kind = "datasets/" if file.kind == "dataset" else ""
    address = f"{_endpoint()}/{kind}{quote(file.repository)}/resolve/{file.revision}/{quote(file.name)}"
    with _asked(address, {"Range": f"bytes={have}-"} if have else {}) as answer:
        answers = [*answer.history, answer]
        if answer.status_code == 416:  # there is nothing after what is here: whole, if it is right
            return _first(answers, "x-linked-etag", "etag")
        _check(answers)
        commit = _first(answers, "x-repo-commit")
        if commit is None:
            raise _no_hub()
        if commit != file.revision:
            raise Refused(f"it answers with revision {commit}, not {file.revision}")
        if answer.status_code != 206:
            have = 0
        length = answer.headers.get("content-length")
        total = have + int(length) if length else file.size
        with part.open("ab" if have else "wb") as stream:
            try:
                for piece in answer.iter_bytes():
                    have += stream.write(piece)
                    if progress:
                        progress(have, total)
            except Exception as error:  # of the client's own kinds, which differ between its versions
                if isinstance(error, OSError) and not isinstance(error, ConnectionError):
                    raise  # the disk
                raise _Cut(f"the connection broke off ({_reason(error)})") from None
        if total is not None and have < total:
            raise _Cut("the connection broke off")
        return _first(answers, "x-linked-etag", "etag")


def _about(address: str) -> dict[str, Any]:
    with _asked(address, {}) as answer:
        answer.read()
        _check([*answer.history, answer])
        try:
            about = answer.json()
            return {key: about[key] for key in ("sha", "siblings")} | {"cardData": about.get("cardData")}
        except (ValueError, KeyError, TypeError):
            raise _no_hub() from None


@contextmanager
def _asked(address: str, headers: dict[str, str]) -> Iterator[Any]:
    """The answer to a request, its body still to be read; Refused with the reason where there is none."""
    from huggingface_hub import constants, get_session, get_token

    if constants.HF_HUB_OFFLINE:
        raise Refused("HF_HUB_OFFLINE is set, and it is in no cache")
    token = get_token()
    headers = {"Accept-Encoding": "identity", **headers} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        stream = get_session().stream("GET", address, headers=headers, follow_redirects=True, timeout=PATIENCE)
        answer = stream.__enter__()
    except Exception as error:  # of the client's own kinds, of the proxy's, of missing packages
        raise Refused(_reason(error)) from None
    try:
        yield answer
    finally:
        answer.close()


def _first(answers: list[Any], *names: str) -> str | None:
    """A header of the first answer that has it; a checksum without its quotes."""
    for name in names:
        for answer in answers:
            if name in answer.headers:
                return answer.headers[name].removeprefix("W/").strip('"')
    return None


def _check(answers: list[Any]) -> None:
    """Refused, with what to do, unless the last answer is what was asked for."""
    answer = answers[-1]
    status, code = answer.status_code, answer.headers.get("x-error-code", "")
    known = "authorization" in answers[0].request.headers
    if status < 400:
        return
    if status == 401 and known and code != "RepoNotFound":
        said = "it does not know the token (status 401): renew HF_TOKEN, or unset it"
    elif code == "GatedRepo" or (status == 403 and not code):
        said = f"it does not give it to you (status {status}): accept its licence on its page, and set HF_TOKEN"
    elif status == 403:
        said = "it does not give it to you (status 403)"
    elif code == "RevisionNotFound":
        said = "it has no such revision (status 404)"
    elif code == "EntryNotFound":
        said = "this revision has no such file (status 404)"
    elif status in (401, 404):
        said = f"it has no such repository, or a private one (status {status}): check the name, or set HF_TOKEN"
    elif status == 407:
        said = "the proxy wants a name and a password (status 407): HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT"
    elif status == 429:
        said = "too many requests (status 429): wait some minutes, or set HF_TOKEN"
    elif status >= 500:
        said = f"it is out of order (status {status}): try again later"
    else:
        said = f"status {status}"
    raise Refused(said, for_now=status == 429 or status >= 500)


def _no_hub() -> Refused:
    return Refused(
        f"what answers at {_endpoint()} is no hub, perhaps the login page of this network: open it in a browser"
    )


def _reason(error: Exception) -> str:
    """Why a request found no answer."""
    kind, said = type(error).__name__, " ".join(str(error).split())[:160].rstrip(".")
    if "Timeout" in kind:
        return f"no answer within {PATIENCE:g} s"
    if "407" in said:
        return "the proxy wants a name and a password (status 407): HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT"
    if "Proxy" in kind or "proxy URL" in said:
        return f"the proxy cannot be used ({said or kind})"
    if isinstance(error, ImportError):
        return said
    return f"it cannot be reached ({said or kind})"
