"""Write `locales/en/nodeDefs.json`, what ComfyUI's frontend shows of the nodes, from their schemas.

    python -m tests.comfyui.generate_locales

It is what translations into other languages start from. The names of outputs come from the schemas themselves:
`/object_info` gives the type of an output that has no display name.
"""

from __future__ import annotations

import json
import re

from .cores import Core
from .scripts import run_code
from .server import ROOT, first_core

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


def node_defs(core: Core | None = None) -> dict:
    """Return the file's content as ComfyUI's frontend reads it."""
    return _escaped(schemas(core))


def schemas(core: Core | None = None) -> dict:
    """Return id → display_name, description, inputs by name and outputs by number, as a checkout's Python has them."""
    return run_code(core or first_core(), "-c", SCHEMAS)


def _escaped(value):
    if isinstance(value, dict):
        return {key: _escaped(inner) for key, inner in value.items()}
    return SPECIAL.sub(lambda found: "{'" + found[0] + "'}", value)


if __name__ == "__main__":
    main()
