#!/usr/bin/env bash
# `npm run bench`: benchmarks against the tools that people use today. Makes the checkout ready first (what is missing is
# installed, and said); all of that goes to standard error, so that `--json` prints one object and nothing else.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

bash test/setup.sh bench >&2
PATH=$PWD/node_modules/.bin:$PATH
cd "${INIT_CWD:-.}" # file names are relative to where the person is
exec node "$OLDPWD/dist/bench/main.js" "$@"
