// SPDX-License-Identifier: Apache-2.0
/* Kernels whose accesses are known, for checking emuv-trace --pages (pages_truth.py compares):
 *
 *   pages_truth FILE            runs each kind of access and memory; writes to FILE, for every launch in order,
 *                               "launch NAME", then "read ADDRESS BYTES" and "write ADDRESS BYTES", or "unseen"
 *   pages_truth --stream GIB N  reads so much memory N times, 16 bytes per thread and step; prints the median in ms
 *
 * nvcc -std=c++17 -arch=sm_90 -o pages_truth pages_truth.cu -lcuda */
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cuda.h>
#include <cuda_runtime.h>
#include <vector>

#define CHECK(call)                                                                                                    \
  do {                                                                                                                 \
    auto rc_ = (call);                                                                                                 \
    if (rc_ != 0) {                                                                                                    \
      fprintf(stderr, "%s:%d: %s: error %d\n", __FILE__, __LINE__, #call, (int)rc_);                                   \
      exit(1);                                                                                                         \
    }                                                                                                                  \
  } while (0)

static const size_t PAGE = 64 << 10, MIB = 1 << 20;
static FILE *truth;

__device__ uint32_t variable[65536];

__global__ void read_all(const uint4 *from, size_t n, uint32_t *sum)
{
  uint32_t s = 0;
  for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n; i += (size_t)gridDim.x * blockDim.x) {
    const uint4 v = from[i];
    s += v.x ^ v.y ^ v.z ^ v.w;
  }
  if (s == 0x12345) *sum = s; /* hardly ever */
}

__global__ void write_all(uint32_t *to, size_t n)
{
  for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n; i += (size_t)gridDim.x * blockDim.x) to[i] = 7;
}

__global__ void read_strided(const uint32_t *from, size_t words, size_t step, uint32_t *to)
{
  uint32_t s = 0;
  for (size_t i = threadIdx.x * step; i < words; i += blockDim.x * step) s += from[i];
  to[threadIdx.x] = s;
}

__global__ void add_atomic(uint32_t *to, size_t words, size_t step)
{
  for (size_t i = threadIdx.x * step; i < words; i += blockDim.x * step) atomicAdd(&to[i], 1);
}

__global__ void read_write(uint32_t *both, size_t words, size_t step)
{
  for (size_t i = threadIdx.x * step; i < words; i += blockDim.x * step) both[i] = both[i] * 3 + 1;
}

__global__ void copy_async(const uint4 *from, size_t n, uint4 *to)
{
  __shared__ uint4 tile[256];
  const uint32_t at = (uint32_t)__cvta_generic_to_shared(&tile[threadIdx.x]);
  for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n; i += (size_t)gridDim.x * blockDim.x) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;\ncp.async.wait_all;" ::"r"(at), "l"(from + i) : "memory");
    to[i] = tile[threadIdx.x];
  }
}

__global__ void copy_bulk(const char *from, char *to, uint32_t bytes)
{
  extern __shared__ __align__(128) char tile[];
  __shared__ uint64_t barrier;
  const uint32_t at = (uint32_t)__cvta_generic_to_shared(tile), b = (uint32_t)__cvta_generic_to_shared(&barrier);
  asm volatile("mbarrier.init.shared.b64 [%0], 1;\nfence.proxy.async;" ::"r"(b) : "memory");
  asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(b), "r"(bytes) : "memory");
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(at),
               "l"(from), "r"(bytes), "r"(b)
               : "memory");
  asm volatile("{\n.reg .pred p;\nagain: mbarrier.try_wait.parity.shared.b64 p, [%0], 0;\n@!p bra again;\n}" ::"r"(b)
               : "memory");
  asm volatile("fence.proxy.async;\ncp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;\n"
               "cp.async.bulk.commit_group;\ncp.async.bulk.wait_group 0;" ::"l"(to),
               "r"(at), "r"(bytes)
               : "memory");
}

__global__ void copy_tensor(const __grid_constant__ CUtensorMap map, uint32_t *to)
{
  __shared__ __align__(128) uint32_t tile[32 * 32];
  __shared__ uint64_t barrier;
  const uint32_t at = (uint32_t)__cvta_generic_to_shared(tile), b = (uint32_t)__cvta_generic_to_shared(&barrier);
  asm volatile("mbarrier.init.shared.b64 [%0], 1;\nfence.proxy.async;" ::"r"(b) : "memory");
  asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(b), "r"((uint32_t)sizeof tile) : "memory");
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], "
               "[%4];" ::"r"(at),
               "l"(&map), "r"(0), "r"(0), "r"(b)
               : "memory");
  asm volatile("{\n.reg .pred p;\nagain: mbarrier.try_wait.parity.shared.b64 p, [%0], 0;\n@!p bra again;\n}" ::"r"(b)
               : "memory");
  to[0] = tile[5];
}

__global__ void use_variable()
{
  variable[threadIdx.x] += 1;
}

__global__ void local_memory(uint32_t *to, int n)
{
  uint32_t many[64];
  for (int i = 0; i < 64; i++) many[i] = i * n;
  for (int i = 0; i < n; i++) many[(i * 7) & 63] += many[(i * 13 + 5) & 63];
  to[threadIdx.x] = many[n & 63];
}

__global__ void nothing() {}

static void launch(const char *name)
{
  fprintf(truth, "launch %s\n", name);
}

static void access(const char *how, const void *p, size_t bytes)
{
  fprintf(truth, "%s %llu %zu\n", how, (unsigned long long)(uintptr_t)p, bytes);
}

/* One word in each step of memory. */
static void access_steps(const char *how, const uint32_t *p, size_t words, size_t step)
{
  for (size_t i = 0; i < words; i += step) access(how, p + i, 4);
}

static uint32_t *small_buffer()
{
  void *p;
  CHECK(cudaMalloc(&p, 2 * MIB)); /* a block of its own: nothing else on its pages */
  CHECK(cudaMemset(p, 1, 2 * MIB));
  return (uint32_t *)p;
}

static void run_reads_and_writes(uint32_t *big, size_t bytes, uint32_t *out)
{
  const size_t words = bytes / 4, step = 3 * PAGE / 4 + 4;
  read_all<<<64, 256>>>((const uint4 *)big, bytes / 16, out);
  launch("read_all");
  access("read", big, bytes);
  write_all<<<64, 256>>>(big + 5 * MIB / 4 + 100, 3 * MIB / 4);
  launch("write_all");
  access("write", big + 5 * MIB / 4 + 100, 3 * MIB);
  read_strided<<<1, 256>>>(big, words, step, out);
  launch("read_strided");
  access_steps("read", big, words, step);
  access("write", out, 1024);
  add_atomic<<<1, 64>>>(big, words / 2, step);
  launch("add_atomic");
  access_steps("read", big, words / 2, step);
  access_steps("write", big, words / 2, step);
  read_write<<<1, 64>>>(big, words / 4, step);
  launch("read_write");
  access_steps("read", big, words / 4, step);
  access_steps("write", big, words / 4, step);
}

static void run_copies(uint32_t *big, uint32_t *out)
{
  const size_t some = 7 * PAGE;
  copy_async<<<8, 256>>>((const uint4 *)(big + MIB), some / 16, (uint4 *)out);
  launch("copy_async");
  access("read", big + MIB, some);
  access("write", out, some);
  const uint32_t bytes = 160 << 10;
  CHECK(cudaFuncSetAttribute(copy_bulk, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
  copy_bulk<<<1, 1, bytes>>>((const char *)big + 3 * PAGE + 1024, (char *)out + 512, bytes);
  launch("copy_bulk");
  access("read", (const char *)big + 3 * PAGE + 1024, bytes);
  access("write", (char *)out + 512, bytes);
}

static void run_tensor(uint32_t *big, uint32_t *out)
{
  CUtensorMap map;
  const cuuint64_t sizes[] = {1024, 1024}, strides[] = {4096};
  const cuuint32_t box[] = {32, 32}, steps[] = {1, 1};
  CHECK(cuTensorMapEncodeTiled(&map, CU_TENSOR_MAP_DATA_TYPE_UINT32, 2, big, sizes, strides, box, steps,
                               CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_L2_PROMOTION_NONE,
                               CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
  copy_tensor<<<1, 1>>>(map, out);
  launch("copy_tensor");
  fprintf(truth, "unseen\n");
}

static uint32_t *map_memory(size_t bytes)
{
  CUmemAllocationProp prop = {};
  CUmemAccessDesc rights = {};
  CUmemGenericAllocationHandle handle;
  CUdeviceptr p;
  prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  prop.location.type = rights.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
  rights.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
  CHECK(cuMemAddressReserve(&p, bytes, 0, 0, 0));
  CHECK(cuMemCreate(&handle, bytes, &prop, 0));
  CHECK(cuMemMap(p, bytes, 0, handle, 0));
  CHECK(cuMemSetAccess(p, bytes, &rights, 1));
  return (uint32_t *)p;
}

static void write_memory(const char *name, uint32_t *p, size_t bytes)
{
  fprintf(stderr, "%s %p\n", name, (void *)p);
  write_all<<<4, 256>>>(p, bytes / 4);
  launch("write_all");
  access("write", p, bytes);
  CHECK(cudaDeviceSynchronize());
}

static void run_memories(uint32_t *out)
{
  uint32_t *p;
  CHECK(cudaMallocManaged(&p, 8 * MIB));
  write_memory("managed", p, 8 * MIB);
  CHECK(cudaHostAlloc(&p, 4 * MIB, cudaHostAllocMapped));
  write_memory("host", p, 4 * MIB);
  void *registered;
  CHECK(posix_memalign(&registered, PAGE, 4 * MIB));
  memset(registered, 0, 4 * MIB);
  CHECK(cudaHostRegister(registered, 4 * MIB, cudaHostRegisterMapped));
  write_memory("registered", (uint32_t *)registered, 4 * MIB);
  write_memory("vmm", map_memory(8 * MIB), 8 * MIB);
  CHECK(cudaMallocAsync(&p, 16 * MIB, 0));
  write_memory("async", p, 16 * MIB);
  use_variable<<<1, 256>>>();
  launch("use_variable");
  fprintf(truth, "unseen\n"); /* the API does not tell where a module's variables lie */
  local_memory<<<1, 256>>>(out, 17);
  launch("local_memory");
  access("write", out, 1024);
  nothing<<<1, 32>>>();
  launch("nothing");
  fprintf(truth, "unseen\n");
}

static void run_streams(uint32_t *big, size_t bytes, uint32_t *out)
{
  cudaStream_t stream[4];
  for (auto &s : stream) CHECK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
  for (int i = 0; i < 40; i++) {
    read_all<<<16, 256, 0, stream[i % 4]>>>((const uint4 *)big, bytes / 16 / (1 + i % 4), out);
    launch("read_all");
    access("read", big, bytes / (1 + i % 4));
  }
  CHECK(cudaStreamSynchronize(stream[1]));
  for (auto &s : stream) CHECK(cudaStreamDestroy(s));
  CHECK(cudaDeviceSynchronize());
}

/* Kernels in a graph, launched several times between others: nodes cannot be told apart, the others must not suffer. */
static void run_graph(uint32_t *big, size_t bytes, uint32_t *out)
{
  cudaStream_t s;
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  const size_t step = PAGE / 4;
  CHECK(cudaStreamCreate(&s));
  CHECK(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
  read_all<<<16, 256, 0, s>>>((const uint4 *)big, bytes / 32, out);
  read_write<<<1, 64, 0, s>>>(big, bytes / 8, step);
  read_write<<<1, 32, 0, s>>>(big, bytes / 16, step);
  CHECK(cudaStreamEndCapture(s, &graph));
  CHECK(cudaGraphInstantiate(&exec, graph, 0));
  for (int i = 0; i < 5; i++) {
    write_all<<<8, 256, 0, s>>>(out, 1000);
    launch("write_all");
    access("write", out, 4000);
    CHECK(cudaGraphLaunch(exec, s));
    for (const char *name : {"read_all", "read_write", "read_write"}) {
      launch(name);
      fprintf(truth, "unseen\n");
    }
    read_strided<<<1, 256, 0, s>>>(big, bytes / 8, step, out);
    launch("read_strided");
    access_steps("read", big, bytes / 8, step);
    access("write", out, 1024);
    if (i == 2) CHECK(cudaStreamSynchronize(s));
  }
  CHECK(cudaStreamSynchronize(s));
}

static int run_truth(const char *path)
{
  const size_t bytes = 96 * MIB;
  uint32_t *big;
  if (!(truth = fopen(path, "w"))) return 1;
  CHECK(cudaMalloc(&big, bytes));
  CHECK(cudaMemset(big, 0, bytes));
  uint32_t *out = small_buffer();
  run_reads_and_writes(big, bytes, out);
  run_copies(big, out);
  run_tensor(big, out);
  CHECK(cudaDeviceSynchronize());
  run_memories(out);
  run_streams(big, bytes, out);
  run_graph(big, bytes, out);
  std::vector<uint32_t> copy(bytes / 4);
  CHECK(cudaMemcpy(copy.data(), big, bytes, cudaMemcpyDeviceToHost));
  uint64_t sum = 0;
  for (uint32_t v : copy) sum = sum * 31 + v;
  printf("checksum %016llx\n", (unsigned long long)sum);
  return fclose(truth);
}

static int run_stream(double gib, int n)
{
  const size_t bytes = (size_t)(gib * (1 << 30));
  uint4 *p;
  uint32_t *out = small_buffer();
  std::vector<float> times;
  cudaEvent_t begin, end;
  CHECK(cudaMalloc(&p, bytes));
  CHECK(cudaMemset(p, 0, bytes));
  CHECK(cudaEventCreate(&begin));
  CHECK(cudaEventCreate(&end));
  for (int i = 0; i <= n; i++) {
    float ms;
    CHECK(cudaEventRecord(begin));
    read_all<<<132 * 8, 256>>>(p, bytes / 16, out);
    CHECK(cudaEventRecord(end));
    CHECK(cudaEventSynchronize(end));
    CHECK(cudaEventElapsedTime(&ms, begin, end));
    if (i) times.push_back(ms);
  }
  std::sort(times.begin(), times.end());
  printf("%.3f\n", times[times.size() / 2]);
  return 0;
}

int main(int argc, char **argv)
{
  CHECK(cudaFree(0));
  if (argc == 4 && strcmp(argv[1], "--stream") == 0) return run_stream(atof(argv[2]), atoi(argv[3]));
  if (argc == 2) return run_truth(argv[1]);
  fprintf(stderr, "usage: pages_truth FILE | pages_truth --stream GIB N\n");
  return 2;
}
