# shellcheck shell=bash
# For scripts that mount: they go on in mounts of their own, which outlive nobody.

own_root_is_there() { awk '$5 == "/" {found = 1} END {exit !found}' /proc/self/mountinfo; }

# In a chroot "/" is no mount, and can be neither made private nor mounted anew: the
# script goes on in one that is, seen by nobody else.
own_root() { # SCRIPT [WORD]...
    if own_root_is_there; then
        exec unshare --mount --propagation private "$@"
    fi
    mkdir -p "$TEST_TMP/root"
    # shellcheck disable=SC2016  # for the inner shell
    exec unshare --mount --propagation unchanged bash -c '
        root=$1 && shift
        mount --rbind / "$root" && mount --make-rprivate "$root" && chroot "$root" "$@"
        rc=$?
        umount -l "$root"
        exit "$rc"' _ "$TEST_TMP/root" "$@"
}
