"""Contact sheets: clips in labelled rows of evenly spaced frames, the reference picture on the left."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from ..atomic import atomic_file
from ..errors import InputError
from ..media import read_image, read_video, to_float, to_uint8

CELL = 160  # px, the longer side of one frame
GAP = 6
LABEL = 22  # px, the strip above a row
PAPER, INK = (250, 250, 248), (40, 40, 44)


def contact_sheet(
    rows: dict[str, torch.Tensor], path: str | Path, columns: int = 8, reference: torch.Tensor | None = None
) -> Path:
    """Draw labelled rows of frames into one PNG and return its path.

    Args:
        rows: name → IMAGE, float 0…1, (F, H, W, 3); every row shows the same `columns` evenly spaced moments.
        path: the PNG to write; nothing half-written is left there.
        reference: IMAGE (H, W, 3) or (1, H, W, 3), shown large on the left.
    Raises:
        InputError: no rows, a row without frames, or no columns.
    """
    if columns < 1:
        raise InputError(f"--columns is {columns}: give 1 or more")
    if not rows or any(len(frames) == 0 for frames in rows.values()):
        raise InputError(f"A contact sheet needs rows with frames, got { {name: len(f) for name, f in rows.items()} }.")
    cell = _cell_size(next(iter(rows.values())))
    strips = {name: [_picture(frames[i], cell) for i in moments(len(frames), columns)] for name, frames in rows.items()}
    portrait = None if reference is None else _portrait(reference, 2 * CELL)
    sheet = _compose(strips, cell, portrait)
    return _save(sheet, Path(path))


def video_sheet(clips: dict[str, Path], path: Path, columns: int = 8, reference: Path | None = None) -> str:
    """Draw video files as rows of one sheet → a line on each: how much it changes from frame to frame.

    clips: label → video; the rest as `contact_sheet`, with the reference as a file. Raises InputError.
    """
    rows = {name: to_float(read_video(clip).frames) for name, clip in clips.items()}
    contact_sheet(rows, path, columns, None if reference is None else read_image(reference))
    return "\n".join(_smoothness(name, frames) for name, frames in rows.items())


def difference(prediction_FHWC: torch.Tensor, target_FHWC: torch.Tensor) -> torch.Tensor:
    """Return |prediction − target| as a gray IMAGE for a sheet's row: black where they are equal."""
    return (prediction_FHWC - target_FHWC).abs().amax(dim=-1, keepdim=True).expand(-1, -1, -1, 3)


def changes(frames_FHWC: torch.Tensor) -> torch.Tensor:
    """Return the mean absolute change (F − 1,) from each frame to the next; a seam between windows is a peak in it."""
    return (frames_FHWC[1:] - frames_FHWC[:-1]).abs().mean(dim=(1, 2, 3))


def moments(frames: int, columns: int) -> list[int]:
    """Return at most `columns` evenly spaced frame numbers, the first and the last among them."""
    count = min(frames, columns)
    if count == 1:
        return [0]
    return [round(i * (frames - 1) / (count - 1)) for i in range(count)]


def _compose(strips: dict[str, list[Image.Image]], cell: tuple[int, int], portrait: Image.Image | None) -> Image.Image:
    left = GAP if portrait is None else portrait.width + 3 * GAP
    row_height = LABEL + cell[1] + GAP
    width = left + max(len(strip) for strip in strips.values()) * (cell[0] + GAP)
    least = 0 if portrait is None else LABEL + portrait.height + 2 * GAP
    sheet = Image.new("RGB", (width, max(GAP + len(strips) * row_height, least)), PAPER)
    draw = ImageDraw.Draw(sheet)
    if portrait is not None:
        _label(draw, (GAP, GAP), "reference")
        sheet.paste(portrait, (GAP, GAP + LABEL))
    for row, (name, strip) in enumerate(strips.items()):
        top = GAP + row * row_height
        _label(draw, (left, top), name)
        for column, picture in enumerate(strip):
            sheet.paste(picture, (left + column * (cell[0] + GAP), top + LABEL))
    return sheet


def _label(draw: ImageDraw.ImageDraw, position: tuple[int, int], text: str) -> None:
    draw.text(position, text, fill=INK, font=ImageFont.load_default(size=15))


def _cell_size(frames_FHWC: torch.Tensor) -> tuple[int, int]:
    height, width = frames_FHWC.shape[1:3]
    scale = CELL / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _picture(frame_HWC: torch.Tensor, size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(to_uint8(frame_HWC)).resize(size, Image.Resampling.LANCZOS)


def _portrait(reference: torch.Tensor, longest: int) -> Image.Image:
    picture_HWC = reference[0] if reference.ndim == 4 else reference
    height, width = picture_HWC.shape[:2]
    scale = longest / max(height, width)
    return _picture(picture_HWC, (max(1, round(width * scale)), max(1, round(height * scale))))


def _save(sheet: Image.Image, path: Path) -> Path:
    with atomic_file(path) as partial:
        sheet.save(partial, format="PNG", optimize=True)
    return path


def _smoothness(name: str, frames_FHWC: torch.Tensor) -> str:
    steps = changes(frames_FHWC)
    if not len(steps):
        return f"{name}: 1 frame"
    return (
        f"{name}: {len(frames_FHWC)} frames, change a frame {steps.mean():.4f} on average, "
        f"{steps.max():.4f} at most, after frame {int(steps.argmax())}"
    )
