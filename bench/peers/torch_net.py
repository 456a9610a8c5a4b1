#!/usr/bin/python3
"""The networks beside PyTorch on the CPU: runs bench_net and PyTorch in turns and prints medians and their ratio.

    bench/peers/torch_net.py build/release/bench/bench_net [--rounds 5]

PyTorch runs its fastest float32 mode: traced, frozen, channels_last, no autograd.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "reference"))
from networks import ResNet34, Unet  # noqa: E402

CASES = [  # bench_net's name, network, side, batch
    ("resnet34_224_f32", lambda: ResNet34(channels=3), 224, 1),
    ("resnet34_224_f32", lambda: ResNet34(channels=3), 224, 16),
    ("unet_256_f32", lambda: Unet(), 256, 1),
]


def ours(program, name, batch, threads):
    answer = subprocess.run(
        [program, f"--benchmark_filter=^{name}/batch:{batch}/threads:{threads}/", "--benchmark_format=json"],
        check=True, capture_output=True, text=True)
    return json.loads(answer.stdout)["benchmarks"][0]["images_per_s"]


def peer(make, side, batch, threads):
    torch.set_num_threads(threads)
    with torch.no_grad():
        image = torch.rand(batch, next(make().parameters()).shape[1], side, side).contiguous(memory_format=torch.channels_last)
        network = torch.jit.freeze(torch.jit.trace(make().eval().to(memory_format=torch.channels_last), image))
        for _ in range(3):
            network(image)
        times = []
        end = time.perf_counter() + 1.0
        while time.perf_counter() < end or len(times) < 3:
            begin = time.perf_counter()
            network(image)
            times.append(time.perf_counter() - begin)
    return batch / statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="bench_net")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"images/s, medians of {options.rounds} rounds; PyTorch {torch.__version__}")
    print(f"{'network':18} {'batch':>5} {'threads':>7} {'boneage':>9} {'PyTorch':>9} {'ratio':>6}")
    for name, make, side, batch in CASES:
        for threads in (1, 2):
            pairs = [(ours(options.program, name, batch, threads), peer(make, side, batch, threads))
                     for _ in range(options.rounds)]
            mine, theirs = (statistics.median(column) for column in zip(*pairs))
            print(f"{name:18} {batch:5} {threads:7} {mine:9.2f} {theirs:9.2f} {mine / theirs:6.2f}", flush=True)


if __name__ == "__main__":
    main()
