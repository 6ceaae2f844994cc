#!/usr/bin/env bash
# Runs every check and all tests, continues after a failure, and ends with one line for each. The exit code is 1 if any
# failed. The reports of the tests are in coverage/tests.txt. Coverage: node --run test:coverage.
#   ./run-tests.sh            installs what is missing, then runs everything
#   ./run-tests.sh --install  only installs
#   ./run-tests.sh --help     prints this
set -u
cd -- "$(dirname -- "${BASH_SOURCE[0]}")" || exit 1
. scripts/prepare.sh

case "${1-}" in
'' | --install) ;;
-h | --help)
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' run-tests.sh
  exit 0
  ;;
*)
  say "unknown argument $1: see ./run-tests.sh --help; single files run with npm test -- FILE"
  exit 2
  ;;
esac
install_packages all || exit 1
choose_node || exit 1
servers=(redis-server prometheus)
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || is_there postgres || servers+=(postgresql)
install_servers "${servers[@]}" || exit 1
# Debian has a headless build of Chromium, which starts and runs faster.
browser=chromium
if apt-cache show chromium-headless-shell >/dev/null 2>&1; then browser=chromium-headless-shell; fi
# Without a browser, the tests of the console are reported as skipped.
is_there chromium || is_there chromium-browser || install_servers "$browser" || true
if [ "${1-}" = --install ]; then exit 0; fi
# Tools and package scripts start "node" by name; this makes them use the chosen one.
if [ "$NODE" != node ]; then PATH="$PWD/node_modules/.bin:$PATH"; fi

mkdir -p coverage
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

# The checks run with low priority beside the tests, and are reported after them.
run_checks() {
  local name
  for name in typecheck lint deadcode prose; do
    nice node --run "$name" >"coverage/$name.txt" 2>&1
    printf '%s' $? >"coverage/$name.code"
  done
}

show_check() { # name, package script
  printf '\n== %s\n' "$1"
  cat "coverage/$2.txt"
  record "$1" "$(cat "coverage/$2.code")"
}

run_checks &
checking=$!
printf '== tests\n'
node --run test | tee coverage/summary.txt
tested=${PIPESTATUS[0]}
wait "$checking"
show_check typecheck typecheck
show_check lint lint
show_check 'dead code' deadcode
show_check prose prose
record tests "$tested" "$(sed -n 's/^tests: //p' coverage/summary.txt)"

printf '\n== results\n'
printf '%s\n' "${results[@]}"
printf 'checks: %d passed, %d failed\n' $((${#results[@]} - failures)) "$failures"
[ "$failures" -eq 0 ]
