#!/usr/bin/env bash
# The order of the house: base < core < edge < flow, and libraries only behind
# the doors.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh

# A file of lib/ includes its own folder and those that sort before it.
wrong_way() {
    (cd lib && grep -rnoE '^ *# *include "[a-z]+/' --include='*.[ch]' .) |
        awk -F'[/:"]' '{
            from = $2; to = $(NF - 1)
            if (to > from) print "lib/" $2 "/" $3 ":" $4 " includes " to "/"
        }'
}

# Includes are written from lib/: neither relative nor without a folder.
odd_paths() {
    grep -rnE '^ *# *include "(\.|[^/"]*")' --include='*.[ch]' lib
}

# Libraries by folder: base has none, core computes with jansson and libcrypto,
# edge's rooms have those that its README names, flow has none.
library='<(curl/|librdkafka/|libpq|postgres|uv\.h|uv/|microhttpd|openssl/|jansson|zlib|brotli/|zstd|nghttp2/)'
includes_in() { # FOLDER ALLOWED-REGEX
    grep -rnE "^ *# *include $library" --include='*.[ch]' "lib/$1" |
        grep -vE "include <($2)"
}

# Nor does it open doors, or know what the settings call them: it is given them.
opened_in_flow() {
    grep -rnE '\b(admin|bucket|consumer|fetcher|http|loop|poller|producer|store)_open\(|"base/settings\.h"' \
        --include='*.[ch]' lib/flow
}

# The pure folder asks the world for nothing.
world='<(sys/socket|netdb|pthread|threads|fcntl|poll|sys/(epoll|stat|mman|random|timerfd)|unistd|dirent|signal)\b'
worldly_core() {
    grep -rnE "^ *# *include $world" --include='*.[ch]' lib/core
}

# Headers that speak of a library: what the files of one folder share behind
# its doors. Nobody else may include them, so that no library gets any further.
types='\b(CURLM?|PG(conn|result)|rd_kafka_[a-z_]*_t|uv_[a-z]+_t|json_t|EVP_[A-Z_]+|struct MHD_[A-Za-z]+)\b'
inner_headers() {
    {
        grep -rlE "^ *# *include $library" --include='*.h' lib
        grep -rnE "$types" --include='*.h' lib |
            grep -vE ':[0-9]+: *(/?\*|//)' | cut -d : -f 1
    } | sort -u
}

# No door is told by a library's types.
talkative_doors() {
    inner_headers | grep -E '^lib/edge/[^/]+$|^lib/(base|flow)/'
}

inner_elsewhere() {
    local header
    for header in $(inner_headers); do
        grep -rnF "include \"${header#lib/}\"" --include='*.[ch]' lib |
            grep -v "^$(cut -d / -f 1,2 <<<"$header")/"
    done
}

# The rooms of edge as its README has them: a line "ROOM|STANDS ON|LIBRARIES"
# each, those on the left lower in the house.
rooms() {
    awk -F ' *[|] *' '/^[|] room [|] what/ {inside = 1; next}
        inside && !/^[|]/ {exit}
        inside && $2 ~ /^`/ {gsub(/`/, ""); print $2 "|" $4 "|" $5}' \
        lib/edge/README.md
}

# Every arrow between rooms that the files show, and into one from elsewhere:
# "FROM TO FILE:LINE"; who is in no room of edge is called by its folder.
room_arrows() {
    grep -rnoE '^ *# *include "edge/[a-z0-9_]+/' --include='*.[ch]' lib cmd |
        awk -F'[:"]' '{
            split($1, at, "/"); split($4, to, "/")
            from = at[1] == "lib" && at[2] == "edge" && 4 in at ? at[3] : \
                at[1] "/" at[2]
            delete at
            if (from != to[2]) print from, to[2], $1 ":" $2
        }'
}

rooms_and_folders() {
    diff <(rooms | cut -d '|' -f 1 | sort) \
        <(find lib/edge -mindepth 1 -type d -printf '%P\n' | sort)
}

# Only what stands higher in the table is named, so that there is no circle.
rooms_upward() {
    rooms | awk -F '|' '{
        n = split($2, on, " ")
        for (i = 1; i <= n; i++)
            if (!(on[i] in above)) print $1 " stands on " on[i] ", which is not above it"
        above[$1] = 1
    }'
}

rooms_entered() {
    awk -F '[| ]' 'NR == FNR {
            for (i = 2; i <= NF; i++) named[$1 " " $i]
            next
        }
        !(($1 " " $2) in named) {print $3 " of " $1 " includes from " $2}' \
        <(rooms | cut -d '|' -f 1,2) <(room_arrows)
}

rooms_named_in_vain() {
    awk -F '[| ]' 'NR == FNR {seen[$1 " " $2]; next}
        {for (i = 2; i <= NF; i++)
            if ($i != "" && !(($1 " " $i) in seen))
                print $1 " names " $i " and includes nothing from it"}' \
        <(room_arrows) <(rooms | cut -d '|' -f 1,2)
}

room_libraries() {
    local room libraries
    while IFS='|' read -r room _ libraries; do
        libraries=${libraries:--}
        includes_in "edge/$room" "${libraries// /|}"
    done < <(rooms)
}

# A room's header that includes a library, or one of the room's that does, brings
# it along: who includes it names that library, too.
headers_with() { # ROOM LIBRARY
    local found more
    found=$(grep -rlE "^ *# *include <$2" --include='*.h' "lib/edge/$1")
    while [ -n "$found" ]; do
        more=$({
            echo "$found"
            sed 's|^lib/|include "|; s|$|"|' <<<"$found" |
                grep -rlFf - --include='*.h' "lib/edge/$1"
        } | sort -u)
        [ "$more" != "$found" ] || break
        found=$more
    done
    echo "$found"
}

brought_along() {
    local table room libraries library header by
    table=$(rooms)
    while IFS='|' read -r room _ libraries; do
        for library in $libraries; do
            for header in $(headers_with "$room" "$library"); do
                grep -rlF "include \"${header#lib/}\"" --include='*.[ch]' lib |
                    cut -d / -f 3 | sort -u | grep -vx "$room" | while read -r by; do
                    grep -qE "^$by\\|.*\\|(.* )?$library( |$)" <<<"$table" ||
                        echo "$by includes $header, which brings $library along"
                done
            done
        done
    done <<<"$table"
}

# In front there are doors: headers that include no room's.
not_doors() {
    find lib/edge -maxdepth 1 -type f ! -name '*.h' ! -name README.md
    grep -nE 'include "edge/.*/' lib/edge/*.h
}

# flow's files as its README has them, from the ground up: "ROW FILE".
flow_rows() {
    awk -F '|' '/^\| `/ {
        row++
        n = split($2, files, "`")
        for (i = 2; i <= n; i += 2) print row " " files[i]
    }' lib/flow/README.md
}

flow_unlisted() {
    diff <(flow_rows | cut -d ' ' -f 2 | sort) \
        <(find lib/flow -name '*.[ch]' -printf '%f\n' | cut -d . -f 1 | sort -u)
}

# A file includes its own row's and those of the rows before it: no circle, and
# no part or stage that knows the engine.
flow_upward() {
    grep -rnoE '^ *# *include "flow/[a-z_]+' --include='*.[ch]' lib/flow |
        awk -F '[ /:"]' 'NR == FNR {row[$2] = $1; next}
        {
            from = $3; sub(/\.[ch]$/, "", from)
            if (row[$NF] > row[from])
                print "lib/flow/" $3 ":" $4 " includes flow/" $NF ".h"
        }' <(flow_rows) -
}

# What changes or reads rows goes through a turn, which composes it.
rows_past_the_turn() {
    grep -rnE '\bstore_(turn|intake|sources)\(' --include='*.[ch]' lib/flow |
        grep -v '^lib/flow/turn\.c:'
}

tap_check "a file includes only its own folder and those before it" \
    tap_empty "$(wrong_way)"
tap_check "includes are written from lib/" tap_empty "$(odd_paths)"
tap_check "lib/base includes no library" tap_empty "$(includes_in base '-')"
tap_check "lib/core includes no library but jansson and libcrypto" \
    tap_empty "$(includes_in core 'openssl/|jansson')"
tap_check "lib/flow includes no library" tap_empty "$(includes_in flow '-')"
tap_check "lib/flow opens no door and knows no settings" \
    tap_empty "$(opened_in_flow)"
tap_check "lib/core includes no header of sockets, files, clocks or threads" \
    tap_empty "$(worldly_core)"
tap_check "no door speaks of a library in its header" \
    tap_empty "$(talkative_doors)"
tap_check "a header that speaks of a library is its own folder's alone" \
    tap_empty "$(inner_elsewhere)"
tap_check "lib/edge holds doors, and no door includes from a room" \
    tap_empty "$(not_doors)"
tap_check "every room of lib/edge has its line in the README" \
    rooms_and_folders
tap_check "a room stands only on those above it in the README" \
    tap_empty "$(rooms_upward)"
tap_check "a room's header is included only where the README names the room" \
    tap_empty "$(rooms_entered)"
tap_check "a room names no other in vain" tap_empty "$(rooms_named_in_vain)"
tap_check "a room includes no library but those that the README names" \
    tap_empty "$(room_libraries)"
tap_check "a room names the libraries that headers of others bring along" \
    tap_empty "$(brought_along)"
tap_check "only a turn asks the store for rows" \
    tap_empty "$(rows_past_the_turn)"
tap_check "lib/flow/README.md lists lib/flow's files" \
    tap_empty "$(flow_unlisted)"
tap_check "lib/flow's files stand on those before them alone" \
    tap_empty "$(flow_upward)"
tap_end
