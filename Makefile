# make course: learn.   make test: see that all is well.   make help: the rest.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
LESSON ?=
ARGS ?=
# The tests read and write nothing of one's own: no IPython start-up files, no home folder at all.
OWN := IPYTHONDIR="$(CURDIR)/.venv/ipython" MPLCONFIGDIR="$(CURDIR)/.venv/matplotlib"
PYTEST := $(OWN) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --nbval -n 2
TESTED := $(if $(LESSON),$(wildcard notebooks/$(LESSON)*.ipynb),notebooks tests)
# A lesson's own tests stand in files that are called as the lesson is, but for its number.
THEME = $(patsubst $(LESSON)_%,%,$(basename $(notdir $(TESTED))))
OWN_TESTS = $(if $(LESSON),$(wildcard tests/test_$(THEME).py tests/check/test_$(THEME).py) \
            tests/test_lessons.py -k '$(LESSON)_ or test_$(THEME)')
# What runs a lesson or drives a browser.
NO_BROWSER := $(addprefix --ignore=tests/,test_browser.py test_panels.py test_gaze_panel.py test_atlas_panel.py \
              test_dream_panel.py test_studio_page.py test_clone.py test_benchmarks.py)
DEVELOPER := .venv/developer

.PHONY: help install course studio test test-solved quick test-portable test-gpu coverage lint typecheck bench
.PHONY: papers player maps lessons lesson weights api

help:           ## these lines
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 16

install: $(STAMP)  ## create .venv and install the course into it, once

# The stamp is written last, so an install that failed or was interrupted is begun anew.
$(STAMP): pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit("The course wants Python 3.11 or newer; this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	@test -f $@ || "$(PYTHON)" -m venv --clear .venv
	@rm -f $@
	@echo "Installing the course into .venv: a few minutes, once."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,game]'
	@$(OWN) $(BIN)/python -c 'import matplotlib.font_manager'  # finds the fonts, and might say so in a lesson
	@touch $@

# What only a developer needs, on top.
$(DEVELOPER): $(STAMP)
	@rm -f $@
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,game,dev]'
	@touch $@

course: $(STAMP)  ## install if needed, bring my_course/ up to date, open JupyterLab (with ARGS="--port=9000", say)
	@$(BIN)/python -m trickkit $(ARGS)

studio: $(STAMP)  ## paint and dream your own photos, in the browser; ROOM=1 lets others in who know the printed link
	@$(BIN)/python -m trickkit.course.studio $(if $(ROOM),--room)

test: $(STAMP)    ## the package's tests and every lesson; LESSON=03 runs one lesson
	@test -n "$(TESTED)" || { echo "There is no lesson $(LESSON). There are: $(notdir $(wildcard notebooks/*.ipynb))"; exit 2; }
	$(PYTEST) $(TESTED) $(OWN_TESTS)

test-solved: $(STAMP)  ## every lesson with its exercises solved; LESSON=03 runs one
	$(PYTEST) --dist load -m solved tests/test_lessons.py $(if $(LESSON),-k '$(LESSON)_')

quick: $(STAMP)   ## the package's tests alone: no lessons, no browser
	$(PYTEST) tests $(NO_BROWSER)

test-portable: $(STAMP)  ## the lessons as on an older processor, one thread; then with this one's own instructions and two
	ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell \
	  NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL AVX512_SPR" $(PYTEST) notebooks
	$(OWN) OMP_NUM_THREADS=2 $(BIN)/python -m pytest -q --nbval notebooks

test-gpu: $(STAMP) ## what a GPU could change: the lessons and the package's tests, on it
	@$(BIN)/python -c 'import sys, torch; sys.exit(0 if torch.cuda.is_available() else "PyTorch sees no GPU here; the tests on the processor are `make test`.")'
	$(OWN) CUDA_VISIBLE_DEVICES=$${CUDA_VISIBLE_DEVICES:-0} $(BIN)/python -m pytest -q --nbval tests notebooks $(NO_BROWSER)

coverage: $(DEVELOPER) ## which lines of the package its own tests run (no lessons, no browser)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 tests $(NO_BROWSER) --cov=trickkit --cov-report=term:skip-covered

lint: $(STAMP)    ## ruff on the package, the tests and the lessons
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

typecheck: $(DEVELOPER) ## mypy on the package
	$(BIN)/python -m mypy

bench: $(STAMP)   ## on the processor, the same work by us and by other libraries (they are installed first)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["bench"])')
	@for script in benchmarks/bench_*.py; do echo "== $$script"; CUDA_VISIBLE_DEVICES= $(BIN)/python $$script || exit; done

papers: $(STAMP)  ## gather PAPERS.md from the lessons' stored outputs
	$(BIN)/python -m trickkit.papers

weights: $(STAMP) ## make anew what the course made itself (data/weights, data/stickers, data/examples): three hours
	$(BIN)/python -m trickkit.course.weights

player: $(STAMP)  ## train a player of Space Invaders, an hour and a half on two cores; MOVES=2000000 goes on from there; NET=2015 wants a GPU
	@$(BIN)/python -m trickkit.course.player --net $(or $(NET),2013) $(if $(MOVES),--moves $(MOVES))

maps: $(STAMP)    ## bring the tables of lessons and modules, and the "Next lesson" lines, up to date
	$(BIN)/python tools/maps.py

lessons: $(STAMP) ## run the lessons and keep their outputs; LESSON=03 runs one
	$(BIN)/python tools/refresh.py $(wildcard notebooks/$(LESSON)*.ipynb)

lesson: $(STAMP)  ## begin a lesson that passes its tests: make lesson NAME=22_my_lesson
	@test -n "$(NAME)" || { echo "Which lesson? make lesson NAME=22_my_lesson"; exit 2; }
	$(BIN)/python tools/new_lesson.py $(NAME)

api: $(DEVELOPER) ## the package's docstrings as pages, in build/api
	$(BIN)/python -m pdoc --docformat markdown --template-directory tools/api --output-directory build/api trickkit
