// SPDX-License-Identifier: Apache-2.0
/* A small CUDA program with many ways to be awkward for a tracer: see robustness.py, which runs it, for what must be in
 * the trace. Build: nvcc -O2 -arch=native --default-stream per-thread -o robustness_program robustness_program.cu -lcuda
 *
 *   robustness_program MODE [ARGUMENT...]       prints one line of JSON */
#include <cuda.h>
#include <cuda_profiler_api.h>
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(call)                                                                                                    \
  do {                                                                                                                 \
    const cudaError_t e_ = (call);                                                                                     \
    if (e_ != cudaSuccess) {                                                                                           \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, cudaGetErrorString(e_));                                      \
      exit(9);                                                                                                         \
    }                                                                                                                  \
  } while (0)

static const size_t BYTES = 8 << 20;

__global__ void touch(float *to, const float *from, int n, int rounds)
{
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  float x = from[i];
  for (int r = 0; r < rounds; r++) x = x * 0.999f + 1.0f;
  to[i] = x;
}

__global__ void nothing(float *) {}

static unsigned long long now_ns()
{
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (unsigned long long)t.tv_sec * 1000000000u + (unsigned long long)t.tv_nsec;
}

static void pause_ms(long ms)
{
  timespec t = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&t, nullptr);
}

static float *allocate()
{
  float *p;
  CHECK(cudaMalloc(&p, BYTES));
  CHECK(cudaMemset(p, 0, BYTES));
  return p;
}

static void launch(float *to, const float *from, int count, int rounds = 10)
{
  const int n = BYTES / sizeof(float);
  for (int i = 0; i < count; i++) touch<<<n / 256, 256>>>(to, from, n, rounds);
  CHECK(cudaGetLastError());
}

static double checksum(const float *p)
{
  float host[64];
  CHECK(cudaMemcpy(host, p, sizeof host, cudaMemcpyDeviceToHost));
  double sum = 0;
  for (float x : host) sum += x;
  return sum;
}

static void run_launches(int count)
{
  float *a = allocate(), *b = allocate();
  launch(b, a, count);
  CHECK(cudaDeviceSynchronize());
  printf("{\"a\": %llu, \"b\": %llu, \"checksum\": %.6f}\n", (unsigned long long)a, (unsigned long long)b, checksum(b));
}

/* The child does not touch CUDA, which would not work. */
static void run_fork()
{
  float *a = allocate();
  launch(a, a, 5);
  fflush(nullptr);
  int status[2];
  const pid_t first = fork();
  if (first == 0) {
    pause_ms(400);
    exit(3);
  }
  launch(a, a, 5);
  const pid_t second = fork();
  if (second == 0) _exit(4);
  waitpid(first, &status[0], 0);
  waitpid(second, &status[1], 0);
  launch(a, a, 5);
  printf("{\"child\": %d, \"child_exit\": %d, \"checksum\": %.6f}\n", status[0], status[1], checksum(a));
}

static void start_another(char **argv, bool replace)
{
  static char mode[] = "launches", count[] = "7";
  char *arguments[] = {argv[0], mode, count, nullptr};
  float *a = allocate();
  launch(a, a, 5);
  CHECK(cudaDeviceSynchronize());
  if (replace) pause_ms(500);
  fflush(nullptr);
  if (replace || fork() == 0) {
    execv("/proc/self/exe", arguments);
    exit(9);
  }
  wait(nullptr);
}

struct worker {
  pthread_t thread;
  float *memory;
  int count;
};

static void *work(void *argument)
{
  worker *w = static_cast<worker *>(argument);
  w->memory = allocate();
  launch(w->memory, w->memory, w->count);
  CHECK(cudaStreamSynchronize(cudaStreamPerThread));
  return nullptr;
}

static void run_threads(int threads, int count)
{
  worker w[64];
  for (int i = 0; i < threads; i++) {
    w[i].count = count;
    pthread_create(&w[i].thread, nullptr, work, &w[i]);
  }
  printf("{\"memory\": [");
  for (int i = 0; i < threads; i++) {
    pthread_join(w[i].thread, nullptr);
    printf("%s%llu", i ? ", " : "", (unsigned long long)w[i].memory);
  }
  printf("]}\n");
}

/* Ranges that end while the device is still busy; the last comes after a pause in which the capture disarms. */
static void run_ranges(int ranges, int inside)
{
  float *a = allocate();
  for (int r = 0; r < ranges; r++) {
    launch(a, a, 40);
    if (r == ranges - 1) pause_ms(2500);
    CHECK(cudaProfilerStart());
    launch(a, a, inside, 20000);
    CHECK(cudaProfilerStop());
    launch(a, a, 40);
  }
  CHECK(cudaDeviceSynchronize());
  printf("{\"checksum\": %.6f}\n", checksum(a));
}

static void *launch_beside(void *stop)
{
  float *a = allocate();
  while (!__atomic_load_n(static_cast<int *>(stop), __ATOMIC_RELAXED)) nothing<<<1, 32>>>(a);
  CHECK(cudaStreamSynchronize(cudaStreamPerThread));
  return nullptr;
}

/* Switches as fast as it can while other threads launch, with pauses that let the capture disarm. */
static void run_toggle(int times)
{
  pthread_t thread[4];
  int stop = 0;
  float *a = allocate();
  for (pthread_t &t : thread) pthread_create(&t, nullptr, launch_beside, &stop);
  for (int i = 0; i < times; i++) {
    if (i % (times / 4) == 0) pause_ms(1300);
    CHECK(cudaProfilerStart());
    nothing<<<1, 32>>>(a);
    CHECK(cudaProfilerStop());
  }
  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
  for (pthread_t &t : thread) pthread_join(t, nullptr);
  printf("{\"done\": true}\n");
}

/* Host time of a launch; never so many in flight that the host waits for the device. */
static double cost_ns(float *a, int batches)
{
  enum { BATCH = 500 };
  double best = 1e18;
  for (int b = 0; b < batches; b++) {
    CHECK(cudaDeviceSynchronize());
    const unsigned long long begin = now_ns();
    for (int i = 0; i < BATCH; i++) nothing<<<1, 32>>>(a);
    const double ns = double(now_ns() - begin) / BATCH;
    if (ns < best) best = ns;
  }
  CHECK(cudaDeviceSynchronize());
  return best;
}

/* Time per launch of an empty kernel: before any range, inside one, just after it, and when the capture has disarmed. */
static void run_cost(int batches)
{
  float *a = allocate();
  cost_ns(a, batches);
  const double before = cost_ns(a, batches);
  CHECK(cudaProfilerStart());
  const double inside = cost_ns(a, batches);
  CHECK(cudaProfilerStop());
  const double paused = cost_ns(a, batches);
  pause_ms(2500);
  const double disarmed = cost_ns(a, batches);
  printf("{\"before\": %.0f, \"inside\": %.0f, \"paused\": %.0f, \"disarmed\": %.0f}\n", before, inside, paused, disarmed);
}

/* Launches until killed; says when the last launch was, and how many there were. */
static void run_forever(const char *path)
{
  const int fd = open(path, O_RDWR);
  auto *mapping = static_cast<unsigned long long *>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  float *a = allocate();
  for (;;) {
    nothing<<<1, 32>>>(a);
    __atomic_store_n(&mapping[0], now_ns(), __ATOMIC_RELAXED);
    __atomic_fetch_add(&mapping[1], 1, __ATOMIC_RELAXED);
    if (mapping[1] % 64 == 0) pause_ms(1);
  }
}

/* Another tool in the process: holds CUPTI before CUDA starts. */
static void hold_cupti()
{
  typedef int subscribe(void **, void (*)(void), void *);
  void *library = dlopen("libcupti.so.13", RTLD_NOW), *subscriber = nullptr;
  if (!library) library = dlopen("/usr/local/cuda/lib64/libcupti.so.13", RTLD_NOW);
  if (!library) library = dlopen("/usr/local/cuda/extras/CUPTI/lib64/libcupti.so.13", RTLD_NOW);
  auto *function = library ? reinterpret_cast<subscribe *>(dlsym(library, "cuptiSubscribe")) : nullptr;
  static auto callback = [](void *, int, unsigned, const void *) {};
  typedef void cupti_callback(void *, int, unsigned, const void *);
  cupti_callback *plain = callback;
  const int rc = function ? function(&subscriber, reinterpret_cast<void (*)(void)>(plain), nullptr) : -1;
  fprintf(stderr, "held: %d\n", rc);
}

static void run_two_devices()
{
  float *p[2];
  for (int d = 0; d < 2; d++) {
    CHECK(cudaSetDevice(d));
    p[d] = allocate();
    launch(p[d], p[d], 5 + d);
  }
  CHECK(cudaMemcpyPeer(p[0], 0, p[1], 1, BYTES));
  for (int d = 0; d < 2; d++) {
    CHECK(cudaSetDevice(d));
    CHECK(cudaDeviceSynchronize());
  }
  printf("{\"memory\": [%llu, %llu]}\n", (unsigned long long)p[0], (unsigned long long)p[1]);
}

int main(int argc, char **argv)
{
  const char *mode = argc > 1 ? argv[1] : "";
  const int n = argc > 2 ? atoi(argv[2]) : 0, m = argc > 3 ? atoi(argv[3]) : 0;
  if (strcmp(mode, "launches") == 0) run_launches(n);
  else if (strcmp(mode, "fork") == 0) run_fork();
  else if (strcmp(mode, "spawn") == 0) start_another(argv, false);
  else if (strcmp(mode, "exec") == 0) start_another(argv, true);
  else if (strcmp(mode, "threads") == 0) run_threads(n, m);
  else if (strcmp(mode, "ranges") == 0) run_ranges(n, m);
  else if (strcmp(mode, "toggle") == 0) run_toggle(n);
  else if (strcmp(mode, "cost") == 0) run_cost(n);
  else if (strcmp(mode, "forever") == 0) run_forever(argv[2]);
  else if (strcmp(mode, "other") == 0) hold_cupti(), run_launches(n);
  else if (strcmp(mode, "two") == 0) run_two_devices();
  else return fprintf(stderr, "no such mode: '%s'\n", mode), 2;
  return 0;
}
