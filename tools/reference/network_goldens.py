#!/usr/bin/env python3
"""Writes what PyTorch computes for the project's networks, on inputs and weights made from a formula, to tests/golden/networks.json.

Of every value named, the golden holds the shape, the largest magnitude, and a few dozen elements in NHWC order.
"""
import json
import pathlib

import numpy
import torch

import networks

TARGET = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/networks.json"
SAMPLES = 24
# value of the graph -> module whose output it is
RESNET_VALUES = {"maxpool": "maxpool", "layer1.2": "layer1.2", "layer2.0": "layer2.0", "layer3.5": "layer3.5", "layer4.2": "layer4.2",
                 "features": "avgpool"}
UNET_VALUES = {"enc0": "enc0", "enc1": "enc1", "enc2": "enc2", "up1": "up1", "dec1": "dec1", "dec0": "dec0"}


def formula_input(name, n, h, w, c):
    values = networks.formula(name, n * h * w * c, -1.0, 1.0).reshape(n, h, w, c)
    return torch.from_numpy(values).permute(0, 3, 1, 2).contiguous()


def golden_value(tensor):
    array = tensor.double().numpy()
    if array.ndim == 2:
        array = array[:, :, None, None]
    nhwc = numpy.ascontiguousarray(array.transpose(0, 2, 3, 1))
    flat = nhwc.reshape(-1)
    step = max(1, flat.size // SAMPLES - 1) | 1  # odd, so that it meets all channels
    indices = list(range(0, flat.size, step))[:SAMPLES]
    return {"shape": list(nhwc.shape), "largest": float(numpy.abs(flat).max()), "indices": indices,
            "values": [float(f"{flat[i]:.9g}") for i in indices]}


def run(module, values, inputs):
    seen = {}
    for value, name in values.items():
        module.get_submodule(name).register_forward_hook(lambda _m, _i, out, value=value: seen.update({value: out}))
    with torch.no_grad():
        result = module(*inputs)
    return seen, result


def main():
    torch.set_num_threads(1)
    cases = []
    for spec, height, width in (({"channels": 1, "sex_input": True, "hidden": 16, "outputs": 1}, 64, 48),
                                ({"channels": 3, "sex_input": False, "hidden": 0, "outputs": 5}, 33, 65)):
        image = formula_input("image", 2, height, width, spec["channels"])
        sex = torch.tensor([[1.0], [-1.0]])
        seen, result = run(networks.fill(networks.ResNet34(**spec)), RESNET_VALUES, (image, sex))
        seen["age"] = result
        cases.append({"type": "resnet34", "spec": spec, "height": height, "width": width,
                      "values": {name: golden_value(tensor) for name, tensor in seen.items()}})
    for spec, height, width in (({"channels": 1, "depth": 2, "base_width": 8, "outputs": 1}, 32, 40),
                                ({"channels": 3, "depth": 3, "base_width": 4, "outputs": 2}, 24, 16)):
        image = formula_input("image", 2, height, width, spec["channels"])
        seen, result = run(networks.fill(networks.Unet(**spec)), UNET_VALUES, (image,))
        seen["logits"] = result
        cases.append({"type": "unet", "spec": spec, "height": height, "width": width,
                      "values": {name: golden_value(tensor) for name, tensor in seen.items()}})
    text = json.dumps({"torch": torch.__version__, "cases": cases})
    TARGET.write_text(text.replace('{"type"', '\n{"type"').replace('{"shape"', '\n{"shape"') + "\n")


if __name__ == "__main__":
    main()
