#!/usr/bin/env python3
"""The networks beside PyTorch 2 on a GPU: runs bench_gpu_net and PyTorch in turns and prints medians and their ratio.

    bench/peers/torch_gpu.py build/release/bench/bench_gpu_net [--rounds 3] [--json FILE]

PyTorch runs channels_last with batch norm folded, each batch one CUDA graph, as torch.compile makes it where that works and eager
otherwise: the faster of the two counts. As in bench_gpu_net, L2 is overwritten before every run.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

try:
    import torch
except ImportError:
    sys.exit("PyTorch is not installed here: nothing to compare with")

here = pathlib.Path(__file__).resolve()
for folder in (here.parent, here.parents[2] / "tools" / "reference"):
    sys.path.insert(0, str(folder))
from networks import ResNet34, Unet  # noqa: E402

CASES = [  # bench_gpu_net's name, network, channels, batch
    ("resnet34_256", lambda: ResNet34(channels=3), 3, 64),
    ("resnet34_256", lambda: ResNet34(channels=3), 3, 256),
    ("unet_256", lambda: Unet(), 1, 64),
]
TYPES = {"bf16": torch.bfloat16, "f16": torch.float16}
SIDE = 256


def ours(program, name, batch):
    answer = subprocess.run([program, f"--benchmark_filter=^{name}/batch:{batch}/", "--benchmark_format=json"],
                            check=True, capture_output=True, text=True)
    found = json.loads(answer.stdout)["benchmarks"][0]
    if found.get("error_occurred"):
        sys.exit(found["error_message"])
    return found["images_per_s"]


def captured(network, image):
    """A function that runs the network once, as a CUDA graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(5):
            network(image)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        network(image)
    return graph.replay


class Peer:
    def __init__(self, make, channels, batch, dtype, compiles):
        self.batch = batch
        self.flush = torch.empty(4 * torch.cuda.get_device_properties(0).L2_cache_size, dtype=torch.uint8, device="cuda")
        image = torch.rand(batch, channels, SIDE, SIDE, device="cuda", dtype=dtype).contiguous(memory_format=torch.channels_last)
        network = make().eval().cuda()
        try:
            from torch.fx.experimental.optimization import fuse
            network = fuse(network)
        except Exception as error:  # a network that cannot be traced keeps its batch norm
            print(f"batch norm is not folded: {error}", file=sys.stderr)
        network = network.to(dtype=dtype, memory_format=torch.channels_last)
        self.runs = {}
        with torch.no_grad():
            self.runs["eager"] = captured(network, image)
            if compiles:
                try:
                    self.runs["compiled"] = captured(torch.compile(network, mode="max-autotune-no-cudagraphs"), image)
                except Exception as error:
                    print(f"torch.compile: {str(error).splitlines()[0]}", file=sys.stderr)

    def images_per_s(self, run):
        times = []
        for _ in range(30):
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            self.flush.zero_()
            begin.record()
            run()
            end.record()
            end.synchronize()
            times.append(begin.elapsed_time(end))
        return 1000 * self.batch / statistics.median(times)

    def fastest(self):
        return max((self.images_per_s(run), name) for name, run in self.runs.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="bench_gpu_net")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out: it takes a minute a network")
    parser.add_argument("--json", help="where the figures go as well")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("PyTorch sees no GPU here")
    print(f"images/s, medians of {options.rounds} rounds; PyTorch {torch.__version__}, {torch.cuda.get_device_name(0)}")
    print(f"{'network':18} {'batch':>5} {'boneage':>9} {'PyTorch':>9} {'ratio':>6}  PyTorch's way")
    rows = []
    for kind, make, channels, batch in CASES:
        for type_name, dtype in TYPES.items():
            if type_name != "bf16" and batch != 64:
                continue  # bench_gpu_net has the other batch sizes in bf16 alone
            peer = Peer(make, channels, batch, dtype, not options.no_compile)
            pairs = []
            for _ in range(options.rounds):
                theirs, way = peer.fastest()
                pairs.append((ours(options.program, f"{kind}_{type_name}", batch), theirs))
            mine, theirs = (statistics.median(column) for column in zip(*pairs))
            rows.append({"network": f"{kind}_{type_name}", "batch": batch, "images_per_s": mine,
                         "torch_images_per_s": theirs, "ratio": mine / theirs, "torch_way": way, "torch": torch.__version__})
            print(f"{kind}_{type_name:9} {batch:5} {mine:9.0f} {theirs:9.0f} {mine / theirs:6.2f}  {way}", flush=True)
            if options.json:
                pathlib.Path(options.json).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
