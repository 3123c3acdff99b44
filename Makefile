# make course: learn.   make test: see that all is well.   make help: the rest.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
LESSON ?=
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --nbval -n 2
TESTED := $(if $(LESSON),$(wildcard notebooks/$(LESSON)*.ipynb),tests notebooks)

.PHONY: help install course studio test test-solved quick test-portable lint bench papers lessons weights

help:           ## these lines
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 16

install: $(STAMP)  ## create .venv and install the course into it, once

# The stamp is written last, so an install that failed or was interrupted is begun anew.
$(STAMP): pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit("The course wants Python 3.11 or newer; this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	@test -f $@ || "$(PYTHON)" -m venv --clear .venv
	@rm -f $@
	@echo "Installing the course into .venv: a few minutes, once."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

course: $(STAMP)  ## install if needed, bring my_course/ up to date, open JupyterLab
	@$(BIN)/python -m trickkit

studio: $(STAMP)  ## paint and dream your own photos, in the browser; ROOM=1 lets others in who know the printed link
	@$(BIN)/python -m trickkit.course.studio $(if $(ROOM),--room)

test: $(STAMP)    ## the package's tests and every lesson; LESSON=03 runs one lesson
	@test -n "$(TESTED)" || { echo "There is no lesson $(LESSON). There are: $(notdir $(wildcard notebooks/*.ipynb))"; exit 2; }
	$(PYTEST) $(TESTED)

test-solved: $(STAMP)  ## every lesson once more, with every exercise solved
	$(PYTEST) -m solved tests/test_lessons.py

quick: $(STAMP)   ## the package's tests alone: no lessons, no browser
	$(PYTEST) tests $(addprefix --ignore=tests/,test_browser.py test_dream_panel.py test_studio_page.py)

test-portable: $(STAMP)  ## the lessons as on an older processor, one thread; then with this one's own instructions and two
	ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 $(PYTEST) notebooks
	OMP_NUM_THREADS=2 $(BIN)/python -m pytest -q --nbval notebooks

lint: $(STAMP)    ## ruff on the package, the tests and the lessons
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(STAMP)   ## the same work by us and by other libraries (they are installed first)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["bench"])')
	$(BIN)/python benchmarks/attacks.py
	$(BIN)/python benchmarks/saliency.py
	$(BIN)/python benchmarks/art.py
	$(BIN)/python benchmarks/explanations.py
	$(BIN)/python benchmarks/rules.py

papers: $(STAMP)  ## gather PAPERS.md from the lessons' stored outputs
	$(BIN)/python -m trickkit.papers

weights: $(STAMP) ## train what the course trained itself anew (data/weights, data/stickers): three quarters of an hour
	$(BIN)/python -m trickkit.course.weights

lessons: $(STAMP) ## run the lessons and keep their outputs; LESSON=03 runs one
	$(BIN)/python tools/refresh.py $(wildcard notebooks/$(LESSON)*.ipynb)
