// SPDX-License-Identifier: Apache-2.0
/* What the patches in kernels (pages_patch.cu) and the library (sanitizer_*.c) share: the map from addresses to page
 * words, and the log.
 *
 * Each page of `1 << shift` bytes has two words: the number of the launch that last read it, and of the one that last
 * wrote it. A thread that finds another number than its own swaps its number in, and whoever sees the old one appends
 * an entry to the log: so each launch logs each page once for reading and once for writing, nothing is ever cleared and
 * nothing waits. (Two launches that run at once may log a page several times, when they take turns on its word.)
 *
 * The words lie in chunks, one for each GiB of addresses in use, found through a directory over 48 bits of addresses.
 *
 * The log is a ring of 8-byte entries in pinned host memory, each written in one piece, 0 = not written. The host takes
 * entries while kernels run, sets them to 0 and moves `tail`. A thread that finds the ring full waits for the host for
 * up to EMUV_PAGES_WAIT_NS; then it sets `dead`, and nothing is logged any more.
 *
 * The method, a last-launch word per page, needs no clearing between launches; compare the first-touch bitmaps of
 * memory tracers, which do. Numbers are unique among 2^32 launches, and entries carry 25 bits of them, which is more
 * than there are launches in flight. */
#ifndef EMUV_INJECT_PAGES_DEVICE_H
#define EMUV_INJECT_PAGES_DEVICE_H

#include <stdint.h>

enum {
  EMUV_PAGES_ADDRESS_BITS = 48,
  EMUV_PAGES_CHUNK_BITS = 30,
  EMUV_PAGES_DIRECTORY = 1 << (EMUV_PAGES_ADDRESS_BITS - EMUV_PAGES_CHUNK_BITS),
  EMUV_PAGES_SHIFT_MIN = 12,
  EMUV_PAGES_SHIFT_MAX = 21,
  EMUV_PAGES_LAUNCHES = 1 << 16, /* descriptors: launches in flight */
};
#define EMUV_PAGES_WAIT_NS 2000000000u

/* What a patch is given: one per launch in flight, at number modulo EMUV_PAGES_LAUNCHES. */
struct emuv_pages_launch {
  uint64_t directory; /* uint64_t[EMUV_PAGES_DIRECTORY]: address of a chunk's words, 0 = no chunk */
  uint64_t log;       /* struct emuv_pages_log */
  uint32_t number;
  uint32_t shift;
  uint64_t reserved;
};

/* In device memory. Counters run on modulo 2^32; capacity is a power of two. */
struct emuv_pages_log {
  uint32_t count;   /* entries given out */
  uint32_t limit;   /* entries below this have room, as far as the device knows */
  uint32_t dropped; /* entries that were not logged */
  uint32_t outside; /* the launch that last touched an address without a chunk */
  uint64_t entries; /* uint64_t[capacity], pinned host memory */
  uint64_t control; /* struct emuv_pages_control, pinned host memory */
  uint32_t capacity, reserved;
};

struct emuv_pages_control {
  uint32_t tail; /* entries that the host has taken */
  uint32_t dead; /* set by the device: entries were dropped */
};

/* Entry: bits 28 to 63 page number (address >> shift), 27 outside of all chunks, 26 write (else read), 25 found by an
 * asynchronous copy to shared memory, 0 to 24 launch.
 *
 * Such a copy can be masked, one by one, and then reads nothing, but its patch is called all the same: kernels aim
 * masked copies behind the ends of their arrays. What such a copy alone finds outside of allocations is therefore no
 * access: if it were one, the kernel would fail. */
#define EMUV_PAGES_ENTRY_LAUNCH 0x1ffffffu
#define EMUV_PAGES_ENTRY_ASYNC (UINT64_C(1) << 25)
#define EMUV_PAGES_ENTRY_WRITE (UINT64_C(1) << 26)
#define EMUV_PAGES_ENTRY_OUTSIDE (UINT64_C(1) << 27)
#define EMUV_PAGES_ENTRY_PAGE_SHIFT 28

#endif
