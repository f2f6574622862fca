# shellcheck shell=bash
# What there is to run: the parts, their items, and what a file says of itself.
# Sourced by tests/run.

# The parts, in the order in which they run.
#      part      seconds  installs
parts="style     120      build
       unit      120      build
       sim       300      build
       edge      180      build,run,java
       fuzz      120      build,fuzz
       contract  300      build
       deploy    900      build,run,java
       install   300      build,run
       e2e       300      build,run,java
       fault     600      build,run,java
       image     1500     build,run,image"

column_of() { # PART COLUMN
    awk -v part="$1" -v column="$2" '$1 == part {print $column}' <<<"$parts"
}

# An item is a test program (tests/unit/test_request.c is unit/request), a fuzz
# target (tests/fuzz/fuzz_url.c is fuzz/url) or an executable script
# (tests/e2e/five_modes.py is e2e/five_modes).
items_of() { # PART
    local file name
    for file in tests/"$1"/*; do
        name=${file##*/}
        if [[ $name == fuzz_*.c ]]; then
            name=${name#fuzz_}
            echo "$1/${name%.c} $file"
        elif [[ $name == test_*.c ]]; then
            name=${name#test_}
            echo "$1/${name%.c} $file"
            ! says "$file" raced || echo "$1/${name%.c}@raced $file"
            ! says "$file" plain || echo "$1/${name%.c}@plain $file"
        elif [[ $name == *.py || $name == *.sh ]] && [ -x "$file" ]; then
            echo "$1/${name%.*} $file"
            ! says "$file" sanitized || echo "$1/${name%.*}@sanitized $file"
            ! says "$file" raced || echo "$1/${name%.*}@raced $file"
            ! says "$file" on_s3 || echo "$1/${name%.*}@s3 $file"
            ! says "$file" secured || echo "$1/${name%.*}@secured $file"
        fi
    done
}

# A file may say of itself, in a comment near its top, "tests/run: WORD...":
# long (not in quick), sanitized (also with the sanitizers' build of the
# commands), raced (also built with ThreadSanitizer), plain (a C program: also without
# sanitizers, not in quick), on_s3 (also with videos in
# S3), secured (also through a Kafka with SASL_SSL), crashpoints (the commands with points at which they can be killed),
# alone (nothing else runs beside it), postgres, kafka, s3 (servers it needs), timeout=SECONDS.
says() { # FILE WORD
    head -n 20 "$1" | grep -qE "tests/run:.*\\b$2\\b"
}

timeout_of() { # ITEM FILE
    local own
    own=$(head -n 20 "$2" | sed -nE 's/.*tests\/run:.*timeout=([0-9]+).*/\1/p')
    [[ $1 != fuzz/* ]] || own=$((60 + 2 * ${FUZZ_SECONDS:-12}))
    echo $((${own:-$(column_of "${1%%/*}" 2)} * ${LIMITS:-1}))
}

is_wanted() { # ITEM FILE
    local want
    for want in "${wants[@]}"; do
        case $want in
        all) return 0 ;;
        quick) says "$2" long || [[ $1 == *@plain ]] || return 0 ;;
        *)
            # shellcheck disable=SC2053  # a pattern on purpose
            [[ $1 == $want || ${1%%/*} == "$want" ]] && return 0
            ;;
        esac
    done
    return 1
}
