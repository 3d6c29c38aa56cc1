#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# OpenStack Swift's S3 interface: the conformance suite of stores, garner init and doctor with the likeliest mistakes, and TLS
# with a certificate of one's own. Swift checks signatures, regions and clocks, and does not know If-None-Match.
. "${top_srcdir:-.}/tests/cli/lib.sh" || exit 1
. "${top_srcdir:-.}/tests/s3/lib.sh" || exit 1
top_srcdir=$(realpath "${top_srcdir:-.}")
top_builddir=$(realpath "${top_builddir:-.}")
s3tool=$(realpath "$s3tool")
cd "$work" || exit 1
use_keys test:tester testing

swift "$work/swift"
at="--endpoint=http://$endpoint"
"$s3tool" bucket "http://$endpoint" s3://chunks || fail "no bucket can be made"

# Each kind of store has to do the same; here with fewer chunks and calls, for Swift takes its time.
export GARNER_TEST_S3="http://$endpoint s3://chunks" CK_RUN_CASE=s3 UNIT_STRIDE=20
"$top_builddir/tests/unit/store/test-store" || fail "the conformance suite"
"$top_builddir/tests/unit/store/test-store-random" || fail "the conformance suite at random"
unset GARNER_TEST_S3 CK_RUN_CASE UNIT_STRIDE

gives 0 "Made the library one, with the bucket s3://chunks/a/b at http://$endpoint.*" '' \
	init one --s3 s3://chunks/a/b "$at"
soon json '.[] | select(.what == "S3") | .verdict == "good"' doctor --json one
json '.[] | select(.what == "S3 conditional put") | .verdict == "limit"' doctor --json one
soon json '.s3.reached and .s3.url == "s3://chunks/a/b" and .s3.error == null' status --json one
[ -z "$("$s3tool" keys "http://$endpoint" s3://chunks/a)" ] || fail "the probe leaves something behind"
if grep -rqa testing one; then
	fail "the secret is in the library"
fi

# What is wrong is told, with advice, and no library is made.
refuses() {
	local code=$1 words=$2
	shift 2
	gives "$code" '' "$words" init two "$@"
	[ ! -e two ] || fail "a library was made in spite of: $*"
}
refuses 3 '*NoSuchBucket*make the bucket first*' --s3 s3://nobody "$at"
AWS_SECRET_ACCESS_KEY=wrong refuses 7 '*SignatureDoesNotMatch*secret key*' --s3 s3://chunks "$at"
AWS_ACCESS_KEY_ID=nobody:else refuses 7 '*403*' --s3 s3://chunks "$at"
refuses 1 '*check host and port of --endpoint*' --s3 s3://chunks --endpoint=http://127.0.0.1:1
refuses 1 '*--endpoint*' --s3 s3://chunks --endpoint=http://no-such-host.invalid
refuses 1 '*http*' --s3 s3://chunks --endpoint="https://$endpoint"
# The region is found out, the clock corrected.
gives 0 'Made*' '' init region --s3 s3://chunks --region eu-central-1 "$at"
# (faketime and the address sanitizer do not go together.)
if [ -z "${ASAN_OPTIONS:-}" ]; then
	faketime -f -20m "$GARNER" init clock --s3 s3://chunks "$at" >out 2>err || fail "20 minutes late: $(cat err)"
	grep -q "clock is off by" err || fail "a clock that is off is not told of"
fi

# Over TLS, with a certificate that no one knows but us.
cp swift/srv.crt .
at="--endpoint=https://$tls_endpoint"
refuses 1 '*certificate*--ca-file*' --s3 s3://chunks "$at"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=other -keyout other.key -out other.crt 2>/dev/null
refuses 1 '*not signed by that of --ca-file*' --s3 s3://chunks "$at" --ca-file other.crt
refuses 2 '*there is no such file*' --s3 s3://chunks "$at" --ca-file nothing
gives 0 'Made*' '' init tls --s3 s3://chunks "$at" --ca-file srv.crt
(cd / && "$GARNER" doctor --json "$work/tls") | jq -e '.[] | select(.what == "S3") | .verdict == "good"' >/dev/null ||
	fail "the certificate is not found from elsewhere"
AWS_CA_BUNDLE=$work/srv.crt gives 0 'Made*' '' init bundle --s3 s3://chunks "$at"

# Swift goes: what is asked of it fails, and says so, in time; the library is as usable as before.
stop_servers
for _ in 1 2 3; do
	began=$SECONDS
	gives 0 "*s3: *s3://chunks/a/b at http://$endpoint, not reached: *" '' status one
	json '.s3.reached == false and (.s3.error | contains("s3://chunks/a/b"))' status --json one
	took=$((SECONDS - began))
	[ $took -ge 30 ] || break
done
[ $took -lt 30 ] || fail "status takes $took s without S3"
gives 8 '*BROKEN*S3*' '' doctor one
json '.faults == []' fsck --json one
finish
