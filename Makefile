# The project's commands, described in CONTRIBUTING.md.
.PHONY: run test test-speech test-markup bench lint format requirements messages

PORT ?= 8000
export PORT
VENV := .venv
PYTHON := $(VENV)/bin/python

# Only indents: a formatter that breaks lines would add spaces that users see and hear.
INDENT = $(VENV)/bin/djhtml --tabwidth 2

# Install quietly, and only when the requirements changed; report why if a step fails.
install = @test -x $(PYTHON) || python3 -m venv $(VENV) || { echo "Install Python 3.11 or newer with its venv module (Debian: apt install python3-venv)."; exit 1; }; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Parley needs Python 3.11 or newer; this is `$(PYTHON) --version`."; exit 1; }; \
	cmp -s requirements/$(1).txt $(VENV)/$(1).installed || { echo "Installing what requirements/$(1).txt lists ..."; \
	$(PYTHON) -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/$(1).txt && \
	cp requirements/$(1).txt $(VENV)/$(1).installed; }

run:
	$(call install,base)
	@$(PYTHON) manage.py migrate --verbosity 0
	@$(PYTHON) manage.py collectstatic --no-input --verbosity 0
	@echo "Parley is on $${SITE_URL:-http://127.0.0.1:$(PORT)} (stop it with Ctrl+C)"
	@exec $(VENV)/bin/daphne --verbosity 0 --endpoint tcp:port=$(PORT):interface=127.0.0.1:backlog=1024 --websocket_timeout -1 --websocket_connect_timeout 20 \
		--websocket-max-message-size 131072 --websocket-max-frame-size 131072 config.asgi:application

test:
	$(call install,test)
	@$(PYTHON) -m tests.install
	@$(MAKE) --no-print-directory checks

# Tests run in parallel: servers and browsers mostly wait. Fewer for browser tests that assert sub-second timing.
SEVERAL = --dist worksteal --numprocesses
LOOK_AT_THE_CLOCK := e2e/browsers e2e/test_conversation.py e2e/test_listening.py e2e/test_live.py e2e/test_live_view.py e2e/test_people.py e2e/test_staying_live.py
# These have commands of their own, below.
BY_THEMSELVES := e2e/speech e2e/markup
NEED_SERVERS := tests/live tests/faults

.PHONY: checks types migrations sqlite postgres
checks:
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(INDENT) --check templates
	@$(MAKE) --no-print-directory --jobs=2 --output-sync types migrations sqlite postgres
	$(PYTHON) -m pytest $(NEED_SERVERS) $(SEVERAL) 3
	$(PYTHON) -m pytest e2e $(BY_THEMSELVES:%=--ignore=%) $(LOOK_AT_THE_CLOCK:%=--ignore=%) $(SEVERAL) 4
	$(PYTHON) -m pytest $(LOOK_AT_THE_CLOCK) $(SEVERAL) 2

# Random hostile texts, names and pictures; fails if anything takes longer, grows larger or is answered worse than the
# limits allow. A short run of it is part of the tests.
.PHONY: fuzz
MINUTES ?= 5
fuzz:
	$(call install,test)
	@seed=$${FUZZ_SEED:-$$(date +%s)}; echo "FUZZ_SEED=$$seed, for $(MINUTES) minutes"; \
	FUZZ_SEED=$$seed FUZZ_SECONDS=$$(( $(MINUTES) * 60 )) $(PYTHON) -m pytest tests/fuzz -s

# A random walk through a site with failures; fails if a text is lost, duplicated or shown to another user.
.PHONY: walk
STEPS ?= 500
walk:
	$(call install,test)
	@seed=$${WALK_SEED:-$$(date +%s)}; echo "WALK_SEED=$$seed, $(STEPS) steps"; \
	WALK_SEED=$$seed WALK_STEPS=$(STEPS) $(PYTHON) -m pytest e2e/test_walk.py -s

types:
	$(VENV)/bin/mypy .

migrations:
	$(PYTHON) manage.py makemigrations --check --dry-run

sqlite:
	$(PYTHON) -m pytest tests $(NEED_SERVERS:%=--ignore=%)

postgres:
	$(PYTHON) -m tests.on_postgres tests --ignore=tests/core --ignore=tests/fuzz $(NEED_SERVERS:%=--ignore=%)
	$(PYTHON) -m tests.on_postgres tests/core/test_database.py

# What a screen reader (Orca) says. Separate, since it needs a display and some minutes.
test-speech:
	$(call install,test)
	@$(PYTHON) -m tests.install speech
	dbus-run-session -- $(PYTHON) -m pytest e2e/speech

# Whether the pages are valid HTML. Separate, since it needs npm and Java.
test-markup:
	$(call install,test)
	@$(PYTHON) -m tests.install markup
	npm --prefix e2e/markup ci --silent
	$(PYTHON) -m pytest e2e/markup

lint:
	$(call install,test)
	$(PYTHON) -m tests.commits
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(INDENT) --check templates
	$(VENV)/bin/mypy .

format:
	$(call install,test)
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .
	$(INDENT) templates

bench:
	$(call install,test)
	@$(PYTHON) -m bench

# Update the catalogues in config/locale from the code, and compile them (docs/translating.md).
messages:
	$(call install,test)
	$(PYTHON) manage.py makemessages --all --no-obsolete --add-location file --ignore .venv --ignore var --ignore tests --ignore e2e --ignore bench
	$(PYTHON) manage.py makemessages --all --no-obsolete --add-location file --domain djangojs --ignore .venv --ignore var --ignore static/vendor
	$(PYTHON) manage.py compilemessages --ignore .venv --verbosity 0

# Compile requirements/*.in to lists with hashes, for every platform and Python that the site supports.
requirements:
	$(call install,test)
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header requirements/base.in -o requirements/base.txt
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header -c requirements/base.txt requirements/test.in -o requirements/test.txt
