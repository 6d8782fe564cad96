"""What `wiring.py` tries with every picture and mask that a node takes, and what `test_wiring.py` expects of it.

Pictures are (FRAMES, HEIGHT, WIDTH, 3), the reference's has one frame. A fault changes one input; `{name}` in what the
node says to it, a regular expression, is that input's name. What is odd but clear gives what the plain tensor gives.
"""

from __future__ import annotations

import torch
from torch import Tensor

FRAMES, HEIGHT, WIDTH = 6, 48, 64
SHORT = FRAMES - 1

# node and input; the last ones stand alone, with nothing to agree with in length
IMAGES = [
    ("InhabitSkeletonRenderer", "depth"),
    ("InhabitShapeAgnosticMask", "image"),
    ("InhabitMotionBlur", "driving"),
    ("InhabitCleanPlate", "driving"),
    ("InhabitMotion", "skeleton"),
    ("InhabitMotion", "depth"),
    ("InhabitMotion", "blur"),
    ("InhabitEnvironment", "driving"),
    ("InhabitObjects", "driving"),
    ("InhabitPasteBack", "result"),
    ("InhabitPasteBack", "driving"),
    ("InhabitCropToPerson", "image"),
    ("InhabitCropToPerson", "depth"),
    ("InhabitUncrop", "result"),
    ("InhabitUncrop", "image"),
]
ALONE = [("InhabitReference", "image"), ("InhabitReference", "driving")]
MASKS = [
    ("InhabitPoseRetarget", "objects"),
    ("InhabitShapeAgnosticMask", "mask"),
    ("InhabitCleanPlate", "mask"),
    ("InhabitEnvironment", "mask"),
    ("InhabitObjects", "mask"),
    ("InhabitPasteBack", "mask"),
]
ONE_FOR_ALL = [pair for pair in MASKS if pair[0] != "InhabitShapeAgnosticMask"]


def _with(value: float):
    def changed(values: Tensor) -> Tensor:
        values = values.clone()
        values[-1, 1, 2] = value
        return values

    return changed


IMAGE_FAULTS = {
    "no frames": (lambda image: image[:0], "{name} has no frames; give at least one"),
    "no pixels": (lambda image: image[:, :0], "{name} has no pixels"),
    "NaN": (_with(float("nan")), r"{name} has 3 NaN or infinite values, from frame \d on"),
    "infinite": (_with(float("-inf")), r"{name} has 3 NaN or infinite values, from frame \d on"),
    "0…255": (lambda image: image * 255, r"{name} has values from [\d.e-]+ to 25\d.*; scale them to 0…1"),
    "whole numbers": (lambda image: image.long(), "{name} holds int64; give floating-point values 0…1"),
    "no axis of frames": (
        lambda image: image[0],
        r"{name} has shape \(48, 64, 3\); give an IMAGE of shape \(frames, height, width, 3\)",
    ),
    "two channels": (lambda image: image[..., :2], r"{name} has shape \(\d, 48, 64, 2\); give an IMAGE"),
    "a word": (lambda image: "picture", "{name} is a str; connect an IMAGE"),
}
MASK_FAULTS = {
    "no frames": IMAGE_FAULTS["no frames"],
    "NaN": (_with(float("nan")), "{name} has 1 NaN or infinite values, from frame 5 on; check the node that made it"),
    "infinite": (
        _with(float("inf")),
        "{name} has 1 NaN or infinite values, from frame 5 on; check the node that made it",
    ),
    "0…255": (lambda mask: mask * 255, "{name} has values from 0 to 255; scale them to 0…1"),
    "whole numbers": (lambda mask: mask.int(), "{name} holds int32; give floating-point values 0…1"),
    "a picture": (
        lambda mask: mask.unsqueeze(-1).expand(-1, -1, -1, 3),
        r"{name} has shape \(6, 48, 64, 3\); give a MASK of shape \(frames, height, width\)",
    ),
    "nothing": (lambda mask: None, "{name} is a NoneType; connect a MASK"),
}
BOTH_NUMBERS = r"(?=.*\b{name}\b)(?=.*\b%d\b)(?=.*\b%d\b).*; give both as many"
BOTH_SIZES = r"(?=.*\b{name}\b)(?=.*\b%s\b)(?=.*\b%s\b).*; (resize one so that both agree|set them to)"
MISFITS = {
    "a frame less": (lambda values: values[:SHORT], BOTH_NUMBERS % (SHORT, FRAMES)),
    "twice as many frames": (lambda values: values.repeat(2, *[1] * (values.ndim - 1)), BOTH_NUMBERS % (12, FRAMES)),
    "another size": (lambda values: values[:, :40, :56], BOTH_SIZES % ("56x40", "64x48")),
    "height and width swapped": (lambda values: values.transpose(1, 2), BOTH_SIZES % ("48x64", "64x48")),
}
LONG = 1000  # frames


def _grey(image: Tensor) -> Tensor:
    return image[..., :1].expand(-1, -1, -1, 3)


def _apart(values: Tensor) -> Tensor:
    """The same values, nothing next to its neighbour in memory."""
    return values.repeat_interleave(2, dim=-1)[..., ::2].transpose(0, 1).contiguous().transpose(0, 1)


# what is given, and the plain tensor that must give the same
ODD_IMAGES = {
    "RGBA": (lambda image: torch.cat([image, image[..., :1]], dim=-1), lambda image: image),
    "one channel": (lambda image: image[..., :1], _grey),
    "float16": (lambda image: image.half(), lambda image: image.half().float()),
    "bfloat16": (lambda image: image.bfloat16(), lambda image: image.bfloat16().float()),
    "float64": (lambda image: image.double(), lambda image: image),
    "uint8": (lambda image: (image * 255).byte(), lambda image: (image * 255).floor() / 255),
    "not contiguous": (_apart, lambda image: image),
    "overshoot": (lambda image: image * 1.4 - 0.2, lambda image: (image * 1.4 - 0.2).clip(0, 1)),
}
ODD_MASKS = {
    "float16": (lambda mask: mask.half(), lambda mask: mask),
    "float64": (lambda mask: mask.double(), lambda mask: mask),
    "bool": (lambda mask: mask > 0.5, lambda mask: mask),
    "uint8": (lambda mask: mask.byte() * 255, lambda mask: mask),
    "uint8 of 0 and 1": (lambda mask: mask.byte(), lambda mask: mask),
    "an axis of channels": (lambda mask: mask.unsqueeze(1), lambda mask: mask),
    "not contiguous": (_apart, lambda mask: mask),
    "overshoot": (lambda mask: mask * 1.2 - 0.1, lambda mask: mask),
    "all zero": (torch.zeros_like, lambda mask: mask * 0.05),
    "all one": (torch.ones_like, lambda mask: mask * 0.4 + 0.6),
}
ODD_SINGLES = {
    "one for all": (lambda mask: mask[:1], lambda mask: mask[:1].repeat(FRAMES, 1, 1)),
    "one without an axis of frames": (lambda mask: mask[0], lambda mask: mask[:1].repeat(FRAMES, 1, 1)),
}


def faults() -> dict[str, tuple[str, str, object, str]]:
    """Return case → node, input, how the input is changed, and what the node says."""
    found = {}
    for inputs, tables in (
        (IMAGES, (IMAGE_FAULTS, MISFITS)),
        (ALONE, (IMAGE_FAULTS,)),
        (MASKS, (MASK_FAULTS, MISFITS)),
    ):
        for node, name in inputs:
            for fault, (change, said) in (item for table in tables for item in table.items()):
                if (node, fault) != ("InhabitPoseRetarget", "nothing"):  # it does without objects
                    found[f"{node}, {name}: {fault}"] = (node, name, change, said.format(name=name))
    return found


def odd() -> dict[str, tuple[str, str, object, object]]:
    """Return case → node, input, how the input is changed, and the plain tensor of the same result."""
    found = {}
    for inputs, table in ((IMAGES + ALONE, ODD_IMAGES), (MASKS, ODD_MASKS), (ONE_FOR_ALL, ODD_SINGLES)):
        for node, name in inputs:
            for fault, (change, plain) in table.items():
                if (node, fault) != ("InhabitEnvironment", "all zero"):  # nothing to generate: refused
                    found[f"{node}, {name}: {fault}"] = (node, name, change, plain)
    return found
