#!/usr/bin/env bash
# `npm run load`: 200 migrations over 10 fake hosts, in virtual time. With --lab on real ones: see lab/main.ts.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
PATH=$PWD/node_modules/.bin:$PATH # the pinned Node, also without npm

if (($# > 0)); then
  [[ " $* " != *" --lab "* || " $* " == *" --help "* ]] || bash test/setup.sh >&2
  exec node --disable-warning=ExperimentalWarning test/load/run.mjs test/load/lab/main.ts "$@"
fi
NODE_OPTIONS=--expose-gc exec vitest run --project load
