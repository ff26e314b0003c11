#!/usr/bin/env bash
#
# Runs every scenario on the embedded cluster and expects each to pass. With arguments: only those files.
#
# The stack of the image surge is kept for a moment: it has data for nearly everything that the Grafana dashboards show, so
# every query of theirs is asked there.

set -euo pipefail

here="$(cd "$(dirname "$0")" && pwd)"
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
cd "$here/.."

harness="${HARNESS:-${CARGO_TARGET_DIR:-target}/debug/harness}"
[ -x "$harness" ] || die "$harness is missing: run cargo build -p harness -p services"

if [ "$#" -gt 0 ]; then
	scenarios=("$@")
else
	scenarios=(scenarios/*.toml)
fi
[ -e "${scenarios[0]}" ] || die "there are no scenarios"

# A state directory of its own, so that a stack which a person left running is not touched.
state="$(mktemp -d -t sre-harness-e2e.XXXXXX)"
cleanup() {
	"$harness" --state-dir "$state" down >/dev/null 2>&1 || true
	rm -rf "$state"
}
trap cleanup EXIT

# once_as_a_user PORTAL: what a visitor does, so that the services behind the portal have something to show, too.
once_as_a_user() {
	local url="$1" cookies="$state/cookies" user
	user='{"username":"visitor","password":"correct horse battery"}'
	request() { curl -sS --fail --max-time 5 -o /dev/null -b "$cookies" -c "$cookies" "$@"; }
	request -H 'Content-Type: application/json' -d "$user" "$url/api/register"
	request -H 'Content-Type: application/json' -d "$user" "$url/api/login"
	request "$url/api/profile"
}

# every_query_has_data SECONDS: asks Prometheus what the dashboards would ask it for, over that time.
every_query_has_data() {
	local portal output begin=$SECONDS
	portal="$("$harness" --state-dir "$state" up | sed -nE 's/^ *portal +(.*)$/\1/p')"
	once_as_a_user "$portal" || return
	# Until that was scraped twice: rates need two samples.
	until output="$("$harness" --state-dir "$state" grafana check dashboards --since "$1s" \
		--prometheus service://monitoring/prometheus:19090 2>&1)"; do
		if [ $((SECONDS - begin)) -gt 15 ]; then
			printf '%s\n' "$output"
			return 1
		fi
		sleep 1
	done
	tail -n 1 <<<"$output"
}

passed=0
failed=0
for scenario in "${scenarios[@]}"; do
	step "harness run $scenario"
	status=0
	keep=()
	[ "$scenario" != scenarios/image-surge.toml ] || keep=(--keep)
	begin=$SECONDS
	"$harness" --state-dir "$state" run ${keep[@]+"${keep[@]}"} "$scenario" || status=$?
	if [ "$status" -eq 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		say "FAILED: $scenario ended with exit code $status"
	fi
	if [ "${#keep[@]}" -gt 0 ]; then
		step "every query of every dashboard"
		if every_query_has_data $((SECONDS - begin + 20)); then
			passed=$((passed + 1))
		else
			failed=$((failed + 1))
			say "FAILED: dashboards"
		fi
		"$harness" --state-dir "$state" down
	fi
done

step "scenarios"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
