import pytest
import yaml
from inhabit.errors import InputError
from inhabit.training import load_recipe
from inhabit.training.recipe import RECIPES

BUNDLED = sorted(path.stem for path in RECIPES.glob("*.yaml"))


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_recipes_are_valid_and_never_touch_held_out_scenes(name):
    recipe = load_recipe(name)
    assert recipe.data.seeds[1] <= 900_000
    written = yaml.safe_load((RECIPES / f"{name}.yaml").read_text())
    assert recipe.steps == sum(stage["steps"] for stage in written["stages"])


def test_stage_at_counts_global_steps():
    recipe = load_recipe("tiny")  # 4 + 2 steps
    assert [recipe.stage_at(step) for step in range(6)] == [(0, 0)] * 4 + [(1, 4)] * 2
    with pytest.raises(IndexError):
        recipe.stage_at(6)


def test_overrides_reach_nested_fields_lists_and_model_config():
    recipe = load_recipe(
        "tiny", ["stages.temporal.steps=7", "stages.0.loss.character=2.5", "seed=3", "model.overrides.unet.heads=4"]
    )
    assert (recipe.stages[1].steps, recipe.stages[0].loss.character, recipe.seed) == (7, 2.5, 3)
    assert recipe.model.overrides["unet.heads"] == 4


@pytest.mark.parametrize(
    ("override", "named", "nearest"),
    [
        ("save_evry=3", "save_evry", "save_every"),
        ("stages.0.learning_rat=1", "learning_rat", "learning_rate"),
        ("data.widht=64", "widht", "width"),
    ],
)
def test_unknown_keys_name_the_nearest_valid_one(override, named, nearest):
    with pytest.raises(InputError) as error:
        load_recipe("tiny", [override])
    message = str(error.value)
    assert named in message and nearest in message and "\n" not in message


@pytest.mark.parametrize(
    "override",
    ["stages=[a", "data={",
     "data.seeds=[0, 900001]", "data.shutter=[0.5, 0.2]", "data.shutter=[0, 1.5]", "keep=1",
     "stages.0.steps=0", "stages.nothere.steps=1", "seed", "precision=float8",
     "data.scene_frames=3", "stages.0={name: a, kind: autoencoder, steps: 1}"],
)  # fmt: skip
def test_invalid_values_give_one_line(override):
    with pytest.raises(InputError) as error:
        load_recipe("tiny", [override])
    assert "\n" not in str(error.value)


def test_min_snr_refuses_extra_last_timesteps():
    with pytest.raises(InputError, match="last"):
        load_recipe("tiny", ["stages.0.loss.weighting=min_snr", "stages.0.timesteps.last=0.2"])


def test_missing_and_malformed_files(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        load_recipe(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("stages: [")
    with pytest.raises(InputError, match="YAML"):
        load_recipe(tmp_path / "bad.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(InputError, match="mapping"):
        load_recipe(tmp_path / "list.yaml")
