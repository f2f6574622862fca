# shellcheck shell=bash
# Checks of a shell test, as TAP. To be sourced; ends in tap_end.

tap_checks=0
tap_failed=0

# tap_check TEXT COMMAND...: the check passes if COMMAND succeeds. What COMMAND
# prints is shown if it fails.
tap_check() {
    local text=$1 output
    shift
    tap_checks=$((tap_checks + 1))
    if output=$("$@" 2>&1); then
        echo "ok $tap_checks - $text"
        return 0
    fi
    echo "not ok $tap_checks - $text"
    sed 's/^/# /' <<<"$output"
    tap_failed=$((tap_failed + 1))
    return 1
}

tap_empty() { # OUTPUT: fails, showing it, unless it is empty
    [ -z "$1" ] || {
        echo "$1"
        return 1
    }
}

tap_end() {
    echo "1..$tap_checks"
    [ "$tap_failed" -eq 0 ]
}
