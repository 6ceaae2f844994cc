#!/bin/sh
# Prints the packages in the image as a CycloneDX list (JSON): scripts/sbom.sh > sbom.json
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/llm-router"
cp "$root/package.json" "$root/package-lock.json" "$root/.npmrc" "$work/llm-router/"
cd "$work/llm-router"

# Packages that the Dockerfile excludes are removed first. `npm sbom --omit dev` would also drop every production package that a
# development package uses. Production packages have optional dependencies of their own.
npm pkg delete devDependencies optionalDependencies
npm prune --package-lock-only --offline --loglevel=error >&2
npm sbom --omit optional --sbom-format cyclonedx --sbom-type application --package-lock-only
