#!/bin/sh
# Creates llm-router-VERSION.tgz, which includes the dashboard and the alert rules of resources/, and an index.yaml that makes the
# directory a chart repository. Does not require Helm.
# Usage: deploy/helm/package.sh [DIRECTORY [URL]]
#   DIRECTORY  output directory; default: the current one
#   URL        download URL of the archive; default: relative to index.yaml
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
target=${1:-.}
url=${2:+${2%/}/}
chart=$root/deploy/helm/llm-router
version=$(sed -n 's/^version: *//p' "$chart/Chart.yaml")
archive=llm-router-$version.tgz
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp -R "$chart" "$work/"
for file in grafana/llm-router.json prometheus/rules.yaml; do
  if [ -f "$root/resources/$file" ]; then
    cp "$root/resources/$file" "$work/llm-router/files/"
  else
    echo "without resources/$file, which is not there" >&2
  fi
done
mkdir -p "$target"
# Keeps macOS from adding its own files.
COPYFILE_DISABLE=1 tar -czf "$target/$archive" -C "$work" llm-router

if command -v sha256sum >/dev/null 2>&1; then
  digest=$(sha256sum "$target/$archive")
else
  digest=$(shasum -a 256 "$target/$archive")
fi
now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
# An entry has the content of Chart.yaml and the location of the archive (https://helm.sh/docs/topics/chart_repository/#the-index-file).
{
  printf 'apiVersion: v1\nentries:\n  llm-router:\n'
  sed -e '/^#/d' -e 's/^/      /' "$chart/Chart.yaml" | sed '1s/^     /    -/'
  printf '      created: "%s"\n      digest: %s\n      urls:\n        - %s\n' "$now" "${digest%% *}" "$url$archive"
  printf 'generated: "%s"\n' "$now"
} >"$target/index.yaml"
printf '%s\n' "$target/$archive" "$target/index.yaml"
