"""All that touches ComfyUI's unstable API: the pack as a native MODEL, and what core asks of one."""
