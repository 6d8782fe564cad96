# make venv     the environment in .venv (every other target makes it first), and the weights that read poses off a video
# make demo     a puppet scene, animated with the bundled model, in demo/
# make test     the tests, with those that need ComfyUI on every checkout that is there: ~/ComfyUI and ~/ComfyUI-*, or
#               those that COMFYUI_DIR names (several with a colon between them)
# make bench    speed and memory next to diffusers' own UNetMotionModel
# make report     the bundled model's numbers over 16 held-out scenes
# make comfyui  gives each of these checkouts that has no virtual environment one for tests/comfyui; others stay as they are

PYTHON ?= python3
WORKERS ?= 2
# Frontends that are tested instead of those the checkouts ask for, by ComfyUI's version.
COMFYUI_FRONTEND ?= 0.33.0=1.58.1
export COMFYUI_FRONTEND

BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: venv demo test bench report comfyui clean

venv: $(INSTALLED)

# torch and torchvision come first and together, so that their versions fit; the pack's own requirements list neither.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Inhabit needs Python 3.11 or newer, this is %d.%d: make PYTHON=/path/to/python3.11 ..." % sys.version_info[:2])'
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --disable-pip-version-check torch torchvision
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[evaluation,train,test]'
	$(BIN)/python -c 'import cv2' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check opencv-python-headless
	@$(BIN)/inhabit fetch-weights --what mediapipe || echo "Without these weights poses and masks cannot be read off a video, and their tests are skipped: run 'inhabit fetch-weights --what mediapipe' when there is a network."
	@touch $@

demo: venv
	$(BIN)/inhabit demo --out demo

test: comfyui
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope

bench: venv
	$(BIN)/inhabit bench --preset puppets --out bench-puppets.json
	$(BIN)/inhabit bench --preset sd15 --dtype float32 --out bench-sd15-float32.json
	$(BIN)/inhabit bench --preset sd15 --dtype bfloat16 --out bench-sd15-bfloat16.json

report: venv
	$(BIN)/inhabit report --out report

comfyui: venv
	@$(BIN)/python -m tests.comfyui.prepare

clean:
	rm -rf .venv demo report build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
