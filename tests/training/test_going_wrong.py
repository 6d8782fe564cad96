"""A training that goes wrong says so, in one line, and what was good stays."""

import errno
import gc
import json
import multiprocessing
import os
import signal
import sys
import weakref

import pytest
import torch
from inhabit.errors import InputError
from inhabit.training import Trainer, load_recipe, loop
from inhabit.training.lock import LOCK, sole_training
from inhabit.training.saving import load_newest, newest
from inhabit.weights import load, load_codec, save
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from .conftest import SMALL_CODEC, steps_of

SPATIAL = "stages=[{name: spatial, kind: spatial, steps: 6, clips: 1, frames: 1, warmup: 0, learning_rate: 0.001}]"


def run(recipe, out, until=None, resume=False) -> Trainer:
    trainer = Trainer(recipe, out, device="cpu")
    trainer.run(resume=resume, interrupt=lambda: trainer.step == until, progress=False)
    return trainer


def finite(path) -> bool:
    return all(torch.isfinite(value).all() for value in load(path).state_dict().values())


def one_line(error) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_loss_that_is_no_number_stops_the_training_and_the_last_good_checkpoint_stays(tiny, tmp_path):
    trainer = Trainer(tiny(SPATIAL, "save_every=2"), tmp_path, device="cpu")

    def spoil() -> bool:
        if trainer.step == 3:
            next(iter(trainer.model.reference.parameters())).data.fill_(float("nan"))
        return False

    with pytest.raises(InputError, match="step 4, stage 'spatial': the loss is no number any more") as error:
        trainer.run(interrupt=spoil, progress=False)
    told = one_line(error)
    assert "loss nan" in told and "character nan" in told and "step-00000002" in told and "model.safetensors" in told
    assert load_newest(tmp_path / "checkpoints").step == 2 and finite(tmp_path / "model.safetensors")
    assert (tmp_path / "log.jsonl").read_text().count("\n") == 3


def test_of_an_adapter_nothing_is_advised_that_is_refused(tiny, tmp_path):
    """A LoRA is no model to start from: the base stays init."""
    trainer = Trainer(tiny("adapter={}", "save_every=2"), tmp_path, device="cpu")

    def spoil() -> bool:
        if trainer.step == 3:
            next(iter(trainer.parameters.values())).data.fill_(float("nan"))
        return False

    told = "step 4, .*lora.safetensors are from before: begin another --out with a lower learning_rate$"
    with pytest.raises(InputError, match=told):
        trainer.run(interrupt=spoil, progress=False)


def test_a_learning_rate_that_is_far_too_high_ends_so_and_saves_nothing_bad(tiny, tmp_path):
    with pytest.raises(InputError, match="stage 'spatial'.*nothing was saved yet: lower learning_rate") as error:
        run(tiny(SPATIAL, "stages.spatial.learning_rate=1e30", "save_every=1"), tmp_path)
    assert "step " in one_line(error)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_weights_that_are_no_numbers_are_never_saved(tiny, tmp_path):
    trainer = Trainer(tiny(SPATIAL, "save_every=2"), tmp_path, device="cpu")

    def spoil() -> bool:
        if trainer.step == 4:  # after the loss was looked at, before the save
            next(iter(trainer.parameters.values())).data.fill_(float("inf"))
        return False

    with pytest.raises(InputError, match="step 4, .*the weights of denoiser.conv_in.weight are no numbers any"):
        trainer.run(interrupt=spoil, progress=False)
    assert load_newest(tmp_path / "checkpoints").step == 2 and finite(tmp_path / "model.safetensors")


def test_weights_too_large_for_the_export_are_told(tiny, tmp_path):
    trainer = Trainer(tiny(SPATIAL), tmp_path, device="cpu")
    trainer.ema.shadow_params[0].fill_(1e6)
    with pytest.raises(InputError, match="conv_in.weight are too large for float16"):
        trainer.save()


@pytest.mark.parametrize("part", ["model", "codec"])
def test_training_does_not_begin_from_weights_that_are_no_numbers(tiny, tmp_path, checkpoint, part):
    model, vae = load(checkpoint), load_codec(checkpoint).vae
    (model.objects if part == "model" else vae).requires_grad_(False)
    spoilt = [*(model.objects if part == "model" else vae).named_parameters()][-1]
    spoilt[1].view(-1)[-1] = float("nan")
    save(tmp_path / "bad.safetensors", model, vae)
    with pytest.raises(InputError, match=rf"bad.safetensors holds 1 NaN or infinite values in .*{spoilt[0]}") as error:
        Trainer(tiny(f"init={tmp_path / 'bad.safetensors'}"), tmp_path / "out", device="cpu")
    one_line(error)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("model.overrides.unet.block_out_channels=[24, 32]", r"block_out_channels is \[16, 32\] there and \[24, 32\]"),
        ("model.overrides.unet.heads=4", "unet.heads is 2 there and 4 here"),
        ("seed=3", "seed is 0 there and 3 here"),
        ("stages.0.learning_rate=0.5", "stages.0.learning_rate is 0.001 there and 0.5 here"),
        ("stages.0.clips=1", "stages.0.clips is 2 there and 1 here"),
        ("stages.0.steps=3", "stages.0.steps is 4 there and 3 here"),
        ("data.cross_identity=1", "data.cross_identity is 0.5 there and 1.0 here"),
    ],
)
def test_another_recipe_cannot_go_on(tmp_path, begun, change, told):
    out, recipe = begun
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.name != LOCK}
    with pytest.raises(InputError, match=told) as error:
        Trainer(recipe(change), out, device="cpu").run(resume=True, progress=False)
    assert "--out" in one_line(error)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.name != LOCK} == before


@pytest.fixture(scope="module")
def begun(tmp_path_factory, checkpoint):
    """The folder of a training of one step, begun with the tiny recipe's own model, and that recipe with changes."""

    def recipe(*changes):
        return load_recipe("tiny", [SMALL_CODEC, f"codec={checkpoint}", *changes])

    out = tmp_path_factory.mktemp("begun")
    run(recipe(), out, until=1)
    return out, recipe


@pytest.mark.parametrize("until", [2, 4])  # within the first stage, and at its end
def test_stages_that_have_not_begun_may_become_others(tiny, tmp_path, until):
    others = [
        "stages.1={name: t, kind: temporal, steps: 1, clips: 1, frames: 3, train: [temporal, objects]}",
        "stages.1={name: s, kind: spatial, steps: 2, clips: 1, frames: 1, learning_rate: 0.01}",
    ]
    for number, other in enumerate(others):
        out = tmp_path / str(number)
        run(tiny("save_every=100"), out, until=until)
        resumed = run(tiny("save_every=100", other), out, resume=True)
        straight = run(tiny("save_every=100", other), tmp_path / f"{number} straight")
        first, second = resumed._state().tensors, straight._state().tensors
        assert resumed.step == straight.step == 4 + number + 1 and first.keys() == second.keys()
        assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_the_stage_that_has_begun_stays_what_it_is(tiny, tmp_path):
    run(tiny("save_every=100"), tmp_path, until=5)
    with pytest.raises(InputError, match="stages.1.learning_rate is 0.001 there and 0.01 here"):
        run(tiny("stages.1.learning_rate=0.01"), tmp_path, resume=True)


def test_an_autoencoder_cannot_go_on_from_a_model(tiny, begun):
    with pytest.raises(InputError, match="holds a training of another recipe: .* and [0-9]+ more"):
        Trainer(load_recipe("autoencoder"), begun[0], device="cpu").run(resume=True, progress=False)


def test_the_files_heads_decide_too(tiny, tmp_path, checkpoint):
    """The recipe is the same, but the checkpoint that it starts from has become another model."""
    model, vae = load(checkpoint), load_codec(checkpoint).vae
    init = tmp_path / "start.safetensors"
    save(init, model, vae)
    run(tiny(f"init={init}"), tmp_path / "out", until=1)
    motion = model.config.pose.model_copy(update={"heads": 4})
    model.config = model.config.model_copy(update={"pose": motion})
    save(init, model, vae)
    with pytest.raises(InputError, match="model config pose.heads is 2 there and 4 here"):
        run(tiny(f"init={init}"), tmp_path / "out", resume=True)


def test_what_changes_no_weight_may_change_and_the_last_stage_may_become_longer(tiny, tmp_path, checkpoint):
    run(tiny("save_every=100"), tmp_path / "out")
    moved = tmp_path / "elsewhere" / checkpoint.name
    moved.parent.mkdir()
    moved.write_bytes(checkpoint.read_bytes())
    free = ["save_every=2", "log_every=3", "keep=3", "workers=0", "export=float32", "stages.temporal.steps=3"]
    assert run(tiny(f"init={moved}", *free), tmp_path / "out", resume=True).step == 7


def test_checkpoints_of_earlier_versions_go_on_where_they_fit(tiny, tmp_path):
    run(tiny(), tmp_path, until=1)
    manifest = newest(tmp_path / "checkpoints") / "manifest.json"
    values = json.loads(manifest.read_text())
    del values["begun"]
    manifest.write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"of another model: of model\..* here, it has (one of|no such)") as error:
        run(load_recipe("tiny", ["model.overrides.unet.block_out_channels=[24, 32]"]), tmp_path, resume=True)
    one_line(error)
    assert run(tiny(), tmp_path, until=2, resume=True).step == 2


def test_two_trainings_into_one_folder_are_refused(tiny, tmp_path):
    first, second = (Trainer(tiny(SPATIAL), tmp_path / "out", device="cpu") for _ in range(2))
    told = []

    def other() -> bool:
        for resume in (False, True):
            with pytest.raises(InputError, match="is being trained into by process [0-9]+ on .*: wait for it") as error:
                second.run(resume=resume, progress=False)
            told.append(one_line(error))
        return True

    first.run(interrupt=other, progress=False)
    assert len(told) == 2 and str(os.getpid()) in told[0]
    second.run(resume=True, interrupt=lambda: True, progress=False)
    assert second.step == 2


def _hold(folder, ready):
    with sole_training(folder):
        ready.set()
        signal.pause()


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process")
def test_a_killed_training_leaves_its_folder_to_the_next(tmp_path):
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=_hold, args=(tmp_path, ready))
    process.start()
    assert ready.wait(30)
    with pytest.raises(InputError, match=f"by process {process.pid} on"), sole_training(tmp_path):
        pass
    process.kill()
    process.join()
    with sole_training(tmp_path):
        assert (tmp_path / LOCK).read_text().startswith(f"process {os.getpid()} on")


def test_the_locks_file_stays_the_same_one(tmp_path):
    """Who has opened it and waits for it would otherwise hold a file that nobody else ever sees."""
    (tmp_path / "empty").mkdir()
    numbers = []
    for _ in range(2):
        with sole_training(tmp_path / "empty"):
            numbers.append((tmp_path / "empty" / LOCK).stat().st_ino)
        assert (tmp_path / "empty" / LOCK).stat().st_ino == numbers[0]
    assert numbers[0] == numbers[1]


@pytest.mark.parametrize("name", ["ENOSYS", "ENOLCK", "EOPNOTSUPP"])
def test_a_file_system_without_locks_is_told_and_trained_on(tmp_path, monkeypatch, caplog, name):
    fcntl = pytest.importorskip("fcntl", reason="Windows locks otherwise")

    def refuse(*arguments):
        raise OSError(getattr(errno, name), name)

    monkeypatch.setattr(fcntl, "flock", refuse)
    with sole_training(tmp_path / "out"), sole_training(tmp_path / "out"):
        (tmp_path / "out" / "trained").touch()
    assert [record.getMessage() for record in caplog.records if "without locks" in record.getMessage()]


def test_another_fault_of_the_locks_file_is_told_as_it_is(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl", reason="Windows locks otherwise")

    def fail(*arguments):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError, match="Input/output error"), sole_training(tmp_path / "out"):
        pass


@pytest.mark.parametrize("error", [InputError("no batch"), OSError("no batch"), RuntimeError("a worker was killed")])
def test_the_steps_so_far_are_saved_where_a_batch_cannot_be_had(tiny, tmp_path, monkeypatch, error):
    def read(loader):
        batches = iter(loader)
        for _ in range(3):
            yield next(batches)
        raise error

    monkeypatch.setattr(loop, "read", read)
    with pytest.raises(type(error), match=str(error)):
        run(tiny("save_every=100"), tmp_path)
    assert load_newest(tmp_path / "checkpoints").step == 3


def test_a_training_that_cannot_begin_leaves_no_folder(tiny, tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(InputError, match="holds no scene"):
        run(tiny(f"data.folder={tmp_path / 'data'}"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_a_training_is_known_without_reading_it(tiny, tmp_path):
    run(tiny(SPATIAL), tmp_path, until=2)
    damaged = newest(tmp_path / "checkpoints") / "state.safetensors"
    damaged.write_bytes(b"")
    opened = []
    watching = True

    def watch(event, arguments):
        if watching and event == "open" and str(arguments[0]).startswith(str(tmp_path / "checkpoints")):
            opened.append(arguments[0])

    sys.addaudithook(watch)
    try:
        with pytest.raises(InputError, match="already holds a training"):
            run(tiny(SPATIAL), tmp_path)
    finally:
        watching = False
    assert opened == []


def test_modules_of_finished_stages_are_let_go(tiny, tmp_path):
    trainer = Trainer(tiny("stages.0.steps=1", "stages.1.steps=1"), tmp_path, device="cpu")
    first = weakref.ref(trainer.module)
    trainer.run(progress=False)
    gc.collect()
    assert trainer.index == 1 and first() is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("stages.spatial.train=[temporal]", "stages.spatial.train has 'temporal', which names no parameter of a stage"),
        ("stages.spatial.train=[pose.temporal]", "has 'pose.temporal', which names no parameter"),
        ("stages.spatial.train=[reference, denoiser.motion_modules]", "has 'denoiser.motion_modules'"),
        ("stages.spatial.train=['']", "has ''"),
        ("stages.spatial.train=[refernce]", "has 'refernce'.*; there are denoiser, objects, pose, reference"),
        ("stages.temporal.train=[nothing]", "stages.temporal.train has 'nothing'.*; there are temporal, denoiser"),
        ("stages=[{name: a, kind: autoencoder, steps: 1, train: [reference]}]", "has 'reference'.*; there are vae"),
        ("adapter={layers: [motion_modules.0.proj_in]}", "layers over time alone, which stage 'spatial' does not use"),
    ],
)
def test_patterns_that_leave_nothing_to_train_are_named(tiny, tmp_path, change, told):
    """At once, those of later stages too."""
    with pytest.raises(InputError, match=told) as error:
        Trainer(tiny(change), tmp_path, device="cpu")
    one_line(error)


@pytest.fixture(params=[False, True], ids=["alone", "among others"])
def among_others(request, tmp_path):
    """Whether the trainer's module is wrapped as in a training of several processes, of which this is the only one."""
    if request.param:
        distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield request.param
    if request.param:
        distributed.destroy_process_group()


def test_a_batch_without_what_trains_changes_nothing(tiny, tmp_path, among_others):
    changes = SPATIAL, "stages.spatial.train=[objects]", "weight_decay=0.5"
    trainer = Trainer(tiny(*changes), tmp_path / "out", device="cpu")
    if among_others:
        trainer.module = DistributedDataParallel(trainer.module, find_unused_parameters=True)
    held, none = (steps_of(tiny(*changes, f"data.kinds=[{kind}]"))[0] for kind in ("object", "walk"))
    assert held.object_BFHW.any() and not none.object_BFHW.any()
    start = {name: value.detach().clone() for name, value in trainer.parameters.items()}
    trainer.train_step(held)
    assert any(not torch.equal(value, start[name]) for name, value in trainer.parameters.items())
    before = {name: value.clone() for name, value in trainer._state().tensors.items()}
    trainer.train_step(none)
    after = trainer._state().tensors
    assert trainer.step == 2 and after.keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in after.items())


def test_the_first_step_learns(tiny, tmp_path):
    trainer = Trainer(tiny("stages.0.warmup=4"), tmp_path, device="cpu")
    before = trainer.model.denoiser.conv_in.weight.detach().clone()
    [batch, *_] = trainer._batches()
    trainer.train_step(batch)
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(0.25 * trainer.recipe.stages[0].learning_rate)
    assert not torch.equal(before, trainer.model.denoiser.conv_in.weight)
