"""Grounding DINO in a tiny size, with a vocabulary of a few words, against transformers' own steps."""

import numpy as np
import pytest
import torch
from inhabit import fetch
from inhabit.errors import InputError
from inhabit.perception.backends import GroundingDino, grounding_dino
from inhabit.weights import installed
from transformers import (
    BertConfig,
    BertTokenizerFast,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessor,
    GroundingDinoProcessor,
    SwinConfig,
)

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "a", "guitar", "cup", "red", "?"]
FRAME = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(installed.VARIABLE, str(tmp_path / "models"))
    swin = SwinConfig(
        **{"image_size": 32, "embed_dim": 8, "depths": [1] * 4, "num_heads": [1] * 4, "window_size": 2},
        out_features=["stage2", "stage3", "stage4"],
    )
    attention = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = GroundingDinoConfig(
        backbone_config=swin,
        text_config=BertConfig(vocab_size=len(WORDS), hidden_size=16, **attention),
        **{"d_model": 32, "encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16},
        **{"encoder_attention_heads": 2, "decoder_attention_heads": 2, "num_queries": 6},
    )
    GroundingDinoForObjectDetection(config).save_pretrained(tmp_path / "given")
    tokenizer = BertTokenizerFast(vocab={word: index for index, word in enumerate(WORDS)})
    pictures = GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96})
    GroundingDinoProcessor(pictures, tokenizer).save_pretrained(tmp_path / "given")
    return tmp_path / "given"


def test_it_agrees_with_the_librarys_own_steps(folder, monkeypatch):
    monkeypatch.setattr(grounding_dino, "SURE", 0.0)
    assert "--what grounding-dino --from" in GroundingDino().available()
    fetch.fetch_weights("grounding-dino", [folder])
    [found] = GroundingDino().locate([FRAME], " A red guitar , CUP")
    network = GroundingDinoForObjectDetection.from_pretrained(folder).eval()
    processor = GroundingDinoProcessor.from_pretrained(folder)
    given = processor(images=FRAME, text="a red guitar. cup.", return_tensors="pt")
    with torch.no_grad():
        outputs = network(**given)
    centre, sides = outputs.pred_boxes[0].split(2, dim=1)
    boxes = torch.cat([centre - sides / 2, centre + sides / 2], dim=1) * torch.tensor([60, 40, 60, 40])
    scores = outputs.logits[0].sigmoid().amax(dim=1)
    order = scores.argsort(descending=True)
    assert len(found) == 6
    np.testing.assert_allclose([located.score for located in found], scores[order].numpy(), atol=1e-5)
    np.testing.assert_allclose([located.box for located in found], boxes[order].numpy(), atol=1e-3)


def test_a_text_that_names_nothing_is_told(folder):
    with pytest.raises(InputError, match="names nothing"):
        GroundingDino().locate([], " . ,")
