#!/usr/bin/env bash
# cmake --install: the three commands run from their prefix alone.
cd "$TEST_ROOT" || exit 1
. tests/lib/tap.sh
prefix=$TEST_TMP/prefix

installs() {
    cmake --install "$TEST_BUILD_RELEASE" --prefix "$prefix"
}

# Away from the sources: a file that is read at run time would be missing. The
# build folder can't be hidden, so the names in the programs are looked at too.
runs() { # COMMAND ARGUMENT...
    local command=$1
    shift
    (cd / && env -i PATH=/usr/bin:/bin HOME=/nonexistent "$prefix/bin/$command" "$@")
}

is_hardened() {
    readelf -hlW "$1" | grep -q 'Type:.*DYN' &&
        readelf -lW "$1" | grep -q GNU_RELRO &&
        readelf -dW "$1" | grep -qE 'BIND_NOW|NOW'
}

files_of() { (cd "$prefix" && find . -type f | sort); }

tap_check "it installs" installs
tap_check "there are the three commands and nothing else" tap_empty "$(diff \
    <(printf './bin/%s\n' pixverse-ctl pixverse-sim pixverse-worker) <(files_of))"
for command in pixverse-worker pixverse-ctl pixverse-sim; do
    tap_check "$command --help" runs "$command" --help
    tap_check "$command names no folder of the build" \
        bash -c "! strings -a '$prefix/bin/$command' | grep -F '$TEST_BUILD_RELEASE'"
    tap_check "$command is hardened" is_hardened "$prefix/bin/$command"
    tap_check "$command keeps its asserts" \
        bash -c "nm -D '$prefix/bin/$command' | grep -q __assert_fail"
done
tap_check "pixverse-worker version" runs pixverse-worker version
tap_check "pixverse-worker run without a key is a fault of settings" \
    bash -c "env -i '$prefix/bin/pixverse-worker' run; [ \$? -eq 2 ]"
tap_end
