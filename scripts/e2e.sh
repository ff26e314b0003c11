#!/usr/bin/env bash
#
# Runs every scenario on the embedded cluster and expects each to pass. With arguments: only those files.

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

passed=0
failed=0
for scenario in "${scenarios[@]}"; do
	step "harness run $scenario"
	status=0
	"$harness" --state-dir "$state" run "$scenario" || status=$?
	if [ "$status" -eq 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		say "FAILED: $scenario ended with exit code $status"
	fi
done

step "scenarios"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
