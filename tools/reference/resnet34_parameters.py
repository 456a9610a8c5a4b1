#!/usr/bin/env python3
"""Writes the names and shapes of torchvision's ResNet34 to tests/golden/resnet34_parameters.json."""
import json
import pathlib

import torchvision

TARGET = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/resnet34_parameters.json"


def main():
    state = torchvision.models.resnet34(weights=None).state_dict()
    lines = [f"{json.dumps(name)}: {json.dumps(list(tensor.shape))}" for name, tensor in state.items()]
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
