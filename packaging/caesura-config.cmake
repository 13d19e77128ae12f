# find_package(caesura)
#   caesura::caesura   the headers
#   caesura::uv        with libuv, for the headers under async/uv/
get_filename_component(_caesura_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

if(NOT TARGET caesura::caesura)
  add_library(caesura::caesura INTERFACE IMPORTED)
  set_target_properties(caesura::caesura PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${_caesura_prefix}/include/caesura")
endif()

if(NOT TARGET caesura::uv)
  find_path(CAESURA_UV_INCLUDE_DIR uv.h)
  find_library(CAESURA_UV_LIBRARY NAMES uv libuv)
  mark_as_advanced(CAESURA_UV_INCLUDE_DIR CAESURA_UV_LIBRARY)
  if(CAESURA_UV_INCLUDE_DIR AND CAESURA_UV_LIBRARY)
    add_library(caesura::uv INTERFACE IMPORTED)
    set_target_properties(caesura::uv PROPERTIES
      INTERFACE_INCLUDE_DIRECTORIES
        "${_caesura_prefix}/include/caesura;${CAESURA_UV_INCLUDE_DIR}"
      INTERFACE_LINK_LIBRARIES "${CAESURA_UV_LIBRARY}")
    set(caesura_uv_FOUND TRUE)
  else()
    set(caesura_uv_FOUND FALSE)
  endif()
endif()

# find_package(caesura COMPONENTS uv) asks for libuv.
foreach(_caesura_component IN LISTS caesura_FIND_COMPONENTS)
  if(caesura_FIND_REQUIRED_${_caesura_component} AND NOT caesura_${_caesura_component}_FOUND)
    set(caesura_FOUND FALSE)
    set(caesura_NOT_FOUND_MESSAGE "caesura::uv needs libuv, which was not found")
  endif()
endforeach()
