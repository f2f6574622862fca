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
# edge may take any, flow has none.
library='<(curl/|librdkafka/|libpq|postgres|uv\.h|uv/|microhttpd|openssl/|jansson)'
includes_in() { # FOLDER ALLOWED-REGEX
    grep -rnE "^ *# *include $library" --include='*.[ch]' "lib/$1" |
        grep -vE "include <($2)"
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

# No door is told by a library's types: the headers of the design name none.
doors='consumer|store|http|bucket|producer|admin|loop|fetch|inspect|schema'
talkative_doors() {
    inner_headers | grep -E "^lib/edge/($doors)\.h$|^lib/(base|flow)/"
}

inner_elsewhere() {
    local header
    for header in $(inner_headers); do
        grep -rnF "include \"${header#lib/}\"" --include='*.[ch]' lib |
            grep -v "^$(cut -d / -f 1,2 <<<"$header")/"
    done
}

tap_check "a file includes only its own folder and those before it" \
    tap_empty "$(wrong_way)"
tap_check "includes are written from lib/" tap_empty "$(odd_paths)"
tap_check "lib/base includes no library" tap_empty "$(includes_in base '-')"
tap_check "lib/core includes no library but jansson and libcrypto" \
    tap_empty "$(includes_in core 'openssl/|jansson')"
tap_check "lib/flow includes no library" tap_empty "$(includes_in flow '-')"
tap_check "lib/core includes no header of sockets, files, clocks or threads" \
    tap_empty "$(worldly_core)"
tap_check "no door speaks of a library in its header" \
    tap_empty "$(talkative_doors)"
tap_check "a header that speaks of a library is its own folder's alone" \
    tap_empty "$(inner_elsewhere)"
tap_end
