#!/usr/bin/env bash
# Starts the router: installs what is missing the first time, then runs src/server.ts in place of this script.
set -eu
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
. scripts/prepare.sh

install_packages
choose_node
exec "$NODE" src/server.ts "$@"
