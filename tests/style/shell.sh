#!/usr/bin/env bash
# Every shell file parses, and every runnable file says with what; the Python
# tests apart, which need the Python of tests/run.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh

shell_files() {
    git ls-files --cached --others --exclude-standard deploy tests .ci |
        while read -r file; do
            [ -f "$file" ] || continue
            case $file in
            *.sh) echo "$file" ;;
            *) ! head -n 1 "$file" | grep -qaE '^#!.*\b(ba)?sh' || echo "$file" ;;
            esac
        done
}

without_interpreter() {
    find deploy tests .ci -type f -perm -u+x ! -name '*.py' |
        while read -r file; do
            head -c 2 "$file" | grep -qa '#!' || echo "$file"
        done
}

while read -r file; do
    tap_check "$file parses" bash -n "$file"
done < <(shell_files)
tap_check "every executable file names its interpreter" \
    tap_empty "$(without_interpreter)"
tap_end
