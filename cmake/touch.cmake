# SPDX-License-Identifier: Apache-2.0
# Kernels of the device `cuda` (runtime/device/touch.cu) as an array in an object file: machine code for every GPU that this
# nvcc knows, and PTX for newer ones. Included by engine.cmake where nvcc and bin2c are there.
execute_process(COMMAND ${EMUV_NVCC} --list-gpu-code OUTPUT_VARIABLE gpus OUTPUT_STRIP_TRAILING_WHITESPACE)
string(REGEX MATCHALL "sm_[0-9]+" gpus "${gpus}")
set(codes "")
set(newest 0)
foreach(gpu ${gpus})
  string(REPLACE "sm_" "" number ${gpu})
  list(APPEND codes -gencode arch=compute_${number},code=${gpu})
  if(number GREATER newest)
    set(newest ${number})
  endif()
endforeach()
list(APPEND codes -gencode arch=compute_${newest},code=compute_${newest})
set(device ${CMAKE_SOURCE_DIR}/runtime/device)
set(image ${CMAKE_CURRENT_BINARY_DIR}/touch_image)
add_custom_command(OUTPUT ${image}.c
  COMMAND ${EMUV_NVCC} --fatbin -std=c++17 -O3 --threads 2 -I${CMAKE_SOURCE_DIR} ${codes} ${device}/touch.cu -o ${image}.fatbin
  COMMAND ${EMUV_BIN2C} --const --type longlong --name emuv_touch_image ${image}.fatbin > ${image}.c
  DEPENDS ${device}/touch.cu ${device}/touch.h ${device}/content.h ${device}/device.h VERBATIM)
add_library(emuv-touch-image OBJECT ${image}.c)
