"""The help pages as files; what ComfyUI makes of them is tested in tests/comfyui."""

import re
from pathlib import Path

import pytest
from PIL import Image

PAGES = Path(__file__).resolve().parents[1] / "web" / "docs"
NAMES = sorted(path.stem for path in PAGES.glob("*.md"))
SECTIONS = ["Inputs", "Outputs", "Pitfall", "Goes together with"]
SOMETIMES = "While it runs"
MOST_BYTES = 1_000_000  # of all pictures


def test_there_are_pages():
    assert {"InhabitModelLoader", "InhabitWindowedSampler"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_its_parts(name: str):
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert [part for part in re.findall(r"^## (.+)$", text, re.MULTILINE) if part != SOMETIMES] == SECTIONS
    assert all(part.strip() for part in re.split(r"^#+ .+$", text, flags=re.MULTILINE)[1:])


@pytest.mark.parametrize("name", NAMES)
def test_it_links_its_picture_and_nothing_else(name: str):
    """ComfyUI finds pictures beside the page; any other relative link would lead to its own root."""
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert re.findall(r"!\[.+\]\(([^)]+)\)", text) == [f"img/{name}.jpg"]
    others = re.findall(r"(?<!!)\[[^\]]*\]\(([^)]+)\)", text)
    assert all(link.startswith("https://") for link in others)
    with Image.open(PAGES / "img" / f"{name}.jpg") as picture:
        assert picture.format == "JPEG" and picture.width >= 256 and picture.height >= 128


def test_pictures_are_small_and_all_used():
    pictures = sorted((PAGES / "img").iterdir())
    assert [picture.name for picture in pictures] == [f"{name}.jpg" for name in NAMES]
    assert sum(picture.stat().st_size for picture in pictures) < MOST_BYTES
