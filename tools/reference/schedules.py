#!/usr/bin/env python3
"""Writes what PyTorch's schedulers and Keras' callbacks do, epoch by epoch, to tests/golden/schedules.json.

PyTorch's are run. Keras' ReduceLROnPlateau and EarlyStopping are written out below as their sources have them, with the rate in double.
A metric that is not a number stands as null.
"""
import json
import math
import pathlib
import random
import warnings

import torch

TARGET = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/schedules.json"
RATE = 0.004
NAN = math.nan


class KerasPlateau:
    def __init__(self, mode, factor, patience, min_delta, cooldown, min_lr):
        self.mode, self.factor, self.patience, self.min_delta, self.cooldown, self.min_lr = mode, factor, patience, min_delta, cooldown, min_lr
        self.best = math.inf if mode == "min" else -math.inf
        self.rate, self.wait, self.cooldown_counter = RATE, 0, 0

    def step(self, current):
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if keras_improves(self.mode, self.min_delta, current, self.best):
            self.best = current
            self.wait = 0
        elif not self.cooldown_counter > 0:
            self.wait += 1
            if self.wait >= self.patience:
                if self.rate > self.min_lr:
                    self.rate = max(self.rate * self.factor, self.min_lr)
                    self.cooldown_counter = self.cooldown
                    self.wait = 0
        return self.rate


def keras_improves(mode, min_delta, current, best):
    return current + min_delta < best if mode == "min" else current - min_delta > best


def early_stopping(mode, min_delta, patience, metrics):
    best, best_epoch, wait = math.inf if mode == "min" else -math.inf, None, 0
    for epoch, current in enumerate(metrics):
        wait += 1
        if keras_improves(mode, min_delta, current, best):
            best, best_epoch, wait = current, epoch, 0
            continue
        if wait >= patience and epoch > 0:
            return epoch, best_epoch
    return None, best_epoch


def optimizer():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)


def torch_plateau(mode, threshold_mode, factor, patience, threshold, cooldown, min_lr, eps, metrics):
    optim = optimizer()
    rule = torch.optim.lr_scheduler.ReduceLROnPlateau(optim, mode=mode, factor=factor, patience=patience, threshold=threshold,
                                                      threshold_mode=threshold_mode, cooldown=cooldown, min_lr=min_lr, eps=eps)
    rates = []
    for metric in metrics:
        rule.step(metric)
        rates.append(optim.param_groups[0]["lr"])
    return rates


def curve(make, steps):
    optim = optimizer()
    rule = make(optim)
    rates = []
    for step in range(steps):
        if step > 0:
            optim.step()
            rule.step()
        rates.append(optim.param_groups[0]["lr"])
    return rates


def metric_series(rng, mode):
    """Falls (or rises) with plateaus, steps near the thresholds, and now and then not a number."""
    value, series = 40.0, []
    for _ in range(rng.randrange(12, 40)):
        kind = rng.random()
        if kind < 0.35:
            value *= 1 - rng.choice([1e-5, 1e-4, 1e-3, 0.05])
        elif kind < 0.6:
            value += rng.choice([1e-5, 1e-4, 0.5])
        elif kind < 0.65:
            series.append(NAN)
            continue
        series.append(float(f"{value if mode == 'min' else 1 - value / 100:.8g}"))
    return series


def plateaus(rng):
    cases = []
    hand_made = [[10.0] * 30, [NAN] * 8 + [1.0] * 16, [10.0, NAN, 9.0, NAN, NAN, NAN, 8.0, 8.0, 8.0, 8.0]]
    for number in range(24):
        mode = rng.choice(["min", "min", "max"])
        metrics = hand_made[number] if number < len(hand_made) else metric_series(rng, mode)
        common = {"factor": rng.choice([0.1, 0.5, 0.9]), "patience": rng.choice([0, 1, 2, 3, 5]), "cooldown": rng.choice([0, 0, 1, 2, 3]),
                  "min_lr": rng.choice([0.0, 0.0, 1e-4, 1e-3, 0.004])}
        threshold = rng.choice([0.0, 1e-4, 1e-2])
        threshold_mode, eps = rng.choice(["rel", "abs"]), rng.choice([1e-8, 1e-8, 5e-4])
        cases.append({"rule": "torch", "mode": mode, **common, "threshold": threshold, "threshold_mode": threshold_mode, "eps": eps, "metrics": metrics,
                      "rates": torch_plateau(mode, threshold_mode, threshold=threshold, eps=eps, metrics=metrics, **common)})
        keras = KerasPlateau(mode, min_delta=threshold, **common)
        cases.append({"rule": "keras", "mode": mode, **common, "min_delta": threshold, "metrics": metrics, "rates": [keras.step(m) for m in metrics]})
    return cases


def stoppings(rng):
    cases = []
    for number in range(16):
        mode = rng.choice(["min", "max"])
        metrics = [[5.0, 5.0], [NAN, NAN, 4.0]][number] if number < 2 else metric_series(rng, mode)
        patience, min_delta = 0 if number < 2 else rng.choice([0, 1, 3, 6, 20]), rng.choice([0.0, 0.01])
        stopped, best = early_stopping(mode, min_delta, patience, metrics)
        cases.append({"mode": mode, "patience": patience, "min_delta": min_delta, "metrics": metrics, "stopped_epoch": stopped, "best_epoch": best})
    return cases


def curves():
    schedulers = torch.optim.lr_scheduler
    cases = []
    for warmup, share, total, low in [(0, 1.0, 20, 0.0), (5, 0.01, 30, 1e-5), (8, 0.25, 25, 0.001)]:
        def cosine(optim):
            falling = schedulers.CosineAnnealingLR(optim, T_max=total - warmup, eta_min=low)
            if warmup == 0:
                return falling
            rising = schedulers.LinearLR(optim, start_factor=share, total_iters=warmup)
            return schedulers.SequentialLR(optim, [rising, falling], milestones=[warmup])
        cases.append({"rule": "cosine", "warmup": warmup, "start_share": share, "total": total, "min_lr": low, "rates": curve(cosine, total + 1)})
    cases.append({"rule": "constant", "warmup": 7, "start_share": 0.1,
                  "rates": curve(lambda optim: schedulers.LinearLR(optim, start_factor=0.1, total_iters=7), 12)})
    for anneal, total, share, div, final in [("cos", 40, 0.3, 25.0, 1e4), ("linear", 33, 0.45, 10.0, 100.0), ("cos", 10, 0.5, 4.0, 1e3)]:
        cases.append({"rule": "one_cycle", "anneal": anneal, "total": total, "rise_share": share, "div_factor": div, "final_div_factor": final,
                      "rates": curve(lambda optim: schedulers.OneCycleLR(optim, max_lr=RATE, total_steps=total, pct_start=share, anneal_strategy=anneal,
                                                                         div_factor=div, final_div_factor=final, cycle_momentum=False), total)})
    return cases


def finite(value):
    if isinstance(value, dict):
        return {key: finite(v) for key, v in value.items()}
    if isinstance(value, list):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def main():
    warnings.simplefilter("ignore")
    rng = random.Random(20)
    document = finite({"torch": torch.__version__, "learning_rate": RATE, "plateaus": plateaus(rng), "stoppings": stoppings(rng), "curves": curves()})
    groups = [f'"{name}": [\n' + ",\n".join(json.dumps(case) for case in document[name]) + "\n]" for name in ("plateaus", "stoppings", "curves")]
    head = f'"torch": {json.dumps(document["torch"])}, "learning_rate": {RATE}'
    TARGET.write_text("{" + head + ",\n" + ",\n".join(groups) + "\n}\n")


if __name__ == "__main__":
    main()
