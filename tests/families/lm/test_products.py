"""Products by oneDNN against torch's own: the same numbers and the same gradients."""

from __future__ import annotations

import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")

    from model_collapse.families.lm import model, products


def gradients(fast: bool, seed: int = 0) -> dict[str, torch.Tensor]:
    """Of a model's loss, by weight; the loss itself as "loss"."""
    module = model.build(model.blank("tiny", 50, 16), seed, torch.device("cpu"))
    tokens = torch.arange(48).view(4, 12)
    if fast:
        with products.OneDNN():
            loss = module(input_ids=tokens, labels=tokens).loss
    else:
        loss = module(input_ids=tokens, labels=tokens).loss
    loss.backward()
    return {"loss": loss.detach()} | {name: weight.grad for name, weight in module.named_parameters()}


def test_losses_and_gradients_of_a_model_are_torchs_own(monkeypatch):
    monkeypatch.setattr(products, "_onednn", lambda dtype: torch.backends.mkldnn.is_available())
    for (name, fast), plain in zip(gradients(True).items(), gradients(False).values(), strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-6, msg=name)


def test_it_is_onednn_that_multiplies(monkeypatch):
    """Without this, the test above could compare torch with itself."""
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    assert products._onednn(torch.float32) == (torch.backends.mkldnn.is_available() and wide)
    shapes = []
    monkeypatch.setattr(products, "_onednn", lambda dtype: True)
    monkeypatch.setattr(products, "_multiply", lambda x, weight, bias: shapes.append(x.shape) or x @ weight.T + 0)
    gradients(True)
    layers = 2 * 6 + 1
    assert len(shapes) == 3 * layers


def test_arguments_may_be_named(monkeypatch):
    monkeypatch.setattr(products, "_onednn", lambda dtype: torch.backends.mkldnn.is_available())
    x, weight, bias = torch.randn(2, 5), torch.randn(3, 5), torch.randn(3)
    linear = torch.nn.functional.linear
    with products.OneDNN():
        found = [linear(x, weight, bias), linear(x, weight, bias=bias), linear(input=x, weight=weight, bias=bias)]
    for each in found:
        torch.testing.assert_close(each, linear(x, weight, bias))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("frozen", ["x", "weight"])
def test_only_the_gradients_asked_for_are_computed(bias, frozen):
    layer = torch.nn.Linear(5, 3, bias=bias)
    x = torch.randn((2, 4, 5), generator=torch.Generator().manual_seed(1), requires_grad=frozen != "x")
    layer.weight.requires_grad_(frozen != "weight")
    wanted = [t for t in (x, *layer.parameters()) if t.requires_grad]
    plain = torch.autograd.grad(layer(x).square().sum(), wanted)
    with products.OneDNN():
        fast = torch.autograd.grad(layer(x).square().sum(), wanted)
    torch.testing.assert_close(fast, plain)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_are_left_alone(dtype):
    layer = torch.nn.Linear(5, 3).to(dtype)
    x = torch.ones((2, 5), dtype=dtype)
    with products.OneDNN():
        assert torch.equal(layer(x), torch.nn.functional.linear(x, layer.weight, layer.bias))
    with products.OneDNN(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.nn.Linear(5, 3)(torch.ones(2, 5)).dtype == torch.bfloat16
