#!/usr/bin/env bash
# Starts the router: installs what it runs with the first time (no packages of the tests), then runs src/cli.ts in place of this script.
# --help tells the commands and options; without any it serves.
set -eu
# Messages name the command as it was typed, and paths count from the directory of whoever typed it.
export LLM_ROUTER_COMMAND="$0"
caller=$PWD
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
cd -- "$root"
. scripts/prepare.sh

install_packages production
choose_node
# What Node makes of the sources is kept for the next start, which is then about a third quicker.
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE-$root/node_modules/.cache/node}"
case $NODE in */*) NODE=$root/$NODE ;; esac
cd -- "$caller"
# SIGUSR1 would open Node's debugger. A larger young generation costs memory and longer pauses and saves next to nothing; it is
# collected after large answers (docs/decisions/0007-v8-settings.md).
exec "$NODE" --disable-sigusr1 --expose-gc --max-semi-space-size=16 "$root/src/cli.ts" "$@"
