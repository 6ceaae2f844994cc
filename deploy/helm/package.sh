#!/bin/sh
# Makes llm-router-VERSION.tgz with the dashboard and the alert rules of resources/ in it, and index.yaml beside it, which makes
# the directory a chart repository. Needs no Helm.
# Usage: deploy/helm/package.sh [DIRECTORY [URL]]
#   DIRECTORY  where to put them; the current one unless given
#   URL        from where the archive will be downloaded; from beside index.yaml unless given
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
# macOS would add files of its own.
COPYFILE_DISABLE=1 tar -czf "$target/$archive" -C "$work" llm-router

if command -v sha256sum >/dev/null 2>&1; then
  digest=$(sha256sum "$target/$archive")
else
  digest=$(shasum -a 256 "$target/$archive")
fi
now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
# An entry is what Chart.yaml says, and where the archive is (https://helm.sh/docs/topics/chart_repository/#the-index-file).
{
  printf 'apiVersion: v1\nentries:\n  llm-router:\n'
  sed -e '/^#/d' -e 's/^/      /' "$chart/Chart.yaml" | sed '1s/^     /    -/'
  printf '      created: "%s"\n      digest: %s\n      urls:\n        - %s\n' "$now" "${digest%% *}" "$url$archive"
  printf 'generated: "%s"\n' "$now"
} >"$target/index.yaml"
printf '%s\n' "$target/$archive" "$target/index.yaml"
