# shellcheck shell=bash
# A bare Debian 13 as an archive: the base of the image, and the root in which
# the programs meet that release's libraries. Sourced, in the repository's root.

debian_base=build/parts/debian-trixie.tar

# A minimal Debian 13 from wherever this machine gets its packages. Who comes while
# another makes it waits for it.
debian_make_base() { # FOLDER to make it in
    mkdir -p build/parts
    (flock 9 && debian_make_base_alone "$1") 9>"$debian_base.lock"
}

debian_make_base_alone() {
    local folder=$1 mirror file
    [ ! -e "$debian_base" ] || return 0
    mirror=$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list \
        /etc/apt/sources.list.d 2>/dev/null | head -n 1 | tr -d ' ')
    debootstrap --variant=minbase --include=ca-certificates trixie "$folder" \
        ${mirror:+"$mirror"} || return 1
    for file in /etc/apt/apt.conf.d/99*; do
        [ ! -e "$file" ] || cp "$file" "$folder/etc/apt/apt.conf.d/"
    done
    rm -rf "$folder"/var/cache/apt/archives/*.deb
    tar -C "$folder" --one-file-system -cf "$debian_base.part" . &&
        mv "$debian_base.part" "$debian_base"
    rm -rf --one-file-system "$folder"
}
