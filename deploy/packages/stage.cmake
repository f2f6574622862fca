# Run by CPack when the commands stand in the package's folder: the rest of what
# belongs there, in the form that Debian wants it.

set(here ${CPACK_TEMPORARY_DIRECTORY})
set(source ${CPACK_PIXVERSE_SOURCE})
set(packages ${source}/deploy/packages)
set(doc ${here}/usr/share/doc/pixverse-worker)

function(put folder)
  # INSTALL would put DESTDIR, which CPack has set, before it.
  file(COPY ${ARGN} DESTINATION ${here}/${folder}
       FILE_PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ
       DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ
                             GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
endfunction()

# Without the time of packing: the same commands make the same package.
function(pack)
  execute_process(COMMAND gzip -9nf ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(GLOB units ${packages}/systemd/*.service)
put(${CPACK_PIXVERSE_UNITS} ${units})
put(etc/default ${packages}/default/pixverse-worker)
put(etc/default ${packages}/default/pixverse-console)
file(CHMOD ${here}/etc/default/pixverse-worker PERMISSIONS OWNER_READ
     OWNER_WRITE)
put(usr/share/doc/pixverse-worker ${packages}/debian/copyright
    ${source}/deploy/OPERATIONS.md ${source}/deploy/SETTINGS.md
    ${source}/deploy/FAQ.md ${source}/CHANGELOG.md ${source}/deploy/contract
    ${source}/deploy/monitoring)
# Debian's form of it; what changed is beside it.
file(WRITE ${doc}/changelog
     "pixverse-worker (${CPACK_DEBIAN_PACKAGE_VERSION}) stable; urgency=medium

  * What changed is in CHANGELOG.md.gz.

 -- ${CPACK_PACKAGE_CONTACT}  ${CPACK_PIXVERSE_DATE}
")
pack(${doc}/changelog ${doc}/CHANGELOG.md)
put(usr/share/lintian/overrides ${packages}/debian/overrides)
file(RENAME ${here}/usr/share/lintian/overrides/overrides
     ${here}/usr/share/lintian/overrides/pixverse-worker)

file(GLOB pages ${here}/usr/share/man/man1/*.1)
pack(${pages})

# Where Debian's zsh looks.
file(RENAME ${here}/usr/share/zsh/site-functions
     ${here}/usr/share/zsh/vendor-completions)
