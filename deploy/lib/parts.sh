# shellcheck shell=bash
# The parts that a trial and the tests stand on: a private PostgreSQL, an Apache
# Kafka node, free ports, background programs. To be sourced by bash.
#
# Each part lives in one folder of the caller's: its data, its log and the file
# that tells which process it is. Nothing outside that folder is written, apart
# from the reservations of ports (parts_port), and nothing is ended that was not
# started from it. Functions print nothing on stdout but what they are asked
# for; they fail with a line on stderr and the end of the log concerned.

parts_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
parts_limit_s=60 # how long a part may take to answer

parts_fail() {
    echo "$*" >&2
    return 1
}

# parts_wait LIMIT_S COMMAND...: until COMMAND succeeds; false after LIMIT_S.
parts_wait() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.05
    done
}

parts_random() { # COUNT bytes, as hex
    od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'
}

# --- ports -------------------------------------------------------------------

# Ports are taken below the range from which the kernel gives ports to outgoing
# connections, so that none of those can be in the way. A file per port holds
# the process that has asked for it: several runs at once take different ones.
# PARTS_PORT_OWNER: another process, which outlives the shell that asks.
parts_port_folder=${TMPDIR:-/tmp}/pixverse-ports-$(id -u)

parts_port_listens() {
    local hex
    hex=$(printf ':%04X ' "$1")
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '{print $2 " "}' |
        grep -q "$hex\$" && return 0
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

parts_port_reserve() {
    local file=$parts_port_folder/$1 owner
    owner=$(cat "$file" 2>/dev/null) || owner=
    if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
        rm -f "$file"
    fi
    (set -o noclobber && echo "${PARTS_PORT_OWNER:-$$}" >"$file") 2>/dev/null
}

# Prints a port of the loopback that nobody listens on.
parts_port() {
    local port tries
    mkdir -p "$parts_port_folder"
    for tries in {1..200}; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        parts_port_reserve "$port" || continue
        parts_port_listens "$port" || {
            echo "$port"
            return 0
        }
    done
    parts_fail "no free port between 20000 and 32000 after $tries tries"
}

# Gives back the ports that this shell has reserved.
parts_ports_return() {
    grep -lsx "$$" "$parts_port_folder"/* 2>/dev/null | xargs -r rm -f
}

# --- processes ---------------------------------------------------------------

# parts_spawn NAME FOLDER COMMAND...: COMMAND in the background, its output in
# FOLDER/NAME.log; FOLDER/NAME.pid says which process it is.
parts_spawn() {
    local name=$1 folder=$2
    shift 2
    mkdir -p "$folder"
    setsid "$@" >"$folder/$name.log" 2>&1 </dev/null &
    echo "$! $(parts_birth "$!")" >"$folder/$name.pid"
    disown "$!" 2>/dev/null || true
}

# When that process began, in ticks since boot: its id alone may by now be that
# of another.
parts_birth() {
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20
}

parts_alive() { # PID-FILE
    local pid birth
    { read -r pid birth <"$1"; } 2>/dev/null || return 1
    [ -n "$birth" ] && [ "$(parts_birth "$pid")" = "$birth" ] &&
        ! grep -qs '^State:[[:space:]]*Z' "/proc/$pid/status"
}

parts_dead() { ! parts_alive "$1"; }

# parts_end PID-FILE [LIMIT_S]: SIGTERM, and SIGKILL after LIMIT_S.
parts_end() {
    local file=$1 limit_s=${2:-20} pid
    if parts_alive "$file"; then
        read -r pid _ <"$file"
        kill -TERM "$pid" 2>/dev/null || true
        if ! parts_wait "$limit_s" parts_dead "$file"; then
            kill -KILL "$pid" 2>/dev/null || true
            parts_wait 5 parts_dead "$file" || true
        fi
    fi
    rm -f "$file"
}

# parts_http_ok HOST:PORT PATH: whether a GET is answered with a status 200.
parts_http_ok() {
    local status
    status=$(
        exec 2>/dev/null 3<>"/dev/tcp/${1%:*}/${1##*:}" || exit 0
        printf 'GET %s HTTP/1.0\r\nHost: %s\r\n\r\n' "$2" "$1" >&3
        timeout 5 head -n 1 <&3
    )
    [[ $status == HTTP/*\ 200\ * ]]
}

# parts_line NAME FOLDER LIMIT_S PATTERN: waits for a line in NAME's log that
# matches the extended regular expression, and prints the line.
parts_line() {
    local log=$2/$1.log pid_file=$2/$1.pid end=$((SECONDS + $3))
    until grep -m1 -E "$4" "$log" 2>/dev/null; do
        if parts_dead "$pid_file"; then
            tail -n 20 "$log" >&2
            parts_fail "$1 ended early; its log: $log"
            return 1
        fi
        if [ "$SECONDS" -ge "$end" ]; then
            tail -n 20 "$log" >&2
            parts_fail "$1 does not answer after $3 s; its log: $log"
            return 1
        fi
        sleep 0.05
    done
}

# --- PostgreSQL --------------------------------------------------------------

# Prints the folder of PostgreSQL's programs, the newest if there are several.
parts_postgres_bin() {
    local bin
    bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
    [ -x "$bin/initdb" ] || bin=$(dirname "$(command -v initdb)" 2>/dev/null)
    [ -x "$bin/initdb" ] ||
        parts_fail "no PostgreSQL server here: deploy/install run" || return 1
    echo "$bin"
}

# PostgreSQL refuses to run as root.
parts_postgres_as() {
    if [ "$(id -u)" -eq 0 ]; then
        # From a folder that the other user may stand in.
        (cd / && exec runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

# Prints where the data can be: FOLDER itself, unless the user postgres can't
# get there (a clone in /root), then a folder below /var/tmp that FOLDER links.
parts_postgres_place() {
    local folder=$1
    mkdir -p "$folder"
    folder=$(cd -P "$folder" && pwd)
    if [ "$(id -u)" -eq 0 ]; then
        chown postgres: "$folder"
        if ! parts_postgres_as test -w "$folder"; then
            rmdir "$folder"
            folder=$(mktemp -d -p /var/tmp --suffix=-pixverse-postgres)
            ln -sfn "$folder" "$1"
            chown postgres: "$folder"
        fi
    fi
    chmod 700 "$folder"
    echo "$folder"
}

# parts_postgres_start FOLDER [SETTING...]: a new, empty cluster in FOLDER that
# listens on the loopback; SETTING is a line of postgresql.conf. Sets
# PARTS_DATABASE_URL, that of its superuser's database "pixverse". What the
# folder held of an earlier cluster is stopped and removed.
parts_postgres_start() {
    local given=$1 place bin port password tries
    shift
    bin=$(parts_postgres_bin) || return 1
    parts_postgres_stop "$given"
    place=$(parts_postgres_place "$given") || return 1
    password=$(parts_random 12)
    (umask 077 && echo "$password" >"$place/password")
    : >"$place/log"
    [ "$(id -u)" -ne 0 ] || chown postgres: "$place/password" "$place/log"
    parts_postgres_as "$bin/initdb" -D "$place/data" -U pixverse \
        --pwfile="$place/password" -A scram-sha-256 -E UTF8 --locale=C.UTF-8 \
        --no-sync >"$place/initdb.log" 2>&1 || {
        tail -n 20 "$place/initdb.log" >&2
        parts_fail "initdb failed"
        return 1
    }
    for tries in 1 2 3; do
        port=$(parts_port) || return 1
        {
            echo "listen_addresses = '127.0.0.1'"
            echo "port = $port"
            echo "unix_socket_directories = ''"
            echo "max_connections = 300"
            printf '%s\n' "$@"
        } >"$place/conf"
        parts_postgres_configure "$place"
        parts_postgres_as "$bin/pg_ctl" start -D "$place/data" -w \
            -t "$parts_limit_s" -l "$place/log" >/dev/null 2>&1 && break
        grep -q 'Address already in use' "$place/log" && [ "$tries" -lt 3 ] ||
            {
                tail -n 20 "$place/log" >&2
                parts_fail "PostgreSQL did not start; its log: $place/log"
                return 1
            }
    done
    PARTS_DATABASE_URL=postgresql://pixverse:$password@127.0.0.1:$port/pixverse
    "$bin/psql" -q -d "${PARTS_DATABASE_URL%/pixverse}/postgres" \
        -c 'create database pixverse' >&2
}

parts_postgres_configure() {
    local conf=$1/data/postgresql.auto.conf
    cat "$1/conf" >"$conf"
    [ "$(id -u)" -ne 0 ] || chown postgres: "$conf"
}

# parts_postgres_stop FOLDER: ends the cluster there, if one runs, and removes
# its data.
parts_postgres_stop() {
    local place bin
    [ -e "$1" ] || return 0
    place=$(cd -P "$1" && pwd) || return 0
    bin=$(parts_postgres_bin) || return 1
    if [ -e "$place/data/postmaster.pid" ]; then
        parts_postgres_as "$bin/pg_ctl" stop -D "$place/data" -w -m immediate \
            -t 30 >/dev/null 2>&1 || true
    fi
    rm -rf "$place/data" "$place/password"
    [ ! -L "$1" ] || rm -rf --one-file-system "$place" "$1"
}

# parts_postgres_halt FOLDER: a crash; parts_postgres_again FOLDER: up again on
# the same port, with what was committed.
parts_postgres_halt() {
    local place
    place=$(cd -P "$1" && pwd) || return 1
    parts_postgres_as "$(parts_postgres_bin)/pg_ctl" stop -D "$place/data" -w \
        -m immediate -t 30 >/dev/null
}

parts_postgres_again() {
    local place
    place=$(cd -P "$1" && pwd) || return 1
    parts_postgres_as "$(parts_postgres_bin)/pg_ctl" start -D "$place/data" -w \
        -t "$parts_limit_s" -l "$place/log" >/dev/null
}

# parts_postgres_database NAME: a database of that name, anew, beside the one of
# PARTS_DATABASE_URL; prints its URL.
parts_postgres_database() {
    local server=${PARTS_DATABASE_URL%/*} bin
    bin=$(parts_postgres_bin) || return 1
    "$bin/psql" -q -d "$server/postgres" -v ON_ERROR_STOP=1 \
        -c "set client_min_messages = warning" \
        -c "drop database if exists \"$1\" with (force)" \
        -c "create database \"$1\"" >&2 || return 1
    echo "$server/$1"
}

# --- Apache Kafka ------------------------------------------------------------

# parts_kafka_fetch FOLDER [VERSION]: the jars into FOLDER/lib, once; output in
# FOLDER/maven.log.
parts_kafka_fetch() {
    local folder stamp want
    # Maven takes a relative name as relative to the pom.
    mkdir -p "$1" && folder=$(cd -P "$1" && pwd) || return 1
    want=$(cksum <"$parts_root/deploy/kafka/pom.xml")
    stamp=$(cat "$folder/lib/.pom" 2>/dev/null) || stamp=
    [ "$stamp" != "$want" ] || return 0
    command -v mvn >/dev/null || parts_fail "no Maven here: deploy/install java" || return 1
    rm -rf "$folder/lib"
    mvn -B -f "$parts_root/deploy/kafka/pom.xml" dependency:copy-dependencies \
        "-DoutputDirectory=$folder/lib" ${2:+"-Dkafka.version=$2"} >"$folder/maven.log" 2>&1 || {
        grep -E 'ERROR' "$folder/maven.log" | head -n 5 >&2
        parts_fail "Maven could not fetch Apache Kafka; its log: $folder/maven.log"
        return 1
    }
    echo "$want" >"$folder/lib/.pom"
}

# PARTS_KAFKA_LISTENERS: more of them, NAME://host:port separated by commas, whose
# protocols the caller's properties tell.
parts_kafka_properties() { # FOLDER PORT CONTROLLER-PORT
    local more=${PARTS_KAFKA_LISTENERS:+,$PARTS_KAFKA_LISTENERS}
    cat <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$3
listeners=PLAINTEXT://127.0.0.1:$2,CONTROLLER://127.0.0.1:$3$more
advertised.listeners=PLAINTEXT://127.0.0.1:$2$more
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$1/data
num.partitions=4
auto.create.topics.enable=true
message.max.bytes=3145728
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.dedupe.buffer.size=16777216
PROPERTIES
}

# parts_kafka_start FOLDER JARS [PROPERTY...]: one node with an empty log in
# FOLDER, its jars in the folder JARS; PROPERTY is a line of server.properties.
# Sets PARTS_KAFKA_BROKERS.
parts_kafka_start() {
    local folder=$1 jars=$2 port controller uuid tries
    shift 2
    mkdir -p "$folder"
    folder=$(cd -P "$folder" && pwd) && jars=$(cd -P "$jars" && pwd) || return 1
    for tries in 1 2 3; do
        parts_kafka_stop "$folder"
        port=$(parts_port) && controller=$(parts_port) || return 1
        {
            parts_kafka_properties "$folder" "$port" "$controller"
            printf '%s\n' "$@"
        } >"$folder/server.properties"
        # None that begins with a dash: it would be taken for an option.
        uuid=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=')
        uuid=A${uuid#?}
        java -Xmx256m -cp "$jars/*" kafka.tools.StorageTool format \
            -t "$uuid" -c "$folder/server.properties" \
            >"$folder/format.log" 2>&1 || {
            tail -n 20 "$folder/format.log" >&2
            parts_fail "Kafka's storage could not be formatted"
            return 1
        }
        if parts_kafka_again "$folder" "$jars"; then
            PARTS_KAFKA_BROKERS=127.0.0.1:$port
            return 0
        fi
        grep -q 'Address already in use' "$folder/kafka.log" || break
    done
    parts_kafka_stop "$folder"
    return 1
}

# parts_kafka_again FOLDER JARS: the node of that folder, with the log that it has;
# parts_kafka_halt FOLDER: a crash.
parts_kafka_again() {
    parts_spawn kafka "$1" java -Xmx512m -cp "$2/*" kafka.Kafka \
        "$1/server.properties"
    parts_line kafka "$1" "$parts_limit_s" 'Kafka Server started' >/dev/null
}

parts_kafka_halt() {
    local pid
    ! parts_alive "$1/kafka.pid" || {
        read -r pid _ <"$1/kafka.pid"
        kill -KILL "$pid"
        parts_wait 10 parts_dead "$1/kafka.pid"
    }
}

# parts_kafka_stop FOLDER: ends the node there, if one runs, and removes its log.
parts_kafka_stop() {
    parts_end "$1/kafka.pid" 5
    rm -rf "$1/data"
}
