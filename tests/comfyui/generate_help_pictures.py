"""Write the pictures of the help pages, `web/docs/img/<NodeId>.jpg`, from puppet scenes and the bundled model.

    python -m tests.comfyui.generate_help_pictures [NodeId …]

Every picture shows what goes into a node and what comes out of it. ComfyUI is not needed: the nodes call the same
functions.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from inhabit.media import parse_poses, to_float, to_uint8
from inhabit.perception import (
    blur_maps,
    hand_face_regions,
    measure_hand_blur,
    override_sharpness,
    render_skeleton,
    shape_agnostic_mask,
    structured_depth,
)
from inhabit.perception.backends import LandmarkDepth, MediaPipePose
from inhabit.perception.person_crop import PersonCrop, cut_to, mask_boxes, person_crop
from inhabit.perception.plate import CleanPlate
from inhabit.perception.retarget import retarget_keypoints
from inhabit.pipeline.animate import Settings, animate, initial_noise
from inhabit.pipeline.conditions import DrivingConditions, environment_frames, object_frames
from inhabit.pipeline.paste_back import paste_back
from inhabit.pipeline.reference_picture import studio
from inhabit.pipeline.uncrop import put_back
from inhabit.sampling.reference_noise import diffuse_reference
from inhabit.sampling.schedules import alphas_cumprod, trailing_timesteps
from inhabit.sampling.windows import step_windows
from inhabit.scenes import body, render_scene
from inhabit.scenes.motion import idle_controls
from inhabit.weights import BUNDLED, load, load_codec, read_config
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional

FOLDER = Path(__file__).resolve().parents[2] / "web" / "docs" / "img"
CELL, GAP, LABEL = 176, 8, 20  # pixels
PAPER, INK, BOX = (250, 250, 248), (40, 40, 44), (214, 226, 240)
SIZE, FRAMES, SEED = 128, 24, 900004
Cells = list[tuple[str, Tensor]]  # label and one picture: (H, W, 3) or a mask (H, W), 0…1


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or PICTURES:
        path = FOLDER / f"{name}.jpg"
        PICTURES[name]().save(path, quality=84, optimize=True)
        sys.stdout.write(f"{path.name}: {path.stat().st_size / 1024:.0f} KB\n")


class Clip:
    """A puppet scene as the tensors that the nodes pass on."""

    def __init__(self, kind: str, seed: int = SEED) -> None:
        scene = render_scene(seed, kind, FRAMES, SIZE, SIZE)
        self.pose = scene.pose
        self.reference = to_float(scene.reference)
        self.driving, self.target, self.depth = (to_float(v) for v in (scene.driving, scene.target, scene.depth))
        self.character, self.object = to_float(scene.character), to_float(scene.object)
        self.hands, self.face = to_float(scene.hands), to_float(scene.face)
        self.skeleton = render_skeleton(self.pose, SIZE, SIZE)
        self.mask = shape_agnostic_mask(self.character)


@functools.cache
def clip(kind: str, seed: int = SEED) -> Clip:
    return Clip(kind, seed)


@functools.cache
def result(kind: str, reference_seed: int = SEED, without: tuple[str, ...] = (), **settings) -> Tensor:
    """Return what the bundled model makes of a scene (F, H, W, 3), as it was drawn."""
    scene, reference = clip(kind), clip(kind, reference_seed).reference
    depth = structured_depth(scene.depth, scene.skeleton)
    given = DrivingConditions(scene.driving, scene.mask, scene.skeleton, depth, scene.object)
    how = Settings(**settings)
    return animate(load(BUNDLED), load_codec(BUNDLED), reference[None], given, how, without=without, progress=False)


def grid(*rows: Cells) -> Image.Image:
    """Draw rows of labelled pictures."""
    width = GAP + max(len(row) for row in rows) * (CELL + GAP)
    sheet, draw = canvas(width, GAP + len(rows) * (LABEL + CELL + GAP))
    for number, row in enumerate(rows):
        top = GAP + number * (LABEL + CELL + GAP)
        for column, (label, picture) in enumerate(row):
            left = GAP + column * (CELL + GAP)
            draw.text((left, top), label, fill=INK, font=font())
            sheet.paste(as_picture(picture), (left, top + LABEL))
    return sheet


def canvas(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("RGB", (width, height), PAPER)
    return sheet, ImageDraw.Draw(sheet)


def font(size: int = 13) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=size)


def as_picture(picture: Tensor) -> Image.Image:
    colours = picture.unsqueeze(-1).expand(-1, -1, 3) if picture.ndim == 2 else picture
    return Image.fromarray(to_uint8(colours.contiguous())).resize((CELL, CELL), Image.Resampling.LANCZOS)


def boxes(columns: list[list[str]]) -> Image.Image:
    """Draw columns of boxes with an arrow from each column to the next."""
    wide, high = 190, 52
    sheet, draw = canvas(GAP + len(columns) * (wide + 40), GAP + max(map(len, columns)) * (high + GAP))
    for number, column in enumerate(columns):
        left = GAP + number * (wide + 40)
        top = (sheet.height - len(column) * (high + GAP) + GAP) // 2
        for row, text in enumerate(column):
            box = left, top + row * (high + GAP), left + wide, top + row * (high + GAP) + high
            draw.rounded_rectangle(box, 6, BOX, INK)
            draw.multiline_text((left + wide / 2, box[1] + high / 2), text, INK, font(), "mm", align="center")
        if number + 1 < len(columns):
            arrow(draw, left + wide + 6, sheet.height // 2)
    return sheet


def arrow(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
    draw.line((x, y, x + 20, y), INK, 3)
    draw.polygon(((x + 18, y - 6), (x + 28, y), (x + 18, y + 6)), INK)


def model_loader() -> Image.Image:
    scene, frame = clip("object"), 12
    return grid(
        [("reference", scene.reference), ("driving video", scene.driving[frame])],
        [("drawn by inhabit-puppets", result("object")[frame]), ("the exact answer", scene.target[frame])],
    )


def assemble_model() -> Image.Image:
    files = ["checkpoint\nStable Diffusion 1.5", "motion_module\nAnimateDiff", "inhabit\na trained Inhabit file"]
    return boxes([files, ["Inhabit\nAssemble Model"], ["model", "vae"]])


def lora_loader() -> Image.Image:
    return boxes([["model", "lora\na .safetensors file"], ["Inhabit\nLoRA Loader"], ["model + strength x lora"]])


def sample_scene() -> Image.Image:
    scene, frame = clip("object"), 12
    return grid(
        [("reference", scene.reference), ("driving", scene.driving[frame]), ("pose (drawn)", scene.skeleton[frame])],
        [("depth", scene.depth[frame]), ("character", scene.character[frame]), ("object", scene.object[frame])],
        [("hands", scene.hands[frame]), ("face", scene.face[frame]), ("target", scene.target[frame])],
    )


def pose_estimator() -> Image.Image:
    scene, frame = render_scene(SEED, "walk", 8, 512, 512), 6
    found = list(MediaPipePose().estimate(scene.driving))[frame]
    skeleton = render_skeleton([found.keypoints()], 512, 512)[0]
    return grid(
        [
            ("video", to_float(scene.driving)[frame]),
            ("skeleton", skeleton),
            ("character", torch.from_numpy(found.mask)),
        ]
    )


def depth_estimator() -> Image.Image:
    scene, frame = render_scene(SEED, "walk", 8, 512, 512), 6
    found = list(LandmarkDepth().estimate(scene.driving))[frame]
    return grid([("image", to_float(scene.driving)[frame]), ("depth (landmark-z)", torch.from_numpy(found))])


def object_locator() -> Image.Image:
    scene, frame = clip("object"), 12
    rows, columns = scene.object[frame].nonzero().T
    box = torch.zeros(SIZE, SIZE)
    box[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = 1
    return grid([("image", scene.driving[frame]), ("preview", box)])


def skeleton_renderer() -> Image.Image:
    scene, frame = clip("reach"), 12
    kept = structured_depth(scene.depth, scene.skeleton)
    return grid(
        [("driving video", scene.driving[frame]), ("depth", scene.depth[frame])],
        [("skeleton", scene.skeleton[frame]), ("structured_depth", kept[frame])],
    )


def shape_mask() -> Image.Image:
    scene, frame = clip("reach"), 12
    snapped = shape_agnostic_mask(scene.character, snap=8)
    large = shape_agnostic_mask(scene.character, block_px=24)
    small = shape_agnostic_mask(scene.character, block_px=4)
    return grid(
        [
            ("driving video", scene.driving[frame]),
            ("mask in", scene.character[frame]),
            ("block_px 10", scene.mask[frame]),
        ],
        [
            ("block_px 4", small[frame]),
            ("block_px 24", large[frame]),
            ("block_px 10, snap 8", snapped[frame]),
        ],
    )


def hand_face() -> Image.Image:
    scene = clip("handface")
    regions = hand_face_regions(scene.pose, SIZE, SIZE, 8.0)
    frame = int(regions.contact.sum(dim=(1, 2)).argmax())
    return grid(
        [("driving video", scene.driving[frame]), ("hands", regions.hands[frame])],
        [("face", regions.face[frame]), ("contact", regions.contact[frame])],
    )


def motion_blur() -> Image.Image:
    scene = clip("handface")
    blur = measure_hand_blur(scene.pose, SIZE, SIZE, scene.driving)
    frame = int(abs(blur.movement).max(axis=(1, 2)).argmax())

    def asked(text: str) -> Tensor:
        return blur_maps(override_sharpness(blur, text), SIZE, SIZE)[frame]

    return grid(
        [("driving video", scene.driving[frame]), ("blur_map, measured", asked(""))],
        [("blur_map, both sharp", asked("both sharp")), ("blur_map, both blurred", asked("both blurred"))],
    )


def reference() -> Image.Image:
    scene, frame = clip("reach"), 12
    other = clip("reach", SEED + 3)
    return grid(
        [("driving video", scene.driving[frame]), ("image", scene.reference), ("another image", other.reference)],
        [
            ("skeleton", scene.skeleton[frame]),
            ("result", result("reach")[frame]),
            ("result", result("reach", SEED + 3)[frame]),
        ],
    )


def motion() -> Image.Image:
    scene, drawn = clip("dance"), result("dance")
    moments = (0, 8, 16, 23)
    return grid(
        [(f"skeleton, frame {i}", scene.skeleton[i]) for i in moments],
        [(f"result, frame {i}", drawn[i]) for i in moments],
    )


def environment() -> Image.Image:
    scene, frame = clip("reach"), 12
    fills = [
        (f"fill {name}", environment_frames(scene.driving, scene.mask, name)[frame])
        for name in ("blank", "mean", "blurred")
    ]
    return grid(
        [("driving", scene.driving[frame]), ("mask", scene.mask[frame]), ("result", result("reach")[frame])], fills
    )


def objects() -> Image.Image:
    scene, frame = clip("object"), 12
    return grid(
        [
            ("driving", scene.driving[frame]),
            ("mask", scene.object[frame]),
            ("shown to the model", object_frames(scene.driving, scene.object)[frame]),
        ],
        [
            ("the exact answer", scene.target[frame]),
            ("result", result("object")[frame]),
            ("result without this node", result("object", without=("objects",))[frame]),
        ],
    )


def context_windows() -> Image.Image:
    frames, length, overlap, steps = 40, 16, 4, 3
    cell, row = 13, 15
    plans = [step_windows(frames, length, overlap, 0, step) for step in range(steps)]
    height = sum(LABEL + len(plan) * row + GAP for plan in plans) + 2 * GAP + LABEL
    sheet, draw = canvas(2 * GAP + frames * cell, height)
    top = GAP
    for step, plan in enumerate(plans):
        draw.text((GAP, top), f"step {step + 1}", fill=INK, font=font())
        top += LABEL
        for window in plan:
            left = GAP + window[0] * cell
            draw.rounded_rectangle((left, top, left + length * cell - 2, top + row - 4), 4, BOX, INK)
            top += row
        top += GAP
    draw.line((GAP, top, GAP + frames * cell, top), INK)
    for frame in range(0, frames + 1, 8):
        draw.text((GAP + frame * cell, top + 3), str(frame), INK, font(), "la" if frame < frames else "ra")
    return sheet


def shifted_snr() -> Image.Image:
    """Draw log10 of the signal-to-noise ratio over the timesteps."""
    wide, high, left, top = 440, 240, 60, 34
    sheet, draw = canvas(wide + left + 2 * GAP, high + top + 2 * LABEL)
    draw.text((GAP, GAP), "signal-to-noise ratio (powers of ten) over the timestep", fill=INK, font=font())
    for power in range(-4, 4):
        y = top + high * (3 - power) / 7
        draw.line((left, y, left + wide, y), BOX)
        draw.text((left - GAP, y), str(power), INK, font(), "rm")
    for step in range(0, 1001, 200):
        draw.text((left + wide * step / 1000, top + high + 4), str(step), INK, font(), "ma")
    for gamma, colour in ((1.0, (40, 90, 180)), (0.5, (200, 120, 30)), (0.25, (180, 40, 60))):
        alphas_bar = alphas_cumprod(read_config(BUNDLED).schedule, gamma)[:-1:5]
        powers = (alphas_bar / (1 - alphas_bar)).log10().clamp(-4, 3).tolist()
        line = [(left + wide * 5 * i / 1000, top + high * (3 - power) / 7) for i, power in enumerate(powers)]
        draw.line([point for point, power in zip(line, powers, strict=True) if power > -4], colour, 2)
        draw.text((left + wide - GAP, top + GAP + 60 * (1 - gamma)), f"gamma {gamma:g}", colour, font(), "ra")
    return sheet


def trailing_sigmas() -> Image.Image:
    """Draw where the steps lie among the timesteps."""
    wide, row, left, top = 440, 34, 70, 34
    counts = (3, 5, 10)
    sheet, draw = canvas(wide + left + 3 * GAP, top + row * len(counts) + 2 * LABEL)
    draw.text((GAP, GAP), "timesteps of the denoising steps, the noisiest on the left", fill=INK, font=font())
    for number, count in enumerate(counts):
        y = top + row * (number + 0.5)
        draw.text((GAP, y), f"{count} steps", INK, font(), "lm")
        draw.line((left, y, left + wide, y), BOX, 2)
        for step in trailing_timesteps(1000, count).tolist():
            x = left + wide * (1 - step / 1000)
            draw.ellipse((x - 5, y - 5, x + 5, y + 5), (40, 90, 180))
    for step in range(0, 1001, 200):
        draw.text((left + wide * (1 - step / 1000), top + row * len(counts) + 4), str(step), INK, font(), "ma")
    return sheet


def reference_noise() -> Image.Image:
    """Show latents as colours: the first three channels of the bundled VAE are roughly red, green and blue."""
    scene, codec = clip("reach"), load_codec(BUNDLED)
    latents = codec.encode(scene.reference[None])
    noise = initial_noise((64, *latents.shape[1:]), 0)

    def shown(values: Tensor) -> Tensor:
        return (values[:3].movedim(0, -1) / 4 + 0.5).clamp(0, 1)

    schedule = read_config(BUNDLED).schedule
    usual = schedule.model_copy(update={"zero_terminal_snr": False, "betas": "scaled_linear"})
    starts = {
        name: diffuse_reference(latents, noise, float(alphas_cumprod(kind)[-1]))
        for name, kind in (("usual", usual), ("zero", schedule))
    }
    return grid(
        [
            ("reference", scene.reference),
            ("Stable Diffusion's schedule", shown(starts["usual"][0])),
            ("mean of 64 frames", shown(4 * starts["usual"].mean(dim=0))),
        ],
        [
            ("its latent", shown(2 * latents[0])),
            ("zero terminal SNR", shown(starts["zero"][0])),
            ("mean of 64 frames", shown(4 * starts["zero"].mean(dim=0))),
        ],
    )


def animation_guider() -> Image.Image:
    scene, frame = clip("reach"), 12
    return grid(
        [("image", scene.reference), ("skeleton", scene.skeleton[frame]), ("the exact answer", scene.target[frame])],
        [(f"cfg {cfg:g}", result("reach", guidance=cfg)[frame]) for cfg in (1.0, 2.0, 4.0)],
    )


def windowed_sampler() -> Image.Image:
    scene, drawn = clip("walk"), result("walk", steps=3)
    moments = (0, 8, 16, 23)
    return grid(
        [(f"driving, frame {i}", scene.driving[i]) for i in moments],
        [(f"result, frame {i}", drawn[i]) for i in moments],
    )


def pose_retarget() -> Image.Image:
    """Short legs, broad shoulders, a large head: the same motion in the same scene."""
    scene, frame = clip("object"), 12
    rig = body.Rig(
        shoulder=0.13, torso=0.31, thigh=0.2, shin=0.19, pelvis=0.425, head=(0.105, 0.132, 0.118), hand=0.125
    )
    points = body.solve(rig, idle_controls(np.random.default_rng(SEED)))[0]
    reference = [body.keypoints(body.project(points, 0.85 * SIZE, (SIZE / 2, 0.93 * SIZE)), SIZE, SIZE)]
    [[character]] = parse_poses(reference, SIZE, SIZE)
    changed = retarget_keypoints(scene.pose, character, list(scene.object.numpy()))
    before, after = (render_skeleton(poses, SIZE, SIZE)[frame] for poses in (scene.pose, changed))
    shown = scene.driving[frame] / 2
    return grid(
        [("reference_pose", render_skeleton(reference, SIZE, SIZE)[0]), ("objects", scene.object[frame])],
        [("pose, on the video", shown.maximum(before)), ("pose that comes out", shown.maximum(after))],
    )


def clean_plate() -> Image.Image:
    scene, frame = clip("walk"), 12
    plate, known = CleanPlate(scene.driving, scene.character)[frame]
    return grid(
        [("driving", scene.driving[frame]), ("mask", scene.character[frame])],
        [("plate", plate), ("known", known)],
    )


def paste_back_picture() -> Image.Image:
    scene, drawn, frame = clip("reach"), result("reach"), 12
    pasted = paste_back(drawn, scene.driving, scene.mask)
    return grid(
        [("result", drawn[frame]), ("driving", scene.driving[frame])],
        [("mask", scene.mask[frame]), ("image", pasted[frame])],
    )


def wide_clip() -> tuple[Tensor, Tensor, PersonCrop]:
    """A small character in a large room, its mask there, and the crop around the character."""
    scene, side = clip("walk"), 2 * SIZE
    place = (SIZE - 16, 16, side - SIZE - 20, 20)  # left, right, top, bottom
    character = functional.pad(scene.character, place)
    puppet = functional.pad(scene.driving.permute(0, 3, 1, 2), place).permute(0, 2, 3, 1)
    frame = torch.lerp(studio(side, side), puppet, character.unsqueeze(-1))
    return frame, character, person_crop(mask_boxes(character.numpy()), (side, side), 24, 1.0)


def outlined(picture: Tensor, crop: PersonCrop, index: int) -> Tensor:
    rows, columns = crop.window(index)
    shown = picture.clone()
    for edge in (rows.start, rows.stop - 2):
        shown[edge : edge + 2, columns] = torch.tensor([1.0, 0.2, 0.2])
    for edge in (columns.start, columns.stop - 2):
        shown[rows, edge : edge + 2] = torch.tensor([1.0, 0.2, 0.2])
    return shown


def crop_to_person() -> Image.Image:
    frame, character, crop = wide_clip()
    window = cut_to(frame, crop, (128, 128))
    return grid(
        [("image, and where the window is", outlined(frame[12], crop, 12))],
        [("image", window[12]), ("mask", cut_to(character, crop, (128, 128))[12])],
    )


def uncrop() -> Image.Image:
    frame, character, crop = wide_clip()
    result = cut_to(frame, crop, (128, 128))[12].flip(-1)
    mask = cut_to(character, crop, (128, 128))[12]
    return grid(
        [("result", result), ("mask", mask)],
        [("image, with the result in it", put_back(result, mask, frame[12], crop, 12))],
    )


PICTURES: dict[str, Callable[[], Image.Image]] = {
    "InhabitModelLoader": model_loader,
    "InhabitAssembleModel": assemble_model,
    "InhabitLoRALoader": lora_loader,
    "InhabitSampleScene": sample_scene,
    "InhabitPoseRetarget": pose_retarget,
    "InhabitPoseEstimator": pose_estimator,
    "InhabitDepthEstimator": depth_estimator,
    "InhabitObjectLocator": object_locator,
    "InhabitSkeletonRenderer": skeleton_renderer,
    "InhabitShapeAgnosticMask": shape_mask,
    "InhabitHandFaceRegions": hand_face,
    "InhabitMotionBlur": motion_blur,
    "InhabitCleanPlate": clean_plate,
    "InhabitReference": reference,
    "InhabitMotion": motion,
    "InhabitEnvironment": environment,
    "InhabitObjects": objects,
    "InhabitContextWindows": context_windows,
    "InhabitShiftedSNR": shifted_snr,
    "InhabitTrailingSigmas": trailing_sigmas,
    "InhabitReferenceNoise": reference_noise,
    "InhabitAnimationGuider": animation_guider,
    "InhabitWindowedSampler": windowed_sampler,
    "InhabitPasteBack": paste_back_picture,
    "InhabitCropToPerson": crop_to_person,
    "InhabitUncrop": uncrop,
}


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
