"""The bundled model is in the repository, small, and what the `puppets` preset builds."""

import hashlib
import json

import torch
from inhabit.evaluation.metrics import character_region, psnr
from inhabit.media import to_float
from inhabit.models import PRESETS
from inhabit.scenes import HELD_OUT_SEED, KINDS, render_scene
from inhabit.weights import BUNDLED, load, load_codec, read_config
from safetensors import safe_open

LIMIT = 40 * 2**20


def test_it_loads_with_its_autoencoder_and_is_the_preset():
    assert read_config(BUNDLED) == PRESETS["puppets"]
    assert load(BUNDLED).config.name == "puppets" and load_codec(BUNDLED).downscale == 4


def test_it_is_small_and_its_header_names_no_folder():
    assert BUNDLED.stat().st_size <= LIMIT
    with safe_open(BUNDLED, "pt") as file:
        recipe = json.loads(file.metadata().get("inhabit.recipe", "{}"))
    assert not [value for value in (recipe.get("init"), recipe.get("codec")) if value and "/" in value]


def test_its_card_speaks_of_this_file():
    digest = hashlib.sha256(BUNDLED.read_bytes()).hexdigest()
    assert digest in BUNDLED.with_name("MODEL_CARD.md").read_text(encoding="utf-8")


def test_the_next_autoencoder_keeps_the_character():
    """On the held-out scenes of the model card: at least 28 dB in the character's region, each scene at 27."""
    vae = load_codec(BUNDLED.with_name("puppets-autoencoder.safetensors"), "cpu").vae
    values = []
    for number in range(14):
        scene = render_scene(HELD_OUT_SEED + number, KINDS[number % len(KINDS)], 2, 128, 128)
        target, region = to_float(scene.target), character_region(to_float(scene.target_character))
        with torch.inference_mode():
            decoded = vae.decode(vae.encode(target.permute(0, 3, 1, 2) * 2 - 1)).permute(0, 2, 3, 1) / 2 + 0.5
        values.append(psnr(decoded.clamp(0, 1), target, region))
    assert sum(values) / len(values) > 28 and min(values) > 27
