#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Keeps schema and statements in the common form: PostgreSQL must take them all, from a server of
# this test's own on a socket in a folder of its own. Exit code 77, 'not run', where it is not installed.

set -u
print=${top_builddir:-.}/tests/unit/meta/print-postgres

bin=
for folder in "${PGBIN:-}" /usr/lib/postgresql/*/bin; do
	[ -x "$folder/initdb" ] && [ -x "$folder/psql" ] && bin=$folder
done
[ -n "$bin" ] || {
	echo "not run: PostgreSQL is not installed"
	exit 77
}

# The server refuses to be root.
user=()
if [ "$EUID" -eq 0 ]; then
	user=(runuser -u nobody --)
	getent passwd postgres >/dev/null && user=(runuser -u postgres --)
fi
dir=$(mktemp -d /tmp/garner-postgres-XXXXXX) || exit 1
cleanup() {
	[ -f "$dir/data/postmaster.pid" ] &&
		"${user[@]}" "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null 2>&1
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP
chmod 0755 "$dir"
[ ${#user[@]} -eq 0 ] || chown "${user[2]}" "$dir"

# Commands of the server's own user, away from folders that it may not read.
server() {
	(cd "$dir" && "${user[@]}" "$bin/$1" "${@:2}")
}

start_server() {
	server initdb -D "$dir/data" -A trust -E UTF8 --no-locale -N &&
		server pg_ctl -D "$dir/data" -w -t 60 -l "$dir/server-log" \
			-o "-k $dir -c listen_addresses= -c fsync=off" start
}
start_server >"$dir/log" 2>&1 || {
	cat "$dir/log" "$dir/server-log"
	echo "the server does not start"
	exit 1
}

# run_script: psql's errors for the script on standard input.
run_script() {
	server psql -X -q -h "$dir" -d "$1" -v ON_ERROR_STOP="$2" -f - 2>&1
}

# The way of finding faults is tried first: a statement that is wrong must show.
wrong=$(echo 'PREPARE s AS SELECT nosuch FROM nosuch;' | run_script postgres 0)
case $wrong in
*ERROR*) ;;
*)
	echo "self-test: a wrong statement was taken: $wrong"
	exit 1
	;;
esac
server createdb -h "$dir" garner || exit 1
"$print" >"$dir/script" || exit 1
found=$(run_script garner 0 <"$dir/script")
prepared=$(grep -c '^preparing ' <<<"$found")
if grep -q 'ERROR' <<<"$found"; then
	grep -B 1 -A 3 'ERROR' <<<"$found"
	echo "PostgreSQL does not take all of $prepared statements"
	exit 1
fi
[ "$prepared" -gt 0 ] || {
	echo "no statement was tried: $found"
	exit 1
}
echo "$prepared statements"
