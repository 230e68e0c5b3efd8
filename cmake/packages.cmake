# Debian packages: `cpack --config build/release/CPackConfig.cmake` after a build. Dependencies are what dpkg-shlibdeps finds.
#   libmillrace0.1    the library
#   libmillrace-cluster0.1  servers and their clients, which it opens on demand; the one package that needs gRPC besides the command
#   libmillrace-dev   headers, CMake and pkg-config files
#   millrace          the command, which holds its own copy of the layers (docs/architecture.md)
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME millrace)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "TensorFlow 1.x's graph-and-session training in C++")
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL library development command)
if(MILLRACE_CLUSTER)
  list(APPEND CPACK_COMPONENTS_ALL cluster)
endif()
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "The Millrace authors <millrace@example.org>")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)

set(runtime libmillrace${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME ${runtime})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)  # so that packages of its users depend on the library in turn
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(series ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SUGGESTS libmillrace-cluster${series})
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION "Builds TensorFlow graphs, trains them under supervised sessions, and speaks TensorFlow's file formats.")

set(CPACK_DEBIAN_CLUSTER_PACKAGE_NAME libmillrace-cluster${series})
set(CPACK_DEBIAN_CLUSTER_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_CLUSTER_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_CLUSTER_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_CLUSTER_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_CLUSTER_PACKAGE_DEPENDS "${runtime} (= ${PROJECT_VERSION}-1)")
set(CPACK_COMPONENT_CLUSTER_DESCRIPTION "Servers that run the sessions of Millrace's and TensorFlow's clients, and sessions at such servers, over gRPC.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libmillrace-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "${runtime} (= ${PROJECT_VERSION}-1)")
if(MILLRACE_CLUSTER)
  string(APPEND CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS ", libmillrace-cluster${series} (= ${PROJECT_VERSION}-1)")
endif()
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "Headers of Millrace, and what CMake and pkg-config need to find it.")

set(CPACK_DEBIAN_COMMAND_PACKAGE_NAME millrace)
set(CPACK_DEBIAN_COMMAND_PACKAGE_SECTION science)
set(CPACK_DEBIAN_COMMAND_PACKAGE_SHLIBDEPS ON)
set(CPACK_COMPONENT_COMMAND_DESCRIPTION "Looks into checkpoints, graphs, event and record files, and runs graphs.")

include(CPack)
