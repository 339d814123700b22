// SPDX-License-Identifier: Apache-2.0
/* Measures the link between host and GPU: pinned copies by size in each direction and in both, single and in batches, the
 * cost of a synchronous small copy, kernels that read host memory in place, device memory, and launches.
 * Prints one JSON object. Medians of several repetitions; times by CUDA events on one stream, host costs by the clock.
 *
 *   nvcc -O2 -arch=sm_90 -o link_curve tests/gpu/link_curve.cu && ./link_curve */
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cuda_runtime.h>
#include <string>
#include <vector>

namespace
{

constexpr size_t kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB;
constexpr size_t kBuffer = 1 * kGiB;
constexpr int kRepetitions = 5;

void check(cudaError_t rc, const char *what)
{
  if (rc == cudaSuccess) return;
  fprintf(stderr, "link_curve: %s: %s\n", what, cudaGetErrorString(rc));
  exit(1);
}
#define CHECK(call) check((call), #call)

double now_s()
{
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

template <typename F> double median_of(F measure)
{
  std::vector<double> v;
  for (int i = 0; i < kRepetitions; i++) v.push_back(measure());
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

struct Machine {
  char *host = nullptr, *device = nullptr, *device2 = nullptr;
  cudaStream_t stream = nullptr, other = nullptr;
  cudaEvent_t begin = nullptr, end = nullptr;

  Machine()
  {
    CHECK(cudaHostAlloc(&host, kBuffer, cudaHostAllocMapped | cudaHostAllocPortable));
    CHECK(cudaMalloc(&device, kBuffer));
    CHECK(cudaMalloc(&device2, kBuffer));
    CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    CHECK(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
    CHECK(cudaEventCreate(&begin));
    CHECK(cudaEventCreate(&end));
  }

  template <typename F> double timed(F issue)
  {
    CHECK(cudaEventRecord(begin, stream));
    issue();
    CHECK(cudaEventRecord(end, stream));
    CHECK(cudaEventSynchronize(end));
    float ms = 0;
    CHECK(cudaEventElapsedTime(&ms, begin, end));
    return ms * 1e-3;
  }
};

size_t copies_for(size_t bytes) { return std::max<size_t>(8, std::min<size_t>(2000, 512 * kMiB / bytes)); }

double copy_seconds(Machine &m, size_t bytes, cudaMemcpyKind kind)
{
  const size_t n = copies_for(bytes);
  const bool up = kind == cudaMemcpyHostToDevice;
  return median_of([&] {
    return m.timed([&] {
      for (size_t i = 0; i < n; i++) {
        const size_t at = i * bytes % (kBuffer - bytes + 1) / 256 * 256;
        CHECK(cudaMemcpyAsync(up ? m.device + at : m.host + at, up ? m.host + at : m.device + at, bytes, kind, m.stream));
      }
    }) / double(n);
  });
}

void print_curve(Machine &m, const char *name, cudaMemcpyKind kind)
{
  printf("  \"%s_gb_per_s\": {", name);
  const char *comma = "";
  for (size_t bytes = 4 * kKiB; bytes <= 64 * kMiB; bytes *= 2) {
    printf("%s\"%zuKiB\": %.2f", comma, bytes / kKiB, double(bytes) / copy_seconds(m, bytes, kind) / 1e9);
    comma = ", ";
  }
  printf("},\n");
}

double duplex_rate(Machine &m, size_t bytes)
{
  const size_t n = copies_for(bytes);
  return median_of([&] {
    CHECK(cudaDeviceSynchronize());
    const double start = now_s();
    for (size_t i = 0; i < n; i++) {
      const size_t at = i * bytes % (kBuffer / 2 - bytes + 1);
      CHECK(cudaMemcpyAsync(m.device + at, m.host + at, bytes, cudaMemcpyHostToDevice, m.stream));
      CHECK(cudaMemcpyAsync(m.host + kBuffer / 2 + at, m.device2 + at, bytes, cudaMemcpyDeviceToHost, m.other));
    }
    CHECK(cudaDeviceSynchronize());
    return 2.0 * double(bytes) * double(n) / (now_s() - start) / 1e9;
  });
}

/* Pages that do not touch each other, as a pager moves them. */
double batch_rate(Machine &m, size_t page, size_t count, double *call_s)
{
#if CUDART_VERSION >= 13000
  std::vector<void *> dst(count);
  std::vector<const void *> src(count);
  std::vector<size_t> sizes(count, page);
  const size_t rounds = std::max<size_t>(4, 256 * kMiB / (page * count));
  cudaMemcpyAttributes attributes = {};
  attributes.srcAccessOrder = cudaMemcpySrcAccessOrderStream;
  size_t first = 0;
  double calls = 0;
  const double s = median_of([&] {
    return m.timed([&] {
      const double start = now_s();
      for (size_t r = 0; r < rounds; r++) {
        for (size_t i = 0; i < count; i++) {
          const size_t at = (r * count + i) * 2 * page % kBuffer;
          dst[i] = m.device + at;
          src[i] = m.host + at;
        }
        CHECK(cudaMemcpyBatchAsync(dst.data(), src.data(), sizes.data(), count, &attributes, &first, 1, m.stream));
      }
      calls = (now_s() - start) / double(rounds);
    });
  });
  *call_s = calls;
  return double(page) * double(count) * double(rounds) / s / 1e9;
#else
  (void)m, (void)page, (void)count;
  *call_s = 0;
  return 0;
#endif
}

void print_batches(Machine &m)
{
  printf("  \"batch_64KiB\": {");
  const char *comma = "";
  for (size_t count : {1, 4, 16, 64, 256}) {
    double call_s = 0;
    const double rate = batch_rate(m, 64 * kKiB, count, &call_s);
    printf("%s\"%zu\": {\"gb_per_s\": %.2f, \"call_us\": %.2f}", comma, count, rate, call_s * 1e6);
    comma = ", ";
  }
  printf("},\n");
}

__global__ void read_all(const uint4 *from, size_t n, uint4 *to)
{
  uint4 sum = {0, 0, 0, 0};
  for (size_t i = blockIdx.x * size_t(blockDim.x) + threadIdx.x; i < n; i += size_t(gridDim.x) * blockDim.x) {
    const uint4 v = from[i];
    sum.x ^= v.x, sum.y ^= v.y, sum.z ^= v.z, sum.w ^= v.w;
  }
  if ((sum.x ^ sum.y ^ sum.z ^ sum.w) == 0x12345678u) *to = sum; /* keeps the loads */
}

__global__ void nothing() {}

double read_rate(Machine &m, const char *from)
{
  const size_t n = kBuffer / sizeof(uint4);
  return double(kBuffer) / 1e9 / median_of([&] {
    return m.timed([&] {
      read_all<<<132 * 8, 512, 0, m.stream>>>(reinterpret_cast<const uint4 *>(from), n, reinterpret_cast<uint4 *>(m.device2));
    });
  });
}

double sync_copy_us(Machine &m)
{
  constexpr int n = 500;
  return 1e6 * median_of([&] {
    const double start = now_s();
    for (int i = 0; i < n; i++) {
      CHECK(cudaMemcpyAsync(m.device, m.host, 4 * kKiB, cudaMemcpyHostToDevice, m.stream));
      CHECK(cudaStreamSynchronize(m.stream));
    }
    return (now_s() - start) / n;
  });
}

/* Host's and GPU's time per empty kernel, back to back. */
void print_launches(Machine &m)
{
  constexpr int n = 2000;
  double host = 0;
  const double gpu = median_of([&] {
    return m.timed([&] {
      const double start = now_s();
      for (int i = 0; i < n; i++) nothing<<<1, 32, 0, m.stream>>>();
      host = (now_s() - start) / n;
    }) / n;
  });
  printf("  \"launch\": {\"host_us\": %.3f, \"gpu_us\": %.3f},\n", host * 1e6, gpu * 1e6);
}

double pageable_rate(Machine &m, size_t bytes)
{
  std::vector<char> source(bytes, 1);
  return double(bytes) / 1e9 / median_of([&] {
    const double start = now_s();
    CHECK(cudaMemcpy(m.device, source.data(), bytes, cudaMemcpyHostToDevice));
    return now_s() - start;
  });
}

} // namespace

int main()
{
  Machine m;
  cudaDeviceProp properties;
  CHECK(cudaGetDeviceProperties(&properties, 0));
  for (size_t i = 0; i < kBuffer; i += 4096) m.host[i] = char(i);
  CHECK(cudaMemset(m.device, 1, kBuffer));
  copy_seconds(m, 2 * kMiB, cudaMemcpyHostToDevice);
  printf("{\n  \"gpu\": \"%s\",\n", properties.name);
  print_curve(m, "h2d", cudaMemcpyHostToDevice);
  print_curve(m, "d2h", cudaMemcpyDeviceToHost);
  printf("  \"duplex_gb_per_s\": {\"64KiB\": %.2f, \"2048KiB\": %.2f, \"16384KiB\": %.2f},\n", duplex_rate(m, 64 * kKiB),
         duplex_rate(m, 2 * kMiB), duplex_rate(m, 16 * kMiB));
  print_batches(m);
  print_launches(m);
  printf("  \"sync_copy_4KiB_us\": %.2f,\n", sync_copy_us(m));
  printf("  \"pageable_gb_per_s\": {\"25MiB\": %.2f, \"100MiB\": %.2f, \"400MiB\": %.2f},\n", pageable_rate(m, 25 * kMiB),
         pageable_rate(m, 100 * kMiB), pageable_rate(m, 400 * kMiB));
  printf("  \"zero_copy_gb_per_s\": %.2f,\n", read_rate(m, m.host));
  printf("  \"device_read_gb_per_s\": %.2f\n}\n", read_rate(m, m.device));
  CHECK(cudaDeviceSynchronize());
  return 0;
}
