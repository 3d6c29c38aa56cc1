# SPDX-License-Identifier: GPL-3.0-or-later
# For tests against S3 servers; sourced after tests/cli/lib.sh (and that after tests/mount/lib.sh, by those that mount). Whatever is started here ends with the test.
s3tool=${top_builddir:-.}/tests/tools/s3tool
[ -x "$s3tool" ] || s3tool=$(command -v s3tool)
started=()

# Ends the processes that a start script listed in DIR/pids.
stop_servers() {
	local dir pid
	for dir in "${started[@]}"; do
		while read -r pid; do
			kill "$pid" 2>/dev/null
		done <"$dir/pids"
		while read -r pid; do
			for _ in $(seq 50); do
				kill -0 "$pid" 2>/dev/null || break
				sleep 0.1
			done
			kill -KILL "$pid" 2>/dev/null
		done <"$dir/pids"
	done
	started=()
}
if declare -F cleanup >/dev/null; then
	trap 'stop_servers; cleanup' EXIT
else
	trap 'stop_servers; cd /; rm -rf "$work"' EXIT
fi

# serve: starts the test server of s3tool, which ends with the test; $endpoint is then its address.
serve() {
	coproc server { exec "$s3tool" serve; }
	# shellcheck disable=SC2154
	read -r endpoint <&"${server[0]}" || exit 1
}

# tell COMMAND…: to the test server, which answers when it is done.
tell() {
	local answer
	echo "$*" >&"${server[1]}"
	read -r answer <&"${server[0]}"
	[ "$answer" = ok ] || fail "the test server takes no '$*'"
}

# swift DIR: starts Swift; $endpoint and $tls_endpoint are then its addresses without the scheme. DIR/srv.crt is a
# certificate that no one else knows.
swift() {
	local -a ports
	mapfile -t ports < <("$s3tool" ports 6)
	started+=("$1")
	mkdir -p "$1"
	: >"$1/pids"
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=garner-test \
		-addext subjectAltName=IP:127.0.0.1 -keyout "$1/srv.key" -out "$1/srv.crt" 2>/dev/null ||
		fail "no certificate"
	if ! "$top_srcdir/tests/s3/swift-start" "$1" "${ports[@]}"; then
		fail "Swift does not start"
		finish
	fi
	endpoint=127.0.0.1:${ports[0]}
	tls_endpoint=127.0.0.1:${ports[1]}
}

# proxy PORT: a fault-proxy in front of the server at PORT; $proxied is then its address. Told by `proxy_does COMMAND…`.
proxy() {
	local at
	at=$("$s3tool" ports 1)
	coproc PROXY { exec "$top_srcdir/tests/s3/fault-proxy" "$at" "$1"; }
	proxied=127.0.0.1:$at
	proxy_hears || fail "the proxy does not start"
}

# proxy_does COMMAND…: what it says to that, but for its `ok`.
proxy_does() {
	echo "$*" >&"${PROXY[1]}"
	proxy_hears
}

proxy_hears() {
	local line
	while read -r -t 120 line <&"${PROXY[0]}"; do
		case $line in
		ok | ready) return 0 ;;
		*) echo "$line" ;;
		esac
	done
	return 1
}

# The keys of the environment, and nothing else that the machine may have.
use_keys() {
	export AWS_ACCESS_KEY_ID=$1 AWS_SECRET_ACCESS_KEY=$2 AWS_EC2_METADATA_DISABLED=true HOME=$work
	unset AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION AWS_SESSION_TOKEN AWS_CA_BUNDLE
}

# query SQL: of the library $lib.
query() {
	sqlite3 "file:$lib/garner.db?mode=ro" "$1"
}

# What of the store the bucket does not have yet, in KiB: chunks that wait to be sent, and drafts. Both as of one moment: what is sealed goes from one to the other.
dirty_kib() {
	local kib=0 unsent path size
	while IFS='|' read -r unsent path; do
		kib=$((kib + unsent))
		size=
		[ -z "$path" ] || size=$(du -k "$lib/blobs/$path" 2>/dev/null | cut -f1)
		kib=$((kib + ${size:-0}))
	done < <(query "SELECT coalesce(sum(size), 0) / 1024, '' FROM upload WHERE kind = 1
		UNION ALL SELECT 0, printf('%02x/%016x', id >> 8 & 255, id) FROM blob WHERE kind = 1")
	echo $kib
}

# What of the store is in the bucket, in KiB: what the files take, less what it did not have right before or right after that was measured.
clean_kib() {
	local before all after
	before=$(dirty_kib)
	all=$(du -sk "$lib/blobs" 2>/dev/null | cut -f1)
	after=$(dirty_kib)
	echo $((all - (before > after ? before : after)))
}
