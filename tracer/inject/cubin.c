// SPDX-License-Identifier: Apache-2.0
/* See cubin.h. */
#include "tracer/inject/cubin.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

struct image {
  const uint8_t *bytes;
  size_t n;
  Elf64_Ehdr header;
  Elf64_Shdr names;
};

static bool inside(const struct image *im, uint64_t offset, uint64_t bytes)
{
  return offset <= im->n && bytes <= im->n - offset;
}

static bool section_get(const struct image *im, unsigned i, Elf64_Shdr *s)
{
  const uint64_t at = im->header.e_shoff + (uint64_t)i * sizeof *s;
  if (im->header.e_shoff > im->n || !inside(im, at, sizeof *s)) return false;
  memcpy(s, im->bytes + at, sizeof *s);
  return true;
}

/* The section's name, NULL when it is not inside the table of names. */
static const char *name_of(const struct image *im, const Elf64_Shdr *s)
{
  if (s->sh_name >= im->names.sh_size) return NULL;
  const char *name = (const char *)im->bytes + im->names.sh_offset + s->sh_name;
  return memchr(name, '\0', im->names.sh_size - s->sh_name) ? name : NULL;
}

static unsigned operation_unseen(unsigned operation)
{
  switch (operation) {
  case 0x5b4: /* UTMALDG */
  case 0x3b5: /* UTMASTG */
  case 0x3b6: /* UTMAREDG */ return EMUV_CUBIN_TENSOR;
  }
  if ((operation >> 9) < 4) return 0;
  switch (operation & 0x1ff) { /* the other bits tell the kind of operands */
  case 0x160:                  /* TEX */
  case 0x161:
  case 0x163: /* TLD4 */
  case 0x164:
  case 0x166: /* TLD */
  case 0x167:
  case 0x16c: /* TXD */
  case 0x16d:
  case 0x199: /* SULD */
  case 0x19d: /* SUST */
  case 0x19f: /* SURED */ return EMUV_CUBIN_TEXTURE;
  }
  return 0;
}

static unsigned code_unseen(const uint8_t *code, uint64_t n)
{
  unsigned unseen = 0;
  for (uint64_t at = 0; at + 16 <= n; at += 16) unseen |= operation_unseen((code[at] | code[at + 1] << 8) & 0xfffu);
  return unseen;
}

static bool open_image(struct image *im, const void *bytes, size_t n)
{
  *im = (struct image){.bytes = bytes, .n = n};
  if (n < sizeof im->header) return false;
  memcpy(&im->header, bytes, sizeof im->header);
  if (memcmp(im->header.e_ident, ELFMAG, SELFMAG) != 0 || im->header.e_ident[EI_CLASS] != ELFCLASS64) return false;
  if (im->header.e_shentsize != sizeof(Elf64_Shdr)) return false;
  return section_get(im, im->header.e_shstrndx, &im->names) && inside(im, im->names.sh_offset, im->names.sh_size);
}

/* A kernel has a section with its parameters and constants, a device function has none of its own. */
static bool is_kernel(const struct image *im, const char *function)
{
  for (unsigned i = 0; i < im->header.e_shnum; i++) {
    Elf64_Shdr s;
    const char *name = section_get(im, i, &s) ? name_of(im, &s) : NULL;
    if (!name || strncmp(name, ".nv.constant0.", 14) != 0) continue;
    if (strcmp(name + 14, function) == 0) return true;
  }
  return false;
}

bool emuv_cubin_scan(const void *bytes, size_t n,
                     void (*found)(void *context, const char *name, bool kernel, unsigned unseen), void *context)
{
  struct image im;
  if (!open_image(&im, bytes, n)) return false;
  for (unsigned i = 0; i < im.header.e_shnum; i++) {
    Elf64_Shdr s;
    const char *name = section_get(&im, i, &s) ? name_of(&im, &s) : NULL;
    if (!name || s.sh_type != SHT_PROGBITS || strncmp(name, ".text.", 6) != 0) continue;
    if (!inside(&im, s.sh_offset, s.sh_size)) continue;
    const unsigned unseen = code_unseen(im.bytes + s.sh_offset, s.sh_size);
    if (unseen) found(context, name + 6, is_kernel(&im, name + 6), unseen);
  }
  return true;
}
