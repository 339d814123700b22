# SPDX-License-Identifier: Apache-2.0
# emuv-engine: devices, disk, transfer scheduler; internal. Files named cuda* need CUDA's headers and nvcc; io_uring
# needs liburing; both are left out where those are missing. emuv-replay and emuv-top are built where their files and
# what they need are there.
emuv_library(emuv-engine
  SOURCES runtime/device runtime/engine
  LINK emuv-core ${CMAKE_DL_LIBS} m Threads::Threads)
get_target_property(engine_sources emuv-engine SOURCES)
if(EMUV_CUDA AND CUDA_HEADERS AND EMUV_NVCC AND EMUV_BIN2C)
  include(cmake/touch.cmake)
  target_include_directories(emuv-engine SYSTEM PRIVATE ${CUDA_HEADERS})
  target_compile_definitions(emuv-engine PUBLIC EMUV_HAVE_CUDA=1)
  list(APPEND engine_sources $<TARGET_OBJECTS:emuv-touch-image>)
else()
  list(FILTER engine_sources EXCLUDE REGEX "/cuda[^/]*\\.c$")
endif()
set_target_properties(emuv-engine PROPERTIES SOURCES "${engine_sources}")
if(URING_FOUND)
  target_compile_definitions(emuv-engine PUBLIC EMUV_HAVE_LIBURING=1)
  target_link_libraries(emuv-engine PUBLIC PkgConfig::URING)
endif()

file(GLOB replay_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/runtime/replay/*.c)
if(replay_sources)
  emuv_library(emuv-replay-library
    SOURCES runtime/replay
    LINK emuv-simulator emuv-engine)
  emuv_program(emuv-replay runtime/replay/emuv_replay.c emuv-replay-library)
endif()

emuv_library(emuv-top-view INTERNAL
  SOURCES runtime/top
  LINK emuv-core PkgConfig::JANSSON m)
if(CURSES_FOUND)
  emuv_program(emuv-top runtime/top/emuv_top.c emuv-top-view PkgConfig::CURSES)
endif()

# The conformance test of devices, for a machine with a GPU (tests/CMakeLists.txt builds it for this one).
if(EMUV_TRUTH AND NOT EMUV_TESTS)
  file(GLOB device_cases CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/conformance/devices_*.c)
  emuv_program(test_devices tests/conformance/test_devices.c emuv-engine)
  target_sources(test_devices PRIVATE ${device_cases})
endif()

# Benchmarks for machines with a disk or a device worth measuring; staged with EMUV_TRUTH.
foreach(bench disk_bench device_bench)
  if(EMUV_TESTS OR EMUV_TRUTH)
    add_executable(${bench} ${CMAKE_SOURCE_DIR}/tests/gpu/${bench}.c)
    target_link_libraries(${bench} PRIVATE emuv-engine emuv-options PkgConfig::JANSSON)
  endif()
  if(EMUV_TRUTH)
    install(TARGETS ${bench} RUNTIME DESTINATION bin)
  endif()
endforeach()
