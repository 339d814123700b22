# SPDX-License-Identifier: Apache-2.0
# CUDA's headers and compiler, for the parts that can use them. Nothing is linked: the driver is loaded at run time.
if(EMUV_CUDA)
  find_path(CUDA_HEADERS cuda.h HINTS $ENV{CUDA_HOME}/include /usr/local/cuda/include)
  find_program(EMUV_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin /usr/local/cuda/bin)
  find_program(EMUV_BIN2C bin2c HINTS $ENV{CUDA_HOME}/bin /usr/local/cuda/bin)
  mark_as_advanced(EMUV_NVCC EMUV_BIN2C)
endif()
