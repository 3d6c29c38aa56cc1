#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The daemon of a mount is killed again and again while it fetches, evicts and uploads, in front of Swift. Each time fsck is clean, every byte is what it was, and
# what was closed is there; in the end the bucket alone brings all of it back, and the store keeps its limit.
#   GARNER_CACHE_KILLS (default 6), KILL_SEED
. "${top_srcdir:-.}/tests/mount/lib.sh" || exit 1
. "${top_srcdir:-.}/tests/cli/lib.sh" || exit 1
. "${top_srcdir:-.}/tests/s3/lib.sh" || exit 1
top_srcdir=$(realpath "${top_srcdir:-.}")
s3tool=$(realpath "$s3tool")
cd "$work" || exit 1
use_keys test:tester testing

kills=${GARNER_CACHE_KILLS:-6}
seed=${KILL_SEED:-$RANDOM}
limit=5

# set_limit MIB: of the store, from the next mount on; 0: none.
set_limit() {
	sed -i "s/^limit = .*/limit = $1MiB/" "$lib/config"
}

# same MOUNT: what is there is what was promised.
same() {
	timeout 120 python3 "$top_srcdir/tests/s3/kill-load.py" compare "$1" "$work/kept" >differences ||
		fail "kill $i (seed $seed, $what): $(head -5 differences)"
}

# Cold at first, or full at first, or cold and too small: what is under way when the kill comes.
prepare() {
	case $what in
	fetch) "$GARNER" evict "$lib" / >/dev/null 2>&1 ;;
	evict) set_limit $limit ;;
	both)
		"$GARNER" evict "$lib" / >/dev/null 2>&1
		set_limit $limit
		;;
	esac
}

# under_way: something of what was done was not over when the kill came: chunks not here yet, or not all evicted that was to be.
under_way() {
	case $what in
	fetch) [ "$(query 'SELECT count(*) FROM chunk WHERE NOT EXISTS (SELECT 1 FROM place WHERE chunk = id)')" -gt 0 ] ;;
	*) [ "$(query 'SELECT count(*) FROM blob WHERE kind = 4 AND owner IS NOT NULL')" -gt 0 ] ;;
	esac
}

# The folders of the store themselves take 4 KiB each.
within_limit() {
	[ "$(clean_kib)" -le $((limit * 1024 + 256 * 4 + 256)) ]
}

swift "$work/swift"
"$s3tool" bucket "http://$endpoint" s3://lib || fail "no bucket can be made"
make_library --chunk-min 64KiB --chunk-avg 128KiB --chunk-max 256KiB --s3 s3://lib/here --endpoint "http://$endpoint"
sed -i "s/^\[cache\]/&\nlimit = 0MiB\nmin-free = 0/" "$lib/config"
mkdir kept
for n in 1 2 3 4 5 6 7 8 9 10; do noise 2 "$n" | head -c $((1000000 + n * 77777)) >"kept/large$n"; done
for n in 1 2; do noise 1 "e$n" >"kept/edited$n"; done
for n in $(seq 20); do head -c $((n * 2000)) kept/large1 >"kept/small$n"; done
cat kept/large3 kept/large4 >kept/shared
mount_library
cp kept/* "$mnt/"
check "push --wait" "$GARNER" push --wait --timeout 2m "$lib"
unmount_library

declare -A caught=([fetch]=0 [evict]=0 [both]=0)
for ((i = 1; i <= kills; i++)); do
	what=$(sed -n "$((i % 3 + 1))p" <<<$'fetch\nevict\nboth')
	prepare
	mount_library
	daemon=$(daemon_pids)
	"$GARNER" pull "$lib" / >/dev/null 2>&1 &
	timeout 200 python3 "$top_srcdir/tests/s3/kill-load.py" load "$mnt" "$work/kept" "$seed-$i" "$daemon" >load ||
		fail "kill $i (seed $seed, $what): $(head -5 load)"
	wait
	kill_daemon
	under_way && caught[$what]=$((caught[$what] + 1))
	check_library --deep
	set_limit 0
	mount_library
	same "$mnt"
	unmount_library
	[ $failures -eq 0 ] || break
done
[ "$kills" -lt 3 ] || [ $((caught[fetch] + caught[evict] + caught[both])) -gt 0 ] || fail "seed $seed: no kill came on the way"

# Nothing that kills leave keeps the store above its limit, be it more than that; and the bucket alone brings all of it back.
what=end
left=$lib/blobs/ff/00000000000fff00
mkdir -p "${left%/*}"
noise $((limit + 3)) left >"$left"
set_limit $limit
mount_library
check "push --wait" "$GARNER" push --wait --timeout 2m "$lib"
check "backup" "$GARNER" backup "$lib"
within 120 within_limit || fail "seed $seed: the store has $(clean_kib) KiB in the bucket, of $limit MiB"
unmount_library
check_library --deep
mkdir back
extra_mounts+=("$work/back")
"$GARNER" recover s3://lib/here recovered --endpoint "http://$endpoint" >/dev/null || fail "garner recover"
"$GARNER" mount recovered back || fail "no mount of what was recovered"
same "$work/back"
check "unmounting" "$GARNER" umount back
gives 0 '*' '' fsck --deep recovered
[ $failures -eq 0 ] || echo "seed $seed"
echo "seed $seed: killed on the way: fetch ${caught[fetch]}, evict ${caught[evict]}, both ${caught[both]}"
finish
