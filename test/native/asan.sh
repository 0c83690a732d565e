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

run() {
  local name=$1 addon=$2 expected=$3 status=0
  shift 3
  ASAN_OPTIONS=detect_leaks=1:leak_check_at_exit=0:detect_odr_violation=0 LD_PRELOAD=$(g++ -print-file-name=libasan.so) \
    node --expose-gc "test/native/exercise/$name.mjs" "$PWD/$release/$addon.node" "$@" >"$log/$name" 2>&1 || status=$?
  if grep -q "ERROR: AddressSanitizer" "$log/$name" || ours "$log/$name" || { [ "$status" != "$expected" ] && [ "$status" != 23 ]; }; then
    cat "$log/$name"
    echo "asan: $name FAILED (exit $status)"
    exit 1
  fi
  echo "asan: $name ok"
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
