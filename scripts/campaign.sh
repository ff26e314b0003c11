#!/usr/bin/env bash
#
# campaign.sh [RUNS]: runs db-failure again and again, each from nothing, and expects a pass every time.
# A verdict that is right nineteen times of twenty is not one that can be trusted.

set -euo pipefail

here="$(cd "$(dirname "$0")" && pwd)"
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
cd "$here/.."

runs="${1:-20}"
scenario="${2:-scenarios/db-failure.toml}"
harness="${HARNESS:-${CARGO_TARGET_DIR:-target}/debug/harness}"
[ -x "$harness" ] || die "$harness is missing: run cargo build -p harness -p services"

logs="$(mktemp -d -t sre-harness-campaign.XXXXXX)"
cleanup() { "$harness" --state-dir "$logs/state" down >/dev/null 2>&1 || true; }
trap cleanup EXIT

passed=0
failed=0
for run in $(seq 1 "$runs"); do
	begin="$(date +%s%N)"
	status=0
	"$harness" --state-dir "$logs/state" run "$scenario" >"$logs/$run.log" 2>&1 || status=$?
	seconds="$(awk -v ns="$(($(date +%s%N) - begin))" 'BEGIN { printf "%.1f", ns / 1e9 }')"
	if [ "$status" -eq 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		sed 's/^/    /' "$logs/$run.log"
	fi
	printf 'run %2d of %d: exit code %d after %s s (log: %s)\n' "$run" "$runs" "$status" "$seconds" "$logs/$run.log"
done

step "$scenario, $runs runs"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
