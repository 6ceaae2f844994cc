#!/usr/bin/env bash
# Runs every check and all tests, goes on after a failure, and ends with one line for each. Exit code 1 when one
# failed. The full report of the tests, with the table of coverage, is left in coverage/tests.txt.
set -u
cd -- "$(dirname -- "${BASH_SOURCE[0]}")" || exit 1
. scripts/prepare.sh

install_packages tsc biome knip || exit 1
choose_node || exit 1
install_servers redis-server prometheus || exit 1
# Without it the tests of the status page are skipped, and say so.
install_servers chromium || true
# The tools and the package scripts start "node" by name: they are to get the chosen one.
if [ "$NODE" != node ]; then PATH="$PWD/node_modules/.bin:$PATH"; fi

report=coverage/tests.txt
mkdir -p coverage
rm -f "$report"
results=()
failures=0

record() { # name, exit code, note
  if [ "$2" -eq 0 ]; then
    results+=("$(printf '%-10s passed%s' "$1" "${3:+: $3}")")
  else
    results+=("$(printf '%-10s FAILED%s' "$1" "${3:+: $3}")")
    failures=$((failures + 1))
  fi
}

check() { # name, command ...
  local name=$1
  shift
  printf '\n== %s\n' "$name"
  "$@"
  record "$name" $?
}

run_node_tests() {
  printf '\n== tests\n'
  local code passed failed cancelled lines
  node --test --test-concurrency=2 --test-timeout=120000 \
    --experimental-test-coverage --test-coverage-include='src/**' \
    --test-reporter=dot --test-reporter-destination=stdout \
    --test-reporter=spec --test-reporter-destination="$report" \
    'test/**/*.test.ts'
  code=$?
  passed=$(count_of pass)
  failed=$(count_of fail)
  cancelled=$(count_of cancelled)
  failed=$((failed + cancelled))
  if [ "$passed" -eq 0 ] || [ "$failed" -gt 0 ]; then code=1; fi
  lines=$(sed -n 's/^.*all files *| *\([0-9.]*\).*$/\1/p' "$report" | tail -n 1)
  record tests "$code" "$passed passed, $failed failed${lines:+; $lines % of lines covered}"
}

count_of() { # word; gives the number beside it in the report's summary lines ("ℹ pass 12")
  local count
  count=$(sed -n "s/^[^a-z]*$1 \([0-9][0-9]*\)\$/\1/p" "$report" 2>/dev/null | tail -n 1)
  printf '%s' "${count:-0}"
}

check typecheck node --run typecheck
check lint node --run lint
check 'dead code' node --run deadcode
run_node_tests

printf '\n== results\n'
printf '%s\n' "${results[@]}"
printf 'checks: %d passed, %d failed\n' $((${#results[@]} - failures)) "$failures"
[ "$failures" -eq 0 ]
