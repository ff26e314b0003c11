#!/usr/bin/env bash
#
# Are the rules of the SLOs those of their specifications?

set -euo pipefail

here="$(cd "$(dirname "$0")" && pwd)"
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
cd "$here/.."

harness="${HARNESS:-${CARGO_TARGET_DIR:-target}/debug/harness}"
[ -x "$harness" ] || die "$harness is missing: run cargo build -p harness"

step "cargo run -p harness -- slo rules --check --out alerts/rules/slo.yml alerts/slo/*.yml"
"$harness" slo rules --check --out alerts/rules/slo.yml alerts/slo/*.yml
