#!/usr/bin/env bash
#
# Checks everything in alerts/: syntax of rules and configurations, which receivers an alert reaches, and the
# unit tests of the rules. Fails if a rule has no test in which it fires (an alert) or has a value (a record).

set -euo pipefail

here="$(cd "$(dirname "$0")" && pwd)"
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
alerts="$(cd "$here/../alerts" && pwd)"

promtool_path="$(find_program promtool)" || die "promtool is missing: run scripts/tools.sh"
amtool_path="$(find_program amtool)" || die "amtool is missing: run scripts/tools.sh"
promtool() { run_program "$promtool_path" "$@"; }
amtool() { run_program "$amtool_path" "$@"; }

passed=0
failed=0

# routes CONFIGURATION RECEIVERS LABEL=VALUE...: an alert with these labels reaches exactly these receivers.
routes() {
	local file="$1" receivers="$2"
	shift 2
	check "$file: $* -> $receivers" amtool config routes test --config.file="$alerts/$file" \
		--verify.receivers="$receivers" "$@"
}

# rule_names KIND FILE...: names of alerts or records.
rule_names() {
	local kind="$1"
	shift
	sed -nE "s/^ *- $kind: *([A-Za-z0-9_:]+) *\$/\1/p" "$@" | sort -u
}

# alerts_with_a_test FILE...: the names of alerts that some test expects to fire: an alertname with a non-empty exp_alerts.
alerts_with_a_test() {
	awk '
		/^ *- .*(eval_time|alertname):/ { name = "" }
		match($0, /alertname: *[A-Za-z0-9_]+/) { name = substr($0, RSTART, RLENGTH); sub(/alertname: */, "", name) }
		/exp_alerts:/ && !/exp_alerts: *\[\]/ && name != "" { print name }
	' "$@" | sort -u
}

# Names of records that some test evaluates.
records_with_a_test() {
	sed -nE 's/^ *(- )?expr: *([A-Za-z0-9_:]+).*$/\2/p' "$alerts"/tests/*_test.yml | sort -u
}

# nothing_left WANTED PRESENT: fails and lists what is wanted and not present.
nothing_left() {
	local left
	left="$(comm -23 <(printf '%s\n' "$1") <(printf '%s\n' "$2"))"
	if [ -n "$left" ]; then
		printf 'no unit test for:\n%s\n' "$left"
		return 1
	fi
}

# The kustomization must hand all rule files to the cluster.
every_rule_file_is_deployed() {
	local file left=0
	for file in "$alerts"/rules/*.yml; do
		grep -qF "rules/${file##*/}" "$alerts/kustomization.yaml" || {
			printf 'not in kustomization.yaml: rules/%s\n' "${file##*/}"
			left=1
		}
		grep -qF "key: ${file##*/}," "$alerts/../deploy/monitoring/prometheus.yaml" || {
			printf 'not mounted in deploy/monitoring/prometheus.yaml: %s\n' "${file##*/}"
			left=1
		}
	done
	return "$left"
}

step "rule files and configurations"
check "prometheus.yml and the rules it loads" promtool check config "$alerts/prometheus.yml"
for file in "$alerts"/rules/*.yml; do
	check "rules/${file##*/}" promtool check rules --lint=all --lint-fatal "$file"
done
for file in alertmanager.yml alertmanager-production.yml; do
	check "$file" amtool check-config "$alerts/$file"
done
check "every rule file is deployed" every_rule_file_is_deployed

step "routing"
canary=(harness_canary=true run_id=r1 alertname=HarnessCanary)
routes alertmanager.yml harness alertname=APIServiceDown severity=critical namespace=gallery
routes alertmanager.yml harness alertname=Watchdog severity=none
routes alertmanager.yml harness "${canary[@]}"
budget=(alertname=PortalAvailabilityBudgetBurn namespace=gallery service=portal)
routes alertmanager.yml harness "${budget[@]}" severity=critical sloth_severity=page
routes alertmanager.yml harness "${budget[@]}" severity=warning sloth_severity=ticket
routes alertmanager-production.yml harness,slack-critical "${budget[@]}" severity=critical sloth_severity=page
routes alertmanager-production.yml harness,slack "${budget[@]}" severity=warning sloth_severity=ticket
routes alertmanager-production.yml harness,slack-critical alertname=APIServiceDown severity=critical
routes alertmanager-production.yml harness,slack alertname=PostgresExporterHighScrapeLatency severity=warning
routes alertmanager-production.yml harness alertname=Watchdog severity=none
routes alertmanager-production.yml harness "${canary[@]}"

step "unit tests"
for file in "$alerts"/tests/*_test.yml; do
	check "tests/${file##*/}" promtool test rules "$file"
done
check "every alert fires in a unit test" \
	nothing_left "$(rule_names alert "$alerts"/rules/*.yml)" "$(alerts_with_a_test "$alerts"/tests/*_test.yml)"
check "every record is evaluated in a unit test" \
	nothing_left "$(rule_names record "$alerts"/rules/*.yml)" "$(records_with_a_test)"
# An SLO has two alerts of one name.
for severity in page ticket; do
	check "every SLO's $severity alert fires in a unit test" nothing_left \
		"$(rule_names alert "$alerts/rules/slo.yml")" "$(alerts_with_a_test "$alerts/tests/slo_${severity}_test.yml")"
done

printf '\n%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
