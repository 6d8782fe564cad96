"""The bundled model is in the repository, small, and what the `puppets` preset builds."""

import hashlib
import json

from inhabit.models import PRESETS
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
