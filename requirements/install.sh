#!/bin/sh
# Makes a virtual environment with everything redline needs on CPU, pinned and hash-checked.
# usage: requirements/install.sh VENV     PYTHON=... chooses the interpreter
set -eu
venv=$1
here=$(dirname "$0")

fail() { echo "setup: $1" >&2; exit 2; }

suits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

python=${PYTHON:-}
if [ -z "$python" ]; then
  for candidate in python3.11 python3 python3.12 python3.13; do
    if suits "$candidate"; then python=$candidate; break; fi
  done
fi
[ -n "$python" ] || fail "needs Python 3.11, 3.12 or 3.13, found none on PATH; install one or set PYTHON=/path/to/python3"
suits "$python" || fail "needs Python 3.11, 3.12 or 3.13, got PYTHON=$python; choose another"
[ "$(uname -m)" = x86_64 ] || fail "needs an x86-64 processor for the pinned CPU build of vLLM, got $(uname -m)"
command -v g++ >/dev/null || fail "needs a C++ compiler (g++), which vLLM and DeepSpeed build kernels with; install it, e.g. apt-get install g++"
"$python" -c 'import ensurepip, venv' 2>/dev/null || fail "needs pip and venv for $python; install them, e.g. apt-get install python3-pip python3-venv"

started=$(date +%s)
step() { echo "setup: [$(($(date +%s) - started)) s] $1"; }

step "new virtual environment $venv with $("$python" --version)"
rm -rf "$venv"
"$python" -m venv "$venv"
install="$venv/bin/python -m pip --disable-pip-version-check install -qq --no-compile --no-deps"

step "PyTorch, CPU build (200 MB unless cached)"
# The indexes that pip already knows come first; PyTorch's own is asked only where they lack the build.
if ! $install --require-hashes -r "$here/torch.txt" 2>"$venv/torch.log"; then
  $install --require-hashes --retries 1 --timeout 30 \
    --extra-index-url https://download.pytorch.org/whl/cpu -r "$here/torch.txt" || {
    cat "$venv/torch.log" >&2
    fail "no index offers torch 2.13.0+cpu; point PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS at one that does"
  }
fi

step "$(grep -c '==' "$here/cpu.txt") pinned packages (1 GB unless cached)"
$install --require-hashes --no-build-isolation -r "$here/cpu.txt"

# Each worker imports thousands of files. Where PYTHONDONTWRITEBYTECODE is set, as in most images, all
# of them would be compiled at each start, which takes longer than the import itself.
step "byte code of what every worker imports"
for package in torch transformers vllm deepspeed ray sympy numpy pyarrow pydantic aiohttp; do
  ls -d "$venv"/lib/python3*/site-packages/"$package"
done | env -u PYTHONDONTWRITEBYTECODE xargs "$venv/bin/python" -m compileall -qq -j 0 \
  -x '/tests?/|/py3[0-9]+_|ray/(rllib|data|train|tune|serve|llm)/|transformers/models/|vllm/(models|entrypoints|model_executor/models)/' ||
  step "some files were left as they are and will only load more slowly"

step "redline itself, editable"
$install --no-build-isolation --editable "$here/.."
touch "$venv/.complete"
step "done"
