// SPDX-License-Identifier: Apache-2.0
/* Scoreboard: for each frame of VRAM, each frame of RAM and each slot of the disk, the number of the work that read and
 * wrote it last, per stream (device.h). From these follows what a new piece of work must come after: a reader after the
 * last writer, a writer after the last writer and the last readers (read after write, write after read, write after
 * write; Thornton, "Design of a Computer: the Control Data 6600", 1970). Streams run in order, so the last of each
 * stream stands for all before it.
 *
 * Marks hold the low bits of a number. A number that was given out is not above the stream's last one, so the high bits
 * are known; a mark that is older than 2^31 pieces of work reads as a younger number, which costs a needless wait and
 * never an order. 16 bytes per frame, 8 per slot.
 *
 * Two steps: before_* widens `after` by what the work must come after; mark_* notes its number. One thread at a time.
 */
#ifndef EMUV_ENGINE_SCOREBOARD_H
#define EMUV_ENGINE_SCOREBOARD_H

#include "runtime/core/err.h"
#include "runtime/device/device.h"

#include <stdbool.h>
#include <stdint.h>

/* in, up: number << 1, and 1 for EMUV_STREAM_STAGED, 0 for EMUV_STREAM_UP. */
struct emuv_vram_marks {
  uint32_t use, write; /* kernels: the last that used, the last that wrote */
  uint32_t in, down;   /* copies into it, from it */
};

struct emuv_ram_marks {
  uint32_t down, up;            /* copies into it, from it */
  uint32_t disk_in, disk_write; /* read from the disk into it, written to the disk from it */
};

struct emuv_slot_marks {
  uint32_t read, write;
};

struct emuv_scoreboard {
  struct emuv_vram_marks *vram;
  struct emuv_ram_marks *ram;
  struct emuv_slot_marks *slot;
  uint64_t given[EMUV_N_STREAMS]; /* the last number given out on each stream */
};

/* All marks clear. EMUV_ERR_NOMEM. */
int emuv_scoreboard_init(struct emuv_scoreboard *board, uint32_t vram_frames, uint32_t ram_frames, uint32_t slots,
                         struct emuv_err *err);
void emuv_scoreboard_free(struct emuv_scoreboard *board);

/* The largest number that is not above `given` and ends in the `bits` low bits `mark`. */
static inline uint64_t emuv_scoreboard_widen(uint64_t given, uint32_t mark, unsigned bits)
{
  uint64_t mask = ((uint64_t)1 << bits) - 1;
  return given - ((given - mark) & mask);
}

static inline void emuv_scoreboard_later(uint64_t *at, uint64_t seq)
{
  if (seq > *at) *at = seq;
}

static inline void emuv_scoreboard_after(const struct emuv_scoreboard *board, enum emuv_stream stream, uint32_t mark,
                                         struct emuv_after *after)
{
  emuv_scoreboard_later(&after->seq[stream], emuv_scoreboard_widen(board->given[stream], mark, 32));
}

/* A mark of copies up: of either of two streams. */
static inline void emuv_scoreboard_after_up(const struct emuv_scoreboard *board, uint32_t mark,
                                            struct emuv_after *after)
{
  enum emuv_stream stream = mark & 1 ? EMUV_STREAM_STAGED : EMUV_STREAM_UP;
  emuv_scoreboard_later(&after->seq[stream], emuv_scoreboard_widen(board->given[stream], mark >> 1, 31));
}

static inline uint32_t emuv_scoreboard_up_mark(enum emuv_stream stream, uint64_t seq)
{
  return (uint32_t)(seq << 1) | (stream == EMUV_STREAM_STAGED);
}

/* A copy from a frame of RAM to a frame of VRAM, on EMUV_STREAM_UP or _STAGED. The last copy stands for those before it
 * on the other stream too, because it comes after them. */
static inline void emuv_scoreboard_before_up(const struct emuv_scoreboard *board, uint32_t vram, uint32_t ram,
                                             struct emuv_after *after)
{
  const struct emuv_vram_marks *v = &board->vram[vram];
  const struct emuv_ram_marks *r = &board->ram[ram];
  emuv_scoreboard_after(board, EMUV_STREAM_COMPUTE, v->use, after);
  emuv_scoreboard_after_up(board, v->in, after);
  emuv_scoreboard_after(board, EMUV_STREAM_DOWN, v->down, after);
  emuv_scoreboard_after(board, EMUV_STREAM_DOWN, r->down, after);
  emuv_scoreboard_after_up(board, r->up, after);
  emuv_scoreboard_after(board, EMUV_STREAM_DISK_READ, r->disk_in, after);
}

static inline void emuv_scoreboard_mark_up(struct emuv_scoreboard *board, enum emuv_stream stream, uint32_t vram,
                                           uint32_t ram, uint64_t seq)
{
  board->vram[vram].in = board->ram[ram].up = emuv_scoreboard_up_mark(stream, seq);
}

/* A copy from a frame of VRAM to a frame of RAM. */
static inline void emuv_scoreboard_before_down(const struct emuv_scoreboard *board, uint32_t vram, uint32_t ram,
                                               struct emuv_after *after)
{
  const struct emuv_vram_marks *v = &board->vram[vram];
  const struct emuv_ram_marks *r = &board->ram[ram];
  emuv_scoreboard_after(board, EMUV_STREAM_COMPUTE, v->write, after);
  emuv_scoreboard_after_up(board, v->in, after);
  emuv_scoreboard_after(board, EMUV_STREAM_DOWN, r->down, after);
  emuv_scoreboard_after_up(board, r->up, after);
  emuv_scoreboard_after(board, EMUV_STREAM_DISK_READ, r->disk_in, after);
  emuv_scoreboard_after(board, EMUV_STREAM_DISK_WRITE, r->disk_write, after);
}

static inline void emuv_scoreboard_mark_down(struct emuv_scoreboard *board, uint32_t vram, uint32_t ram, uint64_t seq)
{
  board->vram[vram].down = board->ram[ram].down = (uint32_t)seq;
}

/* A kernel that uses a frame; kernels run in order. */
static inline void emuv_scoreboard_before_use(const struct emuv_scoreboard *board, uint32_t vram, bool write,
                                              struct emuv_after *after)
{
  const struct emuv_vram_marks *v = &board->vram[vram];
  emuv_scoreboard_after_up(board, v->in, after);
  if (write) emuv_scoreboard_after(board, EMUV_STREAM_DOWN, v->down, after);
}

static inline void emuv_scoreboard_mark_use(struct emuv_scoreboard *board, uint32_t vram, bool write, uint64_t seq)
{
  struct emuv_vram_marks *v = &board->vram[vram];
  v->use = (uint32_t)seq;
  if (write) v->write = (uint32_t)seq;
}

/* A read from a slot into a frame of RAM. */
static inline void emuv_scoreboard_before_disk_read(const struct emuv_scoreboard *board, uint32_t ram, uint32_t slot,
                                                    struct emuv_after *after)
{
  const struct emuv_ram_marks *r = &board->ram[ram];
  emuv_scoreboard_after(board, EMUV_STREAM_DOWN, r->down, after);
  emuv_scoreboard_after_up(board, r->up, after);
  emuv_scoreboard_after(board, EMUV_STREAM_DISK_READ, r->disk_in, after);
  emuv_scoreboard_after(board, EMUV_STREAM_DISK_WRITE, r->disk_write, after);
  emuv_scoreboard_after(board, EMUV_STREAM_DISK_WRITE, board->slot[slot].write, after);
}

static inline void emuv_scoreboard_mark_disk_read(struct emuv_scoreboard *board, uint32_t ram, uint32_t slot,
                                                  uint64_t seq)
{
  board->ram[ram].disk_in = board->slot[slot].read = (uint32_t)seq;
}

/* A write from a frame of RAM to a slot. */
static inline void emuv_scoreboard_before_disk_write(const struct emuv_scoreboard *board, uint32_t ram, uint32_t slot,
                                                     struct emuv_after *after)
{
  const struct emuv_ram_marks *r = &board->ram[ram];
  const struct emuv_slot_marks *s = &board->slot[slot];
  emuv_scoreboard_after(board, EMUV_STREAM_DOWN, r->down, after);
  emuv_scoreboard_after(board, EMUV_STREAM_DISK_READ, r->disk_in, after);
  emuv_scoreboard_after(board, EMUV_STREAM_DISK_READ, s->read, after);
  emuv_scoreboard_after(board, EMUV_STREAM_DISK_WRITE, s->write, after);
}

static inline void emuv_scoreboard_mark_disk_write(struct emuv_scoreboard *board, uint32_t ram, uint32_t slot,
                                                   uint64_t seq)
{
  board->ram[ram].disk_write = board->slot[slot].write = (uint32_t)seq;
}

#endif
