"""The project's networks as PyTorch modules, with the parameter names of weights/README.md, and weights made from a formula.

The formula gives the same float32 numbers in any language, so a golden file need not hold weights: parameter number i of the tensor
called `name` is low + (high - low) * u, with u = bits / 2^24 and bits the upper 24 of mix(fnv1a(name) + i), all in 32-bit integers.
"""
import numpy
import torch
import torchvision


class ResNet34(torchvision.models.ResNet):
    def __init__(self, channels=1, sex_input=False, hidden=0, outputs=1):
        super().__init__(torchvision.models.resnet.BasicBlock, [3, 4, 6, 3])
        self.conv1 = torch.nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        width = 512
        if sex_input:
            self.sex_fc = torch.nn.Linear(1, 32)
            width += 32
        if hidden:
            self.fc_hidden = torch.nn.Linear(width, hidden)
            width = hidden
        self.fc = torch.nn.Linear(width, outputs)

    def forward(self, image, sex=None):
        x = self.maxpool(torch.relu(self.bn1(self.conv1(image))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = self.avgpool(x).flatten(1)
        if hasattr(self, "sex_fc"):
            x = torch.cat([x, torch.relu(self.sex_fc(sex))], 1)
        if hasattr(self, "fc_hidden"):
            x = torch.relu(self.fc_hidden(x))
        return self.fc(x)


class DoubleConv(torch.nn.Module):
    def __init__(self, channels, out):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(channels, out, 3, padding=1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(out)
        self.conv2 = torch.nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(out)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(x)))


class Unet(torch.nn.Module):
    def __init__(self, channels=1, depth=4, base_width=16, outputs=1):
        super().__init__()
        self.depth = depth
        widths = [base_width << level for level in range(depth + 1)]
        for level, width in enumerate(widths):
            self.add_module(f"enc{level}", DoubleConv(channels if level == 0 else width // 2, width))
        for level in range(depth):
            self.add_module(f"up{level}", torch.nn.ConvTranspose2d(widths[level + 1], widths[level], 2, stride=2))
            self.add_module(f"dec{level}", DoubleConv(widths[level + 1], widths[level]))
        self.head = torch.nn.Conv2d(base_width, outputs, 1)

    def forward(self, x):
        skips = []
        for level in range(self.depth):
            x = getattr(self, f"enc{level}")(x)
            skips.append(x)
            x = torch.nn.functional.max_pool2d(x, 2)
        x = getattr(self, f"enc{self.depth}")(x)
        for level in reversed(range(self.depth)):
            x = torch.cat([skips[level], getattr(self, f"up{level}")(x)], 1)
            x = getattr(self, f"dec{level}")(x)
        return self.head(x)


def fnv1a(text):
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def mix(values):
    """The finishing step of MurmurHash3."""
    values = values.astype(numpy.uint32)
    values = (values ^ (values >> 16)) * numpy.uint32(0x85EBCA6B)
    values = (values ^ (values >> 13)) * numpy.uint32(0xC2B2AE35)
    return values ^ (values >> 16)


def formula(name, count, low, high):
    bits = mix(numpy.arange(count, dtype=numpy.uint64) + fnv1a(name)) >> 8
    return (low + (high - low) * (bits.astype(numpy.float64) * 2.0**-24)).astype(numpy.float32)


def formula_range(name, shape):
    """Weights keep the variance of a ReLU network; norms move away from 1 and 0 so that forgetting one shows."""
    if name.endswith("running_var"):
        return 0.5, 1.5
    if len(shape) <= 1:
        return (0.5, 1.5) if name.endswith(".weight") else (-0.3, 0.3)
    fan_in = numpy.prod(shape[1:])
    bound = float(numpy.sqrt(6.0 / fan_in))
    return -bound, bound


def fill(module):
    """Gives every parameter and buffer its formula values and switches to inference."""
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.dtype == torch.float32:
                values = formula(name, tensor.numel(), *formula_range(name, tuple(tensor.shape)))
                tensor.copy_(torch.from_numpy(values).reshape(tensor.shape))
    return module.eval()
