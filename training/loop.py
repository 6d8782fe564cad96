"""The trainer: one class for the command line and for ComfyUI's node."""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel
from torch import Tensor, nn
from tqdm import tqdm

from ..errors import InputError
from ..weights import save
from ..weights.checkpoint import write_tensors
from ..weights.finite import first_not_finite
from . import start
from .adapter import adapter_tensors
from .data import Batch, Pictures, StepBatches, batches, read, to_device
from .lock import sole_training
from .recipe import Recipe, StageRecipe
from .resume import begun_with, check_same
from .saving import Saved, load_newest, newest, save_state
from .stages import Stage, make_stage

logger = logging.getLogger(__name__)


class Trainer:
    """Trains what a recipe says into a folder, and resumes exactly.

    The folder holds `checkpoints/step-N` (full state), `log.jsonl` (a line every `log_every` steps) and
    `model.safetensors` (averaged weights; rewritten at every save); with an adapter, `lora.safetensors` in its place.

    Args:
        recipe: what to do.
        out: folder, made if missing.
        device: "cpu", or None for accelerate's choice.
    """

    def __init__(self, recipe: Recipe, out: str | Path, device: str | None = None) -> None:
        self.recipe, self.out = recipe, Path(out)
        self.checkpoints = self.out / "checkpoints"
        unused = DistributedDataParallelKwargs(find_unused_parameters=True)  # conditions drop out
        self.accelerator = Accelerator(cpu=device == "cpu", kwargs_handlers=[unused])
        self.device = self.accelerator.device
        self.model, self.codec = start.networks(recipe, self.device)
        self.embed = start.image_encoder(recipe, self.model.config, self.device)
        # a VAE from elsewhere is neither trained nor written
        self.autoencoder = None if self.model.config.autoencoder is None else self.codec.vae
        config = self.model.config
        told = {"typical_sharpness": config.pose.typical_sharpness, "plate": config.plate}
        self.data = StepBatches(recipe, self.accelerator.process_index, **told)
        for stage in recipe.stages:  # what a later one cannot train is told now, not when its turn comes
            make_stage(recipe, stage, self.model, self.codec, self.embed).trained()
        self.step = 0
        self._begin(0)

    def run(
        self, resume: bool = False, interrupt: Callable[[], bool] | None = None, progress: bool = True
    ) -> Path | None:
        """Train to the recipe's end → path of the model or LoRA; None when interrupted (the state is saved).

        `interrupt` is asked after every step; Ctrl-C and SIGTERM count as an interruption too.
        """
        with self._alone():
            if resume:
                self._resume()
            elif newest(self.checkpoints):
                raise InputError(f"{self.out} already holds a training; go on with --resume, or give another --out")
            return self.export() if self._train(interrupt, progress) else None

    def _train(self, interrupt: Callable[[], bool] | None, progress: bool) -> bool:
        """Take all steps that are left; False when stopped before the last."""
        loader = self._batches()
        with _stop_signals() as stopped, self._progress(progress) as bar:
            logged = self.step, time.perf_counter()
            for batch in self._saving(loader):
                values = self.train_step(batch)
                bar.update()
                if self.step % self.recipe.log_every == 0 or self.step == self.recipe.steps:
                    now = self.step, time.perf_counter()
                    self._record(values, (now[1] - logged[1]) / (now[0] - logged[0]), bar)
                    logged = now
                halt = self._anywhere(stopped.is_set() or (interrupt is not None and interrupt()))
                if halt or self.step % self.recipe.save_every == 0 or self.step == self.recipe.steps:
                    self.save()
                if halt and self.step < self.recipe.steps:
                    logger.info("stopped after step %d; --resume goes on", self.step)
                    return False
        return True

    def _alone(self) -> AbstractContextManager[None]:
        return sole_training(self.out) if self.accelerator.is_main_process else nullcontext()

    def _saving(self, loader: Iterable[Batch | Pictures]) -> Iterator[Batch | Pictures]:
        """The batches; where one cannot be had, the steps so far are saved before that is told.

        Only while a batch is waited for: a worker process that is killed during a step leaves nothing whole to save.
        And only of a single process: of several the others are in their next step, and all save together.
        """
        try:
            yield from read(loader)
        except (InputError, OSError, RuntimeError):  # the last one: a worker process was killed
            if self.step and self.accelerator.num_processes == 1:
                self.save()
            raise

    def _batches(self) -> Iterable[Batch | Pictures]:
        return batches(self.data, self.step)

    def train_step(self, batch) -> dict[str, Tensor]:
        """One optimizer step on the batch of `self.step` → detached losses by name."""
        index, first = self.recipe.stage_at(self.step)
        if index != self.index:
            self._begin(index)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.stages[index].learning_rate * self.rate(self.step - first)
        values = self.module(to_device(batch, self.device), self.step, self.accelerator.process_index)
        self._require_numbers(values)
        self.accelerator.backward(values["loss"])
        norm = self.accelerator.clip_grad_norm_(self.parameters.values(), self.recipe.clip_gradient)
        if not torch.isfinite(norm):
            raise self._gone_wrong(self.step + 1, f"the gradient's length is {float(norm):g}")
        if norm > 0:  # else nothing that trains took part, in any process: neither momentum nor decay moves a weight
            self.optimizer.step()
            self.ema.step(self.parameters.values())
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return {name: value.detach() for name, value in values.items()}

    def _require_numbers(self, values: dict[str, Tensor]) -> None:
        """Raise InputError in every process where a loss is no number in any: the weights are still good then."""
        wrong = not torch.stack([value.detach().float() for value in values.values()]).isfinite().all()
        if self._anywhere(bool(wrong)):
            parts = ", ".join(f"{name} {float(value.detach()):g}" for name, value in values.items())
            raise self._gone_wrong(self.step + 1, f"the loss is no number any more ({parts})")

    def _gone_wrong(self, step: int, what: str) -> InputError:
        """step: the one that went wrong, counted from 1."""
        stage, saved = self.recipe.stages[self.index].name, newest(self.checkpoints)
        kept = "nothing was saved yet: lower learning_rate, or look at the data"
        if saved is not None:
            file = self._file()
            init = f"init={file} and " if self.recipe.adapter is None else ""  # a LoRA is no model to start from
            kept = f"{saved} and {file} are from before: begin another --out with {init}a lower learning_rate"
        return InputError(f"step {step}, stage {stage!r}: {what}, stopped; {kept}")

    def _anywhere(self, halt: bool) -> bool:
        """Whether any process wants to stop, so that all stop after the same step."""
        if self.accelerator.num_processes == 1:
            return halt
        return bool(self.accelerator.reduce(torch.tensor(float(halt), device=self.device)) > 0)

    def save(self) -> None:
        """Write a checkpoint and the current averaged model (main process only).

        Raises InputError, with nothing written, for weights that are no numbers, or none in the type of the export.
        """
        self._require_good_weights()
        if self.accelerator.is_main_process:
            save_state(self.checkpoints, self._state(), self.recipe.keep)
            self.export()
        self.accelerator.wait_for_everyone()

    def _require_good_weights(self) -> None:
        dtype = getattr(torch, self.recipe.export)
        averages = zip(self.parameters, self.ema.shadow_params, strict=True)
        wrong = first_not_finite((name, parameter.detach()) for name, parameter in self.parameters.items())
        if wrong:
            raise self._gone_wrong(self.step, f"the weights of {wrong} are no numbers any more")
        wrong = first_not_finite((name, average.to(dtype)) for name, average in averages)
        if wrong:
            raise self._gone_wrong(
                self.step, f"the weights of {wrong} are too large for {self.recipe.export} (see export)"
            )

    def _file(self) -> Path:
        return self.out / ("model.safetensors" if self.recipe.adapter is None else "lora.safetensors")

    def export(self) -> Path:
        """Write the model, or the adapter alone, with the averaged weights → its path."""
        adapter, path = self.recipe.adapter, self._file()
        if not self.accelerator.is_main_process:
            return path
        dtype = getattr(torch, self.recipe.export)
        metadata = {"inhabit.step": str(self.step), "inhabit.recipe": self.recipe.for_header()}
        self.ema.store(self.parameters.values())
        self.ema.copy_to(self.parameters.values())
        try:
            if adapter is None:
                save(path, self.model, self.autoencoder, dtype=dtype, metadata=metadata)
            else:
                write_tensors(path, adapter_tensors(self.model.denoiser, adapter), metadata, dtype)
        finally:
            self.ema.restore(self.parameters.values())
        return path

    def _begin(self, index: int) -> None:
        """Start a stage: trained weights go on from their average, with a new optimizer and a new average.

        # Not in paper: stages keep the average, since the next stage freezes it and must train against it.
        """
        if index > 0:
            self.ema.copy_to(self.parameters.values())
        self.module = self.optimizer = self.ema = None
        self.accelerator.free_memory()  # which holds every module that it has prepared
        self.index, recipe = index, self.recipe
        stage = make_stage(recipe, recipe.stages[index], self.model, self.codec, self.embed)
        self.parameters = stage.trained()
        _require_only(stage, self.parameters)
        # Not in paper: AdamW, Adam with decoupled weight decay; HIA has Adam (A.5), which weight_decay=0 is.
        self.optimizer = torch.optim.AdamW(list(self.parameters.values()), weight_decay=recipe.weight_decay, fused=True)
        self.ema = EMAModel(self.parameters.values(), decay=recipe.ema, foreach=True)
        self.rate = learning_rate_factor(recipe.stages[index])
        self.module = self.accelerator.prepare_model(stage)

    def _state(self) -> Saved:
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        if self.autoencoder is not None:
            tensors |= {f"vae.{name}": value for name, value in self.autoencoder.state_dict().items()}
        for (name, parameter), average in zip(self.parameters.items(), self.ema.shadow_params, strict=True):
            tensors[f"ema.{name}"] = average
            for key, value in self.optimizer.state[parameter].items():
                tensors[f"optimizer.{key}.{name}"] = value
        scalars = {"stage": self.index, "ema_steps": self.ema.optimization_step}
        return Saved(self.step, tensors, scalars, begun_with(self.recipe, self.model.config))

    def _resume(self) -> None:
        saved = load_newest(self.checkpoints)
        if saved is None:
            logger.warning("no valid checkpoint in %s: starting at step 0", self.checkpoints)
            return
        check_same(saved, self.recipe, self.model.config, self.out)
        if saved.step > self.recipe.steps:
            raise InputError(f"{self.out} has done {saved.step} steps, the recipe has {self.recipe.steps}: raise them")
        self._begin(saved.scalars["stage"])
        tensors = saved.tensors
        with torch.no_grad():
            _copy(self.model, tensors, "model.", self.out)
            if self.autoencoder is not None:
                _copy(self.autoencoder, tensors, "vae.", self.out)
            for (name, parameter), average in zip(self.parameters.items(), self.ema.shadow_params, strict=True):
                average.copy_(tensors[f"ema.{name}"])
                keys = [key for key in ("step", "exp_avg", "exp_avg_sq") if f"optimizer.{key}.{name}" in tensors]
                if keys:  # none: the parameter has never had a gradient
                    self.optimizer.state[parameter] = {
                        key: _like(parameter, tensors[f"optimizer.{key}.{name}"]) for key in keys
                    }
        self.ema.optimization_step = saved.scalars["ema_steps"]
        self.step = saved.step
        if self.accelerator.is_main_process:
            _keep_lines(self.out / "log.jsonl", saved.step)

    def _record(self, values: dict[str, Tensor], seconds: float, bar: tqdm) -> None:
        """Log losses of the last step and the mean seconds a step since the last line, waiting for data included."""
        numbers = {name: round(float(value), 6) for name, value in values.items()}
        bar.set_postfix(stage=self.recipe.stages[self.index].name, loss=numbers["loss"])
        if self.accelerator.is_main_process:
            with (self.out / "log.jsonl").open("a") as file:
                line = {"step": self.step, "stage": self.recipe.stages[self.index].name, **numbers}
                file.write(json.dumps({**line, "seconds": round(seconds, 4)}) + "\n")

    def _progress(self, show: bool) -> tqdm:
        hidden = not (show and self.accelerator.is_main_process)
        return tqdm(total=self.recipe.steps, initial=self.step, desc="train", disable=hidden, mininterval=1)


def learning_rate_factor(stage: StageRecipe) -> Callable[[int], float]:
    """Step within the stage → factor of the learning rate: warmup from 1/warmup to 1, then cosine to 0 (diffusers)."""
    dummy = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = get_scheduler("cosine", dummy, num_warmup_steps=stage.warmup, num_training_steps=stage.steps)
    [factor] = schedule.lr_lambdas
    return lambda step: factor(step + 1 if step < stage.warmup else step)  # diffusers begins at 0, a step for nothing


def _require_only(stage: Stage, parameters: dict[str, nn.Parameter]) -> None:
    chosen = {id(parameter) for parameter in parameters.values()}
    for parameter in stage.parameters():
        parameter.requires_grad_(id(parameter) in chosen)


def _copy(module: nn.Module, tensors: dict[str, Tensor], prefix: str, folder: Path) -> None:
    """Give a module its saved tensors. Raises InputError where they are another module's."""
    for name, value in module.state_dict().items():
        saved = tensors.get(prefix + name)
        if saved is None or saved.shape != value.shape:
            shape = "no such tensor" if saved is None else f"one of {tuple(saved.shape)}"
            raise InputError(
                f"{folder} holds a training of another model: of {prefix}{name}, {tuple(value.shape)} here, it has "
                f"{shape}; go on with the recipe that it was begun with, or give another --out"
            )
        value.copy_(saved)


def _like(parameter: Tensor, saved: Tensor) -> Tensor:
    """A saved optimizer tensor on the parameter's device and in its memory layout."""
    if saved.shape != parameter.shape:
        return saved.to(parameter.device)
    return torch.empty_like(parameter).copy_(saved)


def _keep_lines(path: Path, step: int) -> None:
    """Drop the log's lines after `step`, which are about to be written again, and a line cut off by a crash."""
    if path.exists():
        lines = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("}\n")]
        path.write_text("".join(line for line in lines if json.loads(line)["step"] <= step))


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; outside the main thread signals stay as they are."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
