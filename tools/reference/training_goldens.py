#!/usr/bin/env python3
"""Writes ten steps of PyTorch's training of the project's networks, from formula weights on formula data, to tests/golden/training.json.

PyTorch computes in float64, so the golden is the truth that any float32 may be held to. A golden holds the loss before every step, a few
elements of every gradient of the first step, and of every weight and running statistic after ten steps of Adam.

Adam divides a gradient by its size. Where that is near zero, its rounding decides which way the weight goes, in PyTorch as anywhere: two
float32 runs of PyTorch differ there by whole steps. Weights are therefore sampled where every one of the ten gradients has at least a
tenth of its tensor's root mean square. All other figures are sampled evenly.

Residual branches of the ResNet begin small (DAMPING on the formula's `bn2.weight`), as in practice. With the formula's own values the
network is so steep that float32 and float64 part within ten steps, in PyTorch as anywhere.
"""
import json
import pathlib

import numpy
import torch

import networks

TARGET = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/training.json"
SAMPLES = 4
STEPS = 10
DAMPING = 0.125


def formula_tensor(name, shape, low, high, dtype):
    """NHWC numbers by the formula, as NCHW."""
    values = networks.formula(name, int(numpy.prod(shape)), low, high).reshape(shape)
    return torch.from_numpy(values).to(dtype).permute(0, 3, 1, 2).contiguous()


def absolute_error(outputs, targets):
    return (outputs - targets).abs().mean()


def segmentation(logits, targets):
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
    p = torch.sigmoid(logits)
    both = (p * targets).sum((1, 2, 3))
    dice = (2 * both + 1) / (p.sum((1, 2, 3)) + targets.sum((1, 2, 3)) + 1)
    return entropy + (1 - dice).mean()


def sampled(array, allowed=None):
    flat = array.detach().double().numpy().reshape(-1)
    candidates = numpy.arange(flat.size) if allowed is None else numpy.flatnonzero(allowed)
    if candidates.size == 0:
        return None
    step = max(1, candidates.size // SAMPLES) | 1  # odd, so that it meets all channels
    indices = [int(i) for i in candidates[::step][:SAMPLES]]
    return {"largest": float(f"{numpy.abs(flat).max():.9g}"), "indices": indices, "values": [float(f"{flat[i]:.9g}") for i in indices]}


def train(module, inputs, targets, loss_of, learning_rate, dtype):
    module = networks.fill(module)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.startswith("layer") and name.endswith("bn2.weight"):
                parameter.mul_(DAMPING)
    module = module.to(dtype).train()
    optimizer = torch.optim.Adam(module.parameters(), lr=learning_rate)
    losses, first, steady = [], {}, {}
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(module(*inputs), targets)
        loss.backward()
        losses.append(float(f"{loss.item():.9g}"))
        for name, parameter in module.named_parameters():
            size = parameter.grad.abs()
            large = (size >= 0.1 * size.square().mean().sqrt()).numpy().reshape(-1)
            steady[name] = large & steady[name] if step else large
            if step == 0:
                first[name] = parameter.grad.clone()
        optimizer.step()
    return losses, first, steady, module.state_dict()


def largest_difference(a, b, steady):
    """Of float32 and float64, over the elements that may be sampled, relative to each tensor's largest."""
    worst = 0.0
    for name, allowed in steady.items():
        if allowed.any():
            want = b[name].double().numpy().reshape(-1)
            got = a[name].double().numpy().reshape(-1)
            worst = max(worst, float((numpy.abs(got - want)[allowed]).max() / numpy.abs(want).max()))
    return worst


def case(kind, spec, batch, height, width, loss, learning_rate):
    def run(dtype):
        image = formula_tensor("image", (batch, height, width, spec["channels"]), -1.0, 1.0, dtype)
        if loss == "absolute_error":
            sex = torch.tensor([[1.0], [-1.0]], dtype=dtype).repeat(batch // 2, 1)
            targets = formula_tensor("targets", (batch, 1, 1, 1), 20.0, 60.0, dtype).flatten(1)
            return train(networks.ResNet34(**spec), (image, sex), targets, absolute_error, learning_rate, dtype)
        targets = (formula_tensor("targets", (batch, height, width, 1), -1.0, 1.0, dtype) > 0).to(dtype)
        return train(networks.Unet(**spec), (image,), targets, segmentation, learning_rate, dtype)

    losses, first, steady, state = run(torch.float64)
    other_losses, other_first, _, other_state = run(torch.float32)
    everywhere = {name: numpy.ones(gradient.numel(), bool) for name, gradient in first.items()}
    print(f"{kind}: loss {losses[0]} .. {losses[-1]}; PyTorch's float32 against its float64: losses "
          f"{max(abs(a - b) / abs(b) for a, b in zip(other_losses, losses)):.2g}, first gradients "
          f"{largest_difference(other_first, first, everywhere):.2g}, weights that may be sampled "
          f"{largest_difference(other_state, state, steady):.2g}, all weights {largest_difference(other_state, state, everywhere):.2g}; "
          f"{sum(a.sum() for a in steady.values()) / sum(a.size for a in steady.values()):.0%} may be sampled")
    statistics = {name: tensor for name, tensor in state.items() if name.endswith(("running_mean", "running_var"))}
    weights = {name: sampled(state[name], allowed) for name, allowed in steady.items()}
    return {"type": kind, "spec": spec, "batch": batch, "height": height, "width": width, "loss": loss, "learning_rate": learning_rate,
            "losses": losses, "gradients": {name: sampled(gradient) for name, gradient in first.items()},
            "weights": {name: value for name, value in weights.items() if value},
            "statistics": {name: sampled(tensor) for name, tensor in statistics.items()}}


def main():
    torch.set_num_threads(1)
    cases = [case("resnet34", {"channels": 1, "sex_input": True, "hidden": 16, "outputs": 1}, 4, 64, 64, "absolute_error", 1e-5),
             case("unet", {"channels": 1, "depth": 2, "base_width": 8, "outputs": 1}, 2, 32, 32, "segmentation", 1e-3)]
    text = json.dumps({"torch": torch.__version__, "steps": STEPS, "cases": cases})
    for key in ("gradients", "weights", "statistics"):
        text = text.replace(f'"{key}"', f'\n"{key}"')
    TARGET.write_text(text + "\n")


if __name__ == "__main__":
    main()
