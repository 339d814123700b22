// SPDX-License-Identifier: Apache-2.0
/* TMA descriptors (CUtensorMap, 128 bytes, opaque): where in it the address, sizes and strides lie.
 *
 * Hopper's cuBLAS kernels read their operands through descriptors that lie by value in the argument block. Their layout
 * is not documented, so it is learned at start: tensors are encoded with the driver's cuTensorMapEncodeTiled, one
 * number is changed at a time, and the word that changed is taken down. When a step does not give a clear answer the
 * layout stays unknown and nothing is ever decoded. (Seen on an H200 with driver 580: address in words 0-1, modes in
 * word 2, strides / 16 from word 3, sizes - 1 from word 8, box - 1 from the last byte of word 13.)
 *
 * cuBLAS encodes its descriptors itself: only the first 64 bytes, packed without the other 64, and with a bit in the
 * mode word that the driver's encoder does not set. So only the first half is read, one unknown mode bit may differ,
 * and bytes are believed to be a descriptor only when rank and element type are learned ones and all numbers obey what
 * the hardware demands: address aligned to 16 bytes, rows that do not overlap, a box of whole 16-byte units, no size
 * beyond the rank. Pure functions, any thread. */
#ifndef EMUV_INJECT_TENSORMAP_H
#define EMUV_INJECT_TENSORMAP_H

#include <stdbool.h>
#include <stdint.h>

enum {
  EMUV_TENSORMAP_BYTES = 128,
  EMUV_TENSORMAP_WORDS = 32,
  EMUV_TENSORMAP_USED_BYTES = 64, /* what decoding reads */
  EMUV_TENSORMAP_USED_WORDS = 16,
  EMUV_TENSORMAP_ALIGN =
      16, /* in an argument block: aligned to 64 on the device, where the block starts at 16 mod 64 */
  EMUV_TENSORMAP_FREE_BITS = 1, /* of the mode word: may differ from what was learned */
  EMUV_TENSORMAP_RANKS = 5,
  EMUV_TENSORMAP_TYPES = 13, /* CUtensorMapDataType up to TFLOAT32_FTZ; packed 4 and 6 bit types are not decoded */
};

/* What to encode; numbers as cuTensorMapEncodeTiled takes them. */
struct emuv_tensormap_spec {
  uint32_t type, rank;
  uint64_t address;
  uint64_t dim[EMUV_TENSORMAP_RANKS];    /* elements, innermost first */
  uint64_t stride[EMUV_TENSORMAP_RANKS]; /* bytes; stride[i] steps dimension i + 1 */
  uint32_t box[EMUV_TENSORMAP_RANKS];
  uint32_t interleave, swizzle, promotion, fill;
};

/* Encodes *spec into out; 0 when the driver took it. */
typedef int emuv_tensormap_encode(void *context, const struct emuv_tensormap_spec *spec,
                                  uint32_t out[EMUV_TENSORMAP_WORDS]);

struct emuv_tensormap_layout {
  bool known;
  uint8_t mode_word;                             /* rank, type and modes */
  uint8_t dim_word[EMUV_TENSORMAP_RANKS];        /* value = size - 1 */
  uint8_t stride_word[EMUV_TENSORMAP_RANKS - 1]; /* value = stride / 16 */
  uint8_t box_word, box_shift;                   /* value = innermost box size - 1, 8 bits */
  uint32_t rank_mask, rank_value[EMUV_TENSORMAP_RANKS];
  uint32_t type_mask, type_value[EMUV_TENSORMAP_TYPES];
  bool type_known[EMUV_TENSORMAP_TYPES];
  uint32_t interleave_mask, interleave_none;
  uint32_t fixed_mask, fixed_value;         /* bits of the mode word that no setting changes */
  uint32_t zero[EMUV_TENSORMAP_USED_WORDS]; /* high bits of strides: decoding is refused where one is set */
};

struct emuv_tensormap_extent {
  uint64_t address, bytes; /* first byte; bytes to the end of the last row */
  uint32_t rank, element_bytes;
};

enum emuv_tensormap_step { /* why learning stopped */
                           EMUV_TENSORMAP_LEARNED,
                           EMUV_TENSORMAP_NO_ENCODER,
                           EMUV_TENSORMAP_NO_ADDRESS,
                           EMUV_TENSORMAP_NO_SIZES,
                           EMUV_TENSORMAP_NO_STRIDES,
                           EMUV_TENSORMAP_NO_MODES,
                           EMUV_TENSORMAP_NO_BOX,
                           EMUV_TENSORMAP_NO_MATCH, /* a descriptor of known extent decoded to another one */
};

/* Learns the layout; layout->known tells whether that worked. */
enum emuv_tensormap_step emuv_tensormap_learn(struct emuv_tensormap_layout *layout, emuv_tensormap_encode *encode,
                                              void *context);
/* Decodes EMUV_TENSORMAP_USED_BYTES as a descriptor. false: it is none, or one whose extent cannot be told. */
bool emuv_tensormap_decode(const struct emuv_tensormap_layout *layout, const void *descriptor,
                           struct emuv_tensormap_extent *extent);

#endif
