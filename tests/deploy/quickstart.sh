#!/usr/bin/env bash
# tests/run: alone long timeout=900
# deploy/quickstart as a person runs it: five videos, five events, nothing left.
cd "$TEST_ROOT" || exit 1
. tests/lib/tap.sh
. deploy/lib/parts.sh
trial=build/quickstart

try() { # NAME OPTION...
    local name=$1
    shift
    deploy/quickstart "$@" >"$TEST_TMP/$name.out" 2>&1 || {
        cat "$TEST_TMP/$name.out"
        return 1
    }
}

five_videos() {
    local count
    count=$(find "$trial/videos" -name '*.mp4' -size +0 | wc -l)
    [ "$count" -eq 5 ] || parts_fail "$count videos"
}

five_events() { # NAME
    local count
    count=$(grep -cE 'video\.generation\.completed' "$TEST_TMP/$1.out")
    [ "$count" -eq 5 ] || {
        cat "$TEST_TMP/$1.out"
        return 1
    }
}

# Programs that name our folder, or whose file says that they run.
nothing_runs() {
    tap_empty "$(
        ps -eo pid,args | grep -F "$PWD/$trial" | grep -v grep
        for file in "$trial"/*/*.pid; do
            ! parts_alive "$file" || echo "$file"
        done
    )"
}

runs() { # PART
    parts_alive "$trial/$1.pid"
}

under_a_minute() { # SECONDS
    [ "$1" -lt 60 ] || parts_fail "$1 s"
}

tap_check "it ends well with Apache Kafka" try kafka
tap_check "it leaves five videos" five_videos
tap_check "it shows five events" five_events kafka
tap_check "it took Apache Kafka" grep -q '(kafka)' "$TEST_TMP/kafka.out"
tap_check "it leaves nothing running" nothing_runs

began=$SECONDS
tap_check "it ends well with the embedded broker, and goes on with --keep" \
    try embedded --embedded --keep
console_answers() {
    local url
    url=$(grep -oE 'http://127\.0\.0\.1:[0-9]+/$' "$TEST_TMP/embedded.out" | tail -n 1)
    url=${url#http://}
    # Its first look may take longer than one try waits.
    parts_wait 30 parts_http_ok "${url%/}" /api/overview
}
tap_check "its console answers where it says" console_answers
tap_check "a second run takes under a minute" under_a_minute $((SECONDS - began))
tap_check "it leaves five videos again" five_videos
tap_check "it shows five events again" five_events embedded
tap_check "the worker runs on" runs run/worker
tap_check "the environment that it names is there" \
    bash -c ". $trial/env && pixverse-ctl list"
readme() { # FIRST WORDS: the command of README that begins with them
    grep -m 1 "^$1" README.md
}
with_env() { # COMMAND
    bash -c ". $trial/env && $1"
}
# The first with an order of that name; the second also for today, when its end is there.
tap_check "an order of tenant B is made, as README says" with_env \
    "pixverse-ctl submit --prompt fox --id order-7 --tenant B --wait"
tap_check "why isn't order-7 done: README's command answers" bash -c \
    ". $trial/env && $(readme 'pixverse-ctl explain') | grep -q '^order-7: '"
tap_check "what did tenant B cost yesterday: README's command is taken" \
    with_env "$(readme 'pixverse-ctl stats')"
today=$(readme 'pixverse-ctl stats' | sed 's/-d yesterday //g')
tap_check "what did tenant B cost today: it names B, and what it cost" bash -c \
    ". $trial/env && $today --json | grep -E '\"tenant\": ?\"B\"' | grep -qE '\"cost\": ?[0-9.]*[1-9]'"
tap_check "it refuses to run over a trial that is kept" \
    bash -c '! deploy/quickstart'
tap_check "--stop ends it" deploy/quickstart --stop
tap_check "--stop leaves nothing running" nothing_runs
tap_check "an unknown option is a fault of usage" \
    bash -c 'deploy/quickstart --nonsense; [ $? -eq 2 ]'
tap_end
