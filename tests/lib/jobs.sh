# shellcheck shell=bash
# Items as jobs: prepared, run some at a time, counted, added up. Sourced by
# tests/run, after items.sh and servers.sh.

since() { # EPOCHREALTIME -> seconds with one decimal
    awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.1f", b - a}'
}

# Counts the checks of a log: those that its plan promises and that never came
# have failed, and so has a program that printed none or ended with a fault.
count() { # LOG RC -> item_passed, item_failed
    local planned
    planned=$(grep -oE '^1\.\.[0-9]+' "$1" | awk -F '[.]+' '{n += $2} END {print n + 0}')
    item_failed=$(grep -cE 'not ok [0-9]' "$1")
    item_passed=$(grep -E 'ok [0-9]+ - ' "$1" | grep -cvE 'not ok [0-9]')
    if [ $((item_passed + item_failed)) -lt "$planned" ]; then
        item_failed=$((planned - item_passed))
    fi
    if [ "$item_failed" -eq 0 ] && { [ "$2" -ne 0 ] || [ "$item_passed" -eq 0 ]; }; then
        item_failed=1
    fi
}

command_of() { # ITEM FILE -> command
    case $2 in
    */fuzz_*.c) command=(tests/fuzz/try "${1#fuzz/}") ;;
    *.c)
        local build=$TEST_BUILD_SANITIZE
        [[ $1 != *@raced ]] || build=$TEST_BUILD_RACE
        [[ $1 != *@plain ]] || build=$TEST_BUILD_CRASH
        command=("$build/tests/${1%%/*}/$(basename "$2" .c)")
        ;;
    *.py) command=("$TEST_PYTHON" -u "$2") ;;
    *) command=("$2") ;;
    esac
}

# What an item finds in its environment: tests/README.md.
prepare() { # ITEM FILE
    local part=${1%%/*} name
    name=$(tr -c 'a-z0-9\n' _ <<<"${1#*/}")
    export TEST_TMP=$run_folder/tmp/$part-$name
    export TEST_PREFIX=t$$-$part-$name-
    export TEST_BIN=$TEST_BUILD_RELEASE
    [[ $1 != *@sanitized ]] || TEST_BIN=$TEST_BUILD_SANITIZE
    [[ $1 != *@raced ]] || TEST_BIN=$TEST_BUILD_RACE
    ! says "$2" crashpoints || TEST_BIN=$TEST_BUILD_CRASH
    mkdir -p "$TEST_TMP"
    if [ "$part" = edge ] || says "$2" postgres; then
        servers_postgres || return 1
        TEST_DATABASE_URL=$(parts_postgres_database "t_${part}_$name") || return 1
        export TEST_DATABASE_URL
    fi
    if [ "$part" = edge ] || says "$2" kafka; then
        servers_kafka || return 1
        export TEST_KAFKA_BROKERS=$PARTS_KAFKA_BROKERS
    fi
    export TEST_STORAGE=file
    [[ $1 != *@s3 ]] || TEST_STORAGE=s3
    export TEST_KAFKA=plain
    [[ $1 != *@secured ]] || TEST_KAFKA=secured
    if says "$2" s3 || [ "$TEST_STORAGE" = s3 ]; then
        servers_s3 || return 1
    fi
    if [[ $2 == *.py ]]; then
        servers_python || return 1
    fi
}

# An item that is prepared, in a process of its own. What it says comes out at
# once; a line in `ends` tells how it ended.
run_item() { # ITEM FILE LOG RC
    local item=$1 log=$3 rc=$4 began=$EPOCHREALTIME limit_s child cpu_s
    local item_passed item_failed verdict=ok
    local -a command
    limit_s=$(timeout_of "$item" "$2")
    if [ "$rc" -eq 0 ]; then
        command_of "$item" "$2"
        # What runs in the background ignores SIGINT, unless it is told otherwise.
        env --default-signal=INT,QUIT timeout --kill-after=20 "$limit_s" \
            "${command[@]}" >>"$log" 2>&1 </dev/null &
        child=$!
        trap 'kill "$child"; wait "$child"; exit 143' INT TERM
        wait "$child" || rc=$?
        trap - INT TERM
    fi
    times >"$log.cpu"
    cpu_s=$(awk -F '[ms ]+' 'NR == 2 {printf "%.1f", $1 * 60 + $2 + $3 * 60 + $4}' "$log.cpu")
    rm -f "$log.cpu"
    parts_kafka_stop "$TEST_TMP/kafka" # if it had servers of its own
    parts_postgres_stop "$TEST_TMP/postgres"
    count "$log" "$rc"
    [ "$item_failed" -eq 0 ] || verdict=FAILED
    exec 8>"$run_folder/lock"
    flock 8
    printf '%-34s %-6s %5d %7s s %7s s CPU\n' "$item" "$verdict" \
        $((item_passed + item_failed)) "$(since "$began")" "$cpu_s"
    echo "$item_passed $item_failed $item" >>"$run_folder/ends"
    if [ "$item_failed" -gt 0 ]; then
        [ "$rc" -ne 124 ] || echo "  ended after its limit of $limit_s s (LIMITS=3: three times that)"
        [ "$rc" -eq 0 ] || echo "  exit status $rc"
        show_log "$log"
    else
        rm -rf "$TEST_TMP"
    fi
}

# The items, but those that may take more than ten minutes first: begun last, one
# of them would be alone with the machine in the end.
longest_first() { # ITEM...
    local item limit_s
    for item in "$@"; do
        limit_s=$(timeout_of "$item" "${file_of[$item]}")
        echo "$((limit_s > 600 ? limit_s : 0)) $item"
    done | sort -s -k 1,1nr | cut -d ' ' -f 2
}

# Some run at a time; then, alone, what says so; in the end, two at a time, what
# installs or fills the machine, but for who looks at the clock and says alone.
is_heavy() { # ITEM
    [[ $1 == deploy/* || $1 == install/* || $1 == image/* ]] &&
        ! says "${file_of[$1]}" alone
}

is_alone() { # ITEM FILE
    is_heavy "$1" || says "$2" alone
}

running=() # processes of items

wait_for_room() { # MOST that may be left
    local one
    while [ ${#running[@]} -gt "$1" ]; do
        wait -n "${running[@]}"
        for one in "${!running[@]}"; do
            kill -0 "${running[one]}" 2>/dev/null || unset "running[one]"
        done
    done
}

start_item() { # ITEM MOST that run beside it
    local item=$1 file=${file_of[$1]} log rc=0
    wait_for_room "$2"
    log=$run_folder/log/$(tr / - <<<"$item").log
    prepare "$item" "$file" >"$log" 2>&1 || rc=1
    run_item "$item" "$file" "$log" "$rc" &
    running+=("$!")
}

# Into passed, failed and failures: one that told of no end has failed, too.
add_up() {
    local item item_passed item_failed
    local -A end_of=()
    while read -r item_passed item_failed item; do
        end_of[$item]="$item_passed $item_failed"
    done <"$run_folder/ends"
    for item in "${items[@]}"; do
        read -r item_passed item_failed <<<"${end_of[$item]:-0 1}"
        passed=$((passed + item_passed))
        failed=$((failed + item_failed))
        [ "$item_failed" -eq 0 ] || failures+=("$item")
    done
}

show_log() {
    local lines
    lines=$(wc -l <"$1")
    if [ "$lines" -le 400 ]; then
        sed 's/^/  | /' "$1"
    else
        head -n 150 "$1" | sed 's/^/  | /'
        echo "  | ... ($((lines - 300)) lines left out, but for what failed in them: $1)"
        sed "1,150d;$((lines - 149)),\$d" "$1" | failed_checks | sed 's/^/  | /'
        echo "  | ..."
        tail -n 150 "$1" | sed 's/^/  | /'
    fi
}

# Of TAP: each check that failed, with what it says of it, 12 lines at most.
failed_checks() {
    awk '/^not ok / {left = 13}
         /^ok / {left = 0}
         left > 0 {print substr($0, 1, 1000); left--}'
}

# What stands at the end of the output is what is still there of it elsewhere.
show_failures() {
    local item log checks
    for item in "${failures[@]}"; do
        log=$run_folder/log/$(tr / - <<<"$item").log
        checks=$(failed_checks <"$log" 2>/dev/null | head -n 60)
        [ -n "$checks" ] || checks=$(tail -n 20 "$log" 2>/dev/null)
        printf '%s:\n%s\n' "$item" "$(sed 's/^/  | /' <<<"$checks")"
    done
}

# Folders of earlier runs that are over.
sweep() {
    local folder
    for folder in build/tests/[0-9]*; do
        [ -d "$folder" ] || continue
        kill -0 "${folder##*/}" 2>/dev/null || rm -rf --one-file-system "$folder"
    done
}

leave() {
    local rc=$?
    trap - EXIT
    [ ${#running[@]} -eq 0 ] || {
        kill "${running[@]}"
        wait "${running[@]}"
    } 2>/dev/null
    servers_stop
    exit "$rc"
}
