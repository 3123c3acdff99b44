# make course: learn.   make test: see that all is well.   make help: the rest.
PYTHON ?= python3
BIN := .venv/bin
# Each is made by an install, and the later two hold all of those before them.
STAMP := .venv/installed
TESTER := .venv/tester
DEVELOPER := .venv/developer
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
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
              test_dream_panel.py test_studio_page.py test_clone.py test_benchmarks.py \
              test_alt_texts.py test_lab.py test_book_whole.py test_slides.py test_wheels.py)

.PHONY: help install course studio room reproduce test test-solved quick test-portable test-gpu coverage lint typecheck bench
.PHONY: papers player maps lessons lesson weights book slides pdf guide wheels lock

help:           ## these lines
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 16

install: $(STAMP)  ## create .venv and install the course into it, once

# The stamp is written last, so an install that failed or was interrupted is begun anew.
# On Linux PyPI's PyTorch brings 5 GB of GPU libraries. TORCH_INDEX names where another one lies, such as PyTorch's own for
# the processor alone; once it is there it is kept.
$(STAMP): pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit("The course wants Python 3.11 or newer; this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	@test -f $@ || "$(PYTHON)" -m venv --clear .venv
	@rm -f $@
	@echo "Installing the course into .venv: a few minutes, once."
	$(if $(TORCH_INDEX),$(PIP) -c constraints.txt --index-url '$(TORCH_INDEX)' torch torchvision)
	$(if $(LOCKED),$(PIP) --require-hashes -r requirements.lock)
	$(PIP) -c constraints.txt -e '.[lab,game]'
	@$(OWN) $(BIN)/python -c 'import matplotlib.font_manager'  # finds the fonts, and might say so in a lesson
	@touch $@

# What a room needs on top, and papers at scale.
.venv/room .venv/scale: $(STAMP)
	@rm -f $@
	$(PIP) -c constraints.txt -e '.[lab,game,$(notdir $@)]'
	@touch $@

# What the tests, the book and the slides need on top.
$(TESTER): $(STAMP)
	@rm -f $@
	$(PIP) -c constraints.txt -e '.[lab,game,room,scale,test,book]'
	@touch $@

# What only a developer needs.
$(DEVELOPER): $(TESTER)
	@rm -f $@
	$(PIP) -c constraints.txt -e '.[lab,game,room,scale,test,book,dev]'
	@touch $@

course: $(STAMP)  ## install if needed, bring my_course/ up to date, open JupyterLab (with ARGS="--port=9000", say)
	@$(BIN)/python -m trickkit course $(ARGS)

studio: $(STAMP)  ## paint and dream your own photos, in the browser; ROOM=1 lets others in who know the printed link
	@$(BIN)/python -m trickkit studio $(if $(ROOM),--room)

room: .venv/room  ## JupyterHub for a room of forty: prints the address and the passwords; ARGS="--port=80", say
	@$(BIN)/python -m trickkit room $(ARGS)

reproduce: .venv/scale  ## a paper's tables from many seeds: make reproduce PAPER=goodfellow2015, with ON=, SEEDS=, FULL=1
	@$(BIN)/python -m trickkit reproduce $(PAPER) $(if $(ON),--on $(ON)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(FULL),--full)

test: $(TESTER)    ## the package's tests and every lesson; LESSON=03 runs one lesson
	@test -n "$(TESTED)" || { echo "There is no lesson $(LESSON). There are: $(notdir $(wildcard notebooks/*.ipynb))"; exit 2; }
	$(PYTEST) $(TESTED) $(OWN_TESTS)

test-solved: $(TESTER)  ## every lesson with its exercises solved; LESSON=03 runs one
	$(PYTEST) --dist load -m solved tests/test_lessons.py $(if $(LESSON),-k '$(LESSON)_')

quick: $(TESTER)   ## the package's tests alone: no lessons, no browser
	$(PYTEST) tests $(NO_BROWSER)

test-portable: $(TESTER)  ## the lessons as on an older processor, one thread; then with this one's own instructions and two
	ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell \
	  NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL AVX512_SPR" $(PYTEST) notebooks
	$(OWN) OMP_NUM_THREADS=2 $(BIN)/python -m pytest -q --nbval notebooks

test-gpu: $(TESTER) ## what a GPU could change: the lessons and the package's tests, on it
	@$(BIN)/python -c 'import sys, torch; sys.exit(0 if torch.cuda.is_available() else "PyTorch sees no GPU here; the tests on the processor are `make test`.")'
	$(OWN) CUDA_VISIBLE_DEVICES=$${CUDA_VISIBLE_DEVICES:-0} $(BIN)/python -m pytest -q --nbval tests notebooks $(NO_BROWSER)

coverage: $(DEVELOPER) ## which lines of the package its own tests run (no lessons, no browser)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 tests $(NO_BROWSER) --cov=trickkit --cov-report=term:skip-covered

lint: $(TESTER)    ## ruff on the package, the tests and the lessons
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

typecheck: $(DEVELOPER) ## mypy on the package
	$(BIN)/python -m mypy

bench: $(TESTER)   ## on the processor, the same work by us and by other libraries (they are installed first)
	$(PIP) --no-deps $$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["bench"])')
	@for script in benchmarks/bench_*.py; do echo "== $$script"; CUDA_VISIBLE_DEVICES= $(BIN)/python $$script || exit; done

papers: $(TESTER)  ## gather PAPERS.md from the lessons' stored outputs
	$(BIN)/python -m trickkit.papers

weights: $(STAMP) ## make anew what the course made itself (data/weights, data/stickers, data/examples): three hours
	$(BIN)/python -m trickkit.course.weights

player: $(STAMP)  ## train a player of Space Invaders, an hour and a half on two cores; MOVES=2000000 goes on from there; NET=2015 wants a GPU
	@$(BIN)/python -m trickkit.course.player --net $(or $(NET),2013) $(if $(MOVES),--moves $(MOVES))

maps: $(TESTER)    ## bring the tables of lessons and modules, and the "Next lesson" lines, up to date
	$(BIN)/python tools/maps.py

lessons: $(TESTER) ## run the lessons, keep their outputs, and draw their panels for the book; LESSON=03 runs one
	$(BIN)/python tools/refresh.py $(wildcard notebooks/$(LESSON)*.ipynb)
	@for lesson in notebooks/$(LESSON)*.ipynb; do OMP_NUM_THREADS=1 $(BIN)/python tools/frames.py $$lesson || exit; done

lesson: $(TESTER)  ## begin a lesson that passes its tests: make lesson NAME=22_my_lesson
	@test -n "$(NAME)" || { echo "Which lesson? make lesson NAME=22_my_lesson"; exit 2; }
	$(BIN)/python tools/new_lesson.py $(NAME)

book: $(TESTER)   ## the lessons as a book to read in the browser, in build/book; nothing is run for it
	$(OWN) $(BIN)/python tools/book.py

pdf: $(TESTER)    ## a lesson on paper, in build/pdf: make pdf LESSON=03
	$(OWN) $(BIN)/python tools/pdf.py $(LESSON)

slides: $(TESTER) ## a deck made from a lesson, in build/slides: make slides LESSON=03; all of them without LESSON
	$(OWN) $(BIN)/python tools/slides.py $(LESSON)

guide: $(TESTER)  ## bring the counted parts of TEACHING.md up to date
	$(BIN)/python tools/guide.py

wheels: $(TESTER) ## what could be published, in build/wheels: three wheels of one version
	$(BIN)/python tools/wheels.py

lock: $(DEVELOPER) ## the exact versions with their checksums, of constraints.txt, for LOCKED=1
	$(BIN)/uv pip compile pyproject.toml --extra lab --extra game --extra room --extra scale \
	  --extra test --extra book -c constraints.txt --universal \
	  --python-version 3.11.7 --generate-hashes --no-header --no-annotate --no-emit-index-url -q -o requirements.lock
