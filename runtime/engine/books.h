// SPDX-License-Identifier: Apache-2.0
/* What the engine knows about contents: each page's version, the path of each copy (the tiers that it has passed since
 * it was last seen to be right), and which part of a page the next launch reads. Paths belong to copies, so they lie
 * with frames and slots.
 *
 * A path holds 8 steps of 3 bits, the newest lowest; older steps fall off. One thread at a time. */
#ifndef EMUV_ENGINE_BOOKS_H
#define EMUV_ENGINE_BOOKS_H

#include "runtime/core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  EMUV_STEP_VRAM = 1,
  EMUV_STEP_RAM = 2,
  EMUV_STEP_NVME = 3,
  EMUV_STEP_PEER = 4, /* VRAM of another GPU */
  EMUV_STEP_BITS = 3,
  EMUV_PATH_STEPS = 0xffffff,
  EMUV_PATH_CUT = 1 << 24, /* older steps fell off */
  EMUV_PATH_NEW = 1 << 25, /* of a frame of VRAM: moved or written since the whole page was checked */
  EMUV_BOOKS_CHECKS = 1 << 16,
};

struct emuv_page_book {
  uint32_t version;
  uint32_t known : 1;   /* contents are those of `version`; else never written */
  uint32_t cursor : 31; /* where the next launch reads, in 16 bytes */
};

/* A check of a page that had moved: what its path was before. */
struct emuv_book_check {
  uint32_t page, kernel, path;
};

struct emuv_books {
  struct emuv_page_book *page;
  uint32_t *vram, *ram, *slot;   /* paths */
  struct emuv_book_check *check; /* the last EMUV_BOOKS_CHECKS */
  uint64_t n_checks;
};

/* EMUV_ERR_NOMEM. */
int emuv_books_init(struct emuv_books *books, uint32_t n_pages, uint32_t vram_frames, uint32_t ram_frames,
                    uint32_t slots, struct emuv_err *err);
void emuv_books_free(struct emuv_books *books);

static inline uint32_t emuv_path_add(uint32_t path, uint32_t step)
{
  uint32_t cut = path & 0xe00000 ? EMUV_PATH_CUT : path & EMUV_PATH_CUT;
  return ((path << EMUV_STEP_BITS) & EMUV_PATH_STEPS) | step | cut | (step == EMUV_STEP_VRAM ? EMUV_PATH_NEW : 0);
}

static inline void emuv_books_note_check(struct emuv_books *books, uint32_t page, uint64_t kernel, uint32_t path)
{
  books->check[books->n_checks++ % EMUV_BOOKS_CHECKS] =
      (struct emuv_book_check){.page = page, .kernel = (uint32_t)kernel, .path = path};
}

/* The path that a page had come when a kernel checked it. */
uint32_t emuv_books_path(const struct emuv_books *books, uint32_t page, uint64_t kernel);
/* "nvme > ram > vram". Returns text. */
char *emuv_path_text(uint32_t path, char *text, size_t size);

#endif
