# Entry point of the postgres image, as far as the official image's behaviour matters to a manifest:
# POSTGRES_USER, POSTGRES_PASSWORD(_FILE), POSTGRES_DB, POSTGRES_HOST_AUTH_METHOD, POSTGRES_INITDB_ARGS, PGDATA,
# and the scripts in /docker-entrypoint-initdb.d. Run by /bin/sh with the container's arguments.
set -eu
umask 077

if [ $# -eq 0 ] || [ "${1#-}" != "$1" ]; then
	set -- postgres "$@"
fi
if [ "$1" != postgres ]; then
	exec "$@"
fi
shift

mkdir -p "$PGDATA"
chmod 700 "$PGDATA" 2>/dev/null || :

sockets="$SRE_RUN_DIR"
user="${POSTGRES_USER:-postgres}"
database="${POSTGRES_DB:-$user}"
method="${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}"

sql() {
	# POSTGRES_DB exists by now; the local socket is trusted.
	psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password --quiet -h "$sockets" -U "$user" -d "$database" "$@"
}

if [ ! -s "$PGDATA/PG_VERSION" ]; then
	if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
		POSTGRES_PASSWORD="$(cat "$POSTGRES_PASSWORD_FILE")"
	fi
	if [ -z "${POSTGRES_PASSWORD:-}" ] && [ "$method" != trust ]; then
		echo 'Error: Database is uninitialized and superuser password is not specified.' >&2
		echo '       You must specify POSTGRES_PASSWORD to a non-empty value for the superuser.' >&2
		exit 1
	fi
	# Built beside its final place and moved with PG_VERSION last: an initialisation that was killed halfway is
	# started again instead of leaving a database that never comes up.
	new="$PGDATA/.new"
	rm -rf "$new"
	printf '%s\n' "${POSTGRES_PASSWORD:-}" >"$sockets/password"
	pwfile="--pwfile=$sockets/password"
	[ -n "${POSTGRES_PASSWORD:-}" ] || pwfile=
	# shellcheck disable=SC2086 # POSTGRES_INITDB_ARGS is a list of words, as in the image
	initdb -D "$new" --no-sync --username="$user" $pwfile --auth-local=trust --auth-host="$method" \
		--encoding=UTF8 --locale=C.UTF-8 ${POSTGRES_INITDB_ARGS:-} >"$sockets/initdb.log" 2>&1 || {
		cat "$sockets/initdb.log" >&2
		exit 1
	}
	rm -f "$sockets/password"
	printf '\nhost all all all %s\n' "$method" >>"$new/pg_hba.conf"

	if [ "$database" != postgres ]; then
		# The name is quoted as an identifier: a quote in it is doubled.
		quoted="$(printf '%s' "$database" | sed 's/"/""/g')"
		printf 'CREATE DATABASE "%s";\n' "$quoted" |
			postgres --single -j -F -D "$new" postgres >"$sockets/initdb.log" 2>&1 || {
			cat "$sockets/initdb.log" >&2
			exit 1
		}
	fi

	if [ -d "$SRE_INITDB_DIR" ] && [ -n "$(ls -A "$SRE_INITDB_DIR")" ]; then
		pg_ctl -D "$new" -s -w -l "$sockets/initdb.log" \
			-o "-F -c listen_addresses='' -c unix_socket_directories='$sockets'" start
		for file in "$SRE_INITDB_DIR"/*; do
			case "$file" in
			*.sql) sql -f "$file" ;;
			*.sql.gz) gunzip -c "$file" | sql ;;
			*.sh)
				if [ -x "$file" ]; then
					PGHOST="$sockets" PGUSER="$user" PGDATABASE="$database" "$file"
				else
					PGHOST="$sockets" PGUSER="$user" PGDATABASE="$database" /bin/sh "$file"
				fi
				;;
			*) echo "ignoring $file" ;;
			esac
		done
		pg_ctl -D "$new" -s -w -m fast stop
	fi

	for file in "$new"/*; do
		[ "$file" = "$new/PG_VERSION" ] || mv "$file" "$PGDATA/"
	done
	mv "$new/PG_VERSION" "$PGDATA/"
	rmdir "$new"
	echo 'PostgreSQL init process complete; ready for start up.'
fi

# The image listens on every address; here that would take the port from all pods of the machine.
exec postgres -D "$PGDATA" -c listen_addresses="$SRE_POD_IP" -c unix_socket_directories="$sockets" "$@"
