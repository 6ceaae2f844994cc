#!/usr/bin/env bash
# Starts the router: installs what it runs with the first time (no packages of the tests), then runs src/cli.ts in place of this script.
# --help tells the commands and options; without any it serves.
set -eu
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
. scripts/prepare.sh

install_packages production
choose_node
# What Node makes of the sources is kept for the next start, which is then about a third quicker.
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE-$PWD/node_modules/.cache/node}"
# SIGUSR1 would open Node's debugger. A larger young generation costs memory and longer pauses and saves next to nothing; it is
# collected after large answers (docs/decisions/0007-v8-settings.md).
exec "$NODE" --disable-sigusr1 --expose-gc --max-semi-space-size=16 src/cli.ts "$@"
