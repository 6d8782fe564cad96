"""Every node given wrong lengths, sizes, types and kinds of input says in one line what it got and what to do; what is
odd but clear gives the right result."""

from __future__ import annotations

import re

import pytest

from .cores import Core
from .scripts import run_script
from .wiring_cases import LONG, faults, odd

PICTURES_AND_MASKS = {case: expected for case, (*_, expected) in faults().items()}
DRAWN = ("InhabitSkeletonRenderer", "InhabitHandFaceRegions", "InhabitMotionBlur")
POSED = (*DRAWN, "InhabitPoseRetarget")
CONDITIONS = ("InhabitMotion", "InhabitEnvironment", "InhabitObjects")
ENCODING = ("InhabitReference", "InhabitEnvironment", "InhabitObjects")
LISTED = ("InhabitShiftedSNR", "InhabitTrailingSigmas", "InhabitReferenceNoise")
OURS = ("InhabitReference", "InhabitAnimationGuider", "InhabitWindowedSampler")
SAMPLER = "InhabitWindowedSampler"

POSES = {
    "none": "pose is NoneType 'None'; give POSE_KEYPOINT",
    "no frames": r"pose is list '\[\]'; give POSE_KEYPOINT",
    "a picture": "pose is Tensor .*; give POSE_KEYPOINT",
    "a list of lists": r"pose is list '\[\[1, 2, 3\]\]'; give POSE_KEYPOINT",
    "people is a word": "pose frame 2: 'people' must be a list",
    "a person is a number": "pose frame 2: 'people' must be a list",
    "four numbers": "pose frame 2: hand_left_keypoints_2d holds 4 numbers: give 63",
    "a number": "pose frame 2: hand_left_keypoints_2d holds 1 numbers: give 63",
    "words": "pose frame 2: hand_left_keypoints_2d holds something else than numbers: give 63",
    "NaN": "pose frame 2: hand_left_keypoints_2d holds NaN or infinity: write missing points as 0",
    "canvas is a word": r"pose frame 2 has a canvas of \('wide', 48\): give its width and height in pixels",
    "canvas is negative": r"pose frame 2 has a canvas of \(64, -48\): give",
    "canvas is NaN": r"pose frame 2 has a canvas of \(64, nan\): give",
}
VAES = {
    "nothing": "vae is a NoneType; connect the VAE of Inhabit Model Loader",
    "16 channels": "vae is one of 16 channels over 2 axes; connect the VAE of",
    "of videos": "vae is one of 4 channels over 3 axes; connect the VAE of",
    "a model": r"vae is a \w*Patcher; connect the VAE of",
}
NO_LATENT = r"; give the LATENT of Inhabit Environment"
SHORT_MASK = "the noise mask of latent has 5 frames but latent has 6; give as many, or one for all"
NO_REFERENCE = "positive has no reference; connect that of Inhabit Reference"
SWAPPED = "negative has the reference and positive has none; swap the two"
LATENTS = {
    "nothing": "latent is NoneType" + NO_LATENT,
    "no samples": "latent is dict" + NO_LATENT,
    "a video latent": r"latent is \(1, 4, 6, 12, 16\)" + NO_LATENT,
    "no frames": r"latent is \(0, 4, 12, 16\)" + NO_LATENT,
    "16 channels": r"the latent has shape \(6, 16, 12, 16\), the model takes \(frames, 4, height, width\)",
    "NaN": "latent has 4608 NaN or infinite values, from frame 0 on; check",
    "longer": "skeleton has 6 frames but the latent has 12; use the LATENT of Inhabit Environment",
    "shorter": "skeleton has 6 frames but the latent has 5; use the LATENT of Inhabit Environment",
    "wider": "skeleton is 64x48 but the latent is that of 72x48; use the LATENT",
    "swapped": "skeleton is 64x48 but the latent is that of 48x64; use the LATENT",
    "an odd size": "the latent is that of a 64x44 video; model puppets takes sides that 8 divides: resize",
    "noise mask too short": SHORT_MASK,
    "noise mask NaN": "the noise mask of latent has 18432 NaN or infinite values",
}
VALUES = {
    f"{SAMPLER}, cfg: nan": "cfg is nan; give a number",
    f"{SAMPLER}, steps: 1001": "1001 sampling steps; give 1 to 1000",
    f"{SAMPLER}, overlap: 4": "an overlap of 4 frames for windows of 4; give 0 to 3",
    f"{SAMPLER}, length: 25": "a window of 25 frames; the model takes at most 24 at once",
    f"{SAMPLER}, sampler: ": "sampler is ''; choose one of euler,",
    f"{SAMPLER}, scheduler: ": "scheduler is ''; choose one of trailing,",
    f"{SAMPLER}, long_video: both": "long_video is 'both'; choose one of windows, clips",
    "InhabitAnimationGuider, cfg: inf": "cfg is inf; give a number",
    "InhabitContextWindows, overlap: 4": "an overlap of 4 frames for windows of 4; give 0 to 3",
    "InhabitContextWindows, length: 25": "a window of 25 frames; the model takes at most 24 at once",
    "InhabitTrailingSigmas, steps: 1001": "1001 sampling steps; give 1 to 1000",
    "InhabitShiftedSNR, gamma: nan": "the SNR shift gamma is nan; give a value above 0 and at most 1",
    "InhabitShiftedSNR, gamma: 0": "gamma is 0, automatic, but no latent is connected; connect it",
    "InhabitShiftedSNR, latent: no samples": "latent is dict" + NO_LATENT,
    "InhabitHandFaceRegions, dilation: nan": "dilation is nan: give 0 pixels or more",
    "InhabitEnvironment, fill: ": 'fill is "": give one of blank, mean, blurred',
    "InhabitEnvironment, mode: ": "mode is ''; choose one of model input, noise mask",
    "InhabitSampleScene, kind: ": "kind is ''; choose one of walk,",
    "InhabitModelLoader, checkpoint: gone.safetensors": "checkpoint is 'gone.safetensors'; choose one of inhabit-pup",
    "InhabitAssembleModel, checkpoint: ": "'' is no .safetensors file: choose one",
    "InhabitAssembleModel, motion_module: ": "'' is no .safetensors file: choose one",
    "InhabitAssembleModel, inhabit: ": "'' is no .safetensors file: choose one",
    "InhabitReferenceNoise, reference: two": r"reference has shape \(2, 4, 8, 8\); give one picture's",
    "InhabitReferenceNoise, reference: 16 channels": r"reference has shape \(1, 16, 8, 8\); give .*of the VAE",
    "InhabitReferenceNoise, reference: NaN": "reference has 256 NaN or infinite values",
    "InhabitReferenceNoise, latent: a video latent": r"the latent has shape \(1, 4, 3, 8, 8\), the reference \(1, 4",
}
CONDITIONING = {
    **{
        f"{node}, {side}: {fault}": f"{side} is a {kind}, not CONDITIONING; connect {side} of Inhabit Reference"
        for node in CONDITIONS
        for side in ("positive", "negative")
        for fault, kind in (("nothing", "NoneType"), ("a latent", "dict"), ("a list", "list"))
    },
    **{
        f"{node}, {side}: nothing": f"{side} is a NoneType, not CONDITIONING; connect {side} of"
        for node in (SAMPLER, "InhabitAnimationGuider")
        for side in ("positive", "negative")
    },
    **{
        f"{node}, driving: {fault}": expected
        for node in ("InhabitEnvironment", "InhabitObjects")
        for fault, expected in (
            ("shorter than the skeleton", "driving has 5 frames but the skeleton of positive has 6; give both as many"),
            ("lower than the skeleton", "driving is 64x40 but the skeleton of positive is 64x48; resize one"),
            ("8 does not divide it", "driving is 62 x 48 pixels; give a width and height that 8 divides"),
        )
    },
    "InhabitMotion, skeleton: shorter than the environment": "skeleton has 5 frames but the environment of",
    "InhabitMotion, skeleton: smaller than the environment": "skeleton is 40x40 but the environment of",
    "InhabitReference, image: two": r"image has 2 images; give one \(Image From Batch picks it\)",
    "InhabitReference, image: tiny": "image is 64x8 pixels: give a picture of the character of at least 32x32",
    "InhabitReference, clip_vision_output: two": "clip_vision_output has 2 pictures; give the one of image",
    "InhabitReference, clip_vision_output: too wide": "clip_vision_output is 768 wide, the model takes 16; use CLIP",
    "InhabitEnvironment, mask: all zero": "mask is empty in all of its 6 frames, .*; give one that is 1 where",
    "InhabitEnvironment, mask: all zero, as a noise mask": "mask is empty in all of its 6 frames",
}
MODELS = {
    **{
        f"{node}, model: of core": "the model is a BaseModel; connect the MODEL of Inhabit Model Loader"
        for node in OURS
    },
    **{f"{node}, model: of flow": "the model is a BaseModel, which has no list of noise levels" for node in LISTED},
    **{
        f"{node}, model: nothing": "the model is a NoneType; connect "
        for node in (*LISTED, *OURS[1:], "InhabitContextWindows")
    },
}
SAID = {
    **PICTURES_AND_MASKS,
    **{f"{node}, pose: {fault}": expected for node in POSED for fault, expected in POSES.items()},
    "InhabitPoseRetarget, no reference": "neither reference nor reference_pose is connected; connect one of them",
    "InhabitPoseRetarget, reference_pose: two frames": "reference_pose has 2 frames: give the one of the reference",
    "InhabitPoseRetarget, reference_pose: nobody": "reference_pose shows nobody: give the pose of the character",
    "InhabitSkeletonRenderer, pose: a frame less": "depth has 6 frames but pose has 5; give both as many",
    "InhabitMotionBlur, pose: a frame less": "driving has 6 frames but pose has 5; give both as many",
    "InhabitMotionBlur, sharpness_override: a word": "sharpness 'left sometimes' is not understood: write",
    **CONDITIONING,
    **{f"{node}, vae: {fault}": expected for node in ENCODING for fault, expected in VAES.items()},
    "InhabitReference, vae: of another model": "the vae of the conditions makes a latent of 8x8 pixels, model puppets",
    "InhabitEnvironment, vae: not that of the reference": "vae makes a latent of 8x8 pixels, .* 4x4; use the same VAE",
    f"{SAMPLER}, vae of another model": "the vae of the conditions makes a latent of 8x8 pixels, model puppets takes",
    **MODELS,
    **{f"{SAMPLER}, latent: {fault}": expected for fault, expected in LATENTS.items()},
    f"{SAMPLER}, clips, latent: longer": LATENTS["longer"],
    f"{SAMPLER}, clips, latent: shorter": LATENTS["shorter"],
    f"{SAMPLER}, clips, latent: noise mask too short": SHORT_MASK,
    f"{SAMPLER}, positive: empty": NO_REFERENCE,
    f"{SAMPLER}, positive: text alone": NO_REFERENCE,
    f"{SAMPLER}, sides swapped": SWAPPED,
    f"{SAMPLER}, clips, sides swapped": SWAPPED,
    f"{SAMPLER}, positive: text for a model with cross-attention": "the conditioning is 768 wide, the model takes 16",
    "KSampler, latent: longer": LATENTS["longer"],
    "KSampler, latent: 16 channels": LATENTS["16 channels"],
    "KSampler, latent: a video latent": r"the latent has shape \(1, 4, 6, 12, 16\), the model takes",
    "KSampler, sides swapped": SWAPPED,
    "KSampler, text alone": NO_REFERENCE,
    "InhabitAnimationGuider, sides swapped": NO_REFERENCE,
    **VALUES,
}

EXACT, SAMPLED, ONE_STEP = 1e-5, 5e-4, 3e-3  # float32 keeps few digits of what begins at σ = 4500, fewer in one step
FRAME_BY_FRAME = (*DRAWN, "InhabitShapeAgnosticMask", *CONDITIONS, "InhabitPasteBack")
GAPS = {
    **dict.fromkeys(odd(), EXACT),
    **dict.fromkeys(("nobody, skeleton", "nobody, regions", "nobody, sharpness", "sigmas empty"), EXACT),
    **dict.fromkeys(("nobody, regions with a video", "nobody, face_crop", "no video, face_crop"), EXACT),
    "sharpness as the model was trained": EXACT,
    **dict.fromkeys((f"normalised pose, {node}" for node in DRAWN), 1 / 255 + EXACT),
    **dict.fromkeys(("one frame", "windows of one frame", "overlap of a frame less than the window"), SAMPLED),
    **dict.fromkeys(("largest seed", "smallest seed"), SAMPLED),
    **dict.fromkeys(("empty latent of 16 channels", "one noise mask for all", "one noise mask for all, clips"), EXACT),
    **dict.fromkeys(("a reference of 211x333", "a reference of 70x45", "a reference of 64x48"), EXACT),
    **dict.fromkeys(("pixels of an enormous reference", "shape of an enormous reference"), 0.02),
    **dict.fromkeys((f"{node}, {LONG} frames" for node in FRAME_BY_FRAME), EXACT),
    f"{SAMPLER}, {LONG} frames": ONE_STEP,
}


@pytest.fixture(scope="module")
def report(core: Core, tmp_path_factory: pytest.TempPathFactory) -> dict:
    return run_script(core, "wiring.py", tmp_path_factory.mktemp("wiring"))


def test_every_case_is_expected(report: dict):
    assert report["said"].keys() == SAID.keys()
    assert report["gaps"].keys() == GAPS.keys()


@pytest.mark.parametrize("case", SAID)
def test_a_fault_is_one_clear_line(report: dict, case: str):
    told = report["said"][case]
    assert re.match(SAID[case], told) and "\n" not in told, told


@pytest.mark.parametrize("case", GAPS)
def test_the_result_is_right(report: dict, case: str):
    assert report["gaps"][case] <= GAPS[case]
