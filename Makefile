# Sets up everything in .venv/ and node_modules/, then runs it. A step runs again only when what it was made from has
# changed; the stamp of each lies in the folder that it fills, so deleting the folder is enough to have it made anew.
.NOTPARALLEL:
.SUFFIXES:

# For `serve`, `bench`, `sdk-bots`, `micro`, `chaos`, `soak` and `simulate`: make serve ARGS="--port 3000"
ARGS ?=
# For `test`: make test TESTS=tests/core
TESTS ?= tests

PACKAGES := .venv/.packages
PROJECT := .venv/.project
NODE_MODULES := node_modules/.packages
PAGE := server/web/dist/.built
COLYSEUS := bench/peers/colyseus/node_modules/.packages
SOCKETIO := bench/peers/socketio/.venv/.packages

PAGE_SOURCES := $(shell find server/web web-client-types -type f \
	-not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)
COMPILED_SOURCES := $(wildcard server/core/*.py server/core/*/*.py server/runtime/*.py server/ops/*.py \
	server/edge/*.py server/edge/transport/*.py)
FAST_TESTS := $(wildcard tests/architecture tests/contracts tests/core tests/rooms tests/runtime)
COMPILE := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header

.PHONY: serve test check chaos soak simulate bench peers sdk-bots micro types audit lock clean

serve: $(PROJECT) $(PAGE)
	@exec .venv/bin/holdfast serve $(ARGS)

# A file stays with one worker, so its tests run in their order and share what they set up.
test: $(PROJECT) $(PAGE)
	@scripts/with-node .venv/bin/python -m pytest $(TESTS) -n 2 --dist loadfile

check: $(PROJECT) $(NODE_MODULES)
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@scripts/with-node npm run check --workspaces --if-present
	@.venv/bin/python -m pytest $(FAST_TESTS) -q

chaos: $(PROJECT)
	@.venv/bin/holdfast chaos run all $(ARGS)

# make soak ARGS="--minutes 60 --seed 7"
soak: $(PROJECT)
	@.venv/bin/holdfast chaos run soak $(ARGS)

# Holdfast beside its peers, about 20 minutes; some of it: make bench ARGS="load --peers colyseus-memory"
bench: $(PROJECT) $(COLYSEUS) $(SOCKETIO)
	@.venv/bin/python -m bench $(ARGS)

# Real SDK clients, beside the bots: make sdk-bots ARGS="--clients 200 --kill-every 5"
sdk-bots: $(PROJECT) $(NODE_MODULES)
	@.venv/bin/python -m bench.sdk $(ARGS)

# Times of the pieces of an action; the tests hold what they do, by counting.
micro: $(PROJECT)
	@.venv/bin/python -m pytest tests/micro/test_benchmarks.py -q --benchmark-enable --benchmark-disable-gc \
	--benchmark-sort=fullname --benchmark-columns=min,median,iqr,rounds --benchmark-time-unit=us $(ARGS)

# The same game on other servers, installed and held against ours.
peers: $(PROJECT) $(COLYSEUS) $(SOCKETIO)
	@.venv/bin/python -m pytest bench/peers -q

simulate: $(PROJECT)
	@.venv/bin/python -m tests.simulation $(ARGS)

types: $(PROJECT)
	@.venv/bin/holdfast types

# Strict: a package the registry says nothing about counts as not audited. Both are asked, whatever the first says.
audit: $(PACKAGES)
	@status=0; \
	.venv/bin/pip-audit --strict --disable-pip --require-hashes -r requirements.lock -r requirements-prod.lock \
		-r bench/peers/socketio/requirements.lock || status=1; \
	scripts/with-node npm audit --package-lock-only || status=1; \
	(cd bench/peers/colyseus && NODE_MIN=22 ../../../scripts/with-node npm audit --package-lock-only) || status=1; \
	[ $$status = 0 ] || echo "· NOT CLEAN: a vulnerability is known, or a registry does not answer such questions; see above"; \
	exit $$status

lock: $(PACKAGES)
	@$(COMPILE) --extra embedded --extra dev pyproject.toml -o requirements.lock
	@$(COMPILE) pyproject.toml -o requirements-prod.lock
	@$(COMPILE) --extra build pyproject.toml -o requirements-build.lock
	@scripts/with-node npm install --package-lock-only --omit-lockfile-registry-resolved
	@$(COMPILE) bench/peers/socketio/requirements.in -o bench/peers/socketio/requirements.lock
	@cd bench/peers/colyseus && NODE_MIN=22 ../../../scripts/with-node npm install --package-lock-only

# The data in .holdfast/ is not ours to clean.
clean:
	@rm -rf .venv .setup node_modules server/web/node_modules web-client-types/node_modules tests/sdk/node_modules
	@rm -rf bench/sdk/node_modules bench/peers/colyseus/node_modules bench/peers/socketio/.venv
	@rm -rf server/web/dist web-client-types/dist build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(PACKAGES): requirements.lock
	@scripts/make-venv
	@echo "· Python packages (about a minute, once)"
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

# Without isolation the build takes the locked setuptools, not whatever is newest today.
# It compiles the hot path, beside its sources; without a C compiler these run as they are, and so they do after a change.
$(PROJECT): $(PACKAGES) pyproject.toml setup.py $(COMPILED_SOURCES)
	@echo "· Holdfast itself, its hot path compiled (about a minute)"
	@PYTHONWARNINGS=ignore .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--no-build-isolation --editable .
	@.venv/bin/python -c 'import server; server.is_compiled or print("· no C compiler, or no headers of Python: the hot path runs as Python, slower")'
	@touch $@

# After the Python packages: Node.js may be one of them.
$(NODE_MODULES): $(PACKAGES) package-lock.json
	@echo "· Node packages (about 20 s, once)"
	@scripts/with-node npm ci --no-audit --no-fund --no-update-notifier --loglevel=error >/dev/null
	@touch $@

$(PAGE): $(NODE_MODULES) $(PAGE_SOURCES)
	@echo "· the page"
	@scripts/with-node npm run build --silent --workspace server/web >/dev/null
	@touch $@

$(COLYSEUS): $(PACKAGES) bench/peers/colyseus/package-lock.json
	@echo "· Colyseus (about 5 s, once)"
	@cd bench/peers/colyseus && NODE_MIN=22 ../../../scripts/with-node npm ci --loglevel=error >/dev/null
	@touch $@

# By the pip of ours: the Python of some systems makes no environment with one.
$(SOCKETIO): $(PACKAGES) bench/peers/socketio/requirements.lock
	@echo "· python-socketio (about 10 s, once)"
	@.venv/bin/python -m venv --clear --without-pip bench/peers/socketio/.venv
	@.venv/bin/python -m pip --python bench/peers/socketio/.venv install --quiet --disable-pip-version-check \
		--require-hashes -r bench/peers/socketio/requirements.lock
	@touch $@
