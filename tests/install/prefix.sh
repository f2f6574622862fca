#!/usr/bin/env bash
# cmake --install: the three commands run from their prefix alone.
cd "$TEST_ROOT" || exit 1
. tests/lib/tap.sh
prefix=$TEST_TMP/prefix

installs() {
    cmake --install "$TEST_BUILD_RELEASE" --prefix "$prefix"
}

# Away from the sources: a file that is read at run time would be missing. The
# build folder can't be hidden, so the names in the programs are looked at too.
runs() { # COMMAND ARGUMENT...
    local command=$1
    shift
    (cd / && env -i PATH=/usr/bin:/bin HOME=/nonexistent "$prefix/bin/$command" "$@")
}

is_hardened() {
    readelf -hlW "$1" | grep -q 'Type:.*DYN' &&
        readelf -lW "$1" | grep -q GNU_RELRO &&
        readelf -dW "$1" | grep -qE 'BIND_NOW|NOW'
}

files_of() { (cd "$prefix" && find . -type f | sort); }

tap_check "it installs" installs
tap_check "there are the three commands, completion, their pages, and nothing else" \
    tap_empty "$(diff <(printf './%s\n' bin/pixverse-{ctl,sim,worker} \
        share/bash-completion/completions/pixverse-{ctl,worker} \
        share/fish/vendor_completions.d/pixverse-{ctl,worker}.fish \
        share/man/man1/pixverse-{ctl,sim,worker}.1 \
        share/zsh/site-functions/_pixverse-{ctl,worker}) <(files_of))"
for command in pixverse-worker pixverse-ctl pixverse-sim; do
    tap_check "$command --help" runs "$command" --help
    tap_check "$command names no folder of the build" \
        bash -c "! strings -a '$prefix/bin/$command' | grep -F '$TEST_BUILD_RELEASE'"
    tap_check "$command is hardened" is_hardened "$prefix/bin/$command"
    tap_check "$command keeps its asserts" \
        bash -c "nm -D '$prefix/bin/$command' | grep -q __assert_fail"
done

# --- completion and the man page ---------------------------------------------

share=$prefix/share
bash_file=$share/bash-completion/completions/pixverse-ctl
commands=$(runs pixverse-ctl --help | sed -n 's/^  \([a-z]*\)  .*/\1/p')

flags_of() { # COMMAND
    runs pixverse-ctl "$1" --help | grep -oE '^  --[a-z-]+' | tr -d ' '
}

# What bash offers behind these words.
offers() { # WORD...
    bash --norc -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _pixverse_ctl; printf "%s\n" "${COMPREPLY[@]}"' - "$bash_file" "$@"
}

# Flags that one of the four does not know, by command.
unknown_flags() {
    local command flag
    for command in $commands; do
        for flag in $(flags_of "$command"); do
            offers pixverse-ctl "$command" "$flag" | grep -qxe "$flag" ||
                echo "bash: $command $flag"
            sed -n "/^    $command)/,/;;/p" "$share/zsh/site-functions/_pixverse-ctl" |
                grep -qe "'[*]*$flag[=[]" || echo "zsh: $command $flag"
            grep -qe "from $command' -l ${flag#--} " \
                "$share/fish/vendor_completions.d/pixverse-ctl.fish" || echo "fish: $command $flag"
            sed -n "/^\.SS $command\$/,/^\.S[SH]/p" "$share/man/man1/pixverse-ctl.1" |
                tr -d '\\' | grep -qe "^fB$flag" || echo "man: $command $flag"
        done
    done
}

is_offered() { # EXPECTED WORD...
    local expected=$1
    shift
    offers "$@" | grep -qxe "$expected"
}

tap_check "the tables name at least twenty commands" test "$(wc -w <<<"$commands")" -ge 20
tap_check "every flag of every command is in the completions and the page" \
    tap_empty "$(unknown_flags)"
tap_check "bash: commands" is_offered announce pixverse-ctl an
tap_check "bash: states" is_offered queued pixverse-ctl list --state q
tap_check "bash: states behind =" is_offered queued pixverse-ctl list --state = q
tap_check "bash: kinds" is_offered timed_out pixverse-ctl retry --kind ti
tap_check "bash: what a switch may be" is_offered false pixverse-ctl submit --audio = f
tap_check "bash: a switch alone takes no word" is_offered --json pixverse-ctl submit --audio --j
tap_check "bash: verbs" is_offered replay pixverse-ctl rejected re
tap_check "bash: a value of one's own is not guessed" \
    tap_empty "$(offers pixverse-ctl list --tenant --)"
tap_check "bash loads it" bash --norc -ec ". '$bash_file'; complete -p pixverse-ctl"
tap_check "zsh loads it" zsh -fc "autoload -U compinit; compinit -D -u; \
    . '$share/zsh/site-functions/_pixverse-ctl' && [[ \$_comps[pixverse-ctl] = _pixverse_ctl ]]"
tap_check "fish offers what it says" bash -c "fish --no-config -c \
    'source $share/fish/vendor_completions.d/pixverse-ctl.fish; \
     complete -C \"pixverse-ctl list --state q\"' | grep -q queued"
tap_check "mandoc finds nothing in the page" tap_empty \
    "$(mandoc -T lint -W warning "$share/man/man1/pixverse-ctl.1")"
tap_check "the page shows what it is" bash -c \
    "mandoc -T utf8 '$share/man/man1/pixverse-ctl.1' | col -b | grep -q 'announce REQUEST-ID'"

# --- those of the other two --------------------------------------------------

for command in pixverse-worker pixverse-sim; do
    page=$share/man/man1/$command.1
    tap_check "$command: mandoc finds nothing in its page" tap_empty \
        "$(mandoc -T lint -W warning "$page")"
    tap_check "$command: the page has every line of --help" tap_empty \
        "$(diff <(runs "$command" --help | sed 's/^ *//' | sort -u) \
            <(mandoc -T ascii -O width=200 "$page" | col -bx | sed 's/^ *//' | sort -u) |
            grep '^<')"
done

# Words of pixverse-worker --help that a completion does not know.
unknown_words() {
    local file word
    for word in $(runs pixverse-worker --help | sed -n '/^  [a-z]/s/^  \([a-z]*\) .*/\1/p
            /^Settings/q') no-topics copy confirm ready; do
        for file in "$share"/*/*/*pixverse-worker{,.fish}; do
            [ ! -f "$file" ] || grep -qwe "$word" "$file" || echo "$file: $word"
        done
    done
}

# What bash offers behind these words.
offers_of_worker() { # WORD...
    bash --norc -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _pixverse_worker; printf "%s\n" "${COMPREPLY[@]}"' - \
        "$share/bash-completion/completions/pixverse-worker" "$@"
}

tap_check "the words of pixverse-worker are in its completions" tap_empty "$(unknown_words)"
tap_check "bash: its commands" test "$(offers_of_worker pixverse-worker he)" = health
tap_check "bash: its flags" test "$(offers_of_worker pixverse-worker health --)" = --ready
tap_check "zsh loads it" zsh -fc "autoload -U compinit; compinit -D -u; \
    . '$share/zsh/site-functions/_pixverse-worker' &&
    [[ \$_comps[pixverse-worker] = _pixverse_worker ]]"
tap_check "fish offers what it says" bash -c "fish --no-config -c \
    'source $share/fish/vendor_completions.d/pixverse-worker.fish; \
     complete -C \"pixverse-worker mig\"' | grep -q migrate"

tap_check "it needs no settings" runs pixverse-ctl completion bash

tap_check "pixverse-worker version" runs pixverse-worker version
tap_check "pixverse-worker run without a key is a fault of settings" \
    bash -c "env -i '$prefix/bin/pixverse-worker' run; [ \$? -eq 2 ]"
tap_end
