// SPDX-License-Identifier: Apache-2.0
/* How much of its links the engine uses: the best plain copies and disk requests of this run beside what the engine
 * reaches in steady state, on scans over more pages than there are frames, where every page has to be moved. One call
 * at a time per device; prints only to the file given. */
#ifndef EMUV_REPLAY_LINKS_H
#define EMUV_REPLAY_LINKS_H

#include "runtime/engine/engine.h"

#include <stdio.h>

enum { EMUV_LINKS_PAGES = 4, EMUV_LINKS_ROWS = 8 * EMUV_LINKS_PAGES };

struct emuv_links_options {
  const struct emuv_device_ops *device;
  int device_index;
  bool with_peer; /* a row for the memory of GPU number peer_index */
  int peer_index;
  enum emuv_mapping mapping;
  struct emuv_curve up, down, peer; /* device `host`: the modelled links */
  uint32_t n_pages;                 /* 0 = 2 MiB and 16 MiB */
  uint64_t page_bytes[EMUV_LINKS_PAGES];
  uint64_t vram_bytes;   /* 0 = 2 GiB */
  uint64_t data_bytes;   /* scanned; at least twice vram_bytes; 0 = 8 GiB */
  double seconds;        /* of each steady state at least; 0 = 1 */
  const char *nvme_path; /* NULL: no disk */
  uint64_t nvme_bytes;   /* on it: half for plain requests, half for the engine, at least twice vram_bytes each */
  int threads;
};

struct emuv_links_row {
  const char *what;
  uint64_t page_bytes;
  double plain, engine; /* bytes per second */
  double busy;          /* engine, over the time in which this link was busy; 0 = not told */
  double needed;        /* share of plain that a good engine reaches */
  double in_turn; /* median share where plain requests and the engine took turns (disks drift); 0 = not so measured */
};

/* *n rows. Errors: those of the engine; EMUV_ERR_RANGE when there is less data than twice VRAM. */
int emuv_links_measure(const struct emuv_links_options *options, struct emuv_links_row rows[EMUV_LINKS_ROWS],
                       uint32_t *n, struct emuv_err *err);
/* A table; the last column says whether the share is reached, where turns were taken by those. */
void emuv_links_print(const struct emuv_links_row *rows, uint32_t n, FILE *table);
/* Both. *reached: every row reaches its share. */
int emuv_links(const struct emuv_links_options *options, FILE *table, bool *reached, struct emuv_err *err);

#endif
