"""What the scripts that run our CPU benchmarks and PyTorch in turns share."""
import json
import statistics
import subprocess
import time


def ours(program, name, batch, threads):
    """Images a second of one benchmark of `program`."""
    answer = subprocess.run(
        [program, f"--benchmark_filter=^{name}/batch:{batch}/threads:{threads}/", "--benchmark_format=json"],
        check=True, capture_output=True, text=True)
    return json.loads(answer.stdout)["benchmarks"][0]["images_per_s"]


def images_per_second(step, batch, least):
    """The median of step() over a second, and over `least` runs of it."""
    times = []
    end = time.perf_counter() + 1.0
    while time.perf_counter() < end or len(times) < least:
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    return batch / statistics.median(times)


def print_head(rounds, torch_version, width):
    print(f"images/s, medians of {rounds} rounds; PyTorch {torch_version}")
    print(f"{'network':{width}} {'batch':>5} {'threads':>7} {'boneage':>9} {'PyTorch':>9} {'ratio':>6}")


def print_row(name, batch, threads, mine, theirs, width):
    print(f"{name:{width}} {batch:5} {threads:7} {mine:9.2f} {theirs:9.2f} {mine / theirs:6.2f}", flush=True)
