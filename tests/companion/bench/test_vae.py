"""The VAE benchmark at toy size: both ways train the same network on the same batches. Nothing here asserts a speed."""

from __future__ import annotations

import gzip
import re
import warnings

import numpy as np
import pytest
from toy_bench import agreed

from model_collapse.companion import bench
from model_collapse.companion.bench.vae import BENCHMARKS, Generations
from model_collapse.corpora import images
from model_collapse.errors import ExternalError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch")


@pytest.fixture
def corpus(tmp_path):
    """A folder like MNIST's: scikit-learn's digits, enlarged to 28 x 28."""
    digits = images.load("digits")
    for part, x in (("train", digits.train[:300]), ("t10k", digits.test[:8])):
        x = np.pad(np.kron(x, np.ones((1, 3, 3), np.uint8)), ((0, 0), (2, 2), (2, 2)))
        for kind, content in (("images-idx3", x), ("labels-idx1", np.zeros(len(x), np.uint8))):
            head = bytes([0, 0, 8, content.ndim]) + np.array(content.shape, ">u4").tobytes()
            (tmp_path / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(head + content.tobytes(), 1))
    return str(tmp_path)


def test_both_ways_have_the_same_losses_and_the_table_has_the_agreed_columns(corpus):
    toy = {"corpus": corpus, "rows": 300, "pairs": 2, "threads": 1}
    # A goal that any machine reaches: so `met` says whether the losses agree.
    small: dict[str, bench.Benchmark] = {"vae": Generations(goal=0, **toy)}
    # Without units for it a processor takes a minute for what is over in a second.
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        small["vae-bf16"] = Generations(precision="bf16", goal=0, **toy)
    found = bench.run(known=small)
    agreed(found, small, threads=1)
    for result in found["results"]:
        assert result["met"] and result["peak_share"] < 1
    ours, theirs = re.findall(r"real image ([\d.]+) nats, theirs ([\d.]+)", found["results"][0]["note"])[0]
    assert ours == theirs


def test_another_loss_is_not_met(corpus, monkeypatch):
    way = bench.published("vae")
    whole = way.generations
    monkeypatch.setattr(way, "generations", lambda *given: tuple(1.0001 * loss for loss in whole(*given)))
    result = Generations(goal=0, corpus=corpus, rows=300, pairs=1, threads=1).measure("vae", way)
    assert not result.met


def test_the_published_network_has_our_weights_and_our_gradients():
    from model_collapse.families.vae.network import Network

    made = []
    for build in (bench.published("vae").Network, lambda: Network(28, (64, 128), 20)):
        torch.manual_seed(0)
        made.append(build().double())
    theirs, ours = made
    pairs = list(zip(theirs.parameters(), ours.parameters(), strict=True))
    assert all(torch.equal(one, other) for one, other in pairs)
    assert sum(one.numel() for one, _ in pairs) == 647_081
    x, z = torch.rand(5, 28, 28, dtype=torch.float64), torch.randn(5, 20, dtype=torch.float64)
    torch.manual_seed(1)
    _, mean, log_variance = theirs(x[:, None])
    torch.testing.assert_close(torch.stack(ours.encode(x)), torch.stack([mean, log_variance]))
    there, here = theirs.decode(z)[:, 0], torch.sigmoid(ours.decode(z))
    torch.testing.assert_close(here, there)
    ((there**2).sum() + (mean**2 * log_variance).sum()).backward()
    ((here**2).sum() + (ours.encode(x)[0] ** 2 * ours.encode(x)[1]).sum()).backward()
    for one, other in pairs:
        torch.testing.assert_close(other.grad, one.grad)


def test_pictures_become_what_they_are_divided_by_255():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 28, 28)).astype(np.uint8)
    tensors = torch.stack(list(bench.published("vae").Pictures(pixels)[i] for i in range(3)))
    np.testing.assert_array_equal(tensors[:, 0].numpy(), pixels.astype(np.float32) / np.float32(255))


def test_the_real_ones_ask_for_what_the_table_of_goals_says():
    assert {name: known.precision for name, known in BENCHMARKS.items()} == {"vae": "fp32", "vae-bf16": "bf16"}
    for known in BENCHMARKS.values():
        assert (known.corpus, known.goal) == ("mnist", 3) and known.pairs >= 5 and known.rows % 256 == 0


def test_without_mnist_it_says_so(monkeypatch):
    def none(name):
        raise ExternalError("cannot be had; do this")

    monkeypatch.setattr(images, "load", none)
    with pytest.raises(ExternalError, match=r"^bench vae: cannot be had; do this$"):
        bench.run(known={"vae": Generations()})
