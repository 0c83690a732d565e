#!/usr/bin/env bash
# `npm run crash-matrix`: see main.ts. Makes the checkout ready first.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

[[ " $* " == *" --help "* ]] || bash test/setup.sh >&2
exec node_modules/.bin/node --disable-warning=ExperimentalWarning test/crash-matrix/run.mjs "$@"
