# What users link: libmillrace.so, all layers up to the API in one library. Third-party libraries are linked dynamically; neither they
# nor what stands in src/ show in its interface (docs/architecture.md, "What the library exports").
# Not with sanitizers: there the examples link the layers.
if(MILLRACE_SANITIZE)
  add_library(millrace::millrace ALIAS millrace_api)
  return()
endif()

set(layers proto base io tensor checkpoint op graph kernels data ops autodiff runtime cluster_proto cluster api)
list(TRANSFORM layers PREPEND millrace_)
# Their objects, not their archives: what only users call is referred to by nothing in here.
list(TRANSFORM layers REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)

add_library(millrace_shared SHARED ${objects})
add_library(millrace::millrace ALIAS millrace_shared)
set_target_properties(millrace_shared PROPERTIES
  OUTPUT_NAME millrace
  EXPORT_NAME millrace
  VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}  # before 1.0 a minor version may change anything
  LINKER_LANGUAGE CXX
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib
  LINK_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/libmillrace.map)
target_link_libraries(millrace_shared PRIVATE ${layers} millrace_options)
target_link_options(millrace_shared PRIVATE
  -Wl,--version-script=${CMAKE_CURRENT_LIST_DIR}/libmillrace.map -Wl,--no-undefined -Wl,--as-needed)
target_compile_features(millrace_shared INTERFACE cxx_std_20)
target_include_directories(millrace_shared INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)

# find_package(millrace) with the targets millrace::millrace and, where gRPC was there, millrace::cluster; pkg-config's millrace, the
# headers, and the command. The prefix may move. libmillrace.so opens libmillrace_cluster.so from its own folder when a program asks for
# a server, so that nobody has to link it; who does says that his program needs it, and packaging tools see it.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/millrace)
install(TARGETS millrace_shared EXPORT millrace
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT development)
install(EXPORT millrace NAMESPACE millrace:: FILE millrace-targets.cmake DESTINATION ${package_folder} COMPONENT development)
if(MILLRACE_CLUSTER)
  install(TARGETS millrace_cluster_shared EXPORT millrace_cluster
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT cluster NAMELINK_COMPONENT development)
  install(EXPORT millrace_cluster NAMESPACE millrace:: FILE millrace-cluster.cmake DESTINATION ${package_folder} COMPONENT development)
endif()
install(DIRECTORY include/millrace DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development FILES_MATCHING PATTERN "*.h")
write_basic_package_version_file(millrace-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES cmake/millrace-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/millrace-config-version.cmake
  DESTINATION ${package_folder} COMPONENT development)
file(RELATIVE_PATH MILLRACE_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/millrace.pc.in millrace.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/millrace.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
