#!/bin/sh
# Makes llm-router-VERSION.tgz with the dashboard and the alert rules of resources/ in it.
# Usage: deploy/helm/package.sh [DIRECTORY]    (where to put it; the current one unless given)
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp -R "$root/deploy/helm/llm-router" "$work/"
for file in grafana/llm-router.json prometheus/rules.yaml; do
  if [ -f "$root/resources/$file" ]; then
    cp "$root/resources/$file" "$work/llm-router/files/"
  else
    echo "without resources/$file, which is not there" >&2
  fi
done
helm package "$work/llm-router" --destination "${1:-.}"
