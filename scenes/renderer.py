"""Rendering puppet scenes: random access to any frame, for either character."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import InputError
from ..media.opencv import cv2
from . import body
from .character import Character, make_character
from .drawing import Canvas
from .environment import make_backdrop, make_plate
from .motion import FPS, KINDS, Controls, idle_controls, make_controls
from .objects import make_thing
from .own_body import own_points
from .puppet import Puppet
from .scene import HELD_OUT_SEED, Frame, Scene

SMALLEST, LARGEST = 96, 512
SHUTTER = 0.75  # share of the frame time the shutter is open, where none is given
_STREAMS = {"A": 1, "B": 2, "place": 3, "motion": 4, "thing": 5, "framing": 6, "reference": 7}


def _check(seed: int, kind: str, width: int, height: int, frames: int) -> None:
    if kind not in KINDS:
        raise InputError(f"kind is {kind!r}; use one of {', '.join(KINDS)}")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"seed is {seed!r}; use a whole number from 0")
    for name, value in (("width", width), ("height", height)):
        if not isinstance(value, (int, np.integer)) or not SMALLEST <= value <= LARGEST:
            raise InputError(f"{name} is {value!r}; use a whole number of pixels from {SMALLEST} to {LARGEST}")
    if not isinstance(frames, (int, np.integer)) or frames < 1:
        raise InputError(f"frames is {frames!r}; use a whole number from 1")


class SceneRenderer:
    """A puppet scene by seed with random access to its frames.

    Character B stands on character A's joints: the pose conditions determine the pose, nothing is retargeted, so B's
    target matches the driving pose exactly while thickness, clothes, hair and face are B's own. Both faces follow the
    same landmarks; head sizes differ by at most 13 %.

    Args:
        seed: any whole number from 0; from `HELD_OUT_SEED` on it is held out from training.
        kind: one of `KINDS`.
        width, height: 96…512 pixels.
        frames: length of the clip at 24 frames a second.
        shutter: 0…1, the share of the frame time the shutter is open: what moves is blurred along its way; 0: nothing.

    Raises:
        InputError: for a value outside these ranges.
    """

    def __init__(
        self,
        seed: int,
        kind: str = "walk",
        width: int = 128,
        height: int = 128,
        frames: int = 48,
        shutter: float = SHUTTER,
    ) -> None:
        _check(seed, kind, width, height, frames)
        if not 0 <= shutter <= 1:
            raise InputError(f"shutter is {shutter!r}; use a share of the frame time from 0 to 1")
        self.shutter = shutter
        self.seed, self.kind, self.width, self.height, self.frames = (
            int(seed),
            kind,
            int(width),
            int(height),
            int(frames),
        )
        self._kind = KINDS.index(kind)
        self._supersampling = 2 if max(width, height) <= 256 else 1
        first = make_character(self._rng("A"))
        self.characters: dict[str, Character] = {"A": first, "B": make_character(self._rng("B"), first)}
        self._rig = body.make_rig(self._rng("motion"))
        self._own: dict[str, np.ndarray] = {}  # points of characters with bones of their own, once they are asked for
        self._frame_picture()
        self._move()
        self._paint_place()
        self._thing = make_thing(self._rng("thing")) if self._hold is not None else None

    def _rng(self, stream: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, self._kind, _STREAMS[stream]])

    def _frame_picture(self) -> None:
        """Choose the body height in pixels, the picture origin and the light."""
        rng = self._rng("framing")
        tall = rng.uniform(0.76, 0.86) * min(self.height, 1.5 * self.width)
        if self.kind == "handface":
            tall *= rng.uniform(1.7, 2.05)
            top = 0.5 * self.height - 0.5 * 0.42 * tall
            self._ground = top + tall * 1.0
        else:
            self._ground = self.height - max(0.055 * self.height, (self.height - tall) * rng.uniform(0.3, 0.45))
        self._unit = tall
        self._centre = self.width / 2 + rng.uniform(-0.03, 0.03) * self.width
        angle = rng.uniform(-0.9, 0.9)
        self._light = np.array([np.sin(angle), -np.cos(angle)])
        self._front = bool(rng.random() < (0.0 if self.kind == "handface" else 0.35))

    def _move(self) -> None:
        """Joints of every frame and their velocities per frame, from three moments a frame."""
        moments = (np.arange(self.frames)[:, None] + np.array([-0.25, 0.0, 0.25])).ravel() / FPS
        controls = self._controls(moments)
        points = body.solve(self._rig, controls).reshape(self.frames, 3, body.POINTS, 3)
        points = body.project(points, self._unit, (self._centre, self._ground))
        self._points, self._velocity = points[:, 1], (points[:, 2] - points[:, 0]) * 2
        self._hold = None if controls.hold is None else controls.hold.reshape(self.frames, 3, 2)[:, 1]
        travel = controls.travel.reshape(self.frames, 3)[:, 1] * self._unit
        self._travel = travel - travel.min()

    def _paint_place(self) -> None:
        wide = self.width + int(np.ceil(self._travel.max()))
        plate = make_plate(
            self._rng("place"), wide, self.height, self._supersampling, self._ground, self._unit, self._front
        )
        self._plate = plate
        # Depth 0…255 of the character's plane and its gain per body height.
        self._plane, self._gain = 150.0, 220.0
        self._plane_z = float(self._points[:, body.PELVIS, 2].mean())

    def _depth_of(self, z: float) -> int:
        return int(min(max(self._plane + self._gain * (z - self._plane_z), 92), 208))

    def _crop(self, plate: np.ndarray, index: int) -> np.ndarray:
        """The camera's part of a plate (H·s, W'·s, …), at sub-pixel positions when it moves."""
        s = self._supersampling
        wide, offset = self.width * s, float(self._travel[index]) * s
        left = int(offset)
        share = offset - left
        view = plate[:, left : left + wide]
        if share < 1e-3 or left + wide >= plate.shape[1]:
            return view.copy()
        return cv2.addWeighted(view, 1 - share, plate[:, left + 1 : left + 1 + wide], share, 0)

    def _sub_frames(self, index: int) -> np.ndarray:
        """Moments −½…½ of the shutter to average: one when everything is slow, up to four (eight in large pictures)."""
        speed = np.abs(self._velocity[index, : body.FACE.stop, :2]).max() * self.shutter
        most = 4 if max(self.width, self.height) <= 192 else 8
        count = int(np.clip(np.ceil(speed / 2.0), 1, most))
        return (np.arange(count) + 0.5) / count - 0.5

    def _paint(
        self, index: int, moment: float, character: Character, base: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Colour with depth, and masks, (H, W, 4) uint8 each, at one moment and before occluders."""
        points = self._points[index] + moment * self.shutter * self._velocity[index]
        canvas = Canvas(base.copy(), self._supersampling, max(0.5, self._unit * 0.006))
        self._shadows(canvas, points, character)
        puppet = Puppet(points, character, self._unit, self._depth_of, self._light)
        puppet.draw(canvas, self._thing, None if self._hold is None else self._hold[index])
        return self._shaded(self._down(canvas.paint), self._down(canvas.marks))

    def _down(self, picture: np.ndarray) -> np.ndarray:
        if self._supersampling == 1:
            return picture
        return cv2.resize(picture, (self.width, self.height), interpolation=cv2.INTER_AREA)

    def _shadows(self, canvas: Canvas, points: np.ndarray, character: Character) -> None:
        unit, wide = self._unit, character.thickness**0.5
        middle = np.array([points[body.PELVIS, 0], self._ground + 0.005 * unit])
        canvas.shadow(middle, 0.17 * unit * wide, 0.032 * unit, 0.28)
        for side in (0, 1):
            foot = (points[body.TOES.start + side, :2] + points[body.HEELS.start + side, :2]) / 2
            lifted = max(self._ground - foot[1], 0) / (0.1 * unit)
            place = np.array([foot[0], max(foot[1], self._ground) + 0.01 * unit])
            canvas.shadow(place, 0.062 * unit * wide, 0.02 * unit, 0.5 / (1 + 2 * lifted))

    def _shaded(self, paint: np.ndarray, marks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Darken the silhouette's side away from the light (soft rim shading)."""
        solid = cv2.max(cv2.extractChannel(marks, 0), cv2.extractChannel(marks, 1))
        radius = max(int(self._unit * 0.035) | 1, 3)
        soft = cv2.blur(solid, (radius, radius))
        dx, dy = -self._light * radius * 0.7
        shift = np.array([[1, 0, -dx], [0, 1, -dy]], np.float32)
        open_side = cv2.subtract(solid, cv2.warpAffine(soft, shift, (self.width, self.height), flags=cv2.INTER_NEAREST))
        factor = cv2.LUT(open_side, _RIM)
        shaded = cv2.multiply(paint, cv2.merge([factor, factor, factor, _full(factor)]), scale=1 / 255)
        return shaded, marks

    def frame(self, index: int, identity: str = "A") -> Frame:
        """Render one frame with character "A" (driving) or "B" (target).

        Raises:
            InputError: for an index outside the clip or another identity.
        """
        character = self._character(identity)
        if not 0 <= index < self.frames:
            raise InputError(f"frame is {index}; use 0…{self.frames - 1}")
        base = self._crop(self._plate.behind, index)
        painted = [self._paint(index, m, character, base) for m in self._sub_frames(index)]
        picture = painted[len(painted) // 2][0]
        depth, image, marks = picture[..., 3], picture[..., :3], painted[0][1]
        if len(painted) > 1:
            image, marks = _average([p[0][..., :3] for p in painted]), _average([p[1] for p in painted])
        if self._plate.front is not None:
            image, depth, marks = self._occlude(index, image, depth, marks)
        layers = [np.ascontiguousarray(marks[..., i]) for i in range(4)]
        return Frame(np.ascontiguousarray(image), depth.astype(np.float32) / 255, *layers)

    def place(self, index: int) -> np.ndarray:
        """The place that one frame shows, without a character and its things and shadows, (H, W, 3) uint8.

        Raises:
            InputError: for an index outside the clip.
        """
        if not 0 <= index < self.frames:
            raise InputError(f"frame is {index}; use 0…{self.frames - 1}")
        base = self._down(self._crop(self._plate.behind, index))
        image, depth = np.ascontiguousarray(base[..., :3]), base[..., 3]
        if self._plate.front is None:
            return image
        return np.ascontiguousarray(self._occlude(index, image, depth, np.zeros_like(base))[0])

    def _occlude(self, index: int, image: np.ndarray, depth: np.ndarray, marks: np.ndarray) -> tuple[np.ndarray, ...]:
        front = self._down(self._crop(self._plate.front, index))
        cover = self._down(self._crop(self._plate.cover, index))
        top, bottom, left, right = _box(cover)
        part = np.s_[top:bottom, left:right]
        if top == bottom:
            return image, depth, marks
        # The front plate is painted on black: its colours are already multiplied by the coverage.
        keep = (255 - cover[part])[..., None]
        image, depth, marks = image.copy(), depth.copy(), marks.copy()
        image[part] = cv2.add(front[part][..., :3].copy(), cv2.multiply(image[part], _layers(keep, 3), scale=1 / 255))
        depth[part] = np.where(cover[part] > 127, 215, depth[part])
        marks[part] = cv2.multiply(marks[part], _layers(keep, 4), scale=1 / 255)
        return image, depth, marks

    def _character(self, identity: str) -> Character:
        if identity not in self.characters:
            raise InputError(f"identity is {identity!r}; use 'A' or 'B'")
        return self.characters[identity]

    def pose(self, index: int) -> dict:
        """POSE_KEYPOINT dict of one frame, pixels, score 1 in the frame and 0 outside."""
        if not 0 <= index < self.frames:
            raise InputError(f"frame is {index}; use 0…{self.frames - 1}")
        return body.keypoints(self._points[index], self.width, self.height)

    def own_pose(self, index: int, identity: str = "B") -> dict:
        """POSE_KEYPOINT dict of one frame of a character with the bones of its reference picture, see `own_body`.

        No picture shows it: in the target B stands on A's joints. It is what retargeting is measured against.
        """
        self._character(identity)
        if not 0 <= index < self.frames:
            raise InputError(f"frame is {index}; use 0…{self.frames - 1}")
        if identity not in self._own:
            rig, _ = self._own_rig(identity)
            controls = self._controls(np.arange(self.frames) / FPS)
            points = own_points(self._rig, rig, controls)
            self._own[identity] = body.project(points, self._unit, (self._centre, self._ground))
        return body.keypoints(self._own[identity][index], self.width, self.height)

    def _controls(self, moments: np.ndarray) -> Controls:
        return make_controls(self.kind, [self.seed, self._kind, _STREAMS["motion"], 1], moments)

    def _own_rig(self, identity: str) -> tuple[body.Rig, np.random.Generator]:
        """The bones of a character's reference picture, and what the rest of the picture is drawn with."""
        rng = np.random.default_rng([self.seed, self._kind, _STREAMS["reference"], _STREAMS[identity]])
        return body.make_rig(rng), rng

    def _reference_points(self, identity: str) -> tuple[np.ndarray, float, float]:
        rig, rng = self._own_rig(identity)
        points = body.solve(rig, idle_controls(rng))[0]
        unit = 0.85 * min(self.height, 2.0 * self.width) * rng.uniform(0.98, 1.0)
        x = self.width * (0.5 + rng.uniform(-0.02, 0.02))
        ground = (self.height + 1.0 * unit) / 2 + self.height * (0.01 + rng.uniform(-0.01, 0.01))
        return body.project(points, unit, (x, ground)), unit, ground

    def reference(self, identity: str = "B") -> np.ndarray:
        """Picture (H, W, 3) uint8 of a character: standing, front view, centred, arms slightly away from the body.

        The whole body takes about 88 % of the picture's height (less in narrow pictures); angles vary by at most 8°
        and the place by 2 %. The backdrop is random, as AA2 §4.1 has it behind its references.
        # Not in paper: a portrait; AA2's reference is a frame of the video itself.
        """
        character = self._character(identity)
        points, unit, ground = self._reference_points(identity)
        rng = np.random.default_rng([self.seed, self._kind, _STREAMS["reference"], 8])
        backdrop = make_backdrop(rng, self.width, self.height)
        s = self._supersampling
        base = np.zeros((self.height * s, self.width * s, 4), np.uint8)
        base[..., :3] = cv2.resize(backdrop, (self.width * s, self.height * s), interpolation=cv2.INTER_LINEAR)
        canvas = Canvas(base, s, max(0.5, unit * 0.006))
        canvas.shadow(np.array([points[body.PELVIS, 0], ground + 0.005 * unit]), 0.17 * unit, 0.03 * unit, 0.35)
        light = np.array([-0.5, -0.866])
        Puppet(points, character, unit, lambda z: 150, light).draw(canvas)
        paint, _ = self._shaded(self._down(canvas.paint), self._down(canvas.marks))
        return np.ascontiguousarray(paint[..., :3])

    def reference_pose(self, identity: str = "B") -> dict:
        """POSE_KEYPOINT dict of the reference picture."""
        self._character(identity)
        return body.keypoints(self._reference_points(identity)[0], self.width, self.height)


_RIM = np.clip(255 - 0.34 * np.arange(256), 0, 255).astype(np.uint8)


def _full(like: np.ndarray) -> np.ndarray:
    return np.full_like(like, 255)


def _layers(mask: np.ndarray, count: int) -> np.ndarray:
    return np.repeat(mask, count, axis=2)


def _average(pictures: list[np.ndarray]) -> np.ndarray:
    total = pictures[0].astype(np.uint16)
    for picture in pictures[1:]:
        total += picture
    return ((total + len(pictures) // 2) // len(pictures)).astype(np.uint8)


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    x, y, w, h = cv2.boundingRect(mask)
    return y, y + h, x, x + w


def render_scene(
    seed: int,
    kind: str = "walk",
    frames: int = 48,
    width: int = 128,
    height: int = 128,
    progress: Callable[[int], None] | None = None,
) -> Scene:
    """Render a whole scene; `progress` is called with 1 after every frame.

    Raises:
        InputError: for a value that `SceneRenderer` rejects.
    """
    renderer = SceneRenderer(seed, kind, width, height, frames)
    pairs = []
    for index in range(frames):
        pairs.append((renderer.frame(index, "A"), renderer.frame(index, "B")))
        if progress is not None:
            progress(1)
    driving = {name: np.stack([getattr(a, name) for a, _ in pairs]) for name in Frame.__dataclass_fields__}
    return Scene(
        reference=renderer.reference("B"),
        driving=driving.pop("image"),
        target=np.stack([b.image for _, b in pairs]),
        pose=[renderer.pose(i) for i in range(frames)],
        target_character=np.stack([b.character for _, b in pairs]),
        **driving,
        meta={
            "seed": int(seed),
            "kind": kind,
            "frames": int(frames),
            "width": int(width),
            "height": int(height),
            "fps": FPS,
            "held_out": bool(seed >= HELD_OUT_SEED),
        },
        reference_pose=renderer.reference_pose("B"),
    )
