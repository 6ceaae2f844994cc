# Sourced by run-rest-api.sh and run-tests.sh, in the project's directory: installs missing packages and selects
# a Node. Sets NODE. All messages go to stderr.

# The first versions whose JSON.parse reads escaped keys correctly, one for each maintained release line, in order; the same as in
# src/runtime/node-floor.js.
node_floors='24.22.3 26.12.1'

say() { printf '%s\n' "$*" >&2; }

# npm writes node_modules/.package-lock.json as the last step of an install, so an interrupted one is detected here.
packages_are_current() {
  [ -f node_modules/.package-lock.json ] && [ ! package-lock.json -nt node_modules/.package-lock.json ]
}

# Whether the development tools are installed, and with them the packages of the tests.
has_test_packages() { [ -e node_modules/.bin/tsc ] && [ -e node_modules/.bin/biome ] && [ -e node_modules/.bin/knip ]; }

# Argument: "production" for the packages that the router needs, "all" to include those of the tests. Both include the optional
# ones, which contain Node. Installed packages are kept, so a checkout with all of them starts without another install.
install_packages() {
  local command
  if packages_are_current && { [ "$1" = production ] || has_test_packages; }; then
    return 0
  fi
  if packages_are_current; then
    command=(npm install --no-save --include=dev) # adds the missing packages in the versions of the lock file
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

# Argument: a version of Node. Compares it with the minimum of its release line, or of the next one; later lines have the fix.
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

# The system's Node if it is new enough, otherwise the one in the packages for Linux on x64 and arm64.
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

is_there() {
  command -v "$1" >/dev/null 2>&1
}

# Arguments: names of Debian packages with a program of the same name that the tests start, such as redis-server.
# Installs the missing ones if possible; otherwise prints what to install.
install_servers() {
  local program missing=()
  for program in "$@"; do
    is_there "$program" || missing+=("$program")
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
