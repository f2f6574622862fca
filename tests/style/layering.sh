#!/usr/bin/env bash
# The order of the house: base < core < edge < flow, and library headers only
# behind the doors.
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
# edge/*.c may take any, flow has none. What several files of one folder share
# of a library stands in a header for that folder alone.
shared='lib/(core/json|edge/loop_uv|edge/kafka_rd)\.h'
library='<(curl/|librdkafka/|libpq|postgres|uv\.h|uv/|microhttpd|openssl/|jansson)'
headers_in() { # FILES-REGEX ALLOWED-REGEX
    grep -rnE "^ *# *include $library" --include='*.[ch]' lib |
        grep -E "^lib/($1)" | grep -vE "include <($2)"
}

# The pure folders ask the world for nothing.
world='<(sys/socket|netdb|arpa/|netinet/|pthread|threads|fcntl|poll|sys/(epoll|stat|mman|random|timerfd)|unistd|dirent|signal)\b'
pure_headers() {
    grep -rnE "^ *# *include $world" --include='*.[ch]' lib/core
}

library_types_in_headers() {
    grep -nE '\b(CURLM?|PG(conn|result)|rd_kafka_[a-z]*_?t|uv_[a-z]+_t|json_t|EVP_[A-Z_]+|struct MHD_[A-Za-z]+)\b' \
        $(find lib -name '*.h' | grep -vxE "$shared") |
        grep -vE ':[0-9]+: *(/?\*|//)'
}

shared_elsewhere() {
    grep -rnE "include \"${shared#lib/}\"" --include='*.[ch]' lib cmd |
        awk -F'[/:"]' '$1 != "lib" || $2 != $(NF - 2)'
}

tap_check "a file includes only its own folder and those before it" \
    tap_empty "$(wrong_way)"
tap_check "includes are written from lib/" tap_empty "$(odd_paths)"
tap_check "lib/base includes no library" tap_empty "$(headers_in 'base/' '-')"
tap_check "lib/core includes no library but jansson and libcrypto" \
    tap_empty "$(headers_in 'core/' 'openssl/|jansson')"
tap_check "lib/flow includes no library" tap_empty "$(headers_in 'flow/' '-')"
tap_check "no header of lib/edge includes a library, those it shares apart" \
    tap_empty "$(headers_in 'edge/[a-z0-9_]+\.h' '-' | grep -vE "^$shared")"
tap_check "lib/core includes no header of sockets, files, clocks or threads" \
    tap_empty "$(pure_headers)"
tap_check "no library type appears in a header" \
    tap_empty "$(library_types_in_headers)"
tap_check "the headers that a folder shares stay within it" \
    tap_empty "$(shared_elsewhere)"
tap_end
