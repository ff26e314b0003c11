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

# Measured times of each expectation over all runs, from their result.json.
times() {
	awk '
		/^ *"id":/ { id = $2; gsub(/[",]/, "", id); if (!(id in seen)) { seen[id] = 1; order[++ids] = id } }
		/^ *"outcome":/ && id != "" { outcome = $2; if (outcome ~ /passed/) passed[id]++ }
		/^ *"measured": [0-9]/ { values[id, ++count[id]] = $2 + 0 }
		/^ *"deadline": [0-9]/ { deadline[id] = $2 + 0 }
		/^ *"detections":/ { id = "" }
		END {
			printf "%-52s %7s %9s %9s %9s %9s\n", "expectation", "passed", "min", "median", "max", "deadline"
			for (i = 1; i <= ids; i++) {
				id = order[i]; n = count[id]
				if (n == 0) { printf "%-52s %7d\n", id, passed[id]; continue }
				for (a = 1; a <= n; a++) for (b = a + 1; b <= n; b++) if (values[id, b] < values[id, a]) {
					swap = values[id, a]; values[id, a] = values[id, b]; values[id, b] = swap
				}
				median = (values[id, int((n + 1) / 2)] + values[id, int(n / 2) + 1]) / 2
				printf "%-52s %7d %8.2fs %8.2fs %8.2fs %8.2fs\n", id, passed[id], values[id, 1] / 1000, median / 1000, \
					values[id, n] / 1000, deadline[id] / 1000
			}
		}' "$@"
}

step "$scenario, $runs runs"
results=("$logs"/state/runs/*/result.json)
[ ! -e "${results[0]}" ] || times "${results[@]}"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
