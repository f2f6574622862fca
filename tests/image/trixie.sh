#!/usr/bin/env bash
# tests/run: long kafka s3 timeout=2400
# What depends on the versions of libraries, with those of Debian 13: the
# programs of unit and edge; and by the Debian package of that release, installed in a
# bare root of its own, the five modes, videos into S3, and OIDC. They are built and
# run in a root of that release, on its PostgreSQL (17, where Debian 12 has 15)
# and on the other servers that the run has anyway. ARM64=1 has the package built
# for arm64 there, too, and run by qemu (tests/fault/report --long).
cd "$TEST_ROOT" || exit 1
. tests/lib/tap.sh
. tests/lib/debian.sh
. tests/lib/items.sh
. deploy/lib/parts.sh

release() { (. /etc/os-release && echo "${VERSION_ID:-0}"); }

if [ "$(release)" = 13 ]; then
    tap_check "this is Debian 13: every item has met its libraries" true
    tap_end
    exit
fi

# As /proc/mounts has them: a mount that is missed there would be cleared up with all
# that it shows.
root=$(cd -P "$TEST_TMP" && pwd)/root bare=$(cd -P "$TEST_TMP" && pwd)/bare
sanitized=$TEST_ROOT/build/trixie/sanitize released=$TEST_ROOT/build/trixie/release
export root sanitized released

# Mounts outlive nobody: innermost first, and whatever a killed run left.
leave() {
    if [ -e "$root$TEST_TMP/postgres" ] || [ -L "$root$TEST_TMP/postgres" ]; then
        parts_there "parts_postgres_stop '$TEST_TMP/postgres'"
    fi
    awk -v a="$root/" -v b="$bare/" 'index($2, a) == 1 || index($2, b) == 1 {print $2}' \
        /proc/mounts | sort -r | xargs -r -n 1 umount -l
}
trap leave EXIT
trap 'exit 143' INT TERM

make_root() { # FOLDER
    mkdir -p "$1" && tar -C "$1" -xf "$debian_base" &&
        mkdir -p "$1$TEST_ROOT" &&
        mount --bind "$TEST_ROOT" "$1$TEST_ROOT" &&
        mount -t proc proc "$1/proc" && mount -t sysfs sys "$1/sys" &&
        mount --rbind /dev "$1/dev" &&
        cp /etc/resolv.conf /etc/hosts "$1/etc/" &&
        # Services that come with packages are not wanted there.
        printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d" &&
        chmod +x "$1/usr/sbin/policy-rc.d"
}

inside() { # COMMAND... in the repository's folder there
    chroot "$root" bash -c 'cd "$1" && shift && exec "$@"' _ "$TEST_ROOT" "$@"
}
export -f inside

parts_there() { # LINE of deploy/lib/parts.sh
    inside bash -c ". deploy/lib/parts.sh && $1"
}

# Listens on the loopback, which is the same there.
start_postgres_there() {
    parts_there "parts_postgres_start \
        '$TEST_TMP/postgres' 'fsync = off' 'full_page_writes = off' \
        >&2 && echo \"\$PARTS_DATABASE_URL\" >'$TEST_TMP/url'" &&
        "$(parts_postgres_bin)/psql" -At -d "$(cat "$TEST_TMP/url")" \
            -c 'show server_version' | grep '^17'
}

install_there() {
    inside deploy/install build &&
        inside apt-get install -y -qq --no-install-recommends libcmocka-dev \
            nginx openssl python3 e2fsprogs xfsprogs dpkg-dev \
            file postgresql
}

configure_there() { # FOLDER OPTION...
    local folder=$1
    shift
    # A compiler cache of this machine is not there.
    inside env -u CMAKE_C_COMPILER_LAUNCHER cmake -S . -B "$folder" -G Ninja "$@"
}

# Those that say `alone`, or all others: they share a server, and an open transaction of
# one is in the way of another that looks at the log.
programs() { # [alone] -> part_test_name, one a line
    local file part is
    for file in tests/unit/test_*.c tests/edge/test_*.c; do
        is=
        ! says "$file" alone || is=alone
        [ "$is" = "${1:-}" ] || continue
        part=${file#tests/}
        echo "${part%%/*}_$(basename "$file" .c)"
    done
}

all_programs() {
    programs
    programs alone
}

build_there() {
    local -a targets
    mapfile -t targets < <(all_programs)
    configure_there "$sanitized" -DSANITIZE=ON -DTESTS=ON \
        -DCMAKE_BUILD_TYPE=RelWithDebInfo &&
        inside ninja -C "$sanitized" "${targets[@]}" &&
        configure_there "$released" -DCMAKE_BUILD_TYPE=Release &&
        inside ninja -C "$released"
}

# One program, with a database of its own; its end in a file beside its log.
run_there() { # part_test_name
    local part=${1%%_*} name=${1#*_} log=$TEST_TMP/$1 rc=0
    . deploy/lib/parts.sh
    export TEST_TMP=$TEST_TMP/$1.tmp
    mkdir -p "$TEST_TMP"
    if [ "$part" = edge ]; then
        TEST_DATABASE_URL=$(parts_postgres_database "t13_$1" 2>>"$log.log") || rc=1
        export TEST_DATABASE_URL TEST_PREFIX=$TEST_PREFIX$name-
    fi
    # As long as the longest of them has elsewhere, and more.
    [ "$rc" -ne 0 ] || inside timeout --kill-after=20 480 \
        "$sanitized/tests/$part/$name" >>"$log.log" 2>&1 </dev/null || rc=$?
    echo "$rc" >"$log.rc"
}
export -f run_there

was_fine() { # part_test_name
    [ "$(cat "$TEST_TMP/$1.rc" 2>/dev/null)" = 0 ] || {
        echo "exit status $(cat "$TEST_TMP/$1.rc" 2>/dev/null)"
        tail -n 60 "$TEST_TMP/$1.log"
        return 1
    }
}

# The Python of the tests stays outside: it calls the commands by these.
wrap_commands() { # FOLDER
    local name
    mkdir -p "$1"
    for name in pixverse-worker pixverse-ctl pixverse-sim; do
        printf '#!/bin/sh\nexec chroot "%s" "/usr/bin/%s" "$@"\n' "$bare" \
            "$name" >"$1/$name"
        chmod +x "$1/$name"
    done
}

script_there() { # NAME
    local -x TEST_BIN=$TEST_TMP/bin TEST_DATABASE_URL
    local -x TEST_PREFIX=$TEST_PREFIX$1- TEST_TMP=$TEST_TMP/$1
    mkdir -p "$TEST_TMP"
    TEST_DATABASE_URL=$(parts_postgres_database "t13_$1") &&
        timeout --kill-after=20 600 "$TEST_PYTHON" -u "tests/e2e/$1.py" </dev/null
}

pack_there() {
    rm -f "$released"/*.deb
    inside sh -c 'cd "$1" && cpack -G DEB' _ "$released"
}

# apt finds what it depends on, and nothing that a build needs is there.
install_package() {
    cp "$released"/pixverse-worker_*.deb "$bare/tmp/package.deb" &&
        chroot "$bare" sh -c 'apt-get update -qq &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
                --no-install-recommends /tmp/package.deb'
}

is_whole() {
    local said
    said=$(chroot "$bare" sh -c 'dpkg --verify pixverse-worker; apt-get check -qq
        test -f /usr/lib/systemd/system/pixverse-worker.service || echo no unit
        test -d /var/lib/pixverse/videos || echo no folder
        getent passwd pixverse >/dev/null || echo no user
        ! command -v gcc >/dev/null || echo a compiler' 2>&1)
    # Documents are left out of a minimal system.
    tap_empty "$(grep -v ' /usr/share/' <<<"$said")"
}

# --- arm64 --------------------------------------------------------------------

crossed=$TEST_ROOT/build/trixie/arm64

# The libraries that deploy/install names, of the other architecture. Where one was
# built again there, its man page is not the same to a byte: that is no matter.
install_arm64() {
    local libraries
    libraries=$(sed -n '/^ *\[build\]="/,/"/p' deploy/install | grep -oE 'lib[a-z0-9-]+-dev|zlib1g-dev' |
        grep -v libc6 | sed 's/$/:arm64/')
    # shellcheck disable=SC2086  # names of packages, to be split
    inside dpkg --add-architecture arm64 && inside apt-get update -qq &&
        inside apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-overwrite \
            gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user $libraries
}

build_arm64() {
    configure_there "$crossed" -DCMAKE_BUILD_TYPE=Release \
        -DCMAKE_TOOLCHAIN_FILE="$TEST_ROOT/deploy/packages/arm64.cmake" &&
        inside ninja -C "$crossed" &&
        inside sh -c 'cd "$1" && rm -f *.deb && dpkg-architecture -aarm64 -c cpack -G DEB' _ "$crossed"
}

arm64_field() { inside dpkg-deb -f "$(echo "$crossed"/*.deb)" "$1"; }

# What a person there would install: unpacked, as dpkg here is of another kind.
runs_arm64() {
    inside dpkg-deb -x "$(echo "$crossed"/*.deb)" /tmp/arm64 &&
        inside qemu-aarch64 -L / /tmp/arm64/usr/bin/pixverse-worker version &&
        inside qemu-aarch64 -L / /tmp/arm64/usr/bin/pixverse-ctl --help >/dev/null
}

check_arm64() {
    tap_check "arm64: compiler, libraries and qemu are installed" install_arm64 &&
        tap_check "arm64: it builds, and cpack makes its package" build_arm64 && {
        tap_check "arm64: the package says so" test "$(arm64_field Architecture)" = arm64
        tap_check "arm64: it depends on what its programs are linked to" \
            grep -q 'librdkafka1.*libuv1' <<<"$(arm64_field Depends)"
        tap_check "arm64: its commands run" runs_arm64
    }
}
has_its_libraries() {
    [ "$(inside sed -n 's/^VERSION_ID="\(.*\)"$/\1/p' /etc/os-release)" = 13 ] &&
        inside ldd "$released/pixverse-worker" | grep -q 'librdkafka.*=>'
}

rm -rf --one-file-system build/trixie
tap_check "a base of Debian 13 is made" debian_make_base "$TEST_TMP/base" &&
    tap_check "it is a root to work in" make_root "$root" &&
    tap_check "what builds and tests is installed there" install_there &&
    tap_check "its PostgreSQL is 17" start_postgres_there &&
    tap_check "everything builds there" build_there &&
    tap_check "with that release's libraries" has_its_libraries && {
    PARTS_DATABASE_URL=$(cat "$TEST_TMP/url")
    export PARTS_DATABASE_URL
    programs | xargs -P "$(nproc)" -I {} bash -c 'run_there "$1"' _ {}
    programs alone | xargs -I {} bash -c 'run_there "$1"' _ {}
    while read -r program; do
        tap_check "${program/_test_//}" was_fine "$program"
    done < <(all_programs)
    tap_check "cpack makes the package of that release" pack_there &&
        tap_check "there is a bare root" make_root "$bare" &&
        tap_check "apt installs the package there" install_package && {
        tap_check "it is whole, with its user, folder and units" is_whole
        wrap_commands "$TEST_TMP/bin"
        tap_check "e2e/five_modes by it" script_there five_modes
        tap_check "e2e/s3 by it" script_there s3
        tap_check "e2e/kafka_oidc by it" script_there kafka_oidc
    }
}
[ "${ARM64:-0}" = 0 ] || check_arm64
leave
tap_end
