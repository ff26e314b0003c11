#!/usr/bin/env bash
#
# Checks the Grafana dashboards in dashboards/ as files: the project's rules (`harness grafana check`), Grafana's own types,
# and that every dashboard is provisioned. scripts/e2e.sh asks a real Prometheus every query of them.

set -euo pipefail

here="$(cd "$(dirname "$0")" && pwd)"
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
cd "$here/.."

harness="${HARNESS:-${CARGO_TARGET_DIR:-target}/debug/harness}"
[ -x "$harness" ] || die "$harness is missing: run cargo build -p harness"

passed=0
failed=0
skipped=0

# Every dashboard is in the ConfigMaps that a sidecar reads, and nothing else is.
every_dashboard_is_deployed() {
	diff <(cd dashboards && printf '%s\n' *.json) \
		<(sed -nE 's/^ *- *([a-z0-9-]+\.json)$/\1/p' dashboards/kustomization.yaml | sort)
}

# The types: installed once, as the lock file says.
types_are_there() {
	local installed=dashboards/check/node_modules/.package-lock.json
	if [ -f "$installed" ] && [ ! dashboards/check/package-lock.json -nt "$installed" ]; then
		return 0
	fi
	npm ci --prefix dashboards/check --no-audit --no-fund --loglevel=error >/dev/null 2>&1
}

# A dashboard that is wrong in three ways is refused for each of them.
the_types_refuse() {
	local output
	if output="$(node dashboards/check/check.mjs dashboards/check/wrong.json 2>&1)"; then
		printf 'accepted\n'
		return 1
	fi
	printf '%s\n' "$output"
	grep -q '^3 problems in 1 dashboards$' <<<"$output"
}

step "dashboards"
check "the rules: uid, data source, units, descriptions, layout, variables, PromQL" \
	"$harness" grafana check dashboards
check "every dashboard is deployed" every_dashboard_is_deployed
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	say "skipped Grafana's types: node and npm are not installed"
	skipped=$((skipped + 1))
elif ! types_are_there; then
	say "skipped Grafana's types: npm could not get @grafana/schema and typescript (try: npm ci --prefix dashboards/check)"
	skipped=$((skipped + 1))
else
	check "Grafana's types" node dashboards/check/check.mjs
	check "Grafana's types refuse what is wrong" the_types_refuse
fi

printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
