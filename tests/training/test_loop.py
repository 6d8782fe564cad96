import json
import os
import signal

import pytest
import torch
from inhabit.errors import InputError
from inhabit.training import Trainer, data
from inhabit.training.loop import learning_rate_factor
from inhabit.training.recipe import StageRecipe
from inhabit.weights import load, load_codec
from safetensors import safe_open

from .conftest import steps_of


def _run(recipe, out, until=None, resume=False):
    trainer = Trainer(recipe, out, device="cpu")
    trainer.run(resume=resume, interrupt=lambda: trainer.step == until, progress=False)
    return trainer


def _assert_same(first, second):
    first, second = first._state(), second._state()
    assert first.scalars == second.scalars and first.tensors.keys() == second.tensors.keys()
    assert [name for name, value in first.tensors.items() if not torch.equal(value, second.tensors[name])] == []


@pytest.fixture(scope="module")
def straight(tmp_path_factory, checkpoint):
    """Six uninterrupted steps: four spatial, two temporal."""
    from inhabit.training import load_recipe

    return _run(load_recipe("tiny", [f"init={checkpoint}", "codec=null"]), tmp_path_factory.mktemp("straight"))


@pytest.mark.parametrize("pause", [3, 4, 5])  # inside the spatial stage, at the border, inside the temporal stage
def test_resume_is_bitwise_equal(tiny, tmp_path, straight, pause):
    _run(tiny("save_every=100"), tmp_path, until=pause)
    assert not (tmp_path / "log.jsonl").read_text().count('"step": 6')
    resumed = _run(tiny("save_every=100"), tmp_path, resume=True)
    _assert_same(straight, resumed)
    assert any(name.startswith("optimizer.exp_avg_sq.") for name in resumed._state().tensors)
    last = [(out / "model.safetensors").read_bytes()[-4096:] for out in (tmp_path, straight.out)]
    assert last[0] == last[1]


def test_every_device_takes_the_same_steps(tiny, tmp_path, straight, device):
    Trainer(tiny(), tmp_path, device).run(progress=False)
    losses = [
        [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]
        for out in (straight.out, tmp_path)
    ]
    assert len(losses[0]) == 6 and losses[1] == pytest.approx(losses[0], rel=1e-2)


def test_resume_after_a_damaged_save_repeats_the_lost_steps(tiny, tmp_path, straight):
    _run(tiny("save_every=2"), tmp_path, until=5)
    damaged = tmp_path / "checkpoints" / "step-00000005" / "state.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-8])
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 6, "st')  # cut off by a crash
    _assert_same(straight, _run(tiny("save_every=2"), tmp_path, resume=True))
    steps = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_starting_over_an_earlier_training_is_refused(tiny, straight):
    with pytest.raises(InputError, match="--resume"):
        Trainer(straight.recipe, straight.out, device="cpu").run()


def test_signals_save_and_stop(tiny, tmp_path):
    trainer = Trainer(tiny("save_every=100"), tmp_path, device="cpu")
    before = signal.getsignal(signal.SIGTERM)
    asked = []

    def terminate_once():
        if not asked:
            os.kill(os.getpid(), signal.SIGTERM)
        asked.append(1)
        return False

    assert trainer.run(interrupt=terminate_once, progress=False) is None
    assert trainer.step <= 2 and (tmp_path / "checkpoints" / f"step-{trainer.step:08d}" / "manifest.json").exists()
    assert signal.getsignal(signal.SIGTERM) is before


def test_average_follows_its_formula(tiny, tmp_path):
    """EMA with diffusers' warm-up: decay of update n is min(ema, n / (9 + n)) after a first plain copy."""
    trainer = Trainer(tiny("stages.0.steps=5", "ema=0.2"), tmp_path, device="cpu")
    name = "denoiser.conv_in.weight"
    expected = None
    batches = trainer.data
    for n in range(5):
        trainer.train_step(batches[n])
        weights = trainer.parameters[name].detach().double()
        decay = min(0.2, (1 + n) / (10 + n)) if n else 0.0
        expected = weights if expected is None else decay * expected + (1 - decay) * weights
    position = list(trainer.parameters).index(name)
    torch.testing.assert_close(trainer.ema.shadow_params[position].double(), expected, atol=1e-6, rtol=1e-5)
    trainer.export()
    saved = dict(load(tmp_path / "model.safetensors").named_parameters())[name]
    torch.testing.assert_close(saved.double(), expected, atol=1e-3, rtol=1e-3)  # exported in float16
    torch.testing.assert_close(trainer.parameters[name].detach().double(), weights)  # training goes on unaveraged


def test_result_loads_with_its_codec_and_step(straight):
    path = straight.out / "model.safetensors"
    assert load(path).config == straight.model.config
    with safe_open(path, "pt") as file:
        header = file.metadata()
    assert header["inhabit.step"] == "6" and json.loads(header["inhabit.recipe"])["init"] == "start.safetensors"
    vae, mine = load_codec(path).vae.state_dict(), straight.codec.vae.state_dict()
    assert all(torch.allclose(vae[name], mine[name], atol=1e-3) for name in mine)


def test_learning_rate_warms_up_and_falls():
    factor = learning_rate_factor(StageRecipe(name="s", kind="spatial", steps=110, warmup=10))
    assert [factor(step) for step in range(10)] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert factor(10) == 1.0 and factor(109) > 0
    assert learning_rate_factor(StageRecipe(name="s", kind="spatial", steps=3, warmup=0))(0) == 1
    assert factor(60) == pytest.approx(0.5) and factor(110) == pytest.approx(0, abs=1e-6)


def test_one_clip_can_be_learnt(tiny, tmp_path, monkeypatch):
    one = steps_of(tiny())[0]
    monkeypatch.setattr(data.StepBatches, "__getitem__", lambda self, step: one)
    trainer = Trainer(tiny("stages.0.steps=80", "log_every=1", "save_every=1000"), tmp_path, device="cpu")
    trainer.run(interrupt=lambda: trainer.step == 80, progress=False)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


def test_autoencoder_stage_trains_the_autoencoder_alone(tiny, tmp_path, monkeypatch):
    stage = "stages=[{name: a, kind: autoencoder, steps: 60, clips: 2, frames: 2, warmup: 10, learning_rate: 0.003}]"
    recipe = tiny(stage, "precision=bfloat16")
    one = steps_of(recipe)[0]
    monkeypatch.setattr(data.StepBatches, "__getitem__", lambda self, step: one)
    trainer = Trainer(recipe, tmp_path, device="cpu")
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.run(progress=False)
    assert all(torch.equal(value, before[name]) for name, value in trainer.model.state_dict().items())
    losses = [json.loads(line)["loss"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert len(losses) == 60 and sum(losses[-5:]) < 0.9 * sum(losses[:5])
    assert all(name.startswith("vae.") for name in trainer.parameters)
