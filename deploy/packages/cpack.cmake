# The Debian package: cpack -G DEB in the build folder. Nothing here is looked at
# by a build.

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME pixverse-worker)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT
    "The pixverse-worker authors <maintainers@pixverse-worker.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY
    "message-queue worker that has videos made and stores them")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
    "Takes video requests from Kafka, has them made by a billed provider, stores
the videos in a folder or S3 and announces their ends on Kafka. Requests are
kept in PostgreSQL, so that nothing is lost and nobody pays twice.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/deploy/packages/stage.cmake)
set(CPACK_PIXVERSE_DATE "Sat, 28 Nov 2026 12:00:00 +0000")
set(CPACK_PIXVERSE_SOURCE ${CMAKE_SOURCE_DIR})

# Of which Debian: its libraries' names go into the dependencies.
set(release 12)
if(EXISTS /etc/os-release)
  file(STRINGS /etc/os-release found REGEX "^VERSION_ID=")
  string(REGEX MATCH "[0-9]+" release "${found}")
endif()
set(CPACK_PIXVERSE_UNITS usr/lib/systemd/system)
if(release LESS 13)
  set(CPACK_PIXVERSE_UNITS lib/systemd/system)
endif()

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_VERSION ${PROJECT_VERSION}~deb${release})
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, ca-certificates")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "postgresql")
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(debian ${CMAKE_SOURCE_DIR}/deploy/packages/debian)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${debian}/conffiles ${debian}/postinst ${debian}/prerm ${debian}/postrm)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE arm64)
endif()
include(CPack)
