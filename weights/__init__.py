"""Files of weights: what others publish becomes ours, and the checkpoint file that everything is kept in.

`load(path)` returns an `AnimationModel`; `load_codec(path)` the bundled autoencoder. One step of denoising, with F
frames of H × W pixels and h = H / 8, w = W / 8 for models of Stable Diffusion's size:

    model = load("animate-anyone.safetensors")
    features = model.reference(picture, context)  # latents (1, 4, h', w'), CLIP embedding (1, 1, 768); once a run
    pose = model.pose(skeleton)  # (1, F, 3, H, W), 0…1 → (1, F, 320, h, w)
    prediction = model.denoise(latents, timesteps, context, reference=features, pose=pose)  # (1, F, 4, h, w), (1,)

and both passes of guidance as one batch, the unconditional clip first, which sees no reference:

    contexts = torch.cat([torch.zeros_like(context), context])
    twice = latents.expand(2, -1, -1, -1, -1)
    model.denoise(twice, timesteps, contexts, reference=features, pose=pose, unconditional=1)
"""

from .checkpoint import BUNDLED, checkpoint_file, load, load_codec, read_config, save

__all__ = ["BUNDLED", "checkpoint_file", "load", "load_codec", "read_config", "save"]
