#!/bin/sh
# Remove a photo's background: sh examples/remove.sh photo.jpg cutout.png [http://127.0.0.1:6905]
set -eu
photo=$1 cutout=$2 server=${3:-http://127.0.0.1:6905}
api=$server/api/v1

key=$(od -An -N16 -tx1 /dev/urandom | tr -d ' ') # sent again with the same key, it gets the same task

task_id=$(curl -sS --retry 5 --retry-connrefused -H "Idempotency-Key: $key" -F "file=@$photo" -F crop=true \
    "$api/remove/upload" | jq -er '.task_id // error(.detail)')

# Each line "data: ..." of the stream has the task as JSON. One that ends before its task was cut off by a restart.
status=queued
while [ "$status" = queued ] || [ "$status" = running ]; do
    curl -sSN --retry 5 --retry-connrefused "$api/remove/stream/$task_id" |
        jq --unbuffered -Rr 'select(startswith("data: ")) | .[6:] | fromjson | .message' || true
    status=$(curl -sS --retry 5 --retry-connrefused "$api/tasks/$task_id" | jq -r .status)
done

result_url=$(curl -sS "$api/remove/result/$task_id" | jq -er '.result_url // error(.detail)')
curl -fsS -o "$cutout" "$server$result_url"
curl -fsS -X DELETE "$api/remove/result/$task_id"
