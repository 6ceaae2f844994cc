# Sourced by run-rest-api.sh and run-tests.sh, in the project's directory: installs what is missing and chooses
# a Node. Sets NODE. Everything it says goes to stderr.

# The first versions whose JSON.parse reads escaped keys as they stand, one for each line that is maintained, in order; those of
# src/runtime/node-floor.js.
node_floors='24.22.3 26.12.1'

say() { printf '%s\n' "$*" >&2; }

# npm writes node_modules/.package-lock.json as the last act of an install, so an interrupted one is seen here.
packages_are_current() {
  [ -f node_modules/.package-lock.json ] && [ ! package-lock.json -nt node_modules/.package-lock.json ]
}

# Whether the tools of the checks are installed, and the packages of the tests with them.
has_test_packages() { [ -e node_modules/.bin/tsc ] && [ -e node_modules/.bin/biome ] && [ -e node_modules/.bin/knip ]; }

# Takes "production" for the packages that the router runs with, "all" for those of the tests as well. The optional ones are in
# both: they bring Node. What is installed already is kept, so a checkout with all of them serves without another install.
install_packages() {
  local command
  if packages_are_current && { [ "$1" = production ] || has_test_packages; }; then
    return 0
  fi
  if packages_are_current; then
    command=(npm install --no-save --include=dev) # adds those that are missing, in the versions of the lock file
  elif [ "$1" = all ] || has_test_packages; then
    command=(npm ci --include=dev)
  else
    command=(npm ci --omit=dev)
  fi
  if ! command -v npm >/dev/null 2>&1; then
    say 'llm-router needs npm for its first start, and finds none.'
    say "Install Node.js ${node_floors%% *} or newer, which brings npm: https://nodejs.org/en/download"
    return 1
  fi
  say "Installing packages (${command[*]}); this happens once ..."
  if ! "${command[@]}" --include=optional --loglevel=error --no-progress --no-update-notifier >&2; then
    say "${command[0]} ${command[1]} failed: see its message above. Nothing was started."
    return 1
  fi
}

# Takes a version of Node. Compares it with the floor of its line, or of the next one; later lines have the fix.
is_new_enough() {
  local major=${1%%.*} floor oldest
  for floor in $node_floors; do
    if [ "$major" -le "${floor%%.*}" ] 2>/dev/null; then
      oldest=$(printf '%s\n%s\n' "$floor" "$1" | sort -V | head -n 1)
      [ "$oldest" = "$floor" ]
      return
    fi
  done
  [ "$major" -gt "${floor%%.*}" ] 2>/dev/null
}

# The system's Node where it is new enough, else the one that the packages bring for Linux on x64 and arm64.
choose_node() {
  local candidate version found=''
  for candidate in node node_modules/.bin/node; do
    version=$("$candidate" --version 2>/dev/null) || continue
    version=${version#v}
    found=${found:-$version}
    if is_new_enough "$version"; then
      NODE=$candidate
      return 0
    fi
  done
  say "llm-router needs Node.js ${node_floors%% *} or newer (${node_floors##* } on the 26 line); this machine has ${found:-none}."
  say 'Install it from https://nodejs.org/en/download and start again.'
  return 1
}

# Takes names of Debian packages, each with a program of its own name, that the tests start: redis-server, say.
# Installs the missing ones where that is possible; else says what is to be installed.
install_servers() {
  local program missing=()
  for program in "$@"; do
    command -v "$program" >/dev/null 2>&1 || missing+=("$program")
  done
  if [ ${#missing[@]} -eq 0 ]; then
    return 0
  fi
  if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    say "Installing ${missing[*]} (apt-get); this happens once ..."
    if { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends -qq "${missing[@]}"; } >&2; then
      return 0
    fi
  fi
  say "The tests need these programs: ${missing[*]}."
  say "Install them, on Debian or Ubuntu with: sudo apt-get install ${missing[*]}"
  return 1
}
