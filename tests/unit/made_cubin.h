// SPDX-License-Identifier: Apache-2.0
/* A file like those that hold a GPU's machine code: functions with the operations that a test wants. */
#ifndef EMUV_TESTS_MADE_CUBIN_H
#define EMUV_TESTS_MADE_CUBIN_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct made_function {
  const char *name;
  bool kernel;
  uint16_t operations[8]; /* up to the first 0 */
};

static inline size_t made_code(uint8_t *at, const struct made_function *f)
{
  size_t n = 0;
  for (; n < 8 && f->operations[n]; n++) {
    memset(at + 16 * n, 0x70, 16); /* the bits above the operation are its operands */
    at[16 * n] = (uint8_t)f->operations[n];
    at[16 * n + 1] = (uint8_t)(0x70 | f->operations[n] >> 8);
  }
  return 16 * n;
}

/* Bytes written to image. */
static inline size_t made_cubin(uint8_t *image, const struct made_function *functions, int n)
{
  char names[1024] = "";
  size_t n_names = 1, at = sizeof(Elf64_Ehdr);
  Elf64_Shdr sections[32] = {0};
  int n_sections = 1;
  for (int i = 0; i < n; i++) {
    Elf64_Shdr *s = &sections[n_sections++];
    *s = (Elf64_Shdr){.sh_name = (uint32_t)n_names, .sh_type = SHT_PROGBITS, .sh_offset = at};
    n_names += (size_t)sprintf(names + n_names, ".text.%s", functions[i].name) + 1;
    at += s->sh_size = made_code(image + at, &functions[i]);
    if (!functions[i].kernel) continue;
    sections[n_sections++] = (Elf64_Shdr){.sh_name = (uint32_t)n_names, .sh_type = SHT_PROGBITS, .sh_offset = at};
    n_names += (size_t)sprintf(names + n_names, ".nv.constant0.%s", functions[i].name) + 1;
  }
  sections[n_sections] = (Elf64_Shdr){.sh_type = SHT_STRTAB, .sh_offset = at, .sh_size = n_names};
  memcpy(image + at, names, n_names);
  at += n_names;
  Elf64_Ehdr header = {.e_shoff = at, .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = (uint16_t)(n_sections + 1)};
  header.e_shstrndx = (uint16_t)n_sections;
  memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  memcpy(image, &header, sizeof header);
  memcpy(image + at, sections, (size_t)(n_sections + 1) * sizeof *sections);
  return at + (size_t)(n_sections + 1) * sizeof *sections;
}

#endif
