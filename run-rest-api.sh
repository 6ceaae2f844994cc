#!/usr/bin/env bash
# Starts the router: installs the packages that it needs on the first run (not those of the tests), then runs src/cli.ts in place of
# this script. --help lists commands and options; the default command is serve.
set -eu
# Messages name the command as it was typed, and relative paths start at the caller's directory.
export LLM_ROUTER_COMMAND="$0"
caller=$PWD
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
cd -- "$root"
. scripts/prepare.sh

install_packages production
choose_node
# Node caches the compiled sources for the next start, which is then about a third faster.
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE-$root/node_modules/.cache/node}"
case $NODE in */*) NODE=$root/$NODE ;; esac
cd -- "$caller"
# SIGUSR1 would open Node's debugger. A larger young generation costs memory and longer pauses for hardly any gain; it is
# collected after large responses (docs/decisions/0007-v8-settings.md).
exec "$NODE" --disable-sigusr1 --expose-gc --max-semi-space-size=16 "$root/src/cli.ts" "$@"
