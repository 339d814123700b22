# SPDX-License-Identifier: Apache-2.0
# The library of emuv-trace --pages: needs the Sanitizer API's headers (EMUV_SANITIZER_HOME: cache or environment; the
# toolkit's compute-sanitizer folder; pip's nvidia-cuda-sanitizer-api) and nvcc for the patches. Included by
# tracer/inject/CMakeLists.txt, after cmake/cuda.cmake.
set(EMUV_SANITIZER_HOME "$ENV{EMUV_SANITIZER_HOME}"
    CACHE PATH "Folder of the Sanitizer API: include/ lies in it")
find_path(SANITIZER_HEADERS sanitizer.h HINTS ${EMUV_SANITIZER_HOME}/include
          ${EMUV_SANITIZER_HOME}/compute-sanitizer/include $ENV{CUDA_HOME}/compute-sanitizer/include
          /usr/local/cuda/compute-sanitizer/include /usr/local/cuda/compute-sanitizer)
mark_as_advanced(SANITIZER_HEADERS)
if(NOT CUDA_HEADERS OR NOT SANITIZER_HEADERS OR NOT EMUV_NVCC OR NOT EMUV_BIN2C)
  message(STATUS "Sanitizer API's headers or nvcc not found: emuv-trace is built without --pages")
  return()
endif()

# Machine code for every GPU that this nvcc knows: patches are not compiled when they are loaded.
execute_process(COMMAND ${EMUV_NVCC} --list-gpu-code OUTPUT_VARIABLE gpus OUTPUT_STRIP_TRAILING_WHITESPACE)
string(REGEX MATCHALL "sm_[0-9]+" gpus "${gpus}")
set(codes "")
foreach(gpu ${gpus})
  string(REPLACE "sm_" "compute_" virtual ${gpu})
  list(APPEND codes -gencode arch=${virtual},code=${gpu})
endforeach()
set(inject ${CMAKE_SOURCE_DIR}/tracer/inject)
set(patches ${CMAKE_CURRENT_BINARY_DIR}/pages_patches)
add_custom_command(OUTPUT ${patches}.c
  COMMAND ${EMUV_NVCC} --fatbin --compile-as-tools-patch -std=c++17 -I${CMAKE_SOURCE_DIR} -I${SANITIZER_HEADERS}
          ${codes} ${inject}/pages_patch.cu -o ${patches}.fatbin
  COMMAND ${EMUV_BIN2C} --const --type longlong --name emuv_pages_patches ${patches}.fatbin > ${patches}.c
  DEPENDS ${inject}/pages_patch.cu ${inject}/pages_device.h VERBATIM)
add_library(emuv-pages-patches OBJECT ${patches}.c)
set_target_properties(emuv-pages-patches PROPERTIES C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)

file(GLOB pages_sources CONFIGURE_DEPENDS ${inject}/sanitizer_*.c)
add_library(emuv_sanitizer SHARED ${pages_sources} $<TARGET_OBJECTS:emuv-pages-patches>)
set_target_properties(emuv_sanitizer PROPERTIES C_VISIBILITY_PRESET hidden)
target_include_directories(emuv_sanitizer SYSTEM PRIVATE ${CUDA_HEADERS} ${SANITIZER_HEADERS})
target_link_libraries(emuv_sanitizer PRIVATE emuv-operands emuv-inject emuv-options emuv-format ${CMAKE_DL_LIBS}
  $<$<BOOL:${EMUV_ZSTD_ARCHIVE}>:${EMUV_ZSTD_ARCHIVE}> $<$<BOOL:${EMUV_XXHASH_ARCHIVE}>:${EMUV_XXHASH_ARCHIVE}>)
target_link_options(emuv_sanitizer PRIVATE -Wl,--exclude-libs,ALL -Wl,--as-needed -Wl,-z,nodelete)
install(TARGETS emuv_sanitizer LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/emuv)

# The same files over a stand-in for the Sanitizer API: runs without a GPU.
if(EMUV_TESTS)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
  set(pages_testable ${pages_sources})
  list(FILTER pages_testable EXCLUDE REGEX "/sanitizer_api\\.c$")
  add_executable(test_pages ${CMAKE_SOURCE_DIR}/tests/capture/test_pages.c ${pages_testable})
  target_include_directories(test_pages SYSTEM PRIVATE ${CUDA_HEADERS} ${SANITIZER_HEADERS})
  target_link_libraries(test_pages PRIVATE emuv-operands emuv-inject emuv-format emuv-options PkgConfig::CMOCKA)
  add_test(NAME unit/test_pages COMMAND test_pages)
  set_tests_properties(unit/test_pages PROPERTIES LABELS unit TIMEOUT 120)
endif()
