#!/usr/bin/python3
"""Training beside PyTorch on the CPU: runs bench_train and PyTorch in turns and prints medians and their ratio.

    bench/peers/torch_train.py build/release/bench/bench_train [--rounds 3] [--threads 1 2] [--only resnet34] [--bf16]

A step is forward, loss, backward and Adam. PyTorch runs it in float32 and channels_last, ours both ways that it has for 3x3
convolutions; with --bf16 also both in bfloat16, PyTorch by autocast, which takes minutes on a processor that only emulates it.
"""
import argparse
import pathlib
import statistics
import sys

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "reference"))
from networks import ResNet34, Unet  # noqa: E402
from turns import images_per_second, ours, print_head, print_row  # noqa: E402


def absolute_error(outputs, targets):
    return torch.nn.functional.l1_loss(outputs, targets)


def segmentation(logits, targets):
    """Cross-entropy plus Dice, as kernels/nn/loss.h has it."""
    chances = torch.sigmoid(logits).flatten(1)
    truth = targets.flatten(1)
    dice = (2 * (chances * truth).sum(1) + 1) / (chances.sum(1) + truth.sum(1) + 1)
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, targets) + (1 - dice).mean()


WIDTH = 26  # of the column of names
CASES = [  # bench_train's name, network, channels, side, batch, loss, shape of the targets
    ("resnet34_224", lambda: ResNet34(channels=3), 3, 224, 16, absolute_error, (16, 1)),
    ("unet_256", lambda: Unet(), 1, 256, 8, segmentation, (8, 1, 256, 256)),
]
F32_WAYS = ["f32_winograd", "f32_direct"]


def peer(make, channels, side, batch, loss, targets_shape, threads, bf16):
    torch.set_num_threads(threads)
    network = make().train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters())
    image = torch.rand(batch, channels, side, side).contiguous(memory_format=torch.channels_last)
    targets = torch.rand(targets_shape).round()

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            outputs = network(image)
        loss(outputs.float(), targets).backward()
        optimizer.step()

    step()
    return images_per_second(step, batch, least=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="bench_train")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", default="", metavar="NAME", help="networks whose name begins so")
    parser.add_argument("--bf16", action="store_true", help="bfloat16 as well")
    options = parser.parse_args()
    print_head(options.rounds, torch.__version__, WIDTH)
    for name, make, channels, side, batch, loss, targets_shape in CASES:
        if not name.startswith(options.only):
            continue
        for threads in options.threads:
            for ways in [F32_WAYS] + ([["bf16"]] if options.bf16 else []):
                rounds = []
                for _ in range(options.rounds):
                    mine = [ours(options.program, f"{name}_{way}", batch, threads) for way in ways]
                    theirs = peer(make, channels, side, batch, loss, targets_shape, threads, ways == ["bf16"])
                    rounds.append(mine + [theirs])
                *medians, theirs = (statistics.median(column) for column in zip(*rounds))
                for way, mine in zip(ways, medians):
                    print_row(f"{name}_{way}", batch, threads, mine, theirs, WIDTH)


if __name__ == "__main__":
    main()
