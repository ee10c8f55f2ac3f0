"""Files of the hub: from its cache or ours without a request, else downloaded, checked, and gone on with when cut."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_hub import FakeHub, Faults

from model_collapse import corpora, paths
from model_collapse.corpora import hub, images, text, tokens
from model_collapse.errors import ExternalError, InputError

COMMIT = "1" * 40
LARGE = bytes(range(256)) * 400
SMALL = b'{"a": 1}'
INSTEAD = "use another"


def file(name: str = "x.bin", **known: object) -> hub.File:
    return hub.File("a/b", COMMIT, name, **known)  # type: ignore[arg-type]


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub with one repository, empty caches, and no pauses between tries."""
    with FakeHub({("model", "a/b", COMMIT): {"x.bin": LARGE, "x.json": SMALL}}) as fake:
        at(fake, tmp_path, monkeypatch)
        yield fake


def at(fake: FakeHub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process ask the fake hub, with caches of its own in a folder."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", fake.url)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "theirs"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "PAUSES", (0.0, 0.0))
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(folder / "cache"))
    for name in ("MODEL_COLLAPSE_DATA", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    # The hub's client is made once for a process, with the proxies of that moment.
    import huggingface_hub

    huggingface_hub.close_session()


def theirs(folder: Path, name: str, content: bytes, blob: str) -> Path:
    """A file as the hub's own client leaves it in its cache."""
    top = folder / "theirs" / "models--a--b"
    (top / "blobs").mkdir(parents=True, exist_ok=True)
    (top / "blobs" / blob).write_bytes(content)
    link = top / "snapshots" / COMMIT / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(top / "blobs" / blob)
    return link


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_fetched_once(served: FakeHub) -> None:
    assert hub.fetch(file(), instead=INSTEAD).read_bytes() == LARGE
    assert hub.fetch(file("x.json"), instead=INSTEAD).read_bytes() == SMALL
    asked = len(served.log)
    assert asked == 3  # the large one comes from another place
    assert hub.fetch(file(), instead=INSTEAD).is_relative_to(paths.cache())
    assert hub.fetch(file(sha256=sha256(LARGE), size=len(LARGE)), instead=INSTEAD).read_bytes() == LARGE
    assert len(served.log) == asked


def test_the_hubs_own_cache_comes_first(served: FakeHub, tmp_path: Path) -> None:
    link = theirs(tmp_path, "x.bin", LARGE, sha256(LARGE))
    assert hub.fetch(file(), instead=INSTEAD) == link
    assert served.log == []


@pytest.mark.parametrize("known", [{}, {"sha256": sha256(LARGE)}])
def test_a_damaged_file_in_the_hubs_cache_is_left_and_downloaded_anew(served, tmp_path, known, capsys) -> None:
    link = theirs(tmp_path, "x.bin", LARGE[:-1] + b"?", sha256(LARGE))
    assert hub.fetch(file(**known), instead=INSTEAD).read_bytes() == LARGE
    assert f"{link} is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["x.bin", "x.json"])
def test_a_damaged_file_of_our_cache_is_downloaded_anew(served: FakeHub, name: str, capsys) -> None:
    place = hub.fetch(file(name), instead=INSTEAD)
    right = place.read_bytes()
    place.write_bytes(right[:-1] + b"?")
    assert hub.fetch(file(name), instead=INSTEAD).read_bytes() == right
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("name", ["x.bin", "x.json"])
def test_what_comes_damaged_comes_once_more_and_then_is_one_line(served: FakeHub, name: str) -> None:
    where = "/large/" if name == "x.bin" else name
    served.faults = Faults(wrong=True, only=where, times=1)
    assert hub.fetch(file(name), instead=INSTEAD).is_file()
    hub.fetch(file(name), instead=INSTEAD).unlink()
    served.faults = Faults(wrong=True, only=where)
    with pytest.raises(ExternalError, match=rf"{name} of a/b .*not what was published, twice.*; use another$"):
        hub.fetch(file(name), instead=INSTEAD)
    served.faults = Faults()
    assert hub.fetch(file(name), instead=INSTEAD).is_file()


def test_another_content_than_the_pinned_one_is_refused(served: FakeHub) -> None:
    for known in ({"sha256": "0" * 64}, {"size": 3}):
        with pytest.raises(ExternalError, match="not what was published"):
            hub.fetch(file(**known), instead=INSTEAD)


def test_a_connection_that_breaks_off_is_gone_on_with(served: FakeHub) -> None:
    served.faults = Faults(cut=30_000, only="/large/")
    seen: list[tuple[int, int | None]] = []
    assert hub.fetch(file(), instead=INSTEAD, progress=lambda *x: seen.append(x)).read_bytes() == LARGE
    assert sum("/large/" in line for line in served.log) == 4
    assert seen[-1] == (len(LARGE), len(LARGE)) and seen == sorted(seen)


def test_a_later_process_goes_on_with_what_came(served: FakeHub) -> None:
    served.faults = Faults(cut=30_000, only="/large/", times=1)

    def stop(done: int, total: int | None) -> None:
        if done > 20_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hub.fetch(file(), instead=INSTEAD, progress=stop)
    served.log.clear()
    assert hub.fetch(file(), instead=INSTEAD).read_bytes() == LARGE
    assert [line for line in served.log if "/large/" in line] == [f"/large/{sha256(LARGE)} 206"]


def test_a_download_that_brings_nothing_more_is_one_line(served: FakeHub) -> None:
    served.faults = Faults(cut=0, only="/large/")
    with pytest.raises(ExternalError, match=r"x\.bin of a/b .* broke off.*MB that came are kept"):
        hub.fetch(file(), instead=INSTEAD)


REASONS = {
    "nobody is let in": ({"status": 401}, "no such repository, or a private one"),
    "gated": ({"status": 403, "code": "GatedRepo"}, "accept its licence"),
    "forbidden": ({"status": 403, "code": "Other"}, "does not give it"),
    "no repository": ({"status": 404, "code": "RepoNotFound"}, "no such repository"),
    "no revision": ({"status": 404, "code": "RevisionNotFound"}, "no such revision"),
    "no file": ({"status": 404, "code": "EntryNotFound"}, "no such file"),
    "proxy": ({"status": 407}, "the proxy wants a name and a password"),
    "too many": ({"status": 429}, "too many requests.*HF_TOKEN"),
    "broken": ({"status": 500}, "out of order"),
    "away": ({"status": 503}, "out of order"),
    "odd": ({"status": 418}, "status 418"),
    "login page": ({"page": True}, "login page"),
    "slow": ({"delay": 0.6}, "no answer within 0.2 s"),
}


@pytest.mark.parametrize("case", REASONS)
def test_the_line_says_the_reason(served: FakeHub, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    faults, said = REASONS[case]
    served.faults = Faults(**faults)
    monkeypatch.setattr(hub, "PATIENCE", 0.2)
    for call in (
        lambda: hub.fetch(file(), instead=INSTEAD),
        lambda: hub.listing("a/b", instead=INSTEAD),
    ):
        with pytest.raises(
            ExternalError, match=f"a/b.* cannot be had from the hub: .*{said}.*; use another$"
        ) as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("status", [429, 503])
def test_what_passes_is_tried_again(served: FakeHub, status: int) -> None:
    served.faults = Faults(status=status, times=2)
    assert hub.fetch(file(), instead=INSTEAD).read_bytes() == LARGE


def test_no_hub_at_all(served: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ExternalError, match="cannot be reached"):
        hub.fetch(file(), instead=INSTEAD)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ExternalError, match="HF_HUB_OFFLINE is set"):
        hub.fetch(file(), instead=INSTEAD)


def test_a_token_goes_to_the_hub_and_nowhere_else(served: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    served.token = "good"
    monkeypatch.setenv("HF_TOKEN", "stale")
    with pytest.raises(ExternalError, match=r"does not know the token .*: renew HF_TOKEN, or unset it"):
        hub.fetch(file(), instead=INSTEAD)
    monkeypatch.setenv("HF_TOKEN", "good")
    served.log.clear()
    hub.fetch(file(), instead=INSTEAD)
    assert [line.endswith(" token") for line in served.log] == [True, False]


@pytest.mark.parametrize("lets", [True, False])
def test_a_proxy(served: FakeHub, lets: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", served.url)
    monkeypatch.setenv("http_proxy", served.url)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://hub.invalid")
    served.proxy = lets
    huggingface_hub.close_session()
    try:
        if lets:
            assert hub.fetch(file("x.json"), instead=INSTEAD).read_bytes() == SMALL
            assert served.log == [f"/a/b/resolve/{COMMIT}/x.json 200"]
        else:
            with pytest.raises(ExternalError, match="the proxy wants a name and a password"):
                hub.fetch(file("x.json"), instead=INSTEAD)
    finally:
        huggingface_hub.close_session()


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("socks5://127.0.0.1:1", r"SOCKS proxy, but the 'socksio' package is not installed.*httpx\[socks\]"),
        ("socks5h://127.0.0.1:1", r"SOCKS proxy, but the 'socksio' package is not installed.*httpx\[socks\]"),
        ("socks4://127.0.0.1:1", "the proxy cannot be used .*socks4://127.0.0.1:1"),
    ],
)
def test_a_socks_proxy_that_cannot_be_used_is_one_line(
    served: FakeHub, name: str, proxy: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    monkeypatch.setitem(sys.modules, "socksio", None)  # as where it is not installed
    monkeypatch.setenv(name, proxy)
    huggingface_hub.close_session()
    try:
        with pytest.raises(ExternalError, match=rf"^x\.bin of a/b cannot be had from the hub: .*{said}") as refused:
            hub.fetch(file(), instead=INSTEAD)
        assert "\n" not in str(refused.value)
    finally:
        huggingface_hub.close_session()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_says_so(served: FakeHub, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*x: object) -> None:
        raise OSError(number, os.strerror(number))

    with pytest.raises(ExternalError, match=r"no space left in .*MODEL_COLLAPSE_CACHE"):
        hub.fetch(file(), instead=INSTEAD, progress=full)


def test_a_cache_that_cannot_be_written_says_so(served: FakeHub, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "nofolder").write_text("")
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "nofolder"))
    with pytest.raises(InputError, match=r"MODEL_COLLAPSE_CACHE: .* cannot be written"):
        hub.fetch(file(), instead=INSTEAD)


def test_a_listing_is_asked_for_once_and_holds_its_commit(served: FakeHub, capsys) -> None:
    found = hub.listing("a/b", instead=INSTEAD)
    assert found.commit == COMMIT and found.licence == "apache-2.0"
    assert found.files["x.bin"] == file(size=len(LARGE), sha256=sha256(LARGE))
    served.repositories = {("model", "a/b", "2" * 40): {"x.json": SMALL}}
    assert hub.listing("a/b", instead=INSTEAD) == found and len(served.log) == 1
    assert hub.listing("a/b", instead=INSTEAD, anew=True).commit == "2" * 40
    assert hub.listing("a/b", instead=INSTEAD).commit == "2" * 40


def test_another_revision_is_never_taken(served: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else is in a cache."""
    hub.fetch(file(), instead=INSTEAD)
    served.faults = Faults(status=503)
    with pytest.raises(ExternalError):
        hub.fetch(hub.File("a/b", "3" * 40, "x.bin"), instead=INSTEAD)


# What the project reads from the hub


def parquet(rows: list[str]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"text": rows}), sink)
    return sink.getvalue().to_pybytes()


def test_wikitext(served: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three files at the pinned revision, the rows that the library `datasets` gives; afterwards without a hub."""
    import datasets

    rows = {s: [row for i in range(9) for row in ("", f" = {s} {i} = \n", "", " x . \n")] for s in text.SPLITS}
    content = {split: parquet(rows[split]) for split in text.SPLITS}
    name = "wikitext-2-raw-v1"
    files = {
        split: hub.File(
            text.WIKITEXT_REPOSITORY,
            text.WIKITEXT_REVISION,
            f"{name}/{split}-00000-of-00001.parquet",
            len(content[split]),
            sha256(content[split]),
            "dataset",
        )
        for split in text.SPLITS
    }
    pinned = text.WIKITEXT_FILES[name]
    assert [f.name for f in files.values()] == [f.name for f in pinned.values()]
    monkeypatch.setitem(text.WIKITEXT_FILES, name, files)
    served.repositories = {
        ("dataset", text.WIKITEXT_REPOSITORY, text.WIKITEXT_REVISION): {files[s].name: content[s] for s in text.SPLITS}
    }
    corpus = corpora.load("wikitext-2-raw")
    assert corpus.revision == text.WIKITEXT_REVISION and corpus.validation == rows["validation"]
    served.faults = Faults(status=503)
    assert corpora.load("wikitext-2-raw").fingerprint == corpus.fingerprint
    place = str(hub.cached(files["test"]))
    theirs = datasets.load_dataset("parquet", data_files={"test": [place]}, cache_dir=str(tmp_path / "datasets"))
    assert theirs["test"]["text"][:] == rows["test"]


def test_sums_of_the_real_files_are_pinned() -> None:
    assert all(f.sha256 and f.size for f in text.WIKITEXT_FILES["wikitext-2-raw-v1"].values())
    assert all(f.size for f in text.WIKITEXT_FILES["wikitext-2-v1"].values())
    assert all(f.sha256 for f in images.MNIST_FILES)
    assert {f.revision for f in images.MNIST_FILES} == {images.MNIST_REVISION}


def test_opts_tokenizer(served: FakeHub, tmp_path: Path) -> None:
    made = tokens.trained(["a b c d"] * 9, 300)
    made.save(tmp_path)
    served.repositories = {
        ("model", tokens.OPT_REPOSITORY, tokens.OPT_REVISION): {n: (tmp_path / n).read_bytes() for n in tokens.FILES}
    }
    assert tokens.opt().encode(["a d"]) == made.encode(["a d"])
    served.faults = Faults(status=503)
    assert tokens.opt().size == made.size


def test_two_processes_bring_a_file_once(served: FakeHub, tmp_path: Path) -> None:
    served.faults = Faults(delay=0.3, only="/large/")
    code = f"from model_collapse.corpora import hub; hub.fetch(hub.File('a/b', {COMMIT!r}, 'x.bin'), instead='')"
    environment = os.environ | {"HF_ENDPOINT": served.url, "HF_HOME": str(tmp_path / "home")}
    both = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert sum("/large/" in line for line in served.log) == 1
