"""The variational autoencoder against a plain network, closed forms of its loss, and images whose model is known."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_collapse import cli, families, registry, streams
from model_collapse.companion.studies.vae import STUDY
from model_collapse.corpora import images
from model_collapse.data import Data, Rows
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan
from model_collapse.errors import ExternalError, InputError
from model_collapse.families.vae import Vae
from model_collapse.loop import Generation, generations
from model_collapse.regimes.accumulate import Accumulate
from model_collapse.regimes.replace import Replace

with warnings.catch_warnings():
    # Importing torch is not what these tests are about.
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch")
    from torch import nn

    from model_collapse import hardware
    from model_collapse.families import _network
    from model_collapse.families.vae import network

QUICK = Vae(epochs=1, evaluate=20)


def digits(n: int) -> Data:
    return Data.real(Rows(images.load("digits").train[:n]))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def equal(one: _network.Fitted, other: _network.Fitted) -> bool:
    same = all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights | other.weights)
    # JSON knows no tuples.
    configs = [json.dumps(model.config) for model in (one, other)]
    return same and configs[0] == configs[1] and one.losses == other.losses


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Every batch of images that the loss is taken of, in order: (b, side, side)."""
    read: list[Any] = []
    minimise = network.minimise

    def watching(module: Any, loss: Any, *given: Any, **named: Any) -> Any:
        def noted(x: Any) -> Any:
            read.append(x.clone())
            return loss(x)

        return minimise(module, noted, *given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(network, "minimise", watching)
        yield read


# The network -------------------------------------------------------------------------------------------------------


def plain(side: int, channels: tuple[int, int], latent: int) -> nn.ModuleDict:
    """The network as a list of layers."""
    first, second = channels
    edge, inner = side // 4, second * (side // 4) ** 2
    return nn.ModuleDict(
        {
            "encoder": nn.Sequential(
                nn.Conv2d(1, first, 4, 2, 1), nn.ReLU(), nn.Conv2d(first, second, 4, 2, 1), nn.ReLU(), nn.Flatten()
            ),
            "mean": nn.Linear(inner, latent),
            "log_variance": nn.Linear(inner, latent),
            "decoder": nn.Sequential(
                nn.Linear(latent, inner),
                nn.Unflatten(1, (second, edge, edge)),
                nn.ConvTranspose2d(second, first, 4, 2, 1),
                nn.ReLU(),
                nn.ConvTranspose2d(first, 1, 4, 2, 1),
            ),
        }
    )


PLACES = {
    "down": "encoder.0",
    "further_down": "encoder.2",
    "mean": "mean",
    "log_variance": "log_variance",
    "widen": "decoder.0",
    "up": "decoder.2",
    "further_up": "decoder.4",
}


def renamed(weights: dict[str, Any]) -> dict[str, Any]:
    """Our names of weights -> those of `plain`."""
    return {f"{PLACES[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": w for name, w in weights.items()}


def both(side: int, channels: tuple[int, int], latent: int) -> tuple[nn.Module, nn.ModuleDict]:
    """Ours and the plain one with the same weights, in double precision."""
    torch.manual_seed(0)
    ours, theirs = network.Network(side, channels, latent).double(), plain(side, channels, latent).double()
    theirs.load_state_dict(renamed(ours.state_dict()))
    return ours, theirs


@pytest.mark.parametrize("shape", [(8, (32, 64), 20), (28, (64, 128), 20), (12, (3, 5), 2), (4, (2, 3), 2)])
def test_it_is_the_plain_network(shape: tuple[int, tuple[int, int], int]):
    """Encoder, decoder and all gradients of a function of both; 1e-10 is rounding in double precision."""
    with hardware.seeded(1, hardware.device()):
        ours, theirs = both(*shape)
        side, _, latent = shape
        x, z = torch.rand(5, side, side).double(), torch.randn(7, latent).double()
        pair = []
        for module in (ours, theirs):
            if module is ours:
                encoded, decoded = ours.encode(x), ours.decode(z)
            else:
                hidden = theirs["encoder"](x[:, None])
                encoded, decoded = (theirs["mean"](hidden), theirs["log_variance"](hidden)), theirs["decoder"](z)[:, 0]
            (torch.sin(decoded).sum() + (encoded[0] ** 2 * torch.exp(encoded[1])).sum()).backward()
            pair.append([*encoded, decoded])
    for mine, wanted in zip(*pair, strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-10, atol=1e-10)
    gradients = renamed({name: weight.grad for name, weight in ours.named_parameters()})
    for name, weight in theirs.named_parameters():
        assert weight.grad.abs().max() > 0
        torch.testing.assert_close(gradients[name], weight.grad, rtol=1e-9, atol=1e-10)


def test_the_published_size_has_as_many_weights():
    module = network.Network(**network_config("paper"))
    assert sum(weight.numel() for weight in module.parameters()) == 647_081


def network_config(preset: str) -> dict[str, Any]:
    from model_collapse.families.vae import SHAPES

    return {**SHAPES[preset], "latent": 20}


def test_new_weights_are_those_of_the_plain_network_and_repeat():
    """torch's own initialisation, layer by layer in the same order; none of it from the caller's generator."""
    before = torch.random.get_rng_state()
    fitted = [replace(QUICK, steps=1, lr=1e-30, weight_decay=0).fit(digits(40), rng(seed)) for seed in (3, 3, 4)]
    assert torch.equal(torch.random.get_rng_state(), before)
    with hardware.seeded(int(rng(3).integers(2**63)), hardware.device()):
        theirs = plain(8, (32, 64), 20).state_dict()
    for name, weight in renamed(fitted[0].weights).items():
        torch.testing.assert_close(weight, theirs[name], rtol=0, atol=1e-25)
    assert equal(fitted[0], fitted[1]) and not equal(fitted[0], fitted[2])


# The loss ----------------------------------------------------------------------------------------------------------


def test_kl_divergence_is_that_of_torch():
    mean, log_variance = torch.randn(6, 3).double() * 2, torch.randn(6, 3).double()
    normal = torch.distributions.Normal(mean, torch.exp(log_variance / 2))
    theirs = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(network.divergence(mean, log_variance), theirs.double())
    torch.testing.assert_close(network.divergence(torch.zeros(2, 3), torch.zeros(2, 3)), torch.zeros(2))


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_the_loss_is_the_evidence_lower_bound(beta: float):
    """Of the first batch, with new weights: cross-entropy of the pixels and KL, computed with numpy and by hand."""
    settings = replace(QUICK, steps=1, batch=1000, beta=beta)
    (found,) = settings.fit(digits(50), rng(5)).losses
    state = rng(5)
    seed = int(state.integers(2**63))
    x = digits(50).rows.x[state.permutation(50)] / 255.0
    with hardware.seeded(seed, hardware.device()):
        theirs = plain(8, (32, 64), 20)
        noise = torch.randn(50, 20).double().numpy()
    theirs = theirs.double()
    with torch.no_grad():
        hidden = theirs["encoder"](torch.from_numpy(x)[:, None])
        mean, log_variance = theirs["mean"](hidden).numpy(), theirs["log_variance"](hidden).numpy()
        z = mean + np.exp(log_variance / 2) * noise
        p = 1 / (1 + np.exp(-theirs["decoder"](torch.from_numpy(z))[:, 0].numpy()))
    cross = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=(1, 2))
    divergence = (np.exp(log_variance) + mean**2 - 1 - log_variance).sum(axis=1) / 2
    assert divergence.mean() > 0.01
    assert found == pytest.approx(np.mean(cross + beta * divergence), rel=1e-6)


def test_steps_are_adams_on_the_sum_over_a_batch():
    """Two steps with torch's own Adam on the plain network, its loss written with torch.distributions."""
    settings = replace(QUICK, steps=2, batch=20, weight_decay=0.1, lr=0.01)
    fitted = settings.fit(digits(40), rng(6))
    state = rng(6)
    seed = int(state.integers(2**63))
    order = torch.from_numpy(state.permutation(40))
    x = torch.from_numpy(digits(40).rows.x)[order].float() / 255
    with hardware.seeded(seed, hardware.device()):
        theirs = plain(8, (32, 64), 20)
        adam = torch.optim.Adam(theirs.parameters(), lr=0.01, weight_decay=0.1)
        smallest = {name: torch.full_like(weight, torch.inf) for name, weight in theirs.named_parameters()}
        for batch in x.split(20):
            hidden = theirs["encoder"](batch[:, None])
            q = torch.distributions.Normal(theirs["mean"](hidden), torch.exp(theirs["log_variance"](hidden) / 2))
            z = q.mean + q.stddev * torch.randn(20, 20)
            # Grey pixels are no draws of a Bernoulli distribution; its density is taken at them all the same.
            p = torch.distributions.Bernoulli(logits=theirs["decoder"](z)[:, 0], validate_args=False)
            divergence = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0))
            adam.zero_grad()
            (divergence.sum() - p.log_prob(batch).sum()).backward()
            for name, weight in theirs.named_parameters():
                slope = (weight.grad + 0.1 * weight.detach()).abs()
                smallest[name] = torch.minimum(smallest[name], slope / slope.max())
            adam.step()
    for name, weight in renamed(fitted.weights).items():
        # Adam divides by roots of squares: of a gradient that is nearly 0 it makes a step whose size rounding decides.
        firm = smallest[name] > 1e-5
        assert firm.float().mean() > 0.98, name
        torch.testing.assert_close(weight[firm], theirs.state_dict()[name][firm], rtol=1e-4, atol=2e-5)


# Training and writing ----------------------------------------------------------------------------------------------


def test_trained_on_one_image_it_writes_that_image():
    x = np.repeat(images.load("digits").train[3:4], 64, axis=0)
    settings = Vae(epochs=150)
    model = settings.fit(Data.real(Rows(x)), rng())
    written = settings.sample(model, 50, rng(1)).x
    assert np.abs(written.astype(int) - x[0]).max() <= 12 and np.abs(written.astype(float) - x[0]).mean() < 2
    # The entropy of its grey pixels is what no model can get below.
    p = x[0] / 255.0
    inside = p[(p > 0) & (p < 1)]
    least = -(inside * np.log(inside) + (1 - inside) * np.log(1 - inside)).sum()
    assert least < model.losses[-1] < least + 1.5 < model.losses[0]


def test_it_learns_digits():
    """Losses fall from pass to pass at first, and a picture is told from noise."""
    settings = Vae(epochs=15, beta=0.5)
    model = settings.fit(digits(256), rng())
    assert all(later < before for before, later in zip(model.losses[:4], model.losses[1:5], strict=True))
    assert model.losses[-1] < 0.75 * model.losses[0]
    written = settings.sample(model, 200, rng(1)).x / 255
    real = digits(256).rows.x / 255
    pixels = np.corrcoef(written.mean(axis=0).ravel(), real.mean(axis=0).ravel())[0, 1]
    assert pixels > 0.9 and written.std(axis=0).mean() > 0.01


def test_same_generator_same_bits_whatever_happens_between():
    settings = replace(QUICK, epochs=2)

    def run(seed: int) -> tuple[_network.Fitted, np.ndarray]:
        fitted = settings.fit(digits(70), rng(seed))
        return fitted, settings.sample(fitted, 9, rng(seed + 1)).x

    (one, wrote), before = run(3), torch.get_num_threads()
    torch.manual_seed(17)
    state = torch.random.get_rng_state()
    (two, again), (other, different) = run(3), run(5)
    assert torch.equal(torch.random.get_rng_state(), state), "the caller's generator is as it was"
    assert torch.get_num_threads() == before
    assert equal(one, two) and np.array_equal(wrote, again)
    assert not equal(one, other) and not np.array_equal(wrote, different)


def test_the_callers_threads_are_as_they_were(monkeypatch: pytest.MonkeyPatch):
    told, before = [], torch.get_num_threads()
    real = torch.set_num_threads
    monkeypatch.setattr(torch, "set_num_threads", lambda count: (told.append(count), real(count)))
    settings = replace(QUICK, threads=1)
    settings.sample(settings.fit(digits(8), rng()), 3, rng())
    assert told == [1, before] * 2 and torch.get_num_threads() == before


def test_images_are_bytes_and_as_many_as_asked_for(monkeypatch: pytest.MonkeyPatch):
    model = QUICK.fit(digits(40), rng())
    for n in (1, 2, 70):
        x = QUICK.sample(model, n, rng(1)).x
        assert x.shape == (n, 8, 8) and x.dtype == np.uint8
    first = QUICK.sample(model, 70, rng(1)).x
    monkeypatch.setattr(network, "TOGETHER", 7)
    parts = QUICK.sample(model, 70, rng(1)).x
    assert np.abs(parts.astype(int) - first).max() <= 1, "in smaller parts the same latents, but for rounding"
    assert np.array_equal(QUICK.sample(model, 7, rng(1)).x, parts[:7])


def test_what_is_written_is_what_normal_latents_decode_to():
    model = replace(QUICK, epochs=3).fit(digits(64), rng())
    theirs = plain(8, (32, 64), 20)
    theirs.load_state_dict(renamed(model.weights))
    z = torch.from_numpy(rng(4).standard_normal((30, 20), np.float32))
    with torch.no_grad():
        pixels = torch.sigmoid(theirs["decoder"](z))[:, 0].numpy() * 255
    assert np.abs(QUICK.sample(model, 30, rng(4)).x - pixels).max() <= 0.5 + 1e-3
    with torch.no_grad():
        means = theirs["mean"](theirs["encoder"](torch.from_numpy(digits(30).rows.x)[:, None].float() / 255))
    np.testing.assert_allclose(QUICK.encode(model, digits(30).rows), means.numpy(), atol=1e-5)


def test_pixels_that_are_drawn_are_black_or_white_with_the_same_mean():
    """4,000 images: 64 means of pixels within 5 standard errors, 4e-5 by chance."""
    model = replace(QUICK, epochs=10).fit(digits(64), rng())
    drawn = replace(QUICK, output="bernoulli").sample(model, 4000, rng(1)).x
    assert set(np.unique(drawn)) == {0, 255}
    mean = QUICK.sample(model, 4000, rng(2)).x / 255.0
    p = mean.mean(axis=0)
    error = np.sqrt((p * (1 - p) + mean.var(axis=0)) / 4000) + 1e-3
    assert np.all(np.abs((drawn / 255.0).mean(axis=0) - p) < 5 * error)
    assert (drawn / 255.0).std(axis=0).mean() > 2 * mean.std(axis=0).mean()


def test_saved_and_loaded_bit_for_bit(tmp_path: Path):
    model = replace(QUICK, epochs=2).fit(digits(40), rng())
    QUICK.save(model, tmp_path)
    back = QUICK.load(tmp_path)
    assert equal(back, model) and len(back.losses) == 2
    assert np.array_equal(QUICK.sample(back, 9, rng(1)).x, QUICK.sample(model, 9, rng(1)).x)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_inputs_are_left_alone():
    data = digits(40)
    data.rows.x.flags.writeable = True
    before = data.rows.x.copy()
    model = replace(QUICK, epochs=2).fit(data, rng())
    weights = {name: weight.clone() for name, weight in model.weights.items()}
    QUICK.sample(model, 5, rng())
    QUICK.encode(model, data.rows)
    assert np.array_equal(data.rows.x, before)
    assert all(torch.equal(weights[name], weight) for name, weight in model.weights.items())


# Epochs and steps --------------------------------------------------------------------------------------------------


def test_every_pass_reads_every_image_once(monkeypatch: pytest.MonkeyPatch):
    x = np.arange(70, dtype=np.uint8)[:, None, None] * np.ones((1, 8, 8), np.uint8)
    with counted(monkeypatch) as read:
        model = replace(QUICK, epochs=3, batch=32).fit(Data.real(Rows(x)), rng())
    assert [len(batch) for batch in read] == [32, 32, 6] * 3 and len(model.losses) == 3
    orders = [torch.cat(read[i : i + 3])[:, 0, 0].tolist() for i in (0, 3, 6)]
    assert all(sorted(order) == list(range(70)) for order in orders)
    assert orders[0] != orders[1] != orders[2], "a new order in each pass"


@pytest.mark.parametrize(("steps", "passes"), [(1, 1), (3, 1), (4, 2), (8, 3)])
def test_as_many_steps_as_asked_for(steps: int, passes: int, monkeypatch: pytest.MonkeyPatch):
    with counted(monkeypatch) as read:
        model = replace(QUICK, steps=steps, batch=32, epochs=1000).fit(digits(70), rng())
    assert len(read) == steps and len(model.losses) == passes


def turns(settings: Vae, regime: Any, n: int = 48, last: int = 2) -> list[Generation]:
    """As `run` does it."""
    source = images.load("digits").source(n, **settings.reading())
    return list(generations(source, settings, regime, n * settings.passes, streams.stream(1), last=last))


def test_fresh_latents_are_written_for_every_pass_and_read_once(monkeypatch: pytest.MonkeyPatch):
    settings = Vae(latents="fresh", epochs=4, batch=16, evaluate=10)
    with counted(monkeypatch) as read:
        made = turns(settings, Replace())
    assert settings.passes == 4 and [len(batch) for batch in read] == [16] * 36
    for t, turn in enumerate(made):
        assert len(turn.train) == len(turn.sample) == 4 * 48 and len(turn.model.losses) == 4
        seen = torch.cat(read[12 * t : 12 * t + 12]).numpy()
        assert sorted(x.tobytes() for x in seen) == sorted(x.tobytes() for x in turn.train.rows.x)
        if t:
            assert np.array_equal(turn.train.rows.x, made[t - 1].sample.rows.x)
    assert len({x.tobytes() for x in made[1].train.rows.x}) > 48, "not the same n images over and over"
    finite = replace(settings, latents="finite")
    with counted(monkeypatch) as again:
        made = turns(finite, Replace())
    assert finite.passes == 1 and [len(batch) for batch in again] == [16] * 36, "the same number of steps"
    assert all(len(turn.train) == 48 and len(turn.model.losses) == 4 for turn in made)


def test_losses_are_told_in_equal_parts_of_a_single_pass(monkeypatch: pytest.MonkeyPatch):
    """Their mean is the mean over all images, as it is of the passes over a finite set."""
    settings = Vae(latents="fresh", epochs=3, batch=16)
    x = np.tile(digits(48).rows.x, (3, 1, 1))
    found = settings.fit(Data.real(Rows(x)), rng()).losses
    (whole,) = replace(settings, latents="finite", epochs=1).fit(Data.real(Rows(x)), rng()).losses
    assert len(found) == 3 and np.mean(found) == pytest.approx(whole, rel=1e-6) and found[2] < found[0]


@pytest.mark.parametrize("latents", ["finite", "fresh"])
@pytest.mark.parametrize("regime", [Replace(), Accumulate()], ids=["replace", "accumulate"])
def test_with_steps_set_every_generation_takes_as_many(latents: str, regime: Any, monkeypatch: pytest.MonkeyPatch):
    settings = Vae(latents=latents, epochs=2, steps=5, batch=16, evaluate=10)
    with counted(monkeypatch) as read:
        turns(settings, regime)
    assert len(read) == 15


def test_every_arm_of_the_protocol_takes_the_same_steps(monkeypatch: pytest.MonkeyPatch):
    size = STUDY.at("smoke", n=40, generations=1, seeds=1, metrics=("training_loss",))
    size = STUDY.at(size, settings={**size.settings, "family.steps": 3, "family.epochs": 2})
    for arm in [arm for arm in STUDY.conditions if arm != "pretty"]:
        with counted(monkeypatch) as read:
            execute(STUDY.runs(size, [arm])[arm])
        assert len(read) == 6, arm


# Weights of rows ---------------------------------------------------------------------------------------------------


def weighed(x: np.ndarray, *weight: float) -> Data:
    return replace(Data.real(Rows(x)), weight=np.array(weight))


def test_equal_weights_are_no_weights():
    x = digits(40).rows.x
    bits = [QUICK.fit(data, rng()) for data in (digits(40), weighed(x, *[1.0] * 40), weighed(x, *[8.0] * 40))]
    assert equal(bits[0], bits[1]) and equal(bits[0], bits[2])


def test_a_row_without_weight_has_no_influence():
    """Whatever its pixels are: the same bits."""
    x = digits(40).rows.x.copy()
    weight = np.ones(40)
    weight[::3] = 0
    one = replace(QUICK, epochs=2).fit(weighed(x, *weight), rng())
    x[::3] = rng(9).integers(0, 256, x[::3].shape, np.uint8)
    other = replace(QUICK, epochs=2).fit(weighed(x, *weight), rng())
    assert equal(one, other)
    x[1] ^= 255
    assert not equal(one, replace(QUICK, epochs=2).fit(weighed(x, *weight), rng()))


def test_twice_the_weight_is_twice_the_row():
    """The gradient of the first batch: a row of weight 2 among rows of weight 1 counts as two rows, per unit of weight.

    Without noise in the latents (they are drawn row by row), a network's gradient is what Adam's first moment keeps.
    """
    x = digits(12).rows.x
    found = []
    for data in (weighed(x, *[2.0, 1.0] * 6), Data.real(Rows(np.r_[x, x[::2]]))):
        module = nn.Linear(64, 1, bias=False)
        nn.init.zeros_(module.weight)
        before = module.weight.detach().clone()

        def loss(images: Any, module: nn.Module = module) -> Any:
            return (module(images.flatten(1).float() / 255)[:, 0] - 1) ** 2

        sgd = torch.optim.SGD(module.parameters(), lr=1.0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.optim, "Adam", lambda *a, chosen=sgd, **k: chosen)
            _network.minimise(module, loss, data, rng(), replace(QUICK, batch=100))
        found.append((module.weight.detach() - before) / len(data))
    # Per row: a mean weight of 1.5 over 12 rows is 18 rows.
    torch.testing.assert_close(found[0], found[1])


# What goes wrong ---------------------------------------------------------------------------------------------------


def test_divergence_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(InputError, match=r"^family\.lr=1e\+18: training diverged .*; use a smaller one$"):
        Vae(epochs=5, lr=1e18).fit(digits(64), rng())
    monkeypatch.chdir(tmp_path)
    asked = "chain vae -n 64 -g 1 --set family.lr=1e18 --set family.epochs=5 --out x.parquet".split()
    assert cli.main(asked) == 2
    said = capsys.readouterr().err.splitlines()
    assert "training diverged" in said[-1] and not any("Traceback" in line for line in said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"preset": "large"}, "input should be 'small' or 'paper'"),
        ({"latent": 0}, "greater than or equal to 1"),
        ({"latent": 10**6}, "less than or equal to 1000"),
        ({"beta": -1}, "greater than or equal to 0"),
        ({"beta": "inf"}, "finite number"),
        ({"latents": "old"}, "input should be 'finite' or 'fresh'"),
        ({"output": "median"}, "input should be 'mean' or 'bernoulli'"),
        ({"epochs": 0}, "greater than or equal to 1"),
        ({"epochs": 1.5}, "valid integer"),
        ({"steps": -1}, "greater than or equal to 0"),
        ({"lr": 0}, "input should be 'auto' or input should be greater than 0"),
        ({"lr": "nan"}, "input should be 'auto' or "),
        ({"lr": "fast"}, "input should be 'auto' or input should be a valid number"),
        ({"batch": 0}, "input should be 'auto' or input should be greater than or equal to 1"),
        ({"weight_decay": -0.1}, "greater than or equal to 0"),
        ({"evaluate": 1}, "greater than or equal to 2"),
        ({"precision": "fp8"}, "input should be 'auto', 'fp32', 'bf16' or 'fp16'"),
        ({"threads": 0}, "greater than or equal to 1"),
    ],
)
def test_bad_settings(settings: dict[str, Any], said: str):
    ((name, value),) = settings.items()
    with pytest.raises(InputError) as refused:
        registry.build(families, "vae", settings, "family")
    line = str(refused.value)
    assert line.startswith(f"family.{name}={value}: ") and said in line and "\n" not in line


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"regime": "grow", "generations": 400, "settings": {"regime.power": 4}},
            r"^-g 400: grow with .* rows in one chain needs about .* lower -n or -g",
        ),
        (
            {"settings": {"family.latents": "fresh", "family.epochs": 10**6}},
            r"^-n 512: 512 rows in one chain needs about 131 GB of memory, and this machine has 8 GB; lower -n$",
        ),
        (
            {"settings": {"family.latents": "fresh", "family.epochs": 10**9}},
            r"^family\.epochs=1000000000: a model of that size in one chain needs about .* GB of .*; lower it$",
        ),
    ],
)
def test_what_cannot_fit_into_memory_is_refused_before_any_work(
    more: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("model_collapse.engine.memory.machine", lambda: 8e9)
    monkeypatch.setattr("model_collapse.engine.execute._complete", lambda *a: pytest.fail("worked"))
    with pytest.raises(ExternalError, match=said) as refused:
        execute(plan("vae", **more))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("precision", ["bf16"])
def test_other_precisions_give_nearly_the_same_losses(precision: str):
    settings = replace(QUICK, epochs=3)
    exact, other = (replace(settings, precision=p).fit(digits(128), rng()).losses for p in ("fp32", precision))
    assert other != exact and other == pytest.approx(exact, rel=0.02)


def test_settings_that_the_presets_decide():
    assert (Vae().rows_per_step, Vae().learning_rate, Vae().side) == (32, 3e-3, 8)
    paper = Vae(preset="paper")
    assert (paper.rows_per_step, paper.learning_rate, paper.side) == (256, 1e-3, 28)
    assert (Vae(batch=5).rows_per_step, Vae(lr=0.5).learning_rate) == (5, 0.5)
