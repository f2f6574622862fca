#!/usr/bin/env bash
# What the compiled code of lib/base and lib/core asks of others: no I/O
# library, and in lib/core no socket, file, clock, thread or randomness either.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
build=${TEST_BUILD_RELEASE:-build/release}

undefined() { # ARCHIVE
    nm -u "$build/lib$1.a" 2>/dev/null | awk '$1 == "U" {print $2}' |
        sed 's/@.*//' | sort -u
}

io_libraries='^(curl_|rd_kafka_|PQ|uv_|MHD_|BIO_|SSL_)'
world='^(socket|connect|bind|listen|accept4?|send(to|msg)?|recv(from|msg)?|getaddrinfo|open(at)?(64)?|fopen(64)?|creat(64)?|read|write|pread(64)?|pwrite(64)?|rename(at2?)?|unlink(at)?|stat(64)?|fsync|clock_gettime|gettimeofday|time|localtime(_r)?|nanosleep|usleep|sleep|pthread_.*|thrd_.*|rand(_r)?|random|s?rand48|arc4random.*|getrandom|getentropy|RAND_.*|getenv|system|popen|fork|exec.*)$'

matches() { # ARCHIVE PATTERN
    undefined "$1" | grep -E "$2"
}

exists() { # ARCHIVE
    [ "$(undefined "$1" | wc -l)" -gt 0 ]
}

tap_check "lib/base is built" exists base
tap_check "lib/core is built" exists core
tap_check "lib/base asks for no I/O library" \
    tap_empty "$(matches base "$io_libraries|^json_|^EVP_")"
tap_check "lib/core asks for no I/O library" \
    tap_empty "$(matches core "$io_libraries")"
tap_check "lib/core asks for no socket, file, clock, thread or randomness" \
    tap_empty "$(matches core "$world")"
tap_end
