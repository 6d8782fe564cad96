"""The example workflows' titles: the names of their UI forms, in the order in which people should meet them.

ComfyUI's template browser shows a file's name as its title, and lists a pack's files as the file system does: the
numbers tell the order. `workflows/api/` and `workflows/notes/` keep the short names.
"""

TITLES = {
    "first-animation": "01 First animation",
    "replace-the-sample-with-your-video": "02 Your character, your video",
    "animate-in-one-node": "03 Animate a character in one node",
    "object-interaction": "04 Objects in the hand",
    "hand-sharpness": "05 Sharp or blurred hands",
    "long-video-windows": "06 Long video, window by window",
    "long-video-clips": "07 Long video, clip by clip",
    "lora": "08 With and without a LoRA",
    "ksampler": "09 With KSampler",
    "custom-sampler-primitives": "10 The sampler in single parts",
    "masks-only": "11 Masks and poses for Wan Animate",
}
