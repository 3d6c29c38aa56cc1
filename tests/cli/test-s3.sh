#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The options of a bucket, what becomes of them, and what is told of a bucket that goes wrong. Real servers: tests/s3.
. "${top_srcdir:-.}/tests/cli/lib.sh" || exit 1
. "${top_srcdir:-.}/tests/s3/lib.sh" || exit 1
s3tool=$(realpath "$s3tool")
cd "$work" || exit 1
use_keys AKIATEST a/secret+of=tests

serve

# Options that are wrong, or wrong together.
for bad in '--s3=bucket' '--s3=s3://' '--endpoint=host' '--style=odd' '--encryption=rot13' '--ca-file=none'; do
	gives 2 '' "garner init: ${bad%%=*} '${bad#*=}': *" init lib "$bad"
done
gives 2 '' '*--s3 s3://BUCKET/PREFIX is missing*' init lib --endpoint "$endpoint"
[ ! -e lib ] || fail "a refusal leaves a folder behind"

gives 0 "Made the library lib, with the bucket s3://bucket/my files at $endpoint.*" '' \
	init lib --s3 's3://bucket/my files/' --endpoint "$endpoint/" --style path --encryption aws:kms:key --profile ''
for line in 'url = s3://bucket/my files' "endpoint = $endpoint" 'style = path' 'encryption = aws:kms:key'; do
	grep -qxF "$line" lib/config || fail "no '$line' in config"
done
grep -qa 'a/secret' -r lib && fail "the secret is in the library"
json '.s3 | .reached and .url == "s3://bucket/my files" and .region == "us-east-1" and .clock_off_s == 0' status --json lib
gives 0 "*s3: *s3://bucket/my files at $endpoint, reached" '' status lib
json '[.[] | select(.what | startswith("S3")) | .verdict] == ["good", "good"]' doctor --json lib
# One is lost, and someone makes a new one where it was.
gives 0 '*' '' backup lib
gives 0 'Made*' "*my files*: the backup of another library is there: that of *lib* on *garner recover*" \
	init again --s3 's3://bucket/my files/' --endpoint "$endpoint"
gives 0 'Made*' '' init plain
json '.s3 == null' status --json plain
json '[.[] | select(.what | startswith("S3"))] == []' doctor --json plain

# A name that a line of the configuration would not give back.
gives 2 '' '*does not fit on a line*' init long --s3 "s3://bucket/$(printf 'x%.0s' $(seq 300))" --endpoint "$endpoint"
gives 2 '' '*does not fit on a line*' init long --s3 's3://bucket/a ;b' --endpoint "$endpoint"
[ ! -e long ] || fail "a refusal leaves a folder behind"

# What goes wrong, in words and exit codes.
tell bucket off
gives 3 '' '*NoSuchBucket*make the bucket first*' init two --s3 s3://bucket --endpoint "$endpoint"
gives 0 '*not reached: *NoSuchBucket*' '' status lib
gives 8 '*BROKEN*NoSuchBucket*' '' doctor lib
tell bucket on
tell fail 403 AccessDenied PUT
gives 7 '' '*PUT: 403 AccessDenied*they need*PutObject*' init two --s3 s3://bucket --endpoint "$endpoint"
tell heal
AWS_SECRET_ACCESS_KEY=wrong gives 7 '' '*SignatureDoesNotMatch*secret key is not*' \
	init two --s3 s3://bucket --endpoint "$endpoint"
AWS_ACCESS_KEY_ID='' gives 7 '' '*no credentials*AWS_ACCESS_KEY_ID*--profile*' \
	init two --s3 s3://bucket --endpoint "$endpoint"
# Whole seconds of two clocks: a second may begin between reading the one and the other.
tell skew 1200
gives 0 'Made*' '*clock is off by -@(1200|119?) s*' init late --s3 s3://bucket --endpoint "$endpoint"
json '.[] | select(.what == "clock") | .verdict == "limit"' doctor --json late
tell skew 0
tell conditions off
json '.[] | select(.what == "S3 conditional put") | .verdict == "limit"' doctor --json lib
tell pause
gives 1 '' '*check host and port of --endpoint*' init two --s3 s3://bucket --endpoint "$endpoint"
gives 0 '*not reached: *' '' status lib
tell resume
[ ! -e two ] || fail "a library with a bucket that does not work"

# Keys of a profile; one that has none is no other's.
mkdir -p .aws
printf '[other]\naws_access_key_id = AKIATEST\naws_secret_access_key = a/secret+of=tests\n' >.aws/credentials
AWS_ACCESS_KEY_ID=x gives 0 'Made*' '' init three --s3 s3://bucket --endpoint "$endpoint" --profile other
grep -qx 'profile = other' three/config || fail "the profile is not remembered"
gives 7 '' '*no keys for the profile nobody*' init four --s3 s3://bucket --endpoint "$endpoint" --profile nobody

# What someone writes into the configuration is read as strictly.
sed -i 's/^style = .*/style = odd/' lib/config
gives 1 '' '*s3.style = odd: *' status lib
finish
