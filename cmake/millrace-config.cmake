# find_package(millrace [COMPONENTS cluster]): millrace::millrace, and millrace::cluster where it was built.
include(${CMAKE_CURRENT_LIST_DIR}/millrace-targets.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/millrace-cluster.cmake OPTIONAL RESULT_VARIABLE millrace_cluster_FOUND)
foreach(component IN LISTS millrace_FIND_COMPONENTS)
  if(NOT millrace_${component}_FOUND AND millrace_FIND_REQUIRED_${component})
    set(millrace_FOUND FALSE)
    set(millrace_NOT_FOUND_MESSAGE "Millrace was built without its component '${component}' (cluster: MILLRACE_CLUSTER=ON)")
  endif()
endforeach()
