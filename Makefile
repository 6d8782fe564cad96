# make venv     the environment in .venv (every other target makes it first)
# make demo     a puppet scene, animated with the bundled model, in demo/
# make test     the tests, with those that need ComfyUI where $(COMFYUI_DIR) holds a checkout
# make bench    speed and memory next to diffusers' own UNetMotionModel
# make card     the bundled model's numbers over 16 held-out scenes
# make comfyui  prepares a ComfyUI checkout for tests/comfyui, or says how to get one

PYTHON ?= python3
COMFYUI_DIR ?= $(HOME)/ComfyUI
export COMFYUI_DIR

BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: venv demo test bench card comfyui clean

venv: $(INSTALLED)

# torch and torchvision come first and together, so that their versions fit; the pack's own requirements list neither.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Inhabit needs Python 3.11 or newer, this is %d.%d: make PYTHON=/path/to/python3.11 ..." % sys.version_info[:2])'
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --disable-pip-version-check torch torchvision
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[evaluation,train,test]'
	$(BIN)/python -c 'import cv2' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check opencv-python-headless
	@touch $@

demo: venv
	$(BIN)/inhabit demo --out demo

test: venv
	@if [ -f "$(COMFYUI_DIR)/requirements.txt" ]; then $(MAKE) --no-print-directory comfyui; fi
	$(BIN)/python -m pytest

bench: venv
	$(BIN)/inhabit bench --preset puppets --out bench-puppets.json
	$(BIN)/inhabit bench --preset sd15 --dtype float32 --out bench-sd15-float32.json
	$(BIN)/inhabit bench --preset sd15 --dtype bfloat16 --out bench-sd15-bfloat16.json

card: venv
	$(BIN)/inhabit card --out card

# Everything ComfyUI asks for but torchaudio, whose newest release does not import beside the newest torch.
comfyui: venv
	@if [ -f "$(COMFYUI_DIR)/requirements.txt" ]; then \
		grep -v '^torchaudio' "$(COMFYUI_DIR)/requirements.txt" > .venv/comfyui-requirements.txt && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -r .venv/comfyui-requirements.txt playwright && \
		echo "ComfyUI at $(COMFYUI_DIR) is ready for tests/comfyui."; \
	else \
		echo "No ComfyUI at $(COMFYUI_DIR). Get one with"; \
		echo "    git clone https://github.com/comfyanonymous/ComfyUI $(COMFYUI_DIR)"; \
		echo "or name another place with COMFYUI_DIR=..., then run make comfyui again."; \
	fi

clean:
	rm -rf .venv demo card build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
