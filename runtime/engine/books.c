// SPDX-License-Identifier: Apache-2.0
/* Memory of the books, and paths as text. */
#include "runtime/engine/books.h"

#include <stdio.h>
#include <stdlib.h>

int emuv_books_init(struct emuv_books *books, uint32_t n_pages, uint32_t vram_frames, uint32_t ram_frames,
                    uint32_t slots, struct emuv_err *err)
{
  *books = (struct emuv_books){0};
  books->page = calloc((size_t)n_pages + 1, sizeof *books->page);
  books->vram = calloc((size_t)vram_frames + 1, sizeof *books->vram);
  books->ram = calloc((size_t)ram_frames + 1, sizeof *books->ram);
  books->slot = calloc((size_t)slots + 1, sizeof *books->slot);
  books->check = calloc(EMUV_BOOKS_CHECKS, sizeof *books->check);
  if (books->page && books->vram && books->ram && books->slot && books->check) return 0;
  emuv_books_free(books);
  return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for the books of %u pages", n_pages);
}

void emuv_books_free(struct emuv_books *books)
{
  free(books->page);
  free(books->vram);
  free(books->ram);
  free(books->slot);
  free(books->check);
  *books = (struct emuv_books){0};
}

uint32_t emuv_books_path(const struct emuv_books *books, uint32_t page, uint64_t kernel)
{
  uint64_t n = books->n_checks, kept = n < EMUV_BOOKS_CHECKS ? n : EMUV_BOOKS_CHECKS;
  for (uint64_t i = 1; i <= kept; i++) {
    const struct emuv_book_check *c = &books->check[(n - i) % EMUV_BOOKS_CHECKS];
    if (c->page == page && c->kernel == (uint32_t)kernel) return c->path;
  }
  return EMUV_STEP_VRAM; /* it had not moved since it was last checked */
}

char *emuv_path_text(uint32_t path, char *text, size_t size)
{
  static const char *const names[1 << EMUV_STEP_BITS] = {"", "vram", "ram", "nvme", "peer"};
  size_t used = 0;
  text[0] = 0;
  if (path & EMUV_PATH_CUT) used += (size_t)snprintf(text, size, "...");
  for (int shift = 24 - EMUV_STEP_BITS; shift >= 0; shift -= EMUV_STEP_BITS) {
    uint32_t step = path >> shift & ((1u << EMUV_STEP_BITS) - 1);
    if (step && names[step] && used < size)
      used += (size_t)snprintf(text + used, size - used, "%s%s", used ? " > " : "", names[step]);
  }
  return text;
}
