// SPDX-License-Identifier: Apache-2.0
/* Kernels of the device `cuda`: they read, check and write pages as a recorded launch did.
 *
 * The bytes of all touches are cut into units of 4 KiB, and each warp gets an equal share of adjoining units, so it
 * looks up where it begins once and walks on from there. Warps never wait for each other. A unit is 8 loads of 16 bytes
 * per lane, all in flight before the first is used; 32 warps per multiprocessor then keep 128 KiB in flight, which
 * fills HBM.
 *
 * A page's frame comes from the page table in device memory. Where the host has moved the page since the last kernel,
 * the touch brings the new frame: each warp that needs the entry stores it (all the same value) and reads it back, so
 * table updates happen in the order of the compute stream without a kernel or a barrier of their own.
 *
 * Checking costs an addition and an exclusive or per 32-bit word, well below what the multiprocessors have to spare.
 *
 * The last block to finish waits until the kernel has lasted as long as it shall, and writes its times and its number
 * to host memory; __threadfence before the counter makes all blocks' work visible in device memory before the number.
 * There is no fence for host memory, which would cost a microsecond: times carry a stamp instead, and only a kernel
 * that has something to report takes that time. */
#include "runtime/device/content.h"
#include "runtime/device/device.h"
#include "runtime/device/touch.h"

namespace
{

constexpr uint32_t ALL = 0xffffffffu;
constexpr int LOADS = EMUV_TOUCH_UNIT / 512;

__device__ __forceinline__ uint64_t clock_ns()
{
  uint64_t t;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t));
  return t;
}

__device__ __forceinline__ ulonglong2 load(const char *p)
{
  ulonglong2 v;
  asm volatile("ld.global.cg.v2.u64 {%0, %1}, [%2];" : "=l"(v.x), "=l"(v.y) : "l"(p));
  return v;
}

__device__ __forceinline__ void store(char *p, uint64_t x, uint64_t y)
{
  asm volatile("st.global.cg.v2.u64 [%0], {%1, %2};" ::"l"(p), "l"(x), "l"(y) : "memory");
}

/* What a warp works on: a part of one page. */
struct part {
  char *page;
  uint64_t begin, end; /* offsets */
  uint32_t number, version;
};

template <typename T> __device__ __forceinline__ volatile T &fresh(T &memory)
{
  return *static_cast<volatile T *>(&memory);
}

/* A place in the ring of reports; UINT32_MAX when the host has not taken enough of the older ones. */
__device__ uint32_t reserve(const emuv_touch_args &a)
{
  const uint64_t head = fresh(a.state->head);
  if (head - fresh(a.shared->taken.value) >= EMUV_TOUCH_RING) return UINT32_MAX;
  fresh(a.state->head) = head + 1;
  return head % EMUV_TOUCH_RING;
}

/* With the lock held: a new report about a page, or the one that is there when this word comes before it. */
__device__ void draft(const emuv_touch_args &a, const emuv_touch_report &what)
{
  emuv_touch_draft &d = a.draft[what.page];
  const uint32_t kernel = static_cast<uint32_t>(a.kernel);
  if (fresh(d.kernel) != kernel) {
    fresh(a.state->found) = fresh(a.state->found) + 1;
    fresh(d.place) = reserve(a);
    fresh(d.offset) = UINT64_MAX;
    __threadfence();
    fresh(d.kernel) = kernel;
  }
  if (what.offset >= fresh(d.offset)) return;
  fresh(d.offset) = what.offset;
  if (fresh(d.place) == UINT32_MAX) return;
  volatile emuv_touch_report &r = a.shared->report[fresh(d.place)];
  r.page = what.page;
  r.version = what.version;
  r.offset = what.offset;
  r.expected = what.expected;
  r.found = what.found;
  r.kernel = a.kernel;
}

/* The host sees reports when the kernel has ended, so until then they can be changed. */
__device__ void write_report(const emuv_touch_args &a, const emuv_touch_report &what)
{
  emuv_touch_draft &d = a.draft[what.page];
  if (fresh(d.kernel) == static_cast<uint32_t>(a.kernel) && fresh(d.offset) <= what.offset) return;
  while (atomicCAS(&a.state->lock, 0, 1)) __nanosleep(100);
  __threadfence();
  draft(a, what);
  __threadfence();
  atomicExch(&a.state->lock, 0);
}

/* Finds the first wrong word of a unit again and reports it. */
__device__ __noinline__ void report(const emuv_touch_args &a, const char *page, uint64_t at, uint64_t end,
                                    uint32_t number, uint32_t version)
{
  const uint32_t lane = threadIdx.x & 31;
  const uint64_t seed = emuv_content_seed(number, version);
  if (end > at + EMUV_TOUCH_UNIT) end = at + EMUV_TOUCH_UNIT;
  for (uint64_t o = at; o < end; o += 256) {
    const uint64_t mine = o + lane * 8;
    uint64_t found = 0;
    if (mine < end) asm volatile("ld.global.cg.u64 %0, [%1];" : "=l"(found) : "l"(page + mine));
    const uint64_t expected = emuv_content_word(seed, mine / 8);
    const uint32_t wrong = __ballot_sync(ALL, mine < end && found != expected);
    if (!wrong) continue;
    if (static_cast<int>(lane) == __ffs(wrong) - 1) write_report(a, {number, version, mine, expected, found, 0});
    return;
  }
}

/* One unit at offset `at`; WHOLE: all of it lies within the part. x: the lane's first word as it should be, y: as it
 * will be. */
template <bool LOAD, bool CHECK, bool STORE, bool WHOLE>
__device__ __forceinline__ uint64_t unit(const emuv_touch_args &a, const part &p, uint64_t at, uint64_t x, uint64_t y)
{
  uint64_t sum = 0;
  char *const mine = p.page + at + (threadIdx.x & 31) * 16;
  const char *const end = p.page + p.end;
  ulonglong2 v[LOADS];
  if (LOAD) {
#pragma unroll
    for (int i = 0; i < LOADS; i++)
      if (WHOLE || mine + i * 512 < end) v[i] = load(mine + i * 512);
  }
  if (CHECK) {
    uint64_t wrong = 0;
#pragma unroll
    for (int i = 0; i < LOADS; i++, x += 64 * EMUV_CONTENT_STEP)
      if (WHOLE || mine + i * 512 < end) wrong |= (v[i].x ^ x) | (v[i].y ^ (x + EMUV_CONTENT_STEP));
    if (__any_sync(ALL, wrong != 0)) report(a, p.page, at, p.end, p.number, p.version);
  }
  if (LOAD && !CHECK) {
#pragma unroll
    for (int i = 0; i < LOADS; i++)
      if (WHOLE || mine + i * 512 < end) sum ^= v[i].x ^ v[i].y;
  }
  if (STORE) {
#pragma unroll
    for (int i = 0; i < LOADS; i++, y += 64 * EMUV_CONTENT_STEP)
      if (WHOLE || mine + i * 512 < end) store(mine + i * 512, y, y + EMUV_CONTENT_STEP);
  }
  return sum;
}

template <bool LOAD, bool CHECK, bool STORE>
__device__ __forceinline__ void walk(const emuv_touch_args &a, const part &p)
{
  const uint64_t word = p.begin / 8 + (threadIdx.x & 31) * 2, step = EMUV_TOUCH_UNIT / 8 * EMUV_CONTENT_STEP;
  uint64_t x = CHECK ? emuv_content_word(emuv_content_seed(p.number, p.version), word) : 0;
  uint64_t y = STORE ? emuv_content_word(emuv_content_seed(p.number, p.version + 1), word) : 0;
  uint64_t at = p.begin, sum = 0;
#pragma unroll 1
  for (; at + EMUV_TOUCH_UNIT <= p.end; at += EMUV_TOUCH_UNIT, x += step, y += step)
    sum ^= unit<LOAD, CHECK, STORE, true>(a, p, at, x, y);
  if (at < p.end) sum ^= unit<LOAD, CHECK, STORE, false>(a, p, at, x, y);
  if (LOAD && !CHECK && sum == a.kernel) fresh(a.state->sum) = sum; /* without a use the loads would be left out */
}

__device__ void touch(const emuv_touch_args &a, const part &p, uint32_t flags)
{
  switch (flags & (EMUV_TOUCH_READ | EMUV_TOUCH_WRITE | EMUV_TOUCH_CHECK)) {
  case EMUV_TOUCH_READ: walk<true, false, false>(a, p); break;
  case EMUV_TOUCH_CHECK:
  case EMUV_TOUCH_READ | EMUV_TOUCH_CHECK: walk<true, true, false>(a, p); break;
  case EMUV_TOUCH_WRITE: walk<false, false, true>(a, p); break;
  case EMUV_TOUCH_READ | EMUV_TOUCH_WRITE: walk<true, false, true>(a, p); break;
  case EMUV_TOUCH_CHECK | EMUV_TOUCH_WRITE:
  case EMUV_TOUCH_READ | EMUV_TOUCH_CHECK | EMUV_TOUCH_WRITE: walk<true, true, true>(a, p); break;
  default: break;
  }
}

/* Where a page lies now. A page that has moved brings its frame along: the first warp that comes to it notes that in
 * the table for the kernels to come, the others take it as it is. (Thousands of warps that write and read one word of
 * the table wait for each other: 80 us for 16 MiB.) */
__device__ __forceinline__ char *translate(const emuv_touch_args &a, const emuv_touch_entry &e, bool is_first)
{
  if (e.host & EMUV_TOUCH_IN_PLACE) return reinterpret_cast<char *>(e.host & ~15ull);
  if (!a.table) return reinterpret_cast<char *>(a.base + e.page * a.page_bytes);
  const bool has_moved = e.frame & EMUV_TOUCH_MOVED;
  const uint32_t frame = has_moved ? e.frame & ~EMUV_TOUCH_MOVED : fresh(a.table[e.page]);
  if (has_moved && is_first) fresh(a.table[e.page]) = frame;
  return reinterpret_cast<char *>(a.base + frame * a.page_bytes);
}

/* The last touch that begins at or before a unit. */
__device__ uint32_t find(const emuv_touch_entry *list, uint32_t n, uint64_t at)
{
  uint32_t low = 0, high = n;
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    if (list[middle].first <= at)
      low = middle;
    else
      high = middle;
  }
  return low;
}

__device__ void share(const emuv_touch_args &a, const emuv_touch_entry *list)
{
  const uint64_t warp = blockIdx.x * EMUV_TOUCH_WARPS + threadIdx.x / 32;
  if (warp >= a.n_warps) return;
  uint64_t at = warp * a.n_units / a.n_warps;
  const uint64_t end = (warp + 1) * a.n_units / a.n_warps;
  for (uint32_t i = find(list, a.n_touches, at); at < end; i++) {
    const emuv_touch_entry e = list[i];
    const uint64_t bytes = e.bytes_16 * 16ull, offset = e.offset_16 * 16ull;
    const uint64_t units = (bytes + EMUV_TOUCH_UNIT - 1) / EMUV_TOUCH_UNIT;
    const uint64_t stop = e.first + units < end ? e.first + units : end;
    const uint64_t upto = (stop - e.first) * EMUV_TOUCH_UNIT;
    const part p = {translate(a, e, at == e.first), offset + (at - e.first) * EMUV_TOUCH_UNIT,
                    offset + (upto < bytes ? upto : bytes), e.page, e.version};
    touch(a, p, e.host & 15);
    at = stop;
  }
}

/* The host sees all reports of this kernel before the kernel's number. */
__device__ __noinline__ void tell(const emuv_touch_args &a)
{
  __threadfence_system();
  fresh(a.shared->head.value) = fresh(a.state->head);
  fresh(a.shared->found.value) = fresh(a.state->told) = fresh(a.state->found);
  __threadfence_system();
}

/* Thread 0 of the last block. */
__device__ void finish(const emuv_touch_args &a, uint64_t start)
{
  const bool news = fresh(a.state->found) != fresh(a.state->told);
  const uint64_t end = start + a.duration_ns;
  uint64_t now = clock_ns();
  for (; now < end; now = clock_ns())
    if (end - now > 4000) __nanosleep(1000);
  emuv_touch_span &span = a.shared->span[a.kernel % EMUV_TOUCH_RING];
  fresh(span.start) = EMUV_TOUCH_STAMP(start, a.kernel);
  fresh(span.end) = EMUV_TOUCH_STAMP(now, a.kernel);
  if (news) tell(a);
  fresh(a.shared->done[EMUV_STREAM_COMPUTE].value) = a.kernel;
}

/* Most launches of a decode are one block: those need no counter. */
__device__ __forceinline__ void run(const emuv_touch_args &a, const emuv_touch_entry *list)
{
  const bool alone = gridDim.x == 1 && a.first && a.last;
  uint64_t start = 0;
  if (a.first && blockIdx.x == 0 && threadIdx.x == 0) {
    start = clock_ns();
    if (!alone) fresh(a.state->start_ns) = start;
  }
  share(a, list);
  __syncthreads();
  if (threadIdx.x) return;
  __threadfence();
  if (!alone) {
    if (atomicAdd(&a.state->arrived, 1) + 1 < gridDim.x) return;
    __threadfence();
    a.state->arrived = 0;
    start = fresh(a.state->start_ns);
  }
  if (a.last) finish(a, start);
}

template <int N> struct params {
  emuv_touch_args head;
  emuv_touch_entry entry[N];
};

} // namespace

#define KERNEL(name, n)                                                                                                \
  extern "C" __global__ void __launch_bounds__(EMUV_TOUCH_WARPS * 32, EMUV_TOUCH_BLOCKS)                               \
      name(const __grid_constant__ params<n> args)                                                                     \
  {                                                                                                                    \
    run(args.head, args.entry);                                                                                        \
  }

KERNEL(emuv_touch_few, EMUV_TOUCH_FEW)
KERNEL(emuv_touch_some, EMUV_TOUCH_SOME)
KERNEL(emuv_touch_many, EMUV_TOUCH_MANY)

extern "C" __global__ void __launch_bounds__(EMUV_TOUCH_WARPS * 32, EMUV_TOUCH_BLOCKS)
    emuv_touch_list(const __grid_constant__ emuv_touch_args args)
{
  run(args, args.list);
}

/* Answers the host's pings with the time, each within a millisecond, so that the host can tie the clocks. */
extern "C" __global__ void emuv_touch_clock(emuv_touch_shared *shared)
{
  fresh(shared->began_ns.value) = clock_ns();
  for (uint64_t i = 1; i <= EMUV_TOUCH_BOUNCES; i++) {
    const uint64_t give_up = clock_ns() + 1000000;
    while (fresh(shared->ping.value) < i)
      if (clock_ns() > give_up) return;
    fresh(shared->pong_ns.value) = clock_ns();
    __threadfence_system();
    fresh(shared->pong.value) = i;
  }
}
