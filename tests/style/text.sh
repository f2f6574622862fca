#!/usr/bin/env bash
# What stands in the files: no unfinished work, no path of one machine, no name
# of a registry; files and functions of a size to be read.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh

# The patterns are broken up so that this file does not match itself.
unfinished='\b(TO''DO|FIX''ME|XX''X|HA''CK)\b|not imple''mented'
machine='(^|[^a-z.A-Z0-9_/])/(ro''ot|wo''rk)/'
registry='https?://[a-z0-9.-]*(debian|maven|npmjs|pypi|pythonhosted|crates|golang)\.(org|com|io)'

files() {
    git ls-files --cached --others --exclude-standard -- "$@" |
        while read -r file; do [ ! -f "$file" ] || echo "$file"; done
}

says() { # PATTERN
    files . | xargs -r grep -nIE "$1" | cut -c 1-160
}

long_files() {
    files 'lib/*.[ch]' 'cmd/*.[ch]' 'tests/*.[ch]' 'tests/*.py' |
        grep -vx tests/fault/mutants.py | xargs -r wc -l |
        awk '$2 != "total" && $1 > 600 {print $2 " has " $1 " lines"}'
}

# A function begins behind a line that is "{" alone and ends at "}" in the first
# column.
long_functions() {
    files 'lib/*.c' 'cmd/*.c' | xargs -r awk '
        FNR == 1 {began = 0}
        /^\{/ {began = FNR; next}
        /^\}/ && began {
            if (FNR - began > 70)
                print FILENAME ":" began " a function of " FNR - began " lines"
            began = 0
        }'
}

odd_top_level() {
    files . | cut -d / -f 1 | sort -u | grep -vxE \
        'cmd|lib|deploy|sql|tests|CMakeLists\.txt|Dockerfile|README\.md|CHANGELOG\.md|LICENSE|\..*'
}

assert_with_effect() {
    files 'lib/*.c' 'cmd/*.c' | xargs -r grep -nE \
        '\bassert\([^;]*(\+\+|--|[^=!<>]=[^=])[^;]*\);'
}

# TEST_CASE() of tests/lib/check.h names a test where it stands.
named_twice() {
    files 'tests/*.[ch]' | grep -vx tests/lib/check.h |
        xargs -r grep -nE 'cmocka_unit_test|include <cmocka\.h>'
}

tables() {
    sed -n 's/^CREATE TABLE \([a-z_]*\).*/\1/p' sql/schema/*.sql | sort
}

doctors_tables() {
    grep -o "'[a-z_]*'" sql/query/ctl_ours.sql | tr -d "'" | sort
}

untold_tables() {
    tables | while read -r table; do
        grep -qE "^\|.*\`$table\`.*\|" sql/README.md || echo "$table"
    done
}

tap_check "nothing is left unfinished" tap_empty "$(says "$unfinished")"
tap_check "no path of one machine is named" tap_empty "$(says "$machine")"
tap_check "no registry host is named" tap_empty "$(says "$registry")"
tap_check "no file is over 600 lines" tap_empty "$(long_files)"
tap_check "no function is over 70 lines" tap_empty "$(long_functions)"
tap_check "the top level holds what the design names" tap_empty "$(odd_top_level)"
tap_check "no assert does any work" tap_empty "$(assert_with_effect)"
tap_check "a test is named once" tap_empty "$(named_twice)"
tap_check "doctor looks at every table" tap_empty "$(comm -3 <(tables) <(doctors_tables))"
tap_check "sql/README.md tells of every table" tap_empty "$(untold_tables)"
tap_end
