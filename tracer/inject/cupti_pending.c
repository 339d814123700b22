// SPDX-License-Identifier: Apache-2.0
/* Launches on their way into the trace. See cupti_capture.h.
 *
 * A launching thread only copies its launch and the bytes of its arguments to a log; a background thread looks for the
 * operands and encodes the record. What the operands are depends on the memory that is live at the launch, so whoever
 * changes the map of live memory first settles what waits (emuv_pending_settle). The log is two blocks of memory: one
 * is filled under `lock`, the other is being settled under the capture's lock. A thread that finds no room settles by
 * itself: memory stays bounded. Order of locks: the capture's, then the log's. */
#include "tracer/inject/cupti_capture.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRY_ALIGN = 8, AT_ONCE = 64 };

struct block {
  unsigned char *bytes;
  size_t used;
};

static struct {
  pthread_mutex_t lock; /* guards filling and reserved */
  struct block filling;
  struct block settling; /* the capture's lock guards it */
  size_t settled;        /* bytes of it that are done */
} pending = {.lock = PTHREAD_MUTEX_INITIALIZER};

static size_t entry_bytes(size_t arguments)
{
  return (sizeof(struct emuv_pending_launch) + arguments + ENTRY_ALIGN - 1) / ENTRY_ALIGN * ENTRY_ALIGN;
}

struct emuv_pending_launch *emuv_pending_begin(size_t arguments)
{
  pthread_mutex_lock(&pending.lock);
  if (!pending.filling.bytes) pending.filling.bytes = malloc(EMUV_PENDING_BYTES);
  if (pending.filling.bytes && entry_bytes(arguments) <= EMUV_PENDING_BYTES - pending.filling.used)
    return (struct emuv_pending_launch *)(void *)(pending.filling.bytes + pending.filling.used);
  pthread_mutex_unlock(&pending.lock);
  return NULL;
}

void emuv_pending_end(const struct emuv_pending_launch *launch)
{
  pending.filling.used += entry_bytes(launch->n);
  pthread_mutex_unlock(&pending.lock);
}

/* The settled block takes the place of the one that was filled. False when that one is empty. */
static bool swap(void)
{
  pthread_mutex_lock(&pending.lock);
  const struct block filled = pending.filling;
  if (filled.used) {
    pending.filling = (struct block){.bytes = pending.settling.bytes};
    pending.settling = filled;
    pending.settled = 0;
  }
  pthread_mutex_unlock(&pending.lock);
  return filled.used > 0;
}

/* Settles up to n launches of the block. False when it is done. */
static bool settle_some(int n)
{
  for (; n > 0 && pending.settled < pending.settling.used; n--) {
    const struct emuv_pending_launch *launch =
        (const struct emuv_pending_launch *)(void *)(pending.settling.bytes + pending.settled);
    pending.settled += entry_bytes(launch->n);
    emuv_launch_write(launch);
  }
  return pending.settled < pending.settling.used;
}

void emuv_pending_settle(void)
{
  do
    while (settle_some(AT_ONCE)) continue;
  while (swap());
}

/* What came before the call is settled; what comes meanwhile may wait for the next. */
void emuv_pending_settle_slowly(void)
{
  pthread_mutex_t *const lock = &emuv_capture.lock;
  for (int rounds = 0; rounds < 2; rounds++) {
    bool more = true;
    while (more) {
      pthread_mutex_lock(lock);
      more = settle_some(AT_ONCE);
      pthread_mutex_unlock(lock);
    }
    pthread_mutex_lock(lock);
    const bool swapped = pending.settled == pending.settling.used && swap();
    pthread_mutex_unlock(lock);
    if (!swapped) return;
  }
}
