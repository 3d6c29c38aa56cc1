# SPDX-License-Identifier: GPL-3.0-or-later
# For tests of the command line that need no mount; sourced. Those that mount source tests/mount/lib.sh, and this after it.

if [ -z "${work:-}" ]; then
	set -u
	: "${GARNER:=garner}"
	case $GARNER in */*) GARNER=$(realpath "$GARNER") ;; esac
	work=$(mktemp -d "${TMPDIR:-/tmp}/garner-test-XXXXXX") || exit 1
	lib=$work/library
	failures=0
	trap 'exit 130' INT TERM HUP
	trap 'cd /; rm -rf "$work"' EXIT

	fail() {
		failures=$((failures + 1))
		echo "FAIL: $*" >&2
	}

	finish() {
		[ $failures -eq 0 ] || exit 1
		exit 0
	}
fi

# gives CODE OUT ERR ARGUMENT…: garner ends with this code; standard output and standard error match these patterns of bash, "" being nothing at all.
gives() {
	local code=$1 out=$2 err=$3 got
	shift 3
	"$GARNER" "$@" >"$work/out" 2>"$work/err"
	got=$?
	[ $got -eq "$code" ] || fail "garner $*: exit code $got, wanted $code: $(cat "$work/err")"
	# shellcheck disable=SC2053
	[[ $(cat "$work/out") == $out ]] || fail "garner $*: prints '$(cat "$work/out")', wanted '$out'"
	# shellcheck disable=SC2053
	[[ $(cat "$work/err") == $err ]] || fail "garner $*: says '$(cat "$work/err")', wanted '$err'"
}

# soon COMMAND…: one of the commands here, repeated for a minute until it finds nothing wrong. For what a machine that stands still for some seconds does not get done in its time.
soon() {
	local end=$((SECONDS + 60))
	until (failures=0; "$@" 2>/dev/null; [ "$failures" -eq 0 ]); do
		if [ $SECONDS -ge $end ]; then
			"$@"
			return
		fi
		sleep 0.2
	done
}

# json FILTER ARGUMENT…: garner succeeds and prints JSON for which jq's filter holds.
json() {
	local filter=$1
	shift
	if ! "$GARNER" "$@" >"$work/out" 2>"$work/err"; then
		fail "garner $*: $(cat "$work/err")"
	elif ! jq -e "$filter" "$work/out" >/dev/null; then
		fail "garner $*: '$filter' does not hold for $(cat "$work/out")"
	fi
}
