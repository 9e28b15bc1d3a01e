#!/bin/bash
# The first start of the official image in short: settings from POSTGRES_* or the files named by POSTGRES_*_FILE, a data
# folder made once, access by password from elsewhere; later starts just start.
set -euo pipefail

if [ "${1:-}" != postgres ]; then exec "$@"; fi

if [ "$(id -u)" = 0 ]; then
	mkdir -p "$PGDATA" && chmod 700 "$PGDATA" && chown -R postgres:postgres "$PGDATA"
	for name in POSTGRES_PASSWORD POSTGRES_USER POSTGRES_DB; do
		file="${name}_FILE"
		if [ -n "${!file:-}" ]; then
			export "$name=$(cat "${!file}")"
			unset "$file"
		fi
	done
	exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
	user=${POSTGRES_USER:-postgres}
	if [ -z "${POSTGRES_PASSWORD:-}" ]; then
		echo "Error: POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE must be given" >&2
		exit 1
	fi
	initdb --username="$user" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --auth-local=trust --auth-host=scram-sha-256
	echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
	database=${POSTGRES_DB:-$user}
	if [ "$database" != postgres ]; then
		# On a socket only: nobody may mistake this server, which ends again, for the real one.
		pg_ctl --wait --options="-c listen_addresses=''" start
		createdb --username="$user" "$database"
		pg_ctl --wait --mode=fast stop
	fi
fi
unset POSTGRES_PASSWORD
exec postgres -c listen_addresses='*' "${@:2}"
