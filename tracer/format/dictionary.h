// SPDX-License-Identifier: Apache-2.0
/* The writer's dictionaries: text and kernel entries to dense ids, and the bytes that the next dictionary block will
 * hold. The caller serialises. Entries live until emuv_dictionary_free. Internal to the trace library. */
#ifndef EMUV_FORMAT_DICTIONARY_H
#define EMUV_FORMAT_DICTIONARY_H

#include "tracer/format/trace.h"

#include <stdbool.h>
#include <stddef.h>

struct emuv_buffer {
  uint8_t *data;
  size_t n, capacity;
};

/* Room for `more` bytes behind n. False when memory is short. */
bool emuv_buffer_reserve(struct emuv_buffer *b, size_t more);
void emuv_buffer_free(struct emuv_buffer *b);

enum { EMUV_STRING_MAX = 65535 }; /* longer texts are cut */

struct emuv_dictionary {
  struct dictionary_string *strings; /* uthash */
  struct dictionary_kernel *kernels;
  struct dictionary_page_set *page_sets;
  uint32_t n_strings, n_kernels, n_page_sets;
  size_t page_set_bytes; /* of all page sets in the file */
};

/* The id; a new entry is also appended to `out`. 0 when memory is short (then nothing has changed). */
uint32_t emuv_dictionary_string(struct emuv_dictionary *d, const char *text, struct emuv_buffer *out, bool *added);
uint32_t emuv_dictionary_kernel(struct emuv_dictionary *d, const struct emuv_trace_kernel *kernel,
                                struct emuv_buffer *out, bool *added);
/* Page sets are told apart by 128 bits of hash, and take no more than EMUV_PAGE_SETS_BYTES of the file (a reader keeps
 * them): 0 when the set is new and there is no room. */
enum { EMUV_PAGE_SETS_BYTES = 256 << 20 };
uint32_t emuv_dictionary_page_set(struct emuv_dictionary *d, const struct emuv_trace_operand *operands, uint32_t n,
                                  struct emuv_buffer *out, bool *added);
void emuv_dictionary_free(struct emuv_dictionary *d);

#endif
