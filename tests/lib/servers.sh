# shellcheck shell=bash
# The servers of a test run: each is started when the first item asks for it,
# and all are stopped when the run ends. Sourced by tests/run, after parts.sh.

servers_pg_runs=no
servers_kafka_runs=no
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
    [ "$servers_kafka_runs" = no ] || parts_kafka_stop "$run_folder/kafka"
    [ "$servers_pg_runs" = no ] || parts_postgres_stop "$run_folder/postgres"
    parts_ports_return
}
