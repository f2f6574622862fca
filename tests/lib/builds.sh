# shellcheck shell=bash
# What the items need: packages, and the programs in five builds. Sourced by
# tests/run, after items.sh.

configure() { # FOLDER OPTION...
    local folder=$1 source=.
    shift
    [[ $folder != "$TEST_BUILD_FUZZ" ]] || source=tests/fuzz
    cmake -S "$source" -B "$folder" -G Ninja "$@" >"$folder.log" 2>&1 || {
        tail -n 40 "$folder.log"
        return 1
    }
}

# Builds the targets that exist, all of them that compile, and names the others.
compile() { # FOLDER TARGET...
    local folder=$1 target known rc=0
    local -a there=()
    shift
    known=$(ninja -C "$folder" -t targets all | cut -d : -f 1)
    for target in "$@"; do
        if grep -qxF "$target" <<<"$known"; then
            there+=("$target")
        else
            echo "no such target: $target"
            rc=1
        fi
    done
    [ ${#there[@]} -eq 0 ] || {
        ninja -C "$folder" -k 0 "${there[@]}" >"$folder.log" 2>&1 || {
            grep -E -A 12 'FAILED|error|undefined' "$folder.log" | head -n 80
            rc=1
        }
    }
    return "$rc"
}

build() { # FOLDER NAME TARGET... -- OPTION...
    local folder=$1 name=$2 began=$EPOCHREALTIME log
    local -a targets=()
    shift 2
    while [ "$1" != -- ]; do
        targets+=("$1")
        shift
    done
    shift
    mkdir -p build
    log=$(
        exec 9>"$folder.lock"
        flock 9
        configure "$folder" "$@" && compile "$folder" "${targets[@]}"
    )
    local rc=$?
    if [ "$rc" -eq 0 ]; then
        printf '%-34s built        %7s s\n' "$name" "$(since "$began")"
    else
        printf '%-34s FAILED       %7s s\n%s\n' "$name" "$(since "$began")" "$log"
        failed=$((failed + 1))
    fi
}

# The programs of the tests are built with sanitizers; the three commands as
# they are released, and with sanitizers too where an item asks for that.
build_for() {
    local item file
    local -a sanitized=() released=() crashing=() raced=() fuzzing=()
    local commands="pixverse-worker pixverse-ctl pixverse-sim"
    for item in "${items[@]}"; do
        file=${file_of[$item]}
        if [[ $item == *@raced && $file == *.c ]]; then
            raced+=("${item%%/*}_$(basename "$file" .c)")
        elif [[ $item == *@raced ]]; then
            raced+=($commands)
        elif [[ $item == *@plain ]]; then
            crashing+=("${item%%/*}_$(basename "$file" .c)")
        elif [[ $item == fuzz/* ]]; then
            fuzzing+=("$(basename "$file" .c)")
        elif [[ $file == *.c ]]; then
            sanitized+=("${item%%/*}_$(basename "$file" .c)")
        elif [[ $item == *@sanitized ]]; then
            sanitized+=($commands)
        elif says "$file" crashpoints; then
            crashing+=($commands)
        fi
        case $item in
        style/objects) released+=(core base) ;;
        contract/*) sanitized+=(request_verdict) ;;
        deploy/* | install/* | e2e/* | fault/*)
            released+=($commands)
            ;;
        esac
    done
    [ ${#sanitized[@]} -eq 0 ] ||
        build "$TEST_BUILD_SANITIZE" build/sanitize \
            $(printf '%s\n' "${sanitized[@]}" | sort -u) -- \
            -DSANITIZE=ON -DTESTS=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo
    [ ${#released[@]} -eq 0 ] ||
        build "$TEST_BUILD_RELEASE" build/release \
            $(printf '%s\n' "${released[@]}" | sort -u) -- \
            -DCMAKE_BUILD_TYPE=Release
    [ ${#raced[@]} -eq 0 ] ||
        build "$TEST_BUILD_RACE" build/race \
            $(printf '%s\n' "${raced[@]}" | sort -u) -- -DTSAN=ON -DTESTS=ON
    [ ${#crashing[@]} -eq 0 ] ||
        build "$TEST_BUILD_CRASH" build/crash \
            $(printf '%s\n' "${crashing[@]}" | sort -u) -- \
            -DCRASHPOINTS=ON -DTESTS=ON -DCMAKE_BUILD_TYPE=Release
    [ ${#fuzzing[@]} -eq 0 ] ||
        build "$TEST_BUILD_FUZZ" build/fuzz "${fuzzing[@]}" -- \
            -DCMAKE_C_COMPILER=clang
}

install_for() {
    local groups
    groups=$(for item in "${items[@]}"; do column_of "${item%%/*}" 3; done |
        tr , '\n' | sort -u)
    # shellcheck disable=SC2086  # names of groups, to be split
    deploy/install test $groups
}
