"""Write `locales/en/nodeDefs.json`, what ComfyUI's frontend shows of the nodes, from their schemas.

    python -m tests.comfyui.generate_locales

It is what translations into other languages start from. The names of outputs come from the schemas themselves:
`/object_info` gives the type of an output that has no display name.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys

from .server import COMFYUI, ROOT

LOCALE = ROOT / "locales" / "en" / "nodeDefs.json"
SCHEMAS = """
import asyncio, json, sys
import comfy.cli_args
comfy.cli_args.args.cpu = True
import inhabit

def texts(value):
    name = value.display_name or value.id
    return {"name": name, **({"tooltip": value.tooltip} if value.tooltip else {})}

extension = asyncio.run(inhabit.comfy_entrypoint())
told = {}
for node in asyncio.run(extension.get_node_list()):
    schema = node.define_schema()
    told[schema.node_id] = {
        "display_name": schema.display_name,
        "description": schema.description,
        "inputs": {value.id: texts(value) for value in schema.inputs},
        "outputs": {str(index): texts(value) for index, value in enumerate(schema.outputs)},
    }
json.dump(told, sys.stdout)
"""
SPECIAL = re.compile(r"[{}@$|]")  # have a meaning in vue-i18n's messages


def main() -> None:
    LOCALE.parent.mkdir(parents=True, exist_ok=True)
    LOCALE.write_text(json.dumps(node_defs(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def node_defs() -> dict:
    """Return the file's content as ComfyUI's frontend reads it."""
    return _escaped(schemas())


def schemas() -> dict:
    """Return id → display_name, description, inputs by name and outputs by number, from a Python that has ComfyUI."""
    done = subprocess.run([sys.executable, "-c", SCHEMAS], cwd=COMFYUI, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"the nodes' schemas could not be read: {done.stderr.strip()}")
    return json.loads(done.stdout)


def _escaped(value):
    if isinstance(value, dict):
        return {key: _escaped(inner) for key, inner in value.items()}
    return SPECIAL.sub(lambda found: "{'" + found[0] + "'}", value)


if __name__ == "__main__":
    main()
