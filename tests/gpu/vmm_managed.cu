// SPDX-License-Identifier: Apache-2.0
/* A plain CUDA program that uses every kind of memory and every way to launch that the tracer must follow: ranges mapped
 * by cuMemMap (two allocations side by side, unmapped, mapped elsewhere), managed, pitched, asynchronous (default and own
 * pool), pinned, registered memory, __device__ variables; structures by value that hold addresses, tables of addresses in
 * device memory, cooperative launches, cudaLaunchKernelEx, several streams and threads.
 *
 * Every step computes the same numbers and checks them. Prints one JSON object: "s_per_unit", "sha256" (here FNV-1a of the
 * results: any hash will do), "right". --parameters FILE writes what each launch of the steps touches, for trace_truth:
 * {"launches": [{"kernel", "nth", "indirect", "extents": [{"address", "bytes", "access"}]}]}; nth counts the launches of
 * that kernel in the process, from 0. An indirect launch reaches memory by addresses that lie in device memory: its
 * extents cannot be read from its arguments, so that it must be told as a gap or list them by other means.
 * NVTX ranges "load", "step". Uses 64 MiB of managed memory at most.
 *
 *   nvcc -O2 -arch=sm_90 -o vmm_managed tests/gpu/vmm_managed.cu -lcuda && ./vmm_managed */
#include <algorithm>
#include <chrono>
#include <cooperative_groups.h>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cuda.h>
#include <cuda_runtime.h>
#include <map>
#include <nvtx3/nvToolsExt.h>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <vector>

namespace
{

constexpr size_t kElements = 1 << 20, kBytes = kElements * sizeof(float); /* of the plain arrays: 4 MiB */
constexpr size_t kManaged = 16 << 20, kPitchRows = 300, kPitchWidth = 1000 * sizeof(float);
constexpr int kThreads = 256, kSteps = 6, kWorkers = 2;

void check(cudaError_t rc, const char *what)
{
  if (rc == cudaSuccess) return;
  fprintf(stderr, "vmm_managed: %s: %s\n", what, cudaGetErrorString(rc));
  exit(1);
}
void check(CUresult rc, const char *what)
{
  const char *text = "unknown";
  if (rc == CUDA_SUCCESS) return;
  cuGetErrorString(rc, &text);
  fprintf(stderr, "vmm_managed: %s: %s\n", what, text);
  exit(1);
}
#define CHECK(call) check((call), #call)

/* ---- kernels: one name each, so that launches can be told apart ---- */

__device__ float device_table[4096];

struct Arrays { /* by value */
  float scale;
  const float *in;
  float *out;
  size_t n;
};

__device__ size_t me() { return blockIdx.x * (size_t)blockDim.x + threadIdx.x; }

__global__ void vmm_fill(float *out, size_t n, float value)
{
  if (me() < n) out[me()] = value + (float)(me() % 7);
}
__global__ void vmm_add(const float *a, const float *b, float *out, size_t n)
{
  if (me() < n) out[me()] = a[me()] + b[me()];
}
__global__ void struct_scale(Arrays a)
{
  if (me() < a.n) a.out[me()] = a.scale * a.in[me()];
}
__global__ void pitched_rows(float *base, size_t pitch, size_t rows, size_t columns)
{
  if (me() >= rows * columns) return;
  float *row = (float *)((char *)base + (me() / columns) * pitch);
  row[me() % columns] = (float)(me() % columns);
}
__global__ void managed_double(float *data, size_t n)
{
  if (me() < n) data[me()] *= 2;
}
__global__ void async_copy(const float *in, float *out, size_t n)
{
  if (me() < n) out[me()] = in[me()] + 1;
}
__global__ void pool_copy(const float *in, float *out, size_t n)
{
  if (me() < n) out[me()] = in[me()] + 2;
}
__global__ void host_read(const float *pinned, const float *registered, float *out, size_t n)
{
  if (me() < n) out[me()] = pinned[me()] + registered[me()];
}
__global__ void global_table()
{
  if (me() < sizeof device_table / sizeof *device_table) device_table[me()] += 1;
}
__global__ void indirect_gather(float *const *table, size_t rows, float *out, size_t n)
{
  float sum = 0;
  for (size_t r = 0; r < rows; r++) sum += table[r][me() % n];
  if (me() < n) out[me()] = sum;
}
__global__ void cooperative_sums(float *data, float *partial, size_t n)
{
  cooperative_groups::grid_group grid = cooperative_groups::this_grid();
  float sum = 0;
  for (size_t i = me(); i < n; i += grid.size()) sum += data[i];
  partial[me()] = sum;
  grid.sync();
  if (me() < 32) data[me()] = partial[me()];
}
__global__ void ex_negate(const float *in, float *out, size_t n)
{
  if (me() < n) out[me()] = -in[me()];
}
template <int worker> __global__ void thread_square(float *data, size_t n)
{
  if (me() < n) data[me()] = (float)(me() % 100) * (worker + 1);
}
__global__ void vmm_remapped(float *out, size_t n)
{
  if (me() < n) out[me()] = 3;
}

/* ---- what each launch touches ---- */

struct Extent {
  const void *address;
  size_t bytes;
  const char *access;
};

class Expected
{
public:
  void note(const char *kernel, std::vector<Extent> extents, bool indirect = false)
  {
    if (!text_.empty()) text_ += ",\n";
    text_ += "  {\"kernel\": \"" + std::string(kernel) + "\", \"nth\": " + std::to_string(seen_[kernel]++) +
             ", \"indirect\": " + (indirect ? "true" : "false") + ", \"extents\": [";
    for (size_t i = 0; i < extents.size(); i++)
      text_ += std::string(i ? ", " : "") + "{\"address\": " + std::to_string((uintptr_t)extents[i].address) +
               ", \"bytes\": " + std::to_string(extents[i].bytes) + ", \"access\": \"" + extents[i].access + "\"}";
    text_ += "]}";
  }
  void write(const char *path) const
  {
    FILE *f = fopen(path, "w");
    if (!f) return;
    fprintf(f, "{\"launches\": [\n%s\n]}\n", text_.c_str());
    fclose(f);
  }

private:
  std::map<std::string, int> seen_;
  std::string text_;
};

Expected expected;
uint64_t hash = 0xcbf29ce484222325;
bool right = true;

void take(const float *values, size_t n)
{
  const unsigned char *p = (const unsigned char *)values;
  for (size_t i = 0; i < n * sizeof *values; i++) hash = (hash ^ p[i]) * 0x100000001b3;
}

void expect(const char *what, float got, float want)
{
  if (got == want) return;
  fprintf(stderr, "vmm_managed: %s: %g instead of %g\n", what, (double)got, (double)want);
  right = false;
}

unsigned blocks(size_t n) { return (unsigned)((n + kThreads - 1) / kThreads); }

/* First and last of an array in device memory; the whole of it goes into the hash. */
void take_device(const char *what, const float *device, size_t n, float first, float last)
{
  std::vector<float> host(n);
  CHECK(cudaMemcpy(host.data(), device, n * sizeof(float), cudaMemcpyDeviceToHost));
  take(host.data(), n);
  expect(what, host[0], first);
  expect(what, host[n - 1], last);
}

/* ---- a range of addresses with memory mapped into it ---- */

struct Mapped {
  size_t granule = 0;
  CUdeviceptr base = 0;
  CUmemGenericAllocationHandle handle[3] = {};

  Mapped()
  {
    CUmemAllocationProp prop = property();
    CHECK(cuMemGetAllocationGranularity(&granule, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    granule = std::max<size_t>(granule, 2 << 20);
    CHECK(cuMemAddressReserve(&base, 4 * granule, 0, 0, 0));
    for (auto &h : handle) CHECK(cuMemCreate(&h, granule, &prop, 0));
  }
  static CUmemAllocationProp property()
  {
    CUmemAllocationProp prop = {};
    prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    prop.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    return prop;
  }
  float *map(size_t slot, int which)
  {
    CUmemAccessDesc access = {};
    access.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    access.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    CHECK(cuMemMap(base + slot * granule, granule, 0, handle[which], 0));
    CHECK(cuMemSetAccess(base + slot * granule, granule, &access, 1));
    return (float *)(base + slot * granule);
  }
  void unmap(size_t slot) { CHECK(cuMemUnmap(base + slot * granule, granule)); }
};

struct Memory {
  Mapped vmm;
  float *a, *b, *out, *pitched, *managed, *pinned, *registered, *row[4], *worker[kWorkers], **table;
  size_t pitch;
  cudaMemPool_t pool;
  cudaStream_t stream[2];

  Memory()
  {
    for (float **p : {&a, &b, &out, &row[0], &row[1], &row[2], &row[3], &worker[0], &worker[1]})
      CHECK(cudaMalloc(p, kBytes));
    CHECK(cudaMallocPitch((void **)&pitched, &pitch, kPitchWidth, kPitchRows));
    CHECK(cudaMallocManaged(&managed, kManaged));
    CHECK(cudaHostAlloc((void **)&pinned, kBytes, cudaHostAllocMapped));
    registered = (float *)aligned_alloc(4096, kBytes);
    CHECK(cudaHostRegister(registered, kBytes, cudaHostRegisterMapped));
    CHECK(cudaMalloc(&table, sizeof row));
    CHECK(cudaMemcpy(table, row, sizeof row, cudaMemcpyHostToDevice));
    cudaMemPoolProps props = {};
    props.allocType = cudaMemAllocationTypePinned;
    props.location.type = cudaMemLocationTypeDevice;
    CHECK(cudaMemPoolCreate(&pool, &props));
    for (auto &s : stream) CHECK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    for (size_t i = 0; i < kElements; i++) pinned[i] = (float)(i % 10), registered[i] = 1;
    for (int r = 0; r < 4; r++) fill(row[r], (float)r);
    fill(a, 1);
    fill(b, 2);
    CHECK(cudaDeviceSynchronize());
  }
  void fill(float *p, float value)
  {
    vmm_fill<<<blocks(kElements), kThreads>>>(p, kElements, value);
    expected.note("vmm_fill", {{p, kBytes, "write"}});
  }
};

/* ---- the parts of a step ---- */

void mapped_memory(Memory &m)
{
  const size_t n = m.vmm.granule / sizeof(float);
  float *low = m.vmm.map(0, 0);
  m.vmm.map(1, 1); /* right behind it: one array of two mappings */
  vmm_fill<<<blocks(2 * n), kThreads>>>(low, 2 * n, 5);
  expected.note("vmm_fill", {{low, 2 * m.vmm.granule, "write"}});
  vmm_add<<<blocks(n), kThreads>>>(low + n / 2, low + n, low + n, n / 2); /* reads the end of one, updates the other */
  expected.note("vmm_add", {{low + n / 2, n * 2, "read"}, {low + n, n * 2, "read-write"}});
  take_device("vmm_add", low + n, n / 2, 5 + (float)(n / 2 % 7) + 5 + (float)(n % 7),
              10 + (float)((n - 1) % 7) + (float)((n + n / 2 - 1) % 7));
  m.vmm.unmap(1);
  m.vmm.map(1, 2); /* the same address, other memory */
  vmm_remapped<<<blocks(n), kThreads>>>(low + n, n);
  expected.note("vmm_remapped", {{low + n, m.vmm.granule, "write"}});
  take_device("vmm_remapped", low + n, n, 3, 3);
  m.vmm.unmap(0);
  m.vmm.unmap(1);
  float *high = m.vmm.map(3, 0); /* memory of the first mapping at another address: its contents are there */
  vmm_add<<<blocks(n), kThreads>>>(high, high, high, n);
  expected.note("vmm_add", {{high, m.vmm.granule, "read-write"}});
  take_device("vmm moved", high, n, 10, 2 * (5 + (float)((n - 1) % 7)));
  m.vmm.unmap(3);
}

void plain_memory(Memory &m)
{
  const Arrays arrays = {3, m.a, m.out, kElements};
  struct_scale<<<blocks(kElements), kThreads>>>(arrays);
  expected.note("struct_scale", {{m.a, kBytes, "read"}, {m.out, kBytes, "write"}});
  take_device("struct_scale", m.out, kElements, 3, 3 * (1 + (float)((kElements - 1) % 7)));
  const size_t columns = kPitchWidth / sizeof(float);
  pitched_rows<<<blocks(kPitchRows * columns), kThreads>>>(m.pitched, m.pitch, kPitchRows, columns);
  expected.note("pitched_rows", {{m.pitched, m.pitch * (kPitchRows - 1) + kPitchWidth, "write"}});
  take_device("pitched_rows", m.pitched, columns, 0, (float)(columns - 1));
  global_table<<<16, kThreads>>>();
  void *symbol;
  CHECK(cudaGetSymbolAddress(&symbol, device_table));
  expected.note("global_table", {{symbol, sizeof device_table, "read-write"}}, true);
  CHECK(cudaDeviceSynchronize());
}

void managed_and_host_memory(Memory &m)
{
  const size_t n = kManaged / sizeof(float);
  for (size_t i = 0; i < n; i++) m.managed[i] = (float)(i % 3);
  managed_double<<<blocks(n), kThreads>>>(m.managed, n);
  expected.note("managed_double", {{m.managed, kManaged, "read-write"}});
  CHECK(cudaDeviceSynchronize());
  take(m.managed, n);
  expect("managed_double", m.managed[2], 4);
  host_read<<<blocks(kElements), kThreads>>>(m.pinned, m.registered, m.out, kElements);
  expected.note("host_read", {{m.pinned, kBytes, "read"}, {m.registered, kBytes, "read"}, {m.out, kBytes, "write"}});
  take_device("host_read", m.out, kElements, 1, (float)((kElements - 1) % 10) + 1);
}

void asynchronous_memory(Memory &m)
{
  float *first, *second;
  CHECK(cudaMallocAsync(&first, kBytes, m.stream[0]));
  CHECK(cudaMallocFromPoolAsync(&second, kBytes, m.pool, m.stream[0]));
  async_copy<<<blocks(kElements), kThreads, 0, m.stream[0]>>>(m.a, first, kElements);
  expected.note("async_copy", {{m.a, kBytes, "read"}, {first, kBytes, "write"}});
  pool_copy<<<blocks(kElements), kThreads, 0, m.stream[0]>>>(first, second, kElements);
  expected.note("pool_copy", {{first, kBytes, "read"}, {second, kBytes, "write"}});
  CHECK(cudaStreamSynchronize(m.stream[0]));
  take_device("pool_copy", second, kElements, 4, 4 + (float)((kElements - 1) % 7));
  CHECK(cudaFreeAsync(first, m.stream[0]));
  CHECK(cudaFreeAsync(second, m.stream[0]));
  CHECK(cudaStreamSynchronize(m.stream[0]));
}

void ways_to_launch(Memory &m)
{
  size_t n = kElements;
  float *partial = m.b;
  void *arguments[] = {&m.out, &partial, &n};
  CHECK(cudaLaunchCooperativeKernel((void *)cooperative_sums, dim3(64), dim3(kThreads), arguments, 0, m.stream[1]));
  expected.note("cooperative_sums", {{m.out, kBytes, "read-write"}, {partial, 64 * kThreads * 4, "read-write"}});
  CHECK(cudaStreamSynchronize(m.stream[1]));
  cudaLaunchConfig_t config = {};
  config.gridDim = blocks(kElements);
  config.blockDim = kThreads;
  config.stream = m.stream[1];
  CHECK(cudaLaunchKernelEx(&config, ex_negate, (const float *)m.a, m.out, n));
  expected.note("ex_negate", {{m.a, kBytes, "read"}, {m.out, kBytes, "write"}});
  CHECK(cudaStreamSynchronize(m.stream[1]));
  take_device("ex_negate", m.out, kElements, -1, -1 - (float)((kElements - 1) % 7));
  indirect_gather<<<blocks(kElements), kThreads>>>(m.table, 4, m.out, kElements);
  std::vector<Extent> extents = {{m.table, sizeof m.row, "read"}, {m.out, kBytes, "write"}};
  for (float *row : m.row) extents.push_back({row, kBytes, "read"});
  expected.note("indirect_gather", extents, true);
  take_device("indirect_gather", m.out, kElements, 6, 6 + 4 * (float)((kElements - 1) % 7));
}

template <int worker> void square(Memory &m)
{
  cudaStream_t stream;
  CHECK(cudaStreamCreate(&stream));
  thread_square<worker><<<blocks(kElements), kThreads, 0, stream>>>(m.worker[worker], kElements);
  CHECK(cudaStreamSynchronize(stream));
  CHECK(cudaStreamDestroy(stream));
}

/* Launches of both threads at once; each has a kernel of its own. Mangled: ...thread_squareILi0E..., ...ILi1E... */
void several_threads(Memory &m)
{
  std::thread first([&] { square<0>(m); }), second([&] { square<1>(m); });
  first.join();
  second.join();
  expected.note("thread_squareILi0E", {{m.worker[0], kBytes, "write"}});
  expected.note("thread_squareILi1E", {{m.worker[1], kBytes, "write"}});
  for (int i = 0; i < kWorkers; i++)
    take_device("thread_square", m.worker[i], kElements, 0, (float)((kElements - 1) % 100) * (float)(i + 1));
}

void step(Memory &m)
{
  mapped_memory(m);
  plain_memory(m);
  managed_and_host_memory(m);
  asynchronous_memory(m);
  ways_to_launch(m);
  several_threads(m);
}

} // namespace

int main(int argc, char **argv)
{
  const char *parameters = argc == 3 && strcmp(argv[1], "--parameters") == 0 ? argv[2] : nullptr;
  nvtxRangePushA("load");
  CHECK(cudaFree(nullptr));
  Memory m;
  nvtxRangePop();
  std::vector<double> seconds;
  for (int i = 0; i < kSteps; i++) {
    const auto start = std::chrono::steady_clock::now();
    nvtxRangePushA("step");
    m.fill(m.b, 2);
    step(m);
    nvtxRangePop();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::vector<float> table(sizeof device_table / sizeof(float));
  CHECK(cudaMemcpyFromSymbol(table.data(), device_table, sizeof device_table));
  expect("global_table", table[0], kSteps);
  take(table.data(), table.size());
  if (parameters) expected.write(parameters);
  std::string list;
  for (double s : seconds) list += (list.empty() ? "" : ", ") + std::to_string(s);
  std::sort(seconds.begin(), seconds.end());
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("{\"unit\": \"step\", \"units\": %d, \"s_per_unit\": %.6g, \"s_per_unit_min\": %.6g, \"seconds\": [%s], \"sha256\": \"%016llx\", "
         "\"parameter_bytes\": 0, \"max_rss_bytes\": %ld, \"right\": %s}\n",
         kSteps, seconds[kSteps / 2], seconds[0], list.c_str(), (unsigned long long)hash, usage.ru_maxrss * 1024, right ? "true" : "false");
  return right ? 0 : 1;
}
