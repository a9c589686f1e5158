#!/bin/sh
# Remove a photo's background: sh examples/remove.sh photo.jpg cutout.png [http://127.0.0.1:6905]
set -eu
photo=$1 cutout=$2 server=${3:-http://127.0.0.1:6905}
api=$server/api/v1

task_id=$(curl -sS -F "file=@$photo" -F crop=true "$api/remove/upload" | jq -er '.task_id // error(.detail)')

# The stream ends with the task. Each of its lines "data: ..." has the task as JSON.
curl -sSN "$api/remove/stream/$task_id" |
    jq --unbuffered -Rr 'select(startswith("data: ")) | .[6:] | fromjson | .message'

result_url=$(curl -sS "$api/remove/result/$task_id" | jq -er '.result_url // error(.detail)')
curl -fsS -o "$cutout" "$server$result_url"
curl -fsS -X DELETE "$api/remove/result/$task_id"
