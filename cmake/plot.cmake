# SPDX-License-Identifier: Apache-2.0
# emuv-plot: the command with its version filled in (bin/emuv-plot), its figures (share/emuv/plot), and the views of the
# results database as one C expression (generated/results_views.inc), for
#   static const char *const views =
#   #include "results_views.inc"
#   ;
# In script mode (cmake -P) this file writes bin/emuv-plot: the revision is known at build time only.
if(CMAKE_SCRIPT_MODE_FILE)
  file(STRINGS ${HEADER} defines REGEX "^#define ")
  foreach(key VERSION GIT_REVISION GIT_DIRTY)
    string(REGEX REPLACE ".*#define EMUV_${key} \"?([^\";]*)\"?.*" "\\1" value_${key} "${defines}")
  endforeach()
  set(EMUV_VERSION ${value_VERSION})
  set(EMUV_REVISION ${value_GIT_REVISION})
  if(value_GIT_DIRTY)
    string(APPEND EMUV_REVISION "-dirty")
  endif()
  set(EMUV_SOURCE ${SOURCE})
  configure_file(${SOURCE}/scripts/emuv-plot ${OUTPUT} @ONLY FILE_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
  return()
endif()

add_custom_target(emuv-plot ALL
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR} -DHEADER=${CMAKE_BINARY_DIR}/generated/emuv_version.h
          -DOUTPUT=${CMAKE_BINARY_DIR}/bin/emuv-plot -P ${CMAKE_CURRENT_LIST_FILE}
  BYPRODUCTS ${CMAKE_BINARY_DIR}/bin/emuv-plot)
add_dependencies(emuv-plot emuv-version)
install(PROGRAMS ${CMAKE_BINARY_DIR}/bin/emuv-plot DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY scripts/plot DESTINATION ${CMAKE_INSTALL_DATADIR}/emuv)

# Comments are left out, one literal per line. __extension__: longer than the 4095 characters that ISO C promises.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/scripts/plot/views.sql)
file(READ ${CMAKE_SOURCE_DIR}/scripts/plot/views.sql views)
string(REGEX REPLACE "(^|\n)--[^\n]*" "\\1" views "${views}")
string(REGEX REPLACE "\n\n+" "\n" views "${views}")
string(REGEX REPLACE "^\n+|\n+$" "" views "${views}")
string(REPLACE "\\" "\\\\" views "${views}")
string(REPLACE "\"" "\\\"" views "${views}")
string(REPLACE "\n" "\\n\"\n\"" views "${views}")
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/results_views.inc @ONLY
     CONTENT "/* Generated from scripts/plot/views.sql. */\n__extension__ \"${views}\\n\"\n")
