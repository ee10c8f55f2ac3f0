"""The diffusion model against distributions whose best denoiser is known, and against diffusers' own sampler."""

import dataclasses
import math
import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from toy_comparisons import Comparisons

from model_collapse import families, regimes, registry, streams
from model_collapse.corpora import images
from model_collapse.data import Data, Rows
from model_collapse.errors import InputError
from model_collapse.families.diffusion import Diffusion
from model_collapse.loop import generations

with warnings.catch_warnings():
    # Importing the library is not what these tests are about, but for the one that says so.
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch")
    diffusers = pytest.importorskip("diffusers")

    from model_collapse import hardware
    from model_collapse.families._network import Fitted, minimise
    from model_collapse.families.diffusion import network

QUICK = Diffusion(timesteps=20, sampling_steps=2, steps=3, batch=8)
COMPARISONS = Comparisons(12)


def pictures(seed: int, n: int = 16, side: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side)).astype(np.uint8)


def rows(x: np.ndarray) -> Data:
    return Data.real(Rows(x))


def equal(a: Fitted, b: Fitted) -> bool:
    same = all(torch.equal(a.weights[name], b.weights[name]) for name in a.weights)
    return same and a.config == b.config and a.losses == b.losses


def fitted(family: Diffusion = QUICK, seed: int = 0) -> Fitted:
    return family.fit(rows(pictures(1)), np.random.default_rng(seed))


class Known(torch.nn.Module):
    """In the place of the network: what it says of x_t at level t is said by a function."""

    def __init__(self, says):
        super().__init__()
        self.says = says

    def forward(self, x, t):
        return SimpleNamespace(sample=self.says(x, t))


# Sampling


def levels(timesteps: int) -> np.ndarray:
    """a_t for t = 0 .. T - 1: Nichol & Dhariwal 2021, eq. 17, no step taking more than 0.999 of what is left."""
    f = np.cos((np.arange(timesteps + 1) / timesteps + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.cumprod(1 - np.minimum(1 - f[1:] / f[:-1], 0.999))


def normal_chain(family: Diffusion, mean: float, variance: float) -> tuple[float, float]:
    """Mean and variance of what the sampler makes of the best denoiser of N(mean, variance).

    Where data are normal the best x given x_t is linear in x_t, so is each step, and the distribution of x_t stays
    normal. The steps are those of Song et al. 2021, eq. 12 and 16.
    """
    a = levels(family.timesteps)
    stride = family.timesteps // family.sampling_steps
    eta = 1.0 if family.sampler == "ddpm" else family.eta
    m, v = 0.0, family.temperature**2
    for t in range(family.timesteps - 1, -1, -stride):
        now, then = a[t], a[t - stride] if t >= stride else 1.0
        gain = math.sqrt(now) * variance / (now * variance + 1 - now)
        sigma2 = eta**2 * (1 - then) / (1 - now) * (1 - now / then)
        noise = math.sqrt(max(1 - then - sigma2, 0) / (1 - now))
        slope = math.sqrt(then) * gain + noise * (1 - math.sqrt(now) * gain)
        rest = (math.sqrt(then) - noise * math.sqrt(now)) * mean * (1 - gain * math.sqrt(now))
        m, v = slope * m + rest, slope**2 * v + family.temperature**2 * sigma2
    return m, v


@pytest.mark.parametrize(
    "settings",
    [
        {"sampling_steps": 1000},
        {"sampling_steps": 1000, "sampler": "ddpm"},
        {"sampling_steps": 20, "temperature": 0.5},
        {"sampling_steps": 50, "sampler": "ddpm", "temperature": 0.5},
        {"sampling_steps": 10, "eta": 0.5, "temperature": 0.8},
        # Where single precision would take the root of -6e-8.
        {"sampling_steps": 5, "sampler": "ddpm"},
    ],
    ids=str,
)
def test_of_normal_images_it_writes_the_variance_of_the_closed_form(monkeypatch, settings):
    """With the best denoiser the sampler's distribution is known exactly: the data's, but for the length of the steps;
    all noise times c is variance times c squared.

    6 * 2 comparisons of 32,768 pixels that are drawn from one distribution; rounding to grey levels adds 1/12 level
    squared.
    """
    family = Diffusion(timesteps=1000, **settings)
    mean, sd = 0.1, 0.2
    a = levels(family.timesteps)

    def best(x, t):
        gain = math.sqrt(a[t]) * sd**2 / (a[t] * sd**2 + 1 - a[t])
        return mean + gain * (x - math.sqrt(a[t]) * mean)

    monkeypatch.setattr(network, "built", lambda kind, model, device: Known(best))
    written = family.sample(None, 512, np.random.default_rng(3)).x.astype(float).ravel() / 127.5 - 1
    m, v = normal_chain(family, mean, sd**2)
    rounding = (1 / 127.5) ** 2 / 12
    COMPARISONS.within(f"mean {settings}", written, m, variance=v + rounding)
    COMPARISONS.within(f"variance {settings}", (written - m) ** 2, v + rounding, variance=2 * (v + rounding) ** 2)
    unbiased = normal_chain(dataclasses.replace(family, temperature=1.0), mean, sd**2)[1]
    assert v == pytest.approx(family.temperature**2 * unbiased)
    if family.sampling_steps == 1000:
        assert v == pytest.approx(sd**2, rel=0.02)
    if family.sampling_steps == 20:
        assert unbiased == pytest.approx(0.71 * sd**2, rel=0.01), "as the sampler's docstring says"


@pytest.mark.parametrize("prediction", ["sample", "epsilon", "v_prediction"])
@pytest.mark.parametrize("steps", [4, 20])
def test_ddpm_is_that_of_diffusers(prediction, steps):
    """The library's DDPM from the same noise: the same images but for rounding."""
    family = dataclasses.replace(QUICK, sampler="ddpm", prediction=prediction, sampling_steps=steps)
    model = fitted(family)
    ours = family.sample(model, 6, np.random.default_rng(4)).x
    theirs = diffusers.DDPMScheduler(
        20, beta_schedule="squaredcos_cap_v2", prediction_type=prediction, timestep_spacing="trailing"
    )
    theirs.set_timesteps(steps)
    module = diffusers.UNet2DModel(**model.config).eval()
    module.load_state_dict(model.weights)
    seed = int(np.random.default_rng(4).integers(2**63, size=1)[0])
    with hardware.seeded(seed, torch.device("cpu")), torch.no_grad():
        x = torch.randn(6, 1, 8, 8)
        for t in theirs.timesteps:
            x = theirs.step(module(x, t).sample, t, x).prev_sample
    levels = (x[:, 0].clamp(-1, 1).numpy() + 1) * 127.5
    assert np.ptp(levels) > 100, "there is something to compare"
    np.testing.assert_allclose(ours, levels, atol=0.51)


def test_little_noise_writes_one_image():
    model = fitted()
    cold = dataclasses.replace(QUICK, temperature=1e-6).sample(model, 8, np.random.default_rng(5)).x
    warm = QUICK.sample(model, 8, np.random.default_rng(5)).x
    assert np.ptp(cold, axis=0).max() <= 1 < np.ptp(warm, axis=0).min()


def test_shards_are_the_sample_in_any_order(monkeypatch):
    monkeypatch.setattr(network, "SHARD", 4)
    model = fitted()
    whole = QUICK.sample(model, 10, np.random.default_rng(6)).x
    assert whole.shape == (10, 8, 8) and whole.dtype == np.uint8
    shards = list(QUICK.shards(model, 10, np.random.default_rng(6)))
    backwards = [shard().x for shard in reversed(shards)][::-1]
    assert [len(part) for part in backwards] == [4, 4, 2]
    assert np.array_equal(np.concatenate(backwards), whole)
    assert not np.array_equal(whole[:4], whole[4:8])


# Training


def test_trained_on_one_image_it_writes_that_image():
    digit = images.load("digits").train[0]
    family = Diffusion(steps=120, batch=16, sampling_steps=10)
    model = family.fit(rows(np.repeat(digit[None], 32, axis=0)), np.random.default_rng(0))
    written = family.sample(model, 16, np.random.default_rng(1)).x.astype(float)
    assert np.abs(written - digit).mean() < 4, "grey levels of 255, on average over pixels and images"
    assert len(model.losses) == 60 and model.losses[-1] < 0.01 < 0.2 < model.losses[0]


@pytest.mark.parametrize("prediction", ["sample", "epsilon", "v_prediction"])
def test_the_loss_of_the_best_prediction_of_one_image_is_nothing(prediction):
    """Of an image x that is known, x_t tells the noise: z = (x_t - sqrt(a) x) / sqrt(1 - a)."""
    family = dataclasses.replace(QUICK, prediction=prediction)
    image = torch.from_numpy(pictures(2, n=1)).expand(64, 8, 8)
    x = image[:, None].double() / 127.5 - 1
    a_t = torch.from_numpy(levels(family.timesteps))

    def says(noisy, t):
        a = a_t[t].view(-1, 1, 1, 1)
        z = (noisy.double() - a.sqrt() * x) / (1 - a).sqrt()
        return {"sample": x, "epsilon": z, "v_prediction": a.sqrt() * z - (1 - a).sqrt() * x}[prediction]

    right = network.squared_error(Known(says), network.noise_levels(family), image)
    wrong = network.squared_error(Known(lambda noisy, t: says(noisy, t) + 0.5), network.noise_levels(family), image)
    assert right.shape == (64,)
    np.testing.assert_allclose(right, 0, atol=1e-8)
    np.testing.assert_allclose(wrong, 0.25, rtol=1e-3)


def test_noise_levels_of_a_batch_are_spread_evenly_and_not_bound_to_a_row():
    drawn = []
    module = Known(lambda x, t: drawn.append(t.numpy()) or x)
    image = torch.from_numpy(pictures(9, n=20))
    with hardware.seeded(0, torch.device("cpu")):
        for _ in range(50):
            network.squared_error(module, network.noise_levels(QUICK), image)
    assert np.array_equal(np.sort(drawn, axis=1), np.tile(np.arange(20), (50, 1)))
    assert min(len(set(row)) for row in np.transpose(drawn)) > 10


def test_rows_of_no_weight_have_no_influence():
    x, other = pictures(3), pictures(3)
    other[::2] = pictures(4)[::2]
    weight = np.tile([0.0, 3.0], 8)
    one, two = (
        QUICK.fit(dataclasses.replace(rows(part), weight=weight), np.random.default_rng(0)) for part in (x, other)
    )
    assert equal(one, two)
    assert not equal(one, QUICK.fit(rows(x), np.random.default_rng(0)))


class Mean(torch.nn.Module):
    """The mean grey level, to be learned; the loss of an image is its squared distance."""

    def __init__(self):
        super().__init__()
        self.at = torch.nn.Parameter(torch.zeros(()))

    def loss(self, x):
        return (self.at - x.float().mean((1, 2)) / 255).square()


def test_a_row_of_double_weight_is_a_row_that_is_there_twice():
    x = pictures(5, n=4)
    weighed = dataclasses.replace(rows(x), weight=np.array([1.0, 2.0, 1.0, 2.0]))
    made = []
    for data in (weighed, rows(np.concatenate([x, x[[1, 3]]]))):
        module = Mean()
        losses = minimise(module, module.loss, data, np.random.default_rng(0), QUICK, decay=True)
        made.append((module.at.item(), *losses))
    np.testing.assert_allclose(*made, rtol=1e-5)


def test_a_decaying_rate_rises_for_twenty_steps_and_falls_to_nothing():
    """Adam moves by the learning rate itself where the gradient never changes."""
    module = Mean()
    family = dataclasses.replace(QUICK, steps=50, lr=0.01)
    data = rows(pictures(6))
    minimise(module, lambda x: module.at.expand(len(x)), data, np.random.default_rng(0), family, decay=True)
    rates = [0.01 * min((i + 1) / 20, (50 - i) / 50) for i in range(50)]
    assert module.at.item() == pytest.approx(-sum(rates), rel=1e-4)


def test_every_regime_takes_the_steps_that_are_asked_for(monkeypatch):
    taken = []
    error = network.squared_error
    monkeypatch.setattr(network, "squared_error", lambda *given: taken.append(1) or error(*given))
    source = images.load("digits").source(12, side=8)
    for name in registry.names(regimes):
        taken.clear()
        regime = registry.build(regimes, name, {})
        made = list(generations(source, QUICK, regime, 12, streams.stream(0), last=2))
        assert len(made) == 3 and len(taken) == 3 * QUICK.steps, name
    taken.clear()
    dataclasses.replace(QUICK, steps=0, epochs=3).fit(source.train, np.random.default_rng(0))
    assert len(taken) == 3 * 2, "12 images in batches of 8 are two steps"


def test_a_learning_rate_that_is_too_large_is_one_line():
    with pytest.raises(InputError, match=r"^family\.lr=1e\+30: training diverged .*; use a smaller one$"):
        dataclasses.replace(QUICK, lr=1e30, steps=60).fit(rows(pictures(1)), np.random.default_rng(0))


# From a base


def test_a_base_is_one_model_of_all_real_images_whatever_is_done_with_it():
    corpus = images.load("digits")
    family = dataclasses.replace(QUICK, start="base", base_steps=3)
    otherwise = dataclasses.replace(family, lr=1e-5, steps=7, temperature=0.5, sampler="ddpm", sampling_steps=2)
    base = family.base(corpus.source(16, side=8), np.random.default_rng(0))
    same = otherwise.base(corpus.source(99, side=8), np.random.default_rng(0))
    assert equal(base, same) and family.base_settings() == otherwise.base_settings()
    assert QUICK.base(corpus.source(16, side=8), np.random.default_rng(0)) is None and QUICK.base_settings() is None
    for changed in ({"base_steps": 4}, {"timesteps": 40}, {"prediction": "epsilon"}, {"batch": 4}):
        assert dataclasses.replace(family, **changed).base_settings() != family.base_settings()
    before = {name: w.clone() for name, w in base.weights.items()}
    slow = dataclasses.replace(family, lr=1e-6)
    tuned = slow.fit(rows(pictures(1)), np.random.default_rng(1), start=base)
    assert all(torch.equal(before[name], base.weights[name]) for name in before), "the base stays as it is"
    moved = max(float((tuned.weights[name] - w).abs().max()) for name, w in before.items())
    assert 0 < moved <= 1.1e-6 * QUICK.steps, "Adam moves a weight by about the learning rate at most"


# As a value


def test_same_generator_same_bits_whatever_happens_between():
    threads = torch.get_num_threads()
    state = torch.get_rng_state()
    one, wrote = fitted(), QUICK.sample(fitted(), 4, np.random.default_rng(1)).x
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads
    torch.rand(17)
    two, again = fitted(), QUICK.sample(fitted(), 4, np.random.default_rng(1)).x
    assert equal(one, two) and np.array_equal(wrote, again)
    assert not equal(one, fitted(seed=1))
    assert not np.array_equal(QUICK.sample(one, 4, np.random.default_rng(2)).x, wrote)


def test_a_model_that_is_saved_and_loaded_is_the_same(tmp_path):
    model = fitted()
    QUICK.save(model, tmp_path)
    again = QUICK.load(tmp_path)
    assert equal(model, again)
    written = [QUICK.sample(m, 4, np.random.default_rng(1)).x for m in (model, again)]
    assert np.array_equal(*written)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}


@pytest.mark.parametrize(("preset", "parameters"), [("small", 159_697), ("large", 619_697)])
def test_both_presets_work_and_have_so_many_parameters(preset, parameters):
    family = dataclasses.replace(QUICK, preset=preset, steps=2)
    model = family.fit(rows(pictures(7, side=family.side)), np.random.default_rng(0))
    assert sum(w.numel() for w in model.weights.values()) == parameters
    assert family.sample(model, 3, np.random.default_rng(1)).x.shape == (3, family.side, family.side)


def test_images_that_nothing_may_be_written_into_are_read_without_a_warning():
    x = pictures(8)
    x.flags.writeable = False
    fitted_to = QUICK.fit(rows(x), np.random.default_rng(0))
    assert len(fitted_to.losses) == 2


# Bad input


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"sampling_steps": 30}, "family.sampling_steps=30: it must divide family.timesteps=1000"),
        ({"sampling_steps": 2000}, "family.sampling_steps=2000: it must divide family.timesteps=1000"),
        ({"sampler": "ddpm", "eta": 0.5}, "family.eta=0.5 needs family.sampler=ddim"),
    ],
)
def test_settings_that_do_not_go_together_are_one_line(settings, said):
    with pytest.raises(InputError) as refused:
        registry.build(families, "diffusion", settings, "family")
    assert str(refused.value) == said


@pytest.mark.parametrize("settings", [{"temperature": 0}, {"eta": 1.1}, {"timesteps": 1}, {"preset": "tiny"}])
def test_settings_out_of_range_are_one_line(settings):
    with pytest.raises(InputError, match=r"^family\.\w+=\S+: [^\n]*$"):
        registry.build(families, "diffusion", settings, "family")


def test_images_of_another_size_are_one_line():
    with pytest.raises(InputError, match=r"its images have 8 x 8 pixels, and this family reads 28 x 28; [^\n]*$"):
        images.load("digits").source(16, **Diffusion(preset="large").reading())


def test_settings_need_no_torch():
    code = """
import sys
from model_collapse.families.diffusion import Diffusion
Diffusion()
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_the_network_is_never_asked():
    """The library may be imported and used where no hub can be reached."""
    code = """
import socket
def refuse(*given, **named): raise AssertionError("the network was asked")
socket.socket.connect = socket.getaddrinfo = refuse
import numpy as np
from model_collapse.data import Data, Rows
from model_collapse.families.diffusion import Diffusion
family = Diffusion(steps=1, sampling_steps=2)
model = family.fit(Data.real(Rows(np.zeros((4, 8, 8), np.uint8))), np.random.default_rng(0))
print(family.sample(model, 1, np.random.default_rng(0)).x.shape)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.stdout == "(1, 8, 8)\n", done.stderr
