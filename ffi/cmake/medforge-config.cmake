# find_package(medforge): target medforge::medforge, the shared library with its headers (C, and C++17 in medforge.hpp).
# For an installation made by `cargo cinstall`, of which this file is a part.
get_filename_component(medforge_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
find_path(medforge_INCLUDE_DIR medforge.h HINTS "${medforge_prefix}/include" PATH_SUFFIXES medforge NO_DEFAULT_PATH)
find_library(medforge_LIBRARY medforge HINTS "${medforge_prefix}/lib" "${medforge_prefix}/lib64" "${medforge_prefix}/lib/${CMAKE_LIBRARY_ARCHITECTURE}" NO_DEFAULT_PATH)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(medforge REQUIRED_VARS medforge_LIBRARY medforge_INCLUDE_DIR)
if(medforge_FOUND AND NOT TARGET medforge::medforge)
  add_library(medforge::medforge SHARED IMPORTED)
  set_target_properties(medforge::medforge PROPERTIES
    IMPORTED_LOCATION "${medforge_LIBRARY}"
    IMPORTED_IMPLIB "${medforge_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${medforge_INCLUDE_DIR}")
endif()
mark_as_advanced(medforge_INCLUDE_DIR medforge_LIBRARY)
