# SPDX-License-Identifier: Apache-2.0
# Build rules shared by all targets. Sources are globbed, so that a new policy, prefetcher, tier, source or test is a new
# file and no edit here. Files that start with emuv_ hold a main(); skeleton.c files are compiled too, so that they stay true.

set(EMUV_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wno-gnu-zero-variadic-macro-arguments)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  list(REMOVE_ITEM EMUV_WARNINGS -Wno-gnu-zero-variadic-macro-arguments)
endif()

add_library(emuv-options INTERFACE)
target_include_directories(emuv-options INTERFACE $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}> $<BUILD_INTERFACE:${CMAKE_BINARY_DIR}/generated>)
target_compile_definitions(emuv-options INTERFACE _GNU_SOURCE)
target_compile_options(emuv-options INTERFACE ${EMUV_WARNINGS} $<$<BOOL:${EMUV_WERROR}>:-Werror>)
set(EMUV_RUNS $<NOT:$<BOOL:$<TARGET_PROPERTY:EMUV_ONLY_COMPILED>>>) # of the target that is compiled
if(EMUV_SANITIZE)
  set(options -fsanitize=${EMUV_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_compile_options(emuv-options INTERFACE "$<${EMUV_RUNS}:${options}>")
  target_link_options(emuv-options INTERFACE -fsanitize=${EMUV_SANITIZE})
endif()
if(EMUV_FUZZ)
  target_compile_options(emuv-options INTERFACE $<${EMUV_RUNS}:-fsanitize=fuzzer-no-link>) # coverage feedback from the libraries
endif()
# Lines of libraries and programs are counted, not those of tests. Counters are not atomic: threads that wait for each other
# at every branch take five times as long, and what counts is whether a line ran, not how often.
if(EMUV_COVERAGE)
  set(EMUV_COUNTED --coverage -fprofile-update=single)
  target_link_options(emuv-options INTERFACE --coverage)
endif()
if(EMUV_CHECK_INVARIANTS)
  target_compile_definitions(emuv-options INTERFACE EMUV_CHECK_INVARIANTS=1)
endif()

# Writes generated/emuv_version.h at build time when the revision or dirtiness changed.
function(emuv_git_revision)
  add_custom_target(emuv-version
    COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR} -DOUTPUT=${CMAKE_BINARY_DIR}/generated/emuv_version.h
            -DVERSION=${PROJECT_VERSION} -P ${CMAKE_SOURCE_DIR}/cmake/version.cmake
    BYPRODUCTS ${CMAKE_BINARY_DIR}/generated/emuv_version.h)
endfunction()

function(emuv_library name)
  cmake_parse_arguments(L "INTERNAL" "" "SOURCES;LINK" ${ARGN})
  set(files)
  foreach(dir ${L_SOURCES})
    file(GLOB found CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${dir}/*.c)
    list(APPEND files ${found})
  endforeach()
  list(FILTER files EXCLUDE REGEX "/emuv_[^/]*\\.c$")
  add_library(${name} STATIC ${files})
  add_dependencies(${name} emuv-version)
  target_link_libraries(${name} PUBLIC $<BUILD_INTERFACE:emuv-options> ${L_LINK})
  target_compile_options(${name} PRIVATE ${EMUV_COUNTED})
  target_compile_definitions(${name} PRIVATE
    EMUV_SOURCE_DATA_DIR="${CMAKE_SOURCE_DIR}" EMUV_INSTALL_DATA_DIR="${CMAKE_INSTALL_FULL_DATADIR}/emuv")
  set_target_properties(${name} PROPERTIES OUTPUT_NAME ${name} EXPORT_NAME ${name})
endfunction()

function(emuv_program name main)
  if(EXISTS ${CMAKE_SOURCE_DIR}/${main})
    add_executable(${name} ${main})
    target_link_libraries(${name} PRIVATE ${ARGN})
    target_link_libraries(${name} PRIVATE emuv-options)
    target_compile_options(${name} PRIVATE ${EMUV_COUNTED})
    add_dependencies(${name} emuv-version)
    install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endfunction()

# Programs, the two public libraries with find_package(emuv) and pkg-config files, headers, scenarios and presets. The tree
# may be moved afterwards: nothing in it depends on the prefix.
function(emuv_install)
  include(CMakePackageConfigHelpers)
  install(TARGETS emuv-core emuv-format EXPORT emuv-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
          INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/emuv)
  install(DIRECTORY runtime tracer DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/emuv
          FILES_MATCHING PATTERN "*.h" PATTERN inject.def PATTERN inject EXCLUDE PATTERN export EXCLUDE
          PATTERN instantiate.h EXCLUDE PATTERN device EXCLUDE PATTERN engine EXCLUDE PATTERN replay EXCLUDE
          PATTERN top EXCLUDE)
  install(DIRECTORY scenarios DESTINATION ${CMAKE_INSTALL_DATADIR}/emuv)
  install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
  set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/emuv)
  install(EXPORT emuv-targets NAMESPACE emuv:: DESTINATION ${package_dir})
  configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/emuvConfig.cmake.in ${CMAKE_BINARY_DIR}/emuvConfig.cmake
    INSTALL_DESTINATION ${package_dir})
  write_basic_package_version_file(${CMAKE_BINARY_DIR}/emuvConfigVersion.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${CMAKE_BINARY_DIR}/emuvConfig.cmake ${CMAKE_BINARY_DIR}/emuvConfigVersion.cmake DESTINATION ${package_dir})
  # The way from the .pc files back to the prefix.
  file(RELATIVE_PATH up /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
  string(REGEX REPLACE "/$" "" EMUV_PC_PREFIX "\${pcfiledir}/${up}")
  foreach(pc emuv-core emuv-format)
    configure_file(${CMAKE_SOURCE_DIR}/cmake/${pc}.pc.in ${CMAKE_BINARY_DIR}/${pc}.pc @ONLY)
    install(FILES ${CMAKE_BINARY_DIR}/${pc}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
  endforeach()
endfunction()
