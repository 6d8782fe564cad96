"""Runs in a process of its own, with ComfyUI on the path: every sampler and scheduler of core over a tiny MODEL of
ours. Prints what `test_core_nodes.py` checks, as JSON.

    PYTHONPATH=<ComfyUI> python tests/comfyui/core_samplers.py FOLDER
"""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path

import latents as run  # before anything else of ComfyUI: it asks for the CPU
import torch
from primitives import EPSILON, Tiny

# isort: split
import comfy.sample
import comfy.samplers
from inhabit.nodes.folders import register_model_folders
from inhabit.nodes.host.sampling import SAMPLERS, SCHEDULERS, TRAILING, Sampling, sigmas_for
from inhabit.pipeline.animate import WindowDenoiser, encode_conditions, project_reference
from inhabit.sampling.schedules import SMALLEST_ALPHA_BAR, alphas_cumprod

FRAMES, STEPS, MANY = 2, 5, 20
SOLVERS = (  # without noise of their own: of the same differential equation
    "heun", "heunpp2", "dpm_2", "lms", "dpm_fast", "dpm_adaptive", "dpmpp_2m", "ddim", "uni_pc", "uni_pc_bh2", "ipndm",
    "ipndm_v", "deis", "res_multistep", "gradient_estimation",
)  # fmt: skip


class Small(Tiny):
    """A short scene, its noise, and the network by itself."""

    def __init__(self, path: Path, **changes) -> None:
        run.FRAMES = FRAMES
        super().__init__(path, **changes)
        self.path = path
        self.start = self.inputs[2]["samples"]
        self.noise = comfy.sample.prepare_noise(self.start, run.SEED)
        self.scale = self.ours.config.latent.scale
        alphas_bar = alphas_cumprod(self.ours.config.schedule).double().clamp(min=SMALLEST_ALPHA_BAR)
        self.sigmas = ((1 - alphas_bar) / alphas_bar).sqrt()

    @functools.cached_property
    def network(self) -> WindowDenoiser:
        reference = project_reference(self.ours, self.codec, self.reference)
        encoded = encode_conditions(self.codec, self.given, FRAMES)
        return WindowDenoiser(self.ours, self.given, encoded, reference, 1.0, None, ())

    def core(self, sampler: str, sigmas: torch.Tensor, cfg: float = 1.0) -> torch.Tensor:
        how = Sampling(cfg, sampler, sigmas, run.SEED)
        positive, negative, _ = self.inputs
        return how.run(self.model, self.noise, positive, negative, self.start, None, None)

    def by_hand(self, sigmas: torch.Tensor) -> torch.Tensor:
        """DDIM in float64 over these sigmas (steps + 1,), as its paper has it: latents of variance 1."""
        first, alphas_bar = float(sigmas[0]), 1 / (1 + sigmas.double() ** 2)
        whole = first >= float(self.sigmas[-1]) * (1 - 1e-5)  # then core takes the noise for the diffused latents
        state = self.noise.double() * (1 if whole else first * float(alphas_bar[0].sqrt()))
        for sigma, now, then in zip(sigmas.double(), alphas_bar, alphas_bar[1:], strict=False):
            clean = self.clean(state, sigma, now)
            direction = (state - now.sqrt() * clean) / (1 - now).sqrt()
            state = then.sqrt() * clean + (1 - then).sqrt() * direction
        return state / self.scale

    def clean(self, state: torch.Tensor, sigma: torch.Tensor, alpha_bar: torch.Tensor) -> torch.Tensor:
        timestep = int((self.sigmas.log() - sigma.log()).abs().argmin())
        predicted = self.network(state.float(), timestep, list(range(FRAMES))).double()
        if self.ours.config.schedule.prediction == "v":
            return alpha_bar.sqrt() * state - (1 - alpha_bar).sqrt() * predicted
        return (state - (1 - alpha_bar).sqrt() * predicted) / alpha_bar.sqrt()


def schedulers(small: Small) -> dict[str, float]:
    """Return how euler over each scheduler's sigmas compares with the loop by hand.

    Of 5 steps normal's third is at 499.5, of 4 steps sgm_uniform's: rounding would decide which timestep it is.
    """
    gaps = {}
    for name in SCHEDULERS:
        sigmas = sigmas_for(small.model, name, 4 if name == "normal" else STEPS)
        expected = small.by_hand(sigmas)
        gaps[name] = float((small.core("euler", sigmas) - expected).abs().max() / expected.abs().max())
    return gaps


def samplers(small: Small) -> dict[str, bool]:
    """Return whether each sampler draws something finite from the noisiest step on, with guidance."""
    sigmas = sigmas_for(small.model, TRAILING, STEPS)
    drawn = {name: small.core(name, sigmas, 1.5) for name in SAMPLERS}
    return {name: bool(result.isfinite().all()) and 0.01 < float(result.std()) < 10 for name, result in drawn.items()}


def solvers(small: Small) -> dict[str, float]:
    """Return how far each solver is from the exact solution, as a share of how far Euler is in as many steps."""
    exact = small.core("heun", sigmas_for(small.model, "karras", 4 * MANY))
    sigmas = sigmas_for(small.model, "karras", MANY)
    errors = {name: float((small.core(name, sigmas) - exact).square().mean().sqrt()) for name in ("euler", *SOLVERS)}
    return {name: error / errors["euler"] for name, error in errors.items()} | {"euler": errors["euler"]}


@torch.inference_mode()
def main(folder: Path) -> dict[str, object]:
    register_model_folders()
    small, epsilon = Small(folder / "small.safetensors"), Small(folder / "epsilon.safetensors", schedule=EPSILON)
    return {
        "schedulers, v": schedulers(small),
        "schedulers, epsilon": schedulers(epsilon),
        "samplers": samplers(small),
        "solvers": solvers(epsilon),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    json.dump(main(Path(sys.argv[1])), sys.stdout)
