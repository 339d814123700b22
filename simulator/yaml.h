// SPDX-License-Identifier: Apache-2.0
/* YAML maps of option keys, with the place of every key and value: what scenario files and presets have in common.
 * Internal to the simulator.
 *
 * A document is a base block of axes (key = one value or a list) and, for scenarios, the blocks of `sweep:`. Nested
 * maps are flattened and every value has been parsed once against its option, so whoever reads a document meets no
 * malformed value. A document owns its texts (emuv_yaml_free); it points to the const option table. One thread. */
#ifndef EMUV_SIMULATOR_YAML_H
#define EMUV_SIMULATOR_YAML_H

#include "runtime/core/option.h"

#include <stdbool.h>
#include <stddef.h>

enum {
  EMUV_YAML_MAX_BYTES = 16 << 20, /* of one file */
  EMUV_YAML_MAX_VALUES = 100000,  /* in one file */
};

/* A text and the name that messages give it. Borrowed, never owned. */
struct emuv_yaml_input {
  const char *path;
  const char *text;
  size_t length;
};

struct emuv_yaml_value {
  char *text;
  long line, column; /* 1-based; 0: from the command line */
};

struct emuv_yaml_axis {
  const struct emuv_option *opt;
  struct emuv_yaml_value *values;
  size_t n, capacity;
  long line, column; /* of the key */
};

struct emuv_yaml_block {
  struct emuv_yaml_axis *axes; /* distinct options, in the order of the file */
  size_t n, capacity;
};

struct emuv_yaml_document {
  struct emuv_yaml_block base;
  struct emuv_yaml_block *sweep;
  size_t n_sweep, capacity;
};

/* What a document may hold. */
struct emuv_yaml_grammar {
  const char *prefix; /* put before every key: "" for scenarios, "hw." or "model." for presets */
  bool scenario;      /* groups, lists and `sweep:` are allowed */
};

/* Reads a whole file; *text is NUL-terminated and freed by the caller. EMUV_ERR_IO, or EMUV_ERR_INPUT for a file that
 * is too large. */
int emuv_yaml_read(const char *path, char **text, size_t *length, struct emuv_err *err);
/* EMUV_ERR_INPUT with its place unless the text is UTF-8 without control characters. */
int emuv_yaml_check_text(const struct emuv_yaml_input *input, struct emuv_err *err);
/* Gives an error that is already set its place and excerpt; returns its code. */
int emuv_yaml_place(const struct emuv_yaml_input *input, long line, long column, struct emuv_err *err);

int emuv_yaml_parse(const struct emuv_yaml_input *input, const struct emuv_yaml_grammar *grammar,
                    struct emuv_yaml_document *out, struct emuv_err *err);
void emuv_yaml_free(struct emuv_yaml_document *document);

/* The option that a key of a scenario means ("vram", "hw.vram", "hardware.vram", or a group's shorthand "model"), or
 * NULL with an "unknown key" error and a suggestion. */
const struct emuv_option *emuv_yaml_resolve(const char *key, struct emuv_err *err);
/* Appends a copy of `length` bytes as a value of the axis. */
int emuv_yaml_add_value(struct emuv_yaml_axis *axis, const char *text, size_t length, long line, long column,
                        struct emuv_err *err);
/* The axis of an option, NULL if the block has none. */
struct emuv_yaml_axis *emuv_yaml_find(const struct emuv_yaml_block *block, const struct emuv_option *opt);
/* Appends an empty axis; *out points into the block until the next append. */
int emuv_yaml_add_axis(struct emuv_yaml_block *block, const struct emuv_option *opt, long line, long column,
                       struct emuv_yaml_axis **out, struct emuv_err *err);
void emuv_yaml_free_block(struct emuv_yaml_block *block);

#endif
