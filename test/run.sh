#!/usr/bin/env bash
# `npm test`: everything, set-up included. Lint, types, then the tests by kind: fast, simulation, native, lab. Every
# stage runs, whatever the one before it said; the last line is `N passed, N failed`. Needs root (the lab makes hosts out of namespaces).
#
#   npm test [-- STAGE…]     only these: lint shell types fast simulation native lab
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.." || exit
PATH=$PWD/node_modules/.bin:$PATH # the pinned Node, also without npm
export CI=true
exec </dev/null

STAGES=(lint shell types fast simulation native lab)
passed=0 failed=0

# All labs of this run live in here, so that all of them can be ended.
work=$(mktemp -d /var/tmp/ferry-test.XXXXXX)
export XDG_STATE_HOME=$work

clean_up() {
  local lab
  trap - EXIT
  for lab in "$work"/ferry-lab/*/; do
    if [[ -d $lab ]]; then LAB_ID=$(basename "$lab") bash test/lab/lab.sh down; fi
  done
  rm -rf --one-file-system "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

check() { # lint and types count as one test each
  if "$@"; then ((passed += 1)); else ((failed += 1)); fi
}

# Every processor, which vitest would not use of itself; and labs wait for guests: one more of them keeps all busy.
WORKERS=$(nproc)
LAB_WORKERS=$((WORKERS < 5 ? WORKERS + 1 : 6))

suite() { # suite PROJECT…: adds the tests of these projects to the sums
  local report=$work/$1.json status=0 counts workers=$WORKERS
  if [[ $1 == lab ]]; then workers=$LAB_WORKERS; fi
  vitest run "${@/#/--project=}" --passWithNoTests "--maxWorkers=$workers" \
    --reporter=default --reporter=json --outputFile.json="$report" || status=$?
  counts=$(node test/count-results.mjs "$report" $status)
  ((passed += ${counts% *}, failed += ${counts#* }))
}

stage() { # stage NAME COMMAND…
  local name=$1 started=${EPOCHREALTIME/./} status=0 tenths
  printf '\n== %s\n' "$name"
  "${@:2}" || status=$?
  tenths=$(((${EPOCHREALTIME/./} - started) / 100000))
  printf '== %s: %d.%d s\n' "$name" $((tenths / 10)) $((tenths % 10))
  return $status
}

# The files of lib/ that are sourced are read with lab.sh.
check_shell() { shellcheck -x bench/run.sh test/*.sh test/lab/*.sh test/lab/lib/{host-init,supervise}.sh test/lab/guest/{build.sh,init} test/{crash-matrix,load}/run.sh; }

run_stage() {
  case $1 in
    lint | types) stage "$1" check npm run --silent "$1" ;;
    shell) stage shell check check_shell ;;
    # Controllers on a PostgreSQL wait for leases, which leaves a processor to the others.
    native) stage native suite postgres native ;;
    fast | simulation | lab) stage "$1" suite "$1" ;;
  esac
}

(($# > 0)) || set -- "${STAGES[@]}"
for name in "$@"; do
  [[ " ${STAGES[*]} " == *" $name "* ]] || { echo "run.sh: no stage '$name': ${STAGES[*]}" >&2 && exit 64; }
done
stage setup bash test/setup.sh || { echo "setup failed" && exit 1; }
for name in "$@"; do
  run_stage "$name"
done

printf '\n%d passed, %d failed\n' $passed $failed
((failed == 0 && passed > 0))
