#!/usr/bin/env bash
#
# Gets the programs that the embedded cluster runs as pods (Prometheus, Alertmanager, the PostgreSQL
# exporter, PostgreSQL, Redis), each only if it isn't on the machine already.
#
# Nothing is installed: the Debian packages are downloaded and unpacked into a cache directory. So no
# maintainer script runs, no service is started, enabled or reconfigured, no user is created, and it works
# without root. apt gets package lists of its own, so that not even the machine's lists change.
#
# Safe to run again (does nothing if all is there) and at the same time (a lock; the second waits).

set -euo pipefail
umask 022 # pods may run as another user than the one who unpacked the tree

here="$(cd "$(dirname "$0")" && pwd)"
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"

usage() {
	cat <<'HELP'
usage: scripts/tools.sh [--check] [--browser] [--tmux] [--checkers] [--dir]

Finds prometheus, promtool, prometheus-alertmanager, amtool, prometheus-postgres-exporter,
prometheus-redis-exporter, PostgreSQL's server and redis-server, and unpacks the Debian packages of those that are missing into the tools cache:
$SRE_HARNESS_TOOLS, else /var/cache/sre-harness/tools (root) or ~/.cache/sre-harness/tools.

  --check    only say what is there and what is missing (exit 1 if something is)
  --browser  also chromium and chromium-driver, for the browser test (installed by apt-get as root, with
             service starts forbidden; without root it says what to do)
  --tmux     also tmux, for the test of the terminal view (in the same way)
  --checkers also xmllint, for the test of junit.xml (in the same way)
  --dir      print the tools cache's directory and do nothing else
  -h, --help this text

To get newer versions, remove the tools cache and run it again.
HELP
}

# What is looked for: "names that it may have (Debian's first) | Debian package | what it is for".
# postgresql is the metapackage; it is resolved to the distribution's postgresql-NN further down.
# A name that ends in .so is a shared library.
programs=(
	"prometheus|prometheus|collects metrics, evaluates alert rules"
	"promtool|prometheus|checks and tests the alert rules"
	"prometheus-alertmanager alertmanager|prometheus-alertmanager|routes alerts to receivers"
	"amtool|prometheus-alertmanager|checks the alert routing"
	"prometheus-postgres-exporter postgres_exporter|prometheus-postgres-exporter|metrics of PostgreSQL"
	"prometheus-redis-exporter redis_exporter|prometheus-redis-exporter|metrics of Redis"
	"postgres|postgresql|database server"
	"initdb|postgresql|makes a new database directory"
	"libnss_wrapper.so|libnss-wrapper|lets initdb run as a user id that has no name on this machine"
	"redis-server|redis-server|cache of the demo system"
)

check_only=false
browser=false
tmux=false
checkers=false
for argument in "$@"; do
	case "$argument" in
	--check) check_only=true ;;
	--browser) browser=true ;;
	--tmux) tmux=true ;;
	--checkers) checkers=true ;;
	--dir)
		tools_dir
		exit 0
		;;
	-h | --help)
		usage
		exit 0
		;;
	*)
		usage >&2
		exit 2
		;;
	esac
done

tools="$(tools_dir)"
cache="$(dirname "$tools")"

# --- what is there ---------------------------------------------------------------------------------------

# The version that a program prints about itself: the first thing that looks like one.
version_of() {
	local output
	output="$(run_program "$1" --version 2>&1)" || return 1
	grep -oE '[0-9]+\.[0-9]+(\.[0-9]+)?' <<<"$output" | head -n 1
}

missing_packages=()
survey() {
	local entry names package purpose path version
	missing_packages=()
	for entry in "${programs[@]}"; do
		IFS='|' read -r names package purpose <<<"$entry"
		# shellcheck disable=SC2086 # the names are separate words
		if [[ "$names" == *.so ]]; then
			if path="$(find_library "$names")"; then
				printf '  %-30s %-10s %s\n' "$names" there "$path"
				continue
			fi
			printf '  %-30s %-10s %s\n' "$names" missing "$purpose (package $package)"
		elif path="$(find_program $names)"; then
			if version="$(version_of "$path")"; then
				printf '  %-30s %-10s %s\n' "${names%% *}" "$version" "$path"
				continue
			fi
			printf '  %-30s %-10s %s\n' "${names%% *}" broken "$path does not run:"
			run_program "$path" --version 2>&1 | sed 's/^/      /' || true
		else
			printf '  %-30s %-10s %s\n' "${names%% *}" missing "$purpose (package $package)"
		fi
		case " ${missing_packages[*]-} " in
		*" $package "*) ;;
		*) missing_packages+=("$package") ;;
		esac
	done
}

# --- getting packages ------------------------------------------------------------------------------------

apt_options=()

# apt with lists and caches of its own: works without root and leaves the machine's state alone.
# The hooks are cleared because they belong to the machine's own "apt-get update" (PackageKit, appstream,
# Docker's cleaning), not to a private one.
write_apt_configuration() {
	mkdir -p "$cache/apt/lists/partial" "$cache/apt/cache/archives/partial" 2>/dev/null ||
		die "can't write to $cache; set SRE_HARNESS_TOOLS to a directory of yours (its parent is written too)"
	cat >"$cache/apt/apt.conf" <<CONF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::State::Lists "$cache/apt/lists";
Dir::Cache "$cache/apt/cache";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
CONF
	apt_options=(-c "$cache/apt/apt.conf")
}

# Package lists: fetched when older than a day or not there. Without them the machine's own lists serve.
refresh_lists() {
	local log="$cache/apt/update.log"
	if [ -n "$(find "$cache/apt/updated" -mmin -1440 2>/dev/null)" ]; then
		return 0
	fi
	say "fetching package lists (private ones, in $cache/apt)"
	# A broken third-party source fails the update although Debian's lists came: what counts is whether the
	# packages are known afterwards, which resolve() finds out.
	if apt-get "${apt_options[@]}" -q update >"$log" 2>&1; then
		touch "$cache/apt/updated"
	else
		say "  not every source answered:"
		grep -E '^(E|Err|W):' "$log" | sed 's/^/    /' | head -n 5 || true
	fi
}

# resolve PACKAGE...: prints the packages to download: those named, and what apt would have to add for them
# (shared libraries among them), one name=version a line.
resolve() {
	local plan
	plan="$(apt-get "${apt_options[@]}" -s --no-install-recommends install "$@" 2>&1)" || {
		printf '%s\n' "$plan" >&2
		return 1
	}
	{
		sed -nE 's/^Inst ([^ ]+) (\[[^]]*\] )?\(([^ ]+) .*/\1=\3/p' <<<"$plan"
		# Named ones that apt takes for installed although their program isn't found or doesn't run.
		printf '%s\n' "$@"
	} | awk -F= '!seen[$1]++'
}

# postgresql is empty but for its dependency on the distribution's version, the package that is wanted.
server_package() {
	apt-cache "${apt_options[@]}" depends postgresql 2>/dev/null |
		sed -nE 's/^ *Depends: (postgresql-[0-9]+)$/\1/p' | head -n 1
}

work=""
cleanup() {
	if [ -n "$work" ]; then
		rm -rf "$work"
	fi
}
trap cleanup EXIT

# unpack PACKAGE...: downloads, unpacks next to the cache, then moves into place.
unpack() {
	local wanted=() resolved=() package server file
	for package in "$@"; do
		if [ "$package" = postgresql ]; then
			server="$(server_package)"
			[ -z "$server" ] || package="$server"
		fi
		wanted+=("$package")
	done
	if ! mapfile -t resolved < <(resolve "${wanted[@]}") || [ "${#resolved[@]}" -eq 0 ]; then
		return 1
	fi

	work="$(mktemp -d "$cache/.new.XXXXXX")"
	chmod 755 "$work"
	mkdir "$work/debs" "$work/tree"
	if [ "$(id -u)" -eq 0 ] && id _apt >/dev/null 2>&1; then
		chown _apt "$work/debs" # apt drops its privileges for downloads
	fi
	say "downloading ${#resolved[@]} packages: ${resolved[*]%%=*}"
	if ! (cd "$work/debs" && apt-get "${apt_options[@]}" -q download "${resolved[@]}") >"$work/log" 2>&1; then
		grep -E '^(E|Err)' "$work/log" | sed 's/^/    /' | head -n 5 >&2 || true
		return 1
	fi
	say "unpacking $(du -sh "$work/debs" | cut -f1) into $tools (nothing is installed or started)"
	for file in "$work"/debs/*.deb; do
		dpkg-deb -x "$file" "$work/tree"
	done
	merge_usr "$work/tree"
	relative_links "$work/tree"
	relocate "$work/tree"
	place "$work/tree"
}

# merge_usr TREE: some packages still ship /lib and /bin, which on a machine are links into /usr. Merging them
# here leaves one directory of libraries to look into.
merge_usr() {
	local directory
	for directory in bin sbin lib lib64; do
		if [ -d "$1/$directory" ]; then
			mkdir -p "$1/usr/$directory"
			cp -al "$1/$directory/." "$1/usr/$directory/"
			rm -rf "${1:?}/$directory"
		fi
	done
}

# relative_links TREE: links that point to /usr/... point into the tree, and those whose target is in a
# package that the machine has installed already point to the machine's copy.
relative_links() {
	local tree="$1" link target
	while IFS= read -r -d '' link; do
		target="$(readlink "$link")"
		if [ -e "$tree$target" ]; then
			ln -sfnr "$tree$target" "$link"
		fi
	done < <(find "$tree" -type l -lname '/*' -print0)
	while IFS= read -r -d '' link; do
		target="$(realpath -m "$link")"
		target="${target#"$tree"}"
		if [ -e "$target" ]; then
			ln -sfn "$target" "$link"
		fi
	done < <(find "$tree" -xtype l -print0)
}

# relocate TREE: Debian's Prometheus and Alertmanager read their templates and web pages from
# /usr/share/prometheus, a path fixed at build time (Alertmanager doesn't start without it). In the unpacked
# copies that path is made relative, which keeps its length, and a small script of the program's name starts
# them in the tools cache. Their other paths come from flags, which have to be absolute then.
relocate() {
	local tree="$1" program file
	for program in prometheus prometheus-alertmanager; do
		file="$tree/usr/bin/$program"
		if [ ! -f "$file" ] || ! LC_ALL=C grep -qF /usr/share/prometheus/ "$file"; then
			continue
		fi
		mkdir -p "$tree/usr/lib/sre-harness"
		LC_ALL=C sed 's#/usr/share/prometheus/#usr/share/prometheus//#g' "$file" >"$tree/usr/lib/sre-harness/$program"
		if [ "$(stat -c %s "$file")" -ne "$(stat -c %s "$tree/usr/lib/sre-harness/$program")" ]; then
			die "internal error: relocating $program changed its size"
		fi
		chmod 755 "$tree/usr/lib/sre-harness/$program"
		rm "$file"
		cat >"$file" <<'WRAPPER'
#!/bin/sh
# Made by sre-harness scripts/tools.sh: the program finds its templates and pages relative to this directory.
cd "$(dirname "$0")/../.." && exec "usr/lib/sre-harness/${0##*/}" "$@"
WRAPPER
		chmod 755 "$file"
	done
}

# place TREE: a new cache appears in one rename. An existing one grows file by file, each in one rename,
# libraries and data before programs: who looks meanwhile finds a program only when all it needs is there.
place() {
	local tree="$1" file
	if [ ! -e "$tools" ]; then
		mv -T "$tree" "$tools"
		return
	fi
	(cd "$tree" && find . -type d -print0) | (cd "$tools" && xargs -0 mkdir -p)
	while IFS= read -r -d '' file; do
		mv -fT "$tree/$file" "$tools/$file"
	done < <(
		cd "$tree"
		find . ! -type d ! -path '*/bin/*' ! -path '*/sbin/*' -print0
		find . ! -type d \( -path '*/bin/*' -o -path '*/sbin/*' \) -print0
	)
}

get_missing() {
	if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
		die "this is not a Debian system (no apt-get): install ${missing_packages[*]} your own way, or put the programs on PATH"
	fi
	mkdir -p "$cache" 2>/dev/null || die "can't create $cache; set SRE_HARNESS_TOOLS to a directory of yours"

	exec 9>"$cache/.lock"
	if ! flock -n 9; then
		say "another tools.sh is at work in $cache: waiting for it"
		flock 9
		survey # it may have got everything
		[ "${#missing_packages[@]}" -gt 0 ] || return 0
	fi
	find "$cache" -maxdepth 1 -name '.new.*' -exec rm -rf {} + # left by one that was killed

	write_apt_configuration
	refresh_lists
	if unpack "${missing_packages[@]}"; then
		return 0
	fi
	say "the private package lists don't lead to the packages: trying the machine's own"
	rm -f "$cache/apt/updated"
	cleanup
	apt_options=(-o "Dir::Cache=$cache/apt/cache")
	unpack "${missing_packages[@]}" ||
		die "could not get ${missing_packages[*]}: is the network up, and does /etc/apt name a Debian mirror? (see above)"
}

# --- installed programs ----------------------------------------------------------------------------------

policy=/usr/sbin/policy-rc.d

install_browser() {
	local path driver
	if path="$(find_program chromium chromium-browser google-chrome)" && driver="$(find_program chromedriver)"; then
		printf '  %-30s %-10s %s\n' chromium "$(version_of "$path" || echo '?')" "$path"
		printf '  %-30s %-10s %s\n' chromedriver "$(version_of "$driver" || echo '?')" "$driver"
		return 0
	fi
	printf '  %-30s %-10s %s\n' chromium missing "the browser test (packages chromium, chromium-driver)"
	install_packages "the browser test" chromium chromium-driver || return 1
	if path="$(find_program chromium)"; then
		printf '  %-30s %-10s %s\n' chromium "$(version_of "$path")" "$path"
	fi
}

install_tmux() {
	local path
	if path="$(find_program tmux)"; then
		printf '  %-30s %-10s %s\n' tmux "$("$path" -V | cut -d' ' -f2)" "$path"
		return 0
	fi
	printf '  %-30s %-10s %s\n' tmux missing "the test of the terminal view (package tmux)"
	install_packages "the test of the terminal view" tmux || return 1
	if path="$(find_program tmux)"; then
		printf '  %-30s %-10s %s\n' tmux "$("$path" -V | cut -d' ' -f2)" "$path"
	fi
}

# The small programs that tests check files with: each test says so and does nothing where its program is missing.
install_checkers() {
	local path
	if path="$(find_program xmllint)"; then
		printf '  %-30s %-10s %s\n' xmllint "$("$path" --version 2>&1 | grep -oE '[0-9]{5}' | head -n 1)" "$path"
		return 0
	fi
	printf '  %-30s %-10s %s\n' xmllint missing "the test of junit.xml (package libxml2-utils)"
	install_packages "the test of junit.xml" libxml2-utils || return 1
	if path="$(find_program xmllint)"; then
		printf '  %-30s %-10s %s\n' xmllint there "$path"
	fi
}

# install_packages PURPOSE PACKAGE...: by apt-get, as root; without root it says what to do, and that is no error.
install_packages() {
	local purpose="$1"
	shift
	if "$check_only"; then
		return 1
	fi
	if [ "$(id -u)" -ne 0 ]; then
		say "$* can only be installed by root; $purpose is skipped until you run:"
		say "    sudo apt-get install --no-install-recommends $*"
		return 0
	fi
	command -v apt-get >/dev/null || die "this is not a Debian system: install $* your own way"
	mkdir -p "$cache"
	exec 8>"$cache/.install-lock"
	flock 8
	write_apt_configuration
	refresh_lists
	# Debian's way to forbid that packages start services while they are installed; see invoke-rc.d(8).
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\n# made by sre-harness scripts/tools.sh for one apt-get run\nexit 101\n' >"$policy"
		chmod 755 "$policy"
		trap 'rm -f "$policy"; cleanup' EXIT
	fi
	say "installing $* (no service is started)"
	DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get "${apt_options[@]}" -q -y \
		--no-install-recommends install "$@" >"$cache/apt/install.log" 2>&1 || {
		tail -n 15 "$cache/apt/install.log" | sed 's/^/    /' >&2
		die "could not install $*"
	}
}

# --- main ------------------------------------------------------------------------------------------------

status=0
survey
if [ "${#missing_packages[@]}" -gt 0 ]; then
	if "$check_only"; then
		say "missing: run scripts/tools.sh (or make tools)"
		status=1
	else
		get_missing
		say "now:"
		survey
		[ "${#missing_packages[@]}" -eq 0 ] ||
			die "still missing or not running: ${missing_packages[*]}"
	fi
fi
if "$browser"; then
	install_browser || status=1
fi
if "$tmux"; then
	install_tmux || status=1
fi
if "$checkers"; then
	install_checkers || status=1
fi
exit "$status"
