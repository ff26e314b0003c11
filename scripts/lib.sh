# shellcheck shell=bash
# Sourced by the other scripts: where programs are looked up, and how the scripts talk.
#
# The lookup is the same as the embedded cluster's image catalogue: PATH, /usr/sbin, Debian's versioned
# PostgreSQL directories, then the tools cache (an unpacked tree of Debian packages, see tools.sh).

# The tools cache: $SRE_HARNESS_TOOLS, else a directory that belongs to the user who runs this.
tools_dir() {
	if [ -n "${SRE_HARNESS_TOOLS:-}" ]; then
		printf '%s\n' "$SRE_HARNESS_TOOLS"
	elif [ "$(id -u)" -eq 0 ]; then
		printf '%s\n' /var/cache/sre-harness/tools
	else
		printf '%s\n' "${HOME:?HOME is not set}/.cache/sre-harness/tools"
	fi
}

# find_program NAME...: prints the path of the first name that is found; fails if none is.
find_program() {
	local name dir candidate tools
	tools="$(tools_dir)"
	for name in "$@"; do
		if candidate="$(type -P "$name")"; then
			printf '%s\n' "$candidate"
			return 0
		fi
		# The newest PostgreSQL wins, as sort -V orders 9.6 before 15.
		for dir in /usr/sbin $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV) \
			"$tools/usr/bin" "$tools/usr/sbin" \
			$(printf '%s\n' "$tools"/usr/lib/postgresql/*/bin | sort -rV); do
			if [ -x "$dir/$name" ] && [ ! -d "$dir/$name" ]; then
				printf '%s\n' "$dir/$name"
				return 0
			fi
		done
	done
	return 1
}

# find_library NAME: prints the path of a shared library of the machine or the tools cache.
find_library() {
	local path
	for path in /usr/lib/*-linux-gnu*/"$1" "$(tools_dir)"/usr/lib/*-linux-gnu*/"$1"; do
		if [ -e "$path" ]; then
			printf '%s\n' "$path"
			return 0
		fi
	done
	return 1
}

# run_program PATH ARG...: runs it; a program from the tools cache gets the cache's shared libraries.
run_program() {
	local program="$1" tools libraries
	shift
	tools="$(tools_dir)"
	case "$program" in
	"$tools"/*)
		libraries="$(printf '%s:' "$tools"/usr/lib/*-linux-gnu*)$tools/usr/lib"
		LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$program" "$@"
		;;
	*) "$program" "$@" ;;
	esac
}

say() { printf '%s\n' "$*"; }

step() {
	if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
		printf '\033[1m==> %s\033[0m\n' "$*"
	else
		printf '==> %s\n' "$*"
	fi
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# check WHAT COMMAND...: runs it quietly, shows its output when it fails, and counts it in the caller's $passed or $failed.
check() {
	local what="$1" output
	shift
	if output="$("$@" 2>&1)"; then
		passed=$((passed + 1))
		printf 'ok      %s\n' "$what"
	else
		failed=$((failed + 1))
		printf 'FAILED  %s\n' "$what"
		printf '%s\n' "$output" | sed 's/^/        /'
	fi
}
