#!/usr/bin/env bash
# tests/run: long postgres kafka timeout=600
# The Debian package of this release: made, looked through by lintian, installed in a
# copy of this machine's root that is gone afterwards, run, upgraded, removed. As root.
cd "$TEST_ROOT" || exit 1
. tests/lib/tap.sh
. deploy/lib/parts.sh

. tests/lib/own_root.sh
[ "${1:-}" = inside ] || own_root "$TEST_ROOT/tests/install/deb.sh" inside
root=$TEST_TMP/copy/root
version=$(sed -n 's/^project(.* VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)

make_copy() {
    mkdir -p "$TEST_TMP/copy" && mount -t tmpfs none "$TEST_TMP/copy" &&
        mkdir "$TEST_TMP/copy"/{upper,work,root} &&
        mount -t overlay -o "lowerdir=/,upperdir=$TEST_TMP/copy/upper,workdir=$TEST_TMP/copy/work" \
            none "$root" &&
        mount --bind "$TEST_ROOT" "$root$TEST_ROOT" &&
        mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" &&
        rm -rf "$root"/run/* && printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" &&
        chmod +x "$root/usr/sbin/policy-rc.d"
}

in_copy=(chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin)
inside() { "${in_copy[@]}" "$@"; }

packs() { # VERSION FOLDER
    cpack -G DEB --config "$TEST_BUILD_RELEASE/CPackConfig.cmake" -B "$2" \
        -D CPACK_DEBIAN_PACKAGE_VERSION="$1"
}

package_of() { ls "$TEST_TMP/$1"/*.deb; }

field() { dpkg-deb -f "$(package_of first)" "$1"; }

looks_right() {
    lintian --allow-root --fail-on error,warning "$(package_of first)"
}

# What a program is linked to comes with the package.
names_its_libraries() {
    local name depends
    depends=$(field Depends)
    for name in librdkafka1 libpq5 libcurl4 libmicrohttpd12 libsmartcols1 libssl3 ca-certificates; do
        grep -qE "(^|, )$name(t64)?( |,|\$)" <<<"$depends" || {
            echo "no $name in: $depends"
            return 1
        }
    done
}

is_installed() {
    [ "$(inside dpkg-query -W -f '${Status} ${Version}' pixverse-worker)" = \
        "install ok installed $1" ]
}

owner_is() { # EXPECTED FILE
    local got
    got=$(inside stat -c '%U:%G %a' "$2")
    [ "$got" = "$1" ] || {
        echo "$2: $got"
        return 1
    }
}

installs() { # FOLDER
    cp "$(package_of "$1")" "$root/tmp/package.deb" &&
        inside env DEBIAN_FRONTEND=noninteractive dpkg --force-confdef -i /tmp/package.deb
}

# Words before a command that runs as the unit's user with the unit's file. They are no
# function: of one that runs beside, the id would be that of a shell around it.
find_unit() {
    unit=("${in_copy[@]}" setpriv --reuid=pixverse --regid=pixverse --clear-groups
        --no-new-privs --bounding-set=-all env)
    mapfile -t -O "${#unit[@]}" unit < <(grep -E '^[A-Z]' "$root/etc/default/pixverse-worker")
}

# What a person would do next.
as_unit() { # COMMAND...
    find_unit
    "${unit[@]}" "$@"
}

works_as_its_user() {
    {
        echo "DATABASE_URL=$TEST_DATABASE_URL"
        echo "KAFKA_BROKERS=$TEST_KAFKA_BROKERS"
        echo "KAFKA_REQUEST_TOPIC=${TEST_PREFIX}requests"
        echo "KAFKA_EVENT_TOPIC=${TEST_PREFIX}events"
        echo "KAFKA_REJECTED_TOPIC=${TEST_PREFIX}rejected"
        echo "APIMART_API_KEY=sk-test"
    } >>"$root/etc/default/pixverse-worker"
    as_unit pixverse-worker migrate
}

stores_as_its_user() {
    as_unit pixverse-worker check >"$TEST_TMP/check" 2>&1
    grep -qx 'ok  *storage: takes and gives' "$TEST_TMP/check" || {
        cat "$TEST_TMP/check"
        return 1
    }
}

unit_folder() { inside sh -c 'dirname "$(dpkg -L pixverse-worker | grep "pixverse-worker\.service$")"'; }

units_are_fine() {
    local said
    # Of the machine's own units it may say what it likes.
    said=$(systemd-analyze verify --man=no --root="$root" \
        "$root$(unit_folder)"/pixverse-{worker,console,migrate}.service 2>&1 | grep -i pixverse)
    tap_empty "$said"
}

# 10 is wide open, 0 is shut: 1.6 leaves a program its network and its own folder.
is_tight() { # UNIT
    systemd-analyze security --no-pager --offline=true --threshold=16 --root="$root" "$1"
}

waits_longer_than_it_drains() {
    local drain stop
    drain=$(sed -n 's/^DRAIN_MS=//p' "$root/etc/default/pixverse-worker")
    stop=$(sed -n 's/^TimeoutStopSec=//p' "$root$(unit_folder)/pixverse-worker.service")
    [ $((drain / 1000)) -lt "$stop" ]
}

# Every setting of the file is one that the worker knows, commented ones too.
unknown_settings() {
    local name
    for name in $(sed -nE 's/^#?([A-Z][A-Z0-9_]*)=.*/\1/p' deploy/packages/default/pixverse-worker); do
        [ "$name" = MIGRATE_OPTIONS ] ||
            "$TEST_BIN/pixverse-worker" --help | grep -qE "^  ${name%_FILE} " || echo "$name"
    done
}

# The tests' Python stays outside: it calls the commands by these.
wrap_commands() {
    local name
    mkdir -p "$TEST_TMP/bin"
    for name in pixverse-worker pixverse-ctl pixverse-sim; do
        printf '#!/bin/sh\nexec chroot "%s" /usr/bin/%s "$@"\n' "$root" "$name" \
            >"$TEST_TMP/bin/$name"
        chmod +x "$TEST_TMP/bin/$name"
    done
}

five_modes() {
    local -x TEST_BIN=$TEST_TMP/bin TEST_PREFIX=${TEST_PREFIX}five- TEST_DATABASE_URL
    TEST_DATABASE_URL=$(parts_postgres_database t_install_deb_five) || return 1
    local -x TEST_TMP=$TEST_TMP/five
    mkdir -p "$TEST_TMP"
    timeout --kill-after=20 300 "$TEST_PYTHON" -u tests/e2e/five_modes.py </dev/null
}

upgrade_leaves_workers() {
    local pid out
    find_unit
    "${unit[@]}" pixverse-sim api --listen 127.0.0.1:0 >/dev/null 2>&1 &
    pid=$!
    out=$(installs second 2>&1)
    kill "$pid" || {
        echo "what ran is gone"
        return 1
    }
    wait "$pid" 2>/dev/null
    grep -q 'systemctl start pixverse-migrate' <<<"$out" || {
        echo "$out"
        return 1
    }
}

rm -rf "$TEST_TMP/first" "$TEST_TMP/second"
PARTS_DATABASE_URL=$TEST_DATABASE_URL
own=$version~deb$(. /etc/os-release && echo "$VERSION_ID")
tap_check "cpack makes the package" cpack -G DEB \
    --config "$TEST_BUILD_RELEASE/CPackConfig.cmake" -B "$TEST_TMP/first" &&
    tap_check "its version names the release: $own" test "$(field Version)" = "$own" &&
    tap_check "and the next version's" packs "$version+next" "$TEST_TMP/second" &&
    tap_check "a copy of this machine's root is made" make_copy && {
    tap_check "lintian finds no error and nothing to warn of" looks_right
    tap_check "it depends on what its programs are linked to" names_its_libraries
    tap_check "every setting in its file is known" tap_empty "$(unknown_settings)"
    tap_check "it installs" installs first
    tap_check "dpkg says so" is_installed "$own"
    tap_check "its user is a system user without a shell" inside sh -c \
        '[ "$(getent passwd pixverse | cut -d: -f7)" = /usr/sbin/nologin ] &&
            [ "$(id -u pixverse)" -lt 1000 ]'
    tap_check "videos are the user's" owner_is "pixverse:pixverse 750" /var/lib/pixverse/videos
    tap_check "secrets are root's, for the user to read" owner_is "root:pixverse 750" /etc/pixverse
    tap_check "settings are root's alone" owner_is "root:root 600" /etc/default/pixverse-worker
    tap_check "the units are well-formed, and what they run is there" units_are_fine
    for unit in pixverse-worker pixverse-console pixverse-migrate; do
        tap_check "$unit.service is tight" is_tight "$unit.service"
    done
    tap_check "a stop is given longer than DRAIN_MS" waits_longer_than_it_drains
    for page in pixverse-worker pixverse-ctl pixverse-sim; do
        tap_check "$page has its page" inside test -s "/usr/share/man/man1/$page.1.gz"
    done
    tap_check "the contract is there" diff -r deploy/contract \
        "$root/usr/share/doc/pixverse-worker/contract"
    tap_check "as its user, without any right, the tables are made" works_as_its_user
    tap_check "and the folder takes videos" stores_as_its_user
    wrap_commands
    tap_check "e2e/five_modes by the package's commands" five_modes
    echo "LOG_LEVEL=debug" >>"$root/etc/default/pixverse-worker"
    tap_check "an upgrade leaves what runs, and says what comes next" upgrade_leaves_workers
    tap_check "dpkg has the next version" is_installed "$version+next"
    tap_check "what was set stays" grep -q LOG_LEVEL=debug "$root/etc/default/pixverse-worker"
    echo paid >"$root/var/lib/pixverse/videos/film.mp4"
    tap_check "it is removed" inside dpkg -r pixverse-worker
    tap_check "settings stay for another time" test -e "$root/etc/default/pixverse-worker"
    tap_check "the commands are gone" test ! -e "$root/usr/bin/pixverse-worker"
    tap_check "it is purged" inside dpkg -P pixverse-worker
    tap_check "settings are gone" test ! -e "$root/etc/default/pixverse-worker"
    tap_check "the empty folder for secrets is gone" test ! -e "$root/etc/pixverse"
    tap_check "videos that were paid for stay" test -s "$root/var/lib/pixverse/videos/film.mp4"
    tap_check "dpkg knows nothing more of it" bash -c \
        "! chroot '$root' dpkg -s pixverse-worker"
}
tap_end
