#!/bin/sh
# Makes the database cluster on the first start, as the official image does, then becomes the server.
# It is made beside its place and moved there when it is whole: a start that was killed is simply done again.
set -eu

fail() { echo "$1" >&2; exit 1; }

read_setting() { # NAME: the value of the variable NAME, or the content of the file that NAME_FILE names
    eval "file=\${$1_FILE:-} value=\${$1:-}"
    if [ -n "$file" ]; then cat "$file"; else printf %s "$value"; fi
}

initialise() {
    user=$(read_setting POSTGRES_USER)
    user=${user:-postgres}
    password=$(read_setting POSTGRES_PASSWORD)
    database=$(read_setting POSTGRES_DB)
    database=${database:-$user}
    [ -n "$password" ] || fail "Set POSTGRES_PASSWORD_FILE or POSTGRES_PASSWORD: the first user needs a password."

    new="$PGDATA.new"
    sockets=$(mktemp -d)
    rm -rf "$new"
    printf '%s\n' "$password" > "$sockets/password"
    # Word splitting is meant: the variable holds several arguments.
    # shellcheck disable=SC2086
    initdb --pgdata="$new" --username="$user" --pwfile="$sockets/password" \
        --encoding=UTF8 --locale=C.UTF-8 --auth-local=scram-sha-256 --auth-host=scram-sha-256 ${POSTGRES_INITDB_ARGS:-}
    rm "$sockets/password"
    echo "host all all all scram-sha-256" >> "$new/pg_hba.conf"
    echo "listen_addresses = '*'" >> "$new/postgresql.conf"

    export PGPASSWORD="$password"
    pg_ctl --pgdata="$new" --wait --log="$sockets/log" \
        --options="-c listen_addresses='' -c unix_socket_directories=$sockets" start \
        || { cat "$sockets/log" >&2; exit 1; }
    run_sql() { psql --host="$sockets" --username="$user" --no-password --set=ON_ERROR_STOP=1 --quiet "$@"; }
    if [ "$database" != postgres ]; then
        echo 'CREATE DATABASE :"name"' | run_sql --dbname=postgres --set=name="$database"
    fi
    for script in /docker-entrypoint-initdb.d/*.sql; do
        [ -e "$script" ] || continue
        echo "running $script"
        run_sql --dbname="$database" --file="$script"
    done
    pg_ctl --pgdata="$new" --wait --mode=fast stop
    unset PGPASSWORD
    rm -rf "$sockets"

    if [ -d "$PGDATA" ]; then rmdir "$PGDATA"; fi
    mv "$new" "$PGDATA"
}

case ${1:-postgres} in
    -*) set -- postgres "$@" ;;
esac
if [ "$1" = postgres ]; then
    if [ ! -s "$PGDATA/PG_VERSION" ]; then
        initialise
    fi
    # A pod's fsGroup opens every folder of a volume to its group, and the server refuses such a one.
    chmod 0700 "$PGDATA"
fi
exec "$@"
