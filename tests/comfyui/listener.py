"""A program that queues workflows and listens to ComfyUI's websocket, as a browser does."""

from __future__ import annotations

import asyncio
import base64
import io
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from .server import RUN_SECONDS, ComfyServer

PREVIEW = "inhabit.preview"
ENDS = ("execution_success", "execution_error", "execution_interrupted")


@dataclass
class Heard:
    """What one workflow sent: (event, data) in order to the one who queued it, and to somebody else."""

    events: list[tuple[str, dict]] = field(default_factory=list)
    elsewhere: list[tuple[str, dict]] = field(default_factory=list)

    def of(self, event: str) -> list[dict]:
        return [data for name, data in self.events if name == event]


@dataclass
class Animation:
    """A WebP: frames (F, H, W, 3), uint8, and how long it takes in all."""

    frames: np.ndarray
    seconds: float


def listen(server: ComfyServer, prompt: dict, until: Callable[[str, dict], bool] = lambda *_: False) -> Heard:
    """Queue an API-format workflow and return what came until it ended; `until(event, data)` interrupts it."""
    return asyncio.run(asyncio.wait_for(_listen(server, prompt, until), RUN_SECONDS))


def animation(preview: dict) -> Animation:
    """Return the picture of a preview's data."""
    image, frames, milliseconds = Image.open(io.BytesIO(base64.b64decode(preview["webp"]))), [], 0
    assert image.format == "WEBP"
    for number in range(image.n_frames):
        image.seek(number)
        frames.append(np.asarray(image.convert("RGB")))  # loads it, which the duration needs
        milliseconds += image.info["duration"]
    return Animation(np.stack(frames), milliseconds / 1000)


async def _listen(server: ComfyServer, prompt: dict, until: Callable[[str, dict], bool]) -> Heard:
    import aiohttp  # of ComfyUI's requirements

    me, heard = uuid.uuid4().hex, Heard()
    async with aiohttp.ClientSession(server.url) as session, session.ws_connect("/ws?clientId=somebody") as other:
        async with session.ws_connect(f"/ws?clientId={me}", max_msg_size=0) as mine:
            answer = await session.post("/prompt", json={"prompt": prompt, "client_id": me})
            assert answer.status == 200, await answer.text()
            async for message in mine:
                if message.type == aiohttp.WSMsgType.TEXT:
                    told = message.json()
                    heard.events.append((told["type"], told["data"]))
                    if until(*heard.events[-1]):
                        await session.post("/interrupt", json={})
                    if told["type"] in ENDS:
                        break
        await other.ping()
        while True:
            try:
                told = await other.receive_json(timeout=0.5)
            except (TimeoutError, TypeError):
                return heard
            heard.elsewhere.append((told["type"], told["data"]))
