"""Grounding DINO (Liu et al. 2023) by transformers: what a text names → boxes. From the user's files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from ...errors import InputError
from ...weights.user_models import TRANSFORMERS, UserModel
from .protocols import LocatedObject
from .user_networks import folder_of, load_network, load_processor

GROUNDING_DINO = UserModel(
    name="grounding-dino",
    page="https://huggingface.co/IDEA-Research/grounding-dino-tiny",
    licence="Apache-2.0",
    files=(*TRANSFORMERS, ("tokenizer.json",), ("tokenizer_config.json",)),
    usual=("grounding-dino/grounding-dino-tiny",),
)
SURE, OF_A_WORD = 0.25, 0.25  # scores from which a box and a word of its label count


class GroundingDino:
    """An `ObjectLocator`."""

    name = GROUNDING_DINO.name

    def available(self) -> str | None:
        """Why it cannot be used here, in one line with the fix; None where it can."""
        return GROUNDING_DINO.why_missing()

    def locate(self, frames: Iterable[np.ndarray], text: str) -> Iterator[list[LocatedObject]]:
        """See `ObjectLocator`. Raises InputError, before the first frame is read, where it is not available."""
        from transformers import GroundingDinoForObjectDetection, GroundingDinoProcessor

        prompt = _prompt(text)
        folder = folder_of(GROUNDING_DINO)
        network = load_network(GroundingDinoForObjectDetection, folder)
        processor = load_processor(GroundingDinoProcessor, folder)
        return (_located(frame, prompt, network, processor) for frame in frames)


def _prompt(text: str) -> str:
    """Phrases with commas or full stops between them → lower case, a full stop behind each, as in its training."""
    phrases = [phrase.strip().lower() for phrase in text.replace(",", ".").split(".") if phrase.strip()]
    if not phrases:
        raise InputError(f"the text {text!r} names nothing: give what to look for, such as `guitar, cup`")
    return " ".join(f"{phrase}." for phrase in phrases)


@torch.no_grad()
def _located(frame: np.ndarray, prompt: str, network: torch.nn.Module, processor) -> list[LocatedObject]:
    given = processor(images=frame, text=prompt, return_tensors="pt").to(network.device)
    found = processor.post_process_grounded_object_detection(
        network(**given), given.input_ids, threshold=SURE, text_threshold=OF_A_WORD, target_sizes=[frame.shape[:2]]
    )[0]
    rows = zip(found["boxes"].tolist(), found["text_labels"], found["scores"].tolist(), strict=True)
    objects = [LocatedObject(tuple(box), label, score) for box, label, score in rows]
    return sorted(objects, key=lambda located: -located.score)
