#!/bin/bash
# The addons under AddressSanitizer, with a leak check at the end of each exercise: `npm run asan`.
# Node itself is not instrumented, so the sanitizer is preloaded; V8's own blocks are never freed and lie outside
# our code: a leak counts when one of our addons or libvirt is in its stack.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/node_modules/.bin:$PATH"

node native/build.mjs --asan >/dev/null
release=native/build/asan/build/Release
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT

readonly ATTEMPTS=3

run() {
  local attempt
  for ((attempt = 1; attempt <= ATTEMPTS; attempt++)); do
    status=0
    exercise "$@" || status=$?
    checker_died "$1" || break
    echo "asan: $1: the leak checker itself died, attempt $attempt of $ATTEMPTS"
  done
  if checker_died "$1" || grep -q "ERROR: AddressSanitizer" "$log/$1" || ours "$log/$1" || { [ "$status" != "$3" ] && [ "$status" != 23 ]; }; then
    cat "$log/$1"
    echo "asan: $1 FAILED (exit $status)"
    exit 1
  fi
  echo "asan: $1 ok"
}

exercise() {
  local name=$1 addon=$2
  shift 3
  ASAN_OPTIONS=detect_leaks=1:leak_check_at_exit=0:detect_odr_violation=0 LD_PRELOAD=$(g++ -print-file-name=libasan.so) \
    node --expose-gc "test/native/exercise/$name.mjs" "$PWD/$release/$addon.node" "$@" >"$log/$name" 2>&1
}

# It stops all threads from a process of its own, by ptrace. Where that process is killed or kept from tracing it says nothing
# about leaks: then the exercise is run again, and fails rather than go without the check.
checker_died() {
  grep -qE "LeakSanitizer has encountered a fatal error|Tracer caught signal|Could not attach to thread|Waiting on tracer" "$log/$1"
}

# Is there a leak with our code or libvirt in its stack?
ours() {
  awk 'BEGIN { RS = "" } /leak of/ && /ferry::|src\/(common|digest|virt|fastio|transfer)\/|\.node\+|libvirt\.so/ { found = 1 } END { exit !found }' "$1"
}

run libvirt-rounds virt 0 300
run file-rounds fastio 0 10
run transfer-rounds transfer 0 3
run worker-storm virt 0 5
for _ in 1 2 3; do
  run exit-storm virt 7
  run transfer-exit transfer 7
done
