// SPDX-License-Identifier: Apache-2.0
/* See operands.h. */
#include "tracer/inject/operands.h"

#include <string.h>

enum { SMALL_NUMBER = 65536, POINTER_ALIGN = 16 };

struct scan {
  const struct emuv_intervals *live;
  const unsigned char *block;
  size_t bytes;
  struct emuv_operands *out;
};

size_t emuv_operands_gather(const struct emuv_param *params, size_t n, void *const *arguments, unsigned char *block)
{
  size_t end = 0;
  for (size_t i = 0; i < n; i++) {
    const size_t after = (size_t)params[i].offset + params[i].bytes;
    if (after > EMUV_OPERANDS_BLOCK_MAX || params[i].offset < end || !arguments[i]) return 0;
    for (; end < params[i].offset; end++) block[end] = 0;
    if (params[i].bytes == 8) /* a pointer, as most are */
      memcpy(block + params[i].offset, arguments[i], 8);
    else
      memcpy(block + params[i].offset, arguments[i], params[i].bytes);
    end = after;
  }
  return end;
}

static bool is_vmm(const struct emuv_interval *range)
{
  return range->kind == EMUV_TRACE_MEMORY_VMM || range->kind == EMUV_TRACE_MEMORY_VMM_HOST;
}

static const struct emuv_interval *next_mapping(const struct emuv_intervals *live, const struct emuv_interval *range)
{
  const struct emuv_interval *next = is_vmm(range) ? emuv_intervals_adjacent(live, range) : NULL;
  return next && is_vmm(next) ? next : NULL;
}

/* An operand that starts at this place of this allocation is listed already. */
static bool listed(const struct emuv_operands *out, uint64_t allocation, uint64_t offset)
{
  for (uint32_t i = 0; i < out->n; i++)
    if (out->item[i].allocation == allocation && out->item[i].offset == offset) return true;
  return false;
}

static void add(struct emuv_operands *out, const struct emuv_trace_operand *operand)
{
  if (out->n == EMUV_OPERANDS_MAX)
    out->truncated = true;
  else
    out->item[out->n++] = *operand;
}

/* Lists `bytes` from `address` on (which lies in *range), split at mappings. */
static void add_extent(const struct scan *s, const struct emuv_interval *range, uint64_t address, uint64_t bytes,
                       struct emuv_trace_operand operand)
{
  while (range && bytes > 0) {
    const uint64_t room = range->base + range->bytes - address;
    operand.allocation = range->id;
    operand.offset = address - range->base;
    operand.bytes = bytes < room ? bytes : room;
    if (!listed(s->out, operand.allocation, operand.offset)) add(s->out, &operand);
    address += operand.bytes;
    bytes -= operand.bytes;
    range = next_mapping(s->live, range);
  }
}

/* Bytes from the address to the end of its allocation, touching mappings included. */
static uint64_t room_from(const struct scan *s, const struct emuv_interval *range, uint64_t address)
{
  uint64_t room = 0;
  for (; range; range = next_mapping(s->live, range)) {
    room += range->base + range->bytes - address;
    address = range->base + range->bytes;
  }
  return room;
}

/* The first place from `place` on, in steps of `step`, whose word lies between the lowest and the highest live address.
 * Most words of a block do not: the rest of the scan sees few of them. Descriptors begin with their address, too. */
static size_t next_address(const struct scan *s, size_t place, size_t step)
{
  const uint64_t low = s->live->low, span = s->live->high - low;
  for (; place + sizeof(uint64_t) <= s->bytes; place += step) {
    uint64_t word;
    memcpy(&word, s->block + place, sizeof word);
    if (word - low < span) break;
  }
  return place;
}

static bool scan_descriptor(const struct scan *s, const struct emuv_tensormap_layout *layout, size_t place)
{
  struct emuv_tensormap_extent extent;
  if (!emuv_tensormap_decode(layout, s->block + place, &extent)) return false;
  const struct emuv_interval *range = emuv_intervals_find(s->live, extent.address);
  if (!range || extent.bytes > room_from(s, range, extent.address)) return false;
  add_extent(s, range, extent.address, extent.bytes,
             (struct emuv_trace_operand){
                 .provenance = EMUV_TRACE_FROM_TENSORMAP, .cls = EMUV_TRACE_CLASS_EXACT, .place = (uint32_t)place});
  return true;
}

/* Structures passed by value have padding and unused entries, where halves of old pointers stay: a small number below
 * the upper half of a device address reads as an address just above a multiple of 4 GiB. Tensors start there aligned.
 */
static bool is_two_numbers(uint64_t word)
{
  const uint32_t low = (uint32_t)word;
  return low < SMALL_NUMBER && low % POINTER_ALIGN != 0;
}

static void scan_word(const struct scan *s, size_t place, enum emuv_trace_provenance provenance)
{
  uint64_t word;
  memcpy(&word, s->block + place, sizeof word);
  const struct emuv_interval *range = emuv_intervals_find(s->live, word);
  if (!range || is_two_numbers(word) || listed(s->out, range->id, word - range->base)) return;
  add_extent(
      s, range, word, room_from(s, range, word),
      (struct emuv_trace_operand){.provenance = provenance, .cls = EMUV_TRACE_CLASS_BOUNDED, .place = (uint32_t)place});
}

void emuv_operands_scan(const struct emuv_intervals *live, const struct emuv_tensormap_layout *layout,
                        const void *block, size_t bytes, enum emuv_trace_provenance provenance,
                        struct emuv_operands *out)
{
  const struct scan s = {.live = live, .block = block, .bytes = bytes, .out = out};
  uint64_t covered[EMUV_OPERANDS_BLOCK_MAX / EMUV_TENSORMAP_ALIGN / 64 + 1] = {0}; /* a bit per aligned place */
  out->n = 0;
  out->truncated = false;
  size_t p = layout->known ? next_address(&s, 0, EMUV_TENSORMAP_ALIGN) : bytes;
  while (p + EMUV_TENSORMAP_USED_BYTES <= bytes) {
    size_t end = p + EMUV_TENSORMAP_ALIGN;
    if (scan_descriptor(&s, layout, p)) {
      end = p + EMUV_TENSORMAP_USED_BYTES;
      for (size_t unit = p / EMUV_TENSORMAP_ALIGN; unit < end / EMUV_TENSORMAP_ALIGN; unit++)
        covered[unit / 64] |= (uint64_t)1 << unit % 64;
    }
    p = next_address(&s, end, EMUV_TENSORMAP_ALIGN);
  }
  for (p = next_address(&s, 0, 8); p + 8 <= bytes; p = next_address(&s, p + 8, 8)) {
    const size_t unit = p / EMUV_TENSORMAP_ALIGN;
    if (!(covered[unit / 64] >> unit % 64 & 1)) scan_word(&s, p, provenance);
  }
}

enum emuv_trace_class emuv_operands_class(const struct emuv_operands *operands)
{
  if (operands->n == 0 || operands->truncated) return EMUV_TRACE_CLASS_GAP;
  for (uint32_t i = 0; i < operands->n; i++)
    if (operands->item[i].cls != EMUV_TRACE_CLASS_EXACT) return EMUV_TRACE_CLASS_BOUNDED;
  return EMUV_TRACE_CLASS_EXACT;
}
