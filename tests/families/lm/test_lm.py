"""OPT against transformers' own loss, exhaustive search and models whose answer is known."""

import dataclasses
import itertools
import json
import warnings
from types import SimpleNamespace

import needed
import numpy as np
import pytest
from scipy import stats

from model_collapse import families, paths, registry
from model_collapse.data import Data, Rows
from model_collapse.errors import ExternalError, InputError
from model_collapse.families.lm import Lm

with warnings.catch_warnings():
    # Importing transformers is not what these tests are about.
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from safetensors.torch import load_file, save_file

    from model_collapse import hardware
    from model_collapse.families.lm import engine, model, scoring, training

BLOCK = 8
SMALL = Lm(block=BLOCK, pretrain="none", dropout=0.0)
BLANK = model.blank("tiny", vocabulary=24, positions=2 * BLOCK)


def tokenizer(size: int) -> SimpleNamespace:
    """As much of one as `base` asks for."""
    return SimpleNamespace(size=size, writable=np.arange(size))


def counting(n: int, first: int = 0) -> np.ndarray:
    """Blocks in which every token is its predecessor plus one, modulo 24: (n, BLOCK)."""
    return ((np.arange(first, first + n)[:, None] + np.arange(BLOCK)) % 24).astype(np.int32)


def rows(x: np.ndarray) -> Data:
    return Data.real(Rows(x))


def noise(seed: int, n: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 24, (n, BLOCK)).astype(np.int32)


def equal(a: model.LmModel, b: model.LmModel) -> bool:
    return all(torch.equal(a.weights[name], b.weights[name]) for name in a.weights) and a.config == b.config


@pytest.fixture(scope="module")
def counter() -> model.LmModel:
    """A model that has learned to count modulo 24."""
    family = dataclasses.replace(SMALL, epochs=60)
    return family.fit(rows(counting(96)), np.random.default_rng(0), start=BLANK)


@pytest.fixture(scope="module")
def random_model() -> model.LmModel:
    """Random weights over 6 tokens, scaled up until its distributions are far from uniform."""
    shape = model.blank("tiny", vocabulary=6, positions=8)
    weights = model.unbuild(model.build(shape, 5, torch.device("cpu")))
    name = "model.decoder.embed_tokens.weight"
    return model.LmModel(shape.config, weights | {name: weights[name] * 15})


# Scoring


def test_score_is_the_loss_that_transformers_computes(counter, tmp_path):
    x = noise(1)
    SMALL.save(counter, tmp_path)
    module = transformers.OPTForCausalLM.from_pretrained(tmp_path).eval()
    ids = torch.from_numpy(x).long()
    with torch.no_grad():
        theirs = [float(module(input_ids=row[None], labels=row[None]).loss) for row in ids]
    ours = SMALL.score(counter, Rows(x))
    assert ours.shape == (32, BLOCK - 1) and ours.dtype == np.float32
    np.testing.assert_allclose(ours.mean(axis=1), theirs, rtol=1e-5)


def test_score_does_not_depend_on_how_rows_are_batched(counter, monkeypatch):
    whole = SMALL.score(counter, Rows(noise(2)))
    monkeypatch.setattr(scoring, "LOGITS", 5 * BLOCK * 24)
    np.testing.assert_allclose(SMALL.score(counter, Rows(noise(2))), whole, rtol=1e-4, atol=1e-5)


def test_a_model_without_preferences_has_the_loss_ln_v():
    weights = model.unbuild(model.build(BLANK, 0, torch.device("cpu")))
    uniform = model.LmModel(BLANK.config, {name: 0 * w for name, w in weights.items()})
    np.testing.assert_allclose(SMALL.score(uniform, Rows(noise(3))), np.log(24), rtol=1e-6)
    np.testing.assert_allclose(SMALL.entropy(uniform, Rows(noise(3))), np.log(24), rtol=1e-6)


def test_entropy_and_states_are_those_of_transformers(counter, tmp_path, monkeypatch):
    x = noise(4)
    SMALL.save(counter, tmp_path)
    module = transformers.OPTForCausalLM.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        theirs = module(input_ids=torch.from_numpy(x).long(), output_hidden_states=True)
    distributions = theirs.logits[:, :-1].double().softmax(dim=-1).numpy()
    monkeypatch.setattr(scoring, "LOGITS", 5 * BLOCK * 24)
    entropies = SMALL.entropy(counter, Rows(x))
    np.testing.assert_allclose(entropies, stats.entropy(distributions, axis=-1), rtol=1e-4, atol=1e-6)
    states = SMALL.states(counter, Rows(x))
    assert states.shape == (32, 64) and states.dtype == np.float32
    np.testing.assert_allclose(states, theirs.hidden_states[-1].mean(dim=1).numpy(), rtol=1e-4, atol=1e-5)


# Training


def test_it_learns_and_leaves_its_start_alone():
    first = SMALL.fit(rows(noise(4)), np.random.default_rng(1), start=BLANK)
    before = {name: w.clone() for name, w in first.weights.items()}
    second = SMALL.fit(rows(counting(96)), np.random.default_rng(2), start=first)
    assert all(torch.equal(before[name], first.weights[name]) for name in before)
    assert SMALL.score(second, Rows(counting(24))).mean() < SMALL.score(first, Rows(counting(24))).mean() - 1


def test_same_generator_same_bits_whatever_happens_between():
    family = dataclasses.replace(SMALL, dropout=0.2)
    prompts, draw = Rows(counting(4)), dataclasses.replace(family, decoding="sample")

    def run() -> tuple[model.LmModel, np.ndarray]:
        fitted = family.fit(rows(noise(5)), np.random.default_rng(3), start=BLANK, validation=rows(noise(6)))
        return fitted, draw.sample(fitted, 4, np.random.default_rng(4), given=prompts).x

    one, wrote = run()
    torch.rand(17)
    family.fit(rows(noise(7)), np.random.default_rng(9), start=BLANK)
    two, again = run()
    assert equal(one, two) and np.array_equal(wrote, again)
    other = family.fit(rows(noise(5)), np.random.default_rng(8), start=BLANK, validation=rows(noise(6)))
    assert not equal(one, other)
    assert not np.array_equal(draw.sample(one, 4, np.random.default_rng(5), given=prompts).x, wrote)


def test_the_callers_random_state_and_threads_stay_as_they_are():
    torch.set_num_threads(2)
    try:
        torch.manual_seed(11)
        expected = torch.rand(3)
        torch.manual_seed(11)
        fitted = SMALL.fit(rows(noise(8)), np.random.default_rng(1), start=BLANK)
        dataclasses.replace(SMALL, decoding="sample").sample(
            fitted, 2, np.random.default_rng(1), given=Rows(counting(2))
        )
        SMALL.score(fitted, Rows(counting(2)))
        assert torch.equal(torch.rand(3), expected)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_without_pre_training_every_generation_draws_its_own_weights():
    idle = dataclasses.replace(SMALL, lr=1e-30, epochs=1, weight_decay=0.0)
    one, two = (idle.fit(rows(noise(1)), np.random.default_rng(seed), start=BLANK) for seed in (1, 2))
    name = "model.decoder.layers.0.fc1.weight"
    assert not torch.equal(one.weights[name], two.weights[name])
    assert float(one.weights[name].std()) == pytest.approx(0.02, rel=0.05)  # OPT's init_std


@pytest.mark.parametrize("pretrain", ["web", "none"])
def test_what_it_writes_is_as_good_as_what_it_read(pretrain):
    """Rows are read at positions 0 to 7 and written at 8 to 15, which a naive training leaves untrained."""
    source = SimpleNamespace(tokenizer=tokenizer(24), web=rows(counting(96 * BLOCK)[::BLOCK]))
    family = dataclasses.replace(SMALL, pretrain=pretrain, pretrain_epochs=20, epochs=20, end="ordinary")
    base = family.base(source, np.random.default_rng(0))
    fitted = family.fit(rows(counting(96)), np.random.default_rng(1), start=base)
    double = ((np.arange(24)[:, None] + np.arange(2 * BLOCK)) % 24).astype(np.int32)
    nats = family.score(fitted, Rows(double)).mean(axis=0)
    assert nats[BLOCK:].mean() < 2 * nats[1 : BLOCK - 1].mean() < 1


def test_base_pre_trains_on_the_web_part():
    source = SimpleNamespace(tokenizer=tokenizer(24), web=rows(counting(96)))
    family = dataclasses.replace(SMALL, pretrain="web", pretrain_epochs=10)
    lines: list[str] = []
    base = family.base(source, np.random.default_rng(0), lines.append)
    assert SMALL.score(base, Rows(counting(24))).mean() < 1
    assert len(lines) == 10 and lines[0].startswith("epoch 1 of 10")
    assert SMALL.base(source, np.random.default_rng(0)).weights is None
    with pytest.raises(InputError, match=r"family\.pretrain"):
        family.base(SimpleNamespace(tokenizer=source.tokenizer, web=None), np.random.default_rng(0))


def test_best_checkpoint_is_the_epoch_with_the_lowest_validation_loss():
    """The more it learns to count, the less probable noise is: the first epoch is best, and the last is another."""
    data, held_out = rows(counting(96)), rows(noise(9, n=64))
    best, last = (
        dataclasses.replace(SMALL, epochs=4, checkpoint=kind).fit(
            data, np.random.default_rng(1), start=BLANK, validation=held_out
        )
        for kind in ("best", "last")
    )
    first = dataclasses.replace(SMALL, epochs=1).fit(data, np.random.default_rng(1), start=BLANK)
    assert equal(best, first)
    assert not equal(last, first)


def test_weights_of_rows_count():
    up, down = counting(48), counting(48)[:, ::-1].copy()
    both = dataclasses.replace(rows(np.concatenate([up, down])), weight=np.repeat([1.0, 0.0], 48))
    fitted = dataclasses.replace(SMALL, epochs=20).fit(both, np.random.default_rng(1), start=BLANK)
    assert SMALL.score(fitted, Rows(up)).mean() < 1
    assert SMALL.score(fitted, Rows(down)).mean() > np.log(24)


def test_learning_rate_by_step():
    assert np.allclose(training._rates(4, 2.0, 0.0, "constant"), 2)
    assert np.allclose(training._rates(4, 2.0, 0.0, "linear"), [2, 1.5, 1, 0.5])
    assert np.allclose(training._rates(4, 2.0, 0.5, "constant"), [1, 2, 2, 2])
    cosine = training._rates(1001, 1e-3, 0.0, "cosine")
    assert cosine[0] == 1e-3 and np.isclose(cosine[500], (1e-3 + 1e-6) / 2, rtol=2e-3)
    assert np.all(np.diff(cosine) < 0) and 1e-6 < cosine[-1] < 1.1e-6
    published = Lm(preset="opt-125m", start="pretrained")
    assert (published.learning_rate, published.blocks_per_step) == (2e-5, 128)


@pytest.mark.parametrize("preset", ["tiny", "small"])
def test_operations_are_two_for_each_weight(preset):
    """Positions are looked up, not multiplied; biases and norms are left out."""
    built = model.build(model.blank(preset, 1024, 2 * BLOCK), 0, torch.device("cpu"))
    weights = sum(weight.numel() for weight in built.parameters())
    positions = built.model.decoder.embed_positions.weight.numel()
    assert Lm(preset=preset, vocabulary=1024).operations == pytest.approx(2 * (weights - positions), rel=0.02)


def test_gradients_of_parts_add_up_to_the_batch():
    """Without dropout, one block at a time moves the weights as the whole batch does, up to rounding."""
    data = rows(counting(40))
    whole, parts = (
        dataclasses.replace(SMALL, epochs=2, chunk=chunk).fit(data, np.random.default_rng(1), start=BLANK)
        for chunk in (0, 1)
    )
    assert all(torch.allclose(whole.weights[name], parts.weights[name], atol=1e-4) for name in whole.weights)
    assert np.allclose(SMALL.score(whole, data.rows), SMALL.score(parts, data.rows), atol=1e-3)


def test_steps_take_the_place_of_epochs():
    """Five steps where an epoch has three: the second pass is cut short."""
    data, moves = rows(counting(48)), []
    step = training._Step.__call__

    def counted(self, *arguments):
        moves.append(arguments[-1])
        return step(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training._Step, "__call__", counted)
        five = dataclasses.replace(SMALL, steps=5, epochs=9).fit(data, np.random.default_rng(1), start=BLANK)
        assert len(moves) == 5
        six, two = (
            dataclasses.replace(SMALL, **settings).fit(data, np.random.default_rng(1), start=BLANK)
            for settings in ({"steps": 6}, {"epochs": 2})
        )
    assert equal(six, two) and not equal(five, six)


def test_a_diverged_training_says_where():
    with pytest.raises(InputError, match=r"family\.lr=1e\+30: training diverged in epoch 1 of 5, step \d of 2"):
        dataclasses.replace(SMALL, lr=1e30).fit(rows(noise(1)), np.random.default_rng(1), start=BLANK)


# Decoding


@pytest.mark.parametrize("settings", [{}, {"decoding": "greedy"}, {"decoding": "sample", "top_k": 1}])
def test_a_model_of_a_deterministic_sequence_goes_on_with_it(counter, settings):
    family = dataclasses.replace(SMALL, end="ordinary", **settings)
    wrote = family.sample(counter, 24, np.random.default_rng(0), given=Rows(counting(24)))
    assert wrote.x.dtype == np.int32
    assert np.array_equal(wrote.x, counting(24, first=BLOCK))


def test_one_beam_is_greedy(random_model):
    prompts = Rows(np.random.default_rng(1).integers(0, 6, (64, 4)).astype(np.int32))
    one, greedy, five = (
        dataclasses.replace(SMALL, block=4, **settings)
        .sample(random_model, 64, np.random.default_rng(0), given=prompts)
        .x
        for settings in ({"beams": 1}, {"decoding": "greedy"}, {})
    )
    assert np.array_equal(one, greedy)
    assert not np.array_equal(five, greedy)


def test_as_many_beams_as_there_are_prefixes_find_the_most_probable_continuation(random_model):
    prompts = np.random.default_rng(2).integers(0, 6, (6, 4)).astype(np.int32)
    family = dataclasses.replace(SMALL, block=3, beams=36, end="ordinary")
    wrote = family.sample(random_model, 6, np.random.default_rng(0), given=Rows(prompts)).x
    every = np.array(list(itertools.product(range(6), repeat=3)), np.int32)
    for prompt, found in zip(prompts, wrote, strict=True):
        whole = np.concatenate([np.tile(prompt, (len(every), 1)), every], axis=1)
        nats = SMALL.score(random_model, Rows(whole))[:, 3:].sum(axis=1)
        assert np.array_equal(every[nats.argmin()], found)


@pytest.mark.parametrize(
    ("settings", "distribution"),
    [
        ({}, lambda logits: logits),
        ({"temperature": 2.0}, lambda logits: logits / 2),
        ({"top_k": 3}, lambda logits: np.where(logits >= np.sort(logits)[-3], logits, -np.inf)),
        ({"repetition_penalty": 2.0}, lambda logits: np.where(logits > 0, logits / 2, logits * 2)),
    ],
)
def test_sampling_draws_from_the_distribution_it_says(random_model, settings, distribution):
    """Chi-square on the first new token, 4000 draws, at level 1e-4; the prompt holds every token, for the penalty."""
    prompt = np.array([[0, 1, 3, 4, 5, 2]], np.int32)
    module = model.build(random_model, 0, torch.device("cpu")).eval()
    with torch.no_grad():
        logits = module(input_ids=torch.from_numpy(prompt).long()).logits[0, -1].double().numpy()
    p = np.exp(distribution(logits) - distribution(logits).max())
    p /= p.sum()
    family = dataclasses.replace(SMALL, block=2, decoding="sample", end="ordinary", sample_batch=4000, **settings)
    wrote = family.sample(random_model, 4000, np.random.default_rng(7), given=Rows(np.tile(prompt, (4000, 1))))
    counts = np.bincount(wrote.x[:, 0], minlength=6)
    assert np.array_equal(counts[p == 0], np.zeros((p == 0).sum()))
    keep = p > 0
    assert stats.chisquare(counts[keep], 4000 * p[keep]).pvalue > 1e-4


def test_the_end_token_is_forbidden_or_ordinary(counter):
    prompts = Rows(counting(4, first=24 - BLOCK))
    assert (counting(4) == 2).any(axis=1)[:3].all()  # counting on, token 2 comes next
    for decoding in ("beam", "greedy", "sample"):
        forbidden, ordinary = (
            dataclasses.replace(SMALL, end=end, decoding=decoding).sample(
                counter, 4, np.random.default_rng(0), given=prompts
            )
            for end in ("forbidden", "ordinary")
        )
        assert forbidden.x.shape == ordinary.x.shape == (4, BLOCK)
        assert not (forbidden.x == 2).any()
        assert (ordinary.x == 2).any()


def test_repetition_penalty_is_the_published_one(random_model):
    """Logits of tokens already there, prompt included, are divided by it if positive and multiplied if negative."""
    prompts = np.random.default_rng(3).integers(0, 6, (32, 2)).astype(np.int32)
    plain, penalised = (
        dataclasses.replace(SMALL, block=5, decoding="greedy", end="ordinary", repetition_penalty=penalty).sample(
            random_model, 32, np.random.default_rng(0), given=Rows(prompts)
        )
        for penalty in (1.0, 10.0)
    )
    module = model.build(random_model, 0, torch.device("cpu")).eval()
    for prompt, wrote in zip(prompts.tolist(), penalised.x.tolist(), strict=True):
        text = list(prompt)
        for _ in range(5):
            with torch.no_grad():
                logits = module(input_ids=torch.tensor([text])).logits[0, -1].numpy().copy()
            there = np.isin(np.arange(6), text)
            logits = np.where(there, np.where(logits > 0, logits / 10, logits * 10), logits)
            text.append(int(logits.argmax()))
        assert text[2:] == wrote
    assert not np.array_equal(plain.x, penalised.x)


# Models as files


def test_saved_and_loaded_models_are_equal(counter, tmp_path):
    SMALL.save(counter, tmp_path)
    assert equal(SMALL.load(tmp_path), counter)
    assert {file.name for file in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    (tmp_path / "blank").mkdir()
    SMALL.save(BLANK, tmp_path / "blank")
    blank = SMALL.load(tmp_path / "blank")
    assert blank.weights is None and blank.config == BLANK.config
    auto = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.equal(auto.lm_head.weight, counter.weights["model.decoder.embed_tokens.weight"])


def folder_model(folder, drop=(), add=None) -> Lm:
    """A family that starts from the weights in `folder`, after some were dropped and others added."""
    weights = load_file(folder / "model.safetensors")
    kept = {name: w for name, w in weights.items() if name not in drop} | (add(weights) if add else {})
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    return dataclasses.replace(SMALL, preset=str(folder), start="pretrained", pretrain="web")


def test_a_folder_gives_its_weights_under_either_name_of_the_tied_layer(counter, tmp_path):
    """Some conversions of OPT-125m keep the tied matrix under the name of the output layer only."""
    SMALL.save(counter, tmp_path)
    source = SimpleNamespace(tokenizer=tokenizer(24))
    tied = "model.decoder.embed_tokens.weight"
    for family in (
        folder_model(tmp_path),
        folder_model(tmp_path, drop=[tied], add=lambda w: {"lm_head.weight": w[tied]}),
    ):
        torch.manual_seed(1)
        state = torch.get_rng_state()
        base = family.base(source, np.random.default_rng(0))
        assert torch.equal(torch.get_rng_state(), state)
        assert all(torch.equal(base.weights[name], w) for name, w in counter.weights.items())
        assert base.config["origin"] == f"folder {tmp_path.name}"


def test_damaged_or_foreign_folders_are_refused_in_one_line(counter, tmp_path, capfd):
    SMALL.save(counter, tmp_path)
    source = SimpleNamespace(tokenizer=tokenizer(24))
    name = "model.decoder.layers.0.fc1.weight"
    for family in (
        folder_model(tmp_path, add=lambda w: {name: w[name][:3].clone()}),
        folder_model(tmp_path, drop=[name]),
    ):
        with pytest.raises(InputError, match=f"lacks {name}"):
            family.base(source, np.random.default_rng(0))
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:1000])
    with pytest.raises(InputError, match="damaged"):
        family.base(source, np.random.default_rng(0))
    assert capfd.readouterr() == ("", "")

    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match="is a pickle"):
        Lm(preset=str(tmp_path), start="pretrained")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5", "is_encoder_decoder": True}))
    with pytest.raises(InputError, match="only decoders"):
        Lm(preset=str(tmp_path))


def test_the_published_shape_needs_no_hub():
    config = model.blank("opt-125m", vocabulary=1, positions=1).config
    published = transformers.OPTConfig().to_dict()
    for field in ("vocab_size", "hidden_size", "num_hidden_layers", "ffn_dim", "num_attention_heads"):
        assert config[field] == published[field]
    assert config["max_position_embeddings"] == 2048


@needed.opt_tokenizer
def test_a_local_opt_beside_the_real_tokenizer(tmp_path):
    """The way of the paper's run, with an OPT of one narrow layer in the place of OPT-125m."""
    from model_collapse.corpora import tokens

    for file in (paths.data() / "opt-125m-tokenizer").iterdir():
        if file.name != "config.json":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    config = transformers.OPTConfig(hidden_size=16, num_hidden_layers=1, ffn_dim=32, num_attention_heads=2)
    weights = model.unbuild(model.build(model.LmModel(model.plain(config)), 0, torch.device("cpu")))
    Lm().save(model.LmModel(model.plain(config), weights), tmp_path)

    tokenizer = tokens.read(tmp_path)
    text = ["The church tower was built in 1415 and restored in the nineteenth century. " * 40]
    data = rows(tokens.blocks(tokenizer, text, 64))
    assert 4 <= len(data) <= 16
    family = Lm(preset=str(tmp_path), start="pretrained", lr=1e-2, epochs=2)
    base = family.base(SimpleNamespace(tokenizer=tokenizer), np.random.default_rng(0))
    fitted = family.fit(data, np.random.default_rng(1), start=base, validation=data)
    assert family.score(fitted, data.rows).mean() < family.score(base, data.rows).mean()
    wrote = family.sample(fitted, 2, np.random.default_rng(2), given=data.rows.take(np.arange(2)))
    assert wrote.x.shape == (2, 64) and (wrote.x != tokenizer.end).all()
    assert len(tokenizer.decode(wrote.x)) == 2


def test_another_tokenizer_in_the_place_of_opts_is_another_run(tmp_path, monkeypatch):
    """Its content is in the run_id; OPT's own, wherever it was read from, adds nothing."""
    from model_collapse.corpora import tokens

    folder = tmp_path / "opt-125m-tokenizer"
    folder.mkdir()
    tokens.trained(["a b c d"] * 9, 300).save(folder)
    monkeypatch.setenv("MODEL_COLLAPSE_DATA", str(tmp_path))
    family = Lm(preset="opt-125m", start="scratch")
    (other,) = family.contents()
    assert other == tokens.opt().fingerprint
    monkeypatch.setattr(tokens, "OPT_SHA256", other)
    assert family.contents() == []


@needed.opt_tokenizer
def test_opts_own_tokenizer_is_the_one_that_is_known():
    from model_collapse.corpora import tokens

    assert tokens.instead_of_opt() == ""


# Settings and hardware


@pytest.mark.parametrize(
    ("capability", "dtype"), [((7, 5), "float16"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16"), ((6, 1), "float16")]
)
def test_precision_follows_the_compute_capability(monkeypatch, capability, dtype):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *args: True)
    assert hardware.precision("auto", torch.device("cuda")) == getattr(torch, dtype)
    assert hardware.precision("fp32", torch.device("cuda")) == torch.float32


def test_the_cpu_computes_in_fp32():
    assert hardware.precision("auto", torch.device("cpu")) == torch.float32


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precisions_learn_too(precision):
    """On the CPU as on a GPU: mixed precision, and loss scaling for fp16. Weights stay fp32."""
    family = dataclasses.replace(SMALL, precision=precision, epochs=15)
    fitted = family.fit(rows(counting(96)), np.random.default_rng(0), start=BLANK)
    assert {w.dtype for w in fitted.weights.values()} == {torch.float32}
    assert family.score(fitted, Rows(counting(24))).mean() < 1
    assert family.sample(fitted, 2, np.random.default_rng(0), given=Rows(counting(2))).x.shape == (2, BLOCK)


@pytest.mark.parametrize(
    "full",
    [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling")],
)
def test_an_exhausted_gpu_names_the_setting(full, monkeypatch):
    def exhausted(*args, **kwargs):
        raise full

    monkeypatch.setattr(transformers.OPTForCausalLM, "forward", exhausted)
    with pytest.raises(ExternalError, match=r"family\.batch=8"):
        SMALL.fit(rows(noise(1)), np.random.default_rng(1), start=BLANK)
    some = model.LmModel(BLANK.config, model.unbuild(model.build(BLANK, 0, torch.device("cpu"))))
    monkeypatch.setattr(engine.Engine, "_logits", exhausted)
    with pytest.raises(ExternalError, match=r"family\.sample_batch=32"):
        SMALL.sample(some, 2, np.random.default_rng(1), given=Rows(counting(2)))


@pytest.mark.parametrize(
    "settings",
    [
        {"start": "pretrained"},
        {"preset": "small", "start": "pretrained"},
        {"preset": "opt-125m", "start": "pretrained", "pretrain": "wikitext-2"},
        {"preset": "no-such-folder"},
        {"temperature": "0.5"},
        {"top_k": "10", "decoding": "beam"},
        {"lr": "0"},
        {"lr": "fast"},
        {"lr": "nan"},
        {"batch": "0"},
        {"epochs": "-1"},
        {"dropout": "1"},
        {"decoding": "best"},
        {"precision": "int8"},
        {"no_such_setting": 1},
    ],
)
def test_bad_settings_are_one_line(settings):
    with pytest.raises(InputError) as caught:
        registry.build(families, "lm", settings, "family")
    assert str(caught.value).startswith("family") and "\n" not in str(caught.value)


def test_settings_are_read_from_text():
    built = registry.build(families, "lm", {"lr": "0.001", "batch": "auto", "epochs": "10"}, "family")
    assert (built.learning_rate, built.blocks_per_step, built.epochs) == (1e-3, 16, 10)


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda m: SMALL.sample(m, 2, np.random.default_rng(0)), "given"),
        (lambda m: SMALL.sample(m, 2, np.random.default_rng(0), given=Rows(counting(3))), "given"),
        (
            lambda m: SMALL.sample(m, 1, np.random.default_rng(0), given=Rows(np.zeros((1, 9), np.int32))),
            "family.block",
        ),
        (lambda m: SMALL.score(m, Rows(np.zeros((1, 17), np.int32))), "family.block"),
        (lambda m: SMALL.score(m, Rows(np.full((1, 4), 24, np.int32))), "family.tokenizer"),
        (lambda m: SMALL.fit(rows(np.zeros((0, 8), np.int32)), np.random.default_rng(0), start=m), "block"),
        (lambda m: SMALL.base(SimpleNamespace(tokenizer=None, web=None), None) if m is None else _too_many(), "token"),
    ],
)
def test_bad_rows_are_one_line(counter, call, names):
    with pytest.raises(InputError, match=names):
        call(counter)


def _too_many() -> None:
    source = SimpleNamespace(tokenizer=tokenizer(60_000))
    dataclasses.replace(SMALL, preset="opt-125m").base(source, np.random.default_rng(0))


@pytest.mark.parametrize(("steps", "rows_read"), [(0, 20), (2, 16), (3, 20), (4, 28), (5, 36), (6, 40)])
def test_tokens_seen_are_those_of_the_rows_read(steps: int, rows_read: int):
    """Of 20 rows in batches of 8 the third step of a pass reads four."""
    family = dataclasses.replace(SMALL, batch=8, steps=steps, epochs=1, checkpoint="last")
    fitted = family.fit(rows(counting(20)), np.random.default_rng(0), start=BLANK)
    assert fitted.config["training"]["tokens_seen"] == rows_read * counting(20).shape[1]


def test_a_model_too_short_to_go_on_after_a_block_is_refused_before_it_is_trained(tmp_path):
    """Reading a block would fit, so that the first generation would be trained for nothing."""
    base = model.LmModel(BLANK.config, model.unbuild(model.build(BLANK, 0, torch.device("cpu"))))
    SMALL.save(base, tmp_path)
    family = Lm(preset=str(tmp_path), start="pretrained", block=BLANK.positions // 2 + 1)
    with pytest.raises(InputError, match=f"than the {BLANK.positions} the model reads"):
        family.base(SimpleNamespace(tokenizer=tokenizer(24)), np.random.default_rng(0))
