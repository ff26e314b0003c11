#!/usr/bin/env bash
#
# bench-load.sh [ROUNDS [REQUESTS]]: our load worker beside hey, wrk and oha (those that are installed), against the same
# server on this machine. The server has core 0 for itself and each generator core 1; the generators take turns, and what is
# shown are medians over the rounds.
#
# What counts is the CPU time per request: requests per second depend on what else the machine does.

set -euo pipefail

here="$(cd "$(dirname "$0")" && pwd)"
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
cd "$here/.."

rounds="${1:-5}"
requests="${2:-100000}"
connections=100

command -v taskset >/dev/null || die "taskset (util-linux) is missing"
[ "$(nproc)" -ge 2 ] || die "two cores are needed, one for the server and one for the generator"

cargo="${CARGO:-cargo}"
"$cargo" build --locked --release -p harness-load --features worker --bin load-worker --example bench-server
target="${CARGO_TARGET_DIR:-target}/release"

work="$(mktemp -d -t sre-harness-bench.XXXXXX)"
server=
cleanup() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT

taskset -c 0 "$target/examples/bench-server" >"$work/address" &
server=$!
for _ in $(seq 100); do
	[ -s "$work/address" ] && break
	sleep 0.05
done
address="$(cat "$work/address")"
[ -n "$address" ] || die "the server did not start"

generators=(worker worker-templates)
for program in hey wrk oha; do
	if type -P "$program" >/dev/null; then generators+=("$program"); else say "$program is not installed: left out"; fi
done

# assignment PATH HEADERS EXTRACT: what the worker is told to do.
assignment() {
	printf '{"protocol":1,"run":"bench","ca_pem":null,"files":{},"phase":"before","load":{"name":"bench","start":{"after":0},'
	printf '"duration":null,"users":%d,"ramp":0,"warm_up":0,"requests":%d,"stages":[],"requests_per_connection":null,' \
		"$connections" "$requests"
	printf '"ca_file":null,"setup":[],"in_order":true,"steps":['
	printf '{"name":"get","method":"GET","url":"http://%s%s","headers":%s,"body":null,"extract":%s,' \
		"$address" "$1" "$2" "$3"
	printf '"status":200,"weight":1,"think":null,"timeout":20000}]}}\n{"command":"start"}\n'
}

# With templates every request has another URL and another header, and a value is taken from every answer: by JSON pointer
# where it is JSON, else from a header.
assign() {
	local path="$2" from='{"header":"x-id"}'
	if [ "$1" = worker ]; then
		assignment "$path" '{}' '[]'
	else
		[ "$path" != /small ] || from='{"json":"/id"}'
		# shellcheck disable=SC2016 # placeholders of the worker, not of the shell
		assignment "$path?u=\${user.id}&n=\${random}" '{"x-round":"${user.round}-${user.id}"}' \
			"[{\"name\":\"id\",\"from\":$from}]"
	fi
}

# generate GENERATOR PATH: runs it; its output is in $work/out.
generate() {
	local url="http://$address$2"
	case "$1" in
	worker*)
		# The worker ends when its input does, so that is kept open.
		rm -f "$work/input"
		mkfifo "$work/input"
		exec 3<>"$work/input"
		assign "$1" "$2" >&3
		taskset -c 1 "$target/load-worker" <&3
		exec 3>&-
		;;
	hey) taskset -c 1 hey -n "$requests" -c "$connections" "$url" ;;
	wrk) taskset -c 1 wrk -t 1 -c "$connections" -d 3 "$url" ;;
	oha) taskset -c 1 oha --no-tui -n "$requests" -c "$connections" "$url" ;;
	esac >"$work/out" 2>"$work/err"
}

# done_requests GENERATOR: how many of its requests were answered with 200, or the reason why that is not known.
done_requests() {
	case "$1" in
	worker*)
		! grep -q '"failed":[1-9]' "$work/out" || die "requests of the worker failed"
		sed -n 's/.*"message":"done".*"requests":\([0-9]*\).*/\1/p' "$work/out"
		;;
	hey) sed -n 's/^ *\[200\][[:space:]]*\([0-9]*\) responses/\1/p' "$work/out" ;;
	wrk)
		! grep -q 'Non-2xx' "$work/out" || die "requests of wrk failed"
		sed -n 's/^ *\([0-9]*\) requests in .*/\1/p' "$work/out"
		;;
	oha) sed -n 's/^ *\[200\] \([0-9]*\) responses/\1/p' "$work/out" ;;
	esac
}

TIMEFORMAT='%R %U %S'
measure() {
	local seconds count
	seconds="$( { time generate "$1" "$2"; } 2>&1)" || die "$1 failed: $(tail -3 "$work/err")"
	count="$(done_requests "$1")"
	[ -n "$count" ] || die "$1 did not say how many requests were answered"
	printf '%s %s %s %s\n' "$2" "$1" "$count" "$seconds" >>"$work/measured"
}

for round in $(seq "$rounds"); do
	step "round $round of $rounds"
	for path in /small /large; do
		for generator in "${generators[@]}"; do measure "$generator" "$path"; done
	done
done

# The last columns are the ratio of its CPU time to that of each generator: below 1 it is cheaper.
awk '
	function median(key, n, i, j, list, swap) {
		n = split(values[key], list, " ")
		for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (list[j] + 0 < list[i] + 0) {
			swap = list[i]; list[i] = list[j]; list[j] = swap
		}
		return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
	}
	{
		if (!($1 in paths)) { paths[$1] = 1; path_order[++path_count] = $1 }
		if (!($2 in names)) { names[$2] = 1; name_order[++name_count] = $2 }
		values["rate", $1, $2] = values["rate", $1, $2] " " $3 / $4
		values["cpu", $1, $2] = values["cpu", $1, $2] " " ($5 + $6) * 100000 / $3
	}
	END {
		for (p = 1; p <= path_count; p++) {
			path = path_order[p]
			printf "\n%-18s %12s %24s", path, "requests/s", "CPU s/100,000 requests"
			for (n = 1; n <= name_count; n++) printf "  /%s", name_order[n]
			print ""
			for (n = 1; n <= name_count; n++) {
				name = name_order[n]
				cpu = median("cpu" SUBSEP path SUBSEP name)
				printf "%-18s %12.0f %24.2f", name, median("rate" SUBSEP path SUBSEP name), cpu
				for (m = 1; m <= name_count; m++) printf "%*.2f", length(name_order[m]) + 3, cpu / median("cpu" SUBSEP path SUBSEP name_order[m])
				print ""
			}
		}
	}' "$work/measured"
