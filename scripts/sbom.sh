#!/bin/sh
# The packages that the image is made of, as a CycloneDX list (JSON) on stdout: scripts/sbom.sh > sbom.json
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/llm-router"
cp "$root/package.json" "$root/package-lock.json" "$root/.npmrc" "$work/llm-router/"
cd "$work/llm-router"

# What the Dockerfile leaves out goes first. `npm sbom --omit dev` would also drop every package of ours that a
# development package happens to use. Packages of ours have optional dependencies of their own.
npm pkg delete devDependencies optionalDependencies
npm prune --package-lock-only --offline --loglevel=error >&2
npm sbom --omit optional --sbom-format cyclonedx --sbom-type application --package-lock-only
