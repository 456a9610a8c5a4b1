#!/usr/bin/python3
"""The networks beside PyTorch on the CPU: runs bench_net and PyTorch in turns and prints medians and their ratio.

    bench/peers/torch_net.py build/release/bench/bench_net [--rounds 5]

PyTorch runs its fastest float32 mode: traced, frozen, channels_last, no autograd.
"""
import argparse
import pathlib
import statistics
import sys

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "reference"))
from networks import ResNet34, Unet  # noqa: E402
from turns import images_per_second, ours, print_head, print_row  # noqa: E402

WIDTH = 18  # of the column of names
CASES = [  # bench_net's name, network, side, batch
    ("resnet34_224_f32", lambda: ResNet34(channels=3), 224, 1),
    ("resnet34_224_f32", lambda: ResNet34(channels=3), 224, 16),
    ("unet_256_f32", lambda: Unet(), 256, 1),
]


def peer(make, side, batch, threads):
    torch.set_num_threads(threads)
    with torch.no_grad():
        image = torch.rand(batch, next(make().parameters()).shape[1], side, side).contiguous(memory_format=torch.channels_last)
        network = torch.jit.freeze(torch.jit.trace(make().eval().to(memory_format=torch.channels_last), image))
        for _ in range(3):
            network(image)
        return images_per_second(lambda: network(image), batch, least=3)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="bench_net")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print_head(options.rounds, torch.__version__, WIDTH)
    for name, make, side, batch in CASES:
        for threads in (1, 2):
            pairs = [(ours(options.program, name, batch, threads), peer(make, side, batch, threads))
                     for _ in range(options.rounds)]
            mine, theirs = (statistics.median(column) for column in zip(*pairs))
            print_row(name, batch, threads, mine, theirs, WIDTH)


if __name__ == "__main__":
    main()
