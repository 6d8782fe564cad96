"""Names of tensors without what other programs wrap a network in: DDP, torch.compile, trainers, pipelines, EMA."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

COMPILED = "_orig_mod."  # of torch.compile, at any depth
ROOTS = ("conv_in.weight", "input_blocks.0.0.weight", "down_blocks.0.resnets.0.norm1.weight")  # begin a network's names
MOTION = re.compile(r"(.*?)down_blocks\.\d+\.motion_modules\.")
ORIGINAL = "model.diffusion_model."
EMA = "model_ema.diffusion_model"  # of Stable Diffusion's trainers, which leave the dots out
# A name without its dots, word by word. Of two numbers in a row the second has one digit: 101 is 10.1, not 1.01.
WORDS = re.compile(
    r"(?P<blocks>input_blocks|output_blocks)(?P<number>\d+)(?P<part>\d)"
    r"|(?P<numbered>middle_block|transformer_blocks|in_layers|out_layers|emb_layers|time_embed|to_out|net|out)(?P<at>\d)"
    r"|(?P<word>skip_connection|attn[12]|norm[123]|norm|proj_in|proj_out|proj|to_[qkv]|ff|op|conv|weight|bias)"
)


def networks(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Return the networks in a file: prefix → tensors by their names without it.

    One that nothing wraps is the whole file, unknown names and all.
    """
    tensors = {name.replace(COMPILED, ""): tensor for name, tensor in _with_dots(tensors).items()}
    prefixes = _prefixes(tensors)
    if "" in prefixes or not prefixes:
        return {"": tensors}
    return {prefix: _below(prefix, tensors) for prefix in prefixes}


def below_one_prefix(tensors: Mapping[str, Tensor], *prefixes: str) -> dict[str, Tensor]:
    """Return a file's tensors without the wrappers of torch.compile and DDP, and below the first prefix that it has."""
    tensors = {name.replace(COMPILED, "").removeprefix("module."): tensor for name, tensor in tensors.items()}
    prefix = next((prefix for prefix in prefixes if any(name.startswith(prefix) for name in tensors)), "")
    return _below(prefix, tensors)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _prefixes(tensors: Mapping[str, Tensor]) -> list[str]:
    """What stands before the names of a UNet, a pose guider or motion modules; in the file's order."""
    found = {}
    for name in tensors:
        for root in ROOTS:
            prefix = name.removesuffix(root)
            if prefix != name and (not prefix or prefix.endswith(".")) and _is_network(prefix, tensors):
                found[prefix] = None
    if not found and any(name.startswith(ORIGINAL) for name in tensors):  # not all of it: what lacks is told later
        found = {ORIGINAL: None}
    if not found:
        found = {match[1]: None for match in map(MOTION.match, tensors) if match}
    return [*found]


def _is_network(prefix: str, tensors: Mapping[str, Tensor]) -> bool:
    unet = f"{prefix}time_embed.0.weight" in tensors or f"{prefix}time_embedding.linear_1.weight" in tensors
    return unet or {f"{prefix}blocks.0.weight", f"{prefix}conv_out.weight"} <= tensors.keys()


def _with_dots(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, those of a moving average under their networks' own names where the file has no others."""
    if any(name.startswith(ORIGINAL) for name in tensors):
        return dict(tensors)
    names = {name: _dotted(name.removeprefix(EMA)) if name.startswith(EMA) else None for name in tensors}
    return {f"{EMA}.{names[name]}" if names[name] else name: tensor for name, tensor in tensors.items()}


def _dotted(name: str) -> str | None:
    """`input_blocks11proj_inweight` → `input_blocks.1.1.proj_in.weight`; None for what is no such name."""
    words, at = [], 0
    while at < len(name):
        match = WORDS.match(name, at)
        if match is None:
            return None
        words += [group for group in match.groups() if group is not None]
        at = match.end()
    return ".".join(words)
