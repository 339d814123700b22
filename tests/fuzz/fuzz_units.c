// SPDX-License-Identifier: Apache-2.0
/* Fuzzes the parsers of values: units and every row of the option table. The first byte chooses the row. An accepted
 * value must read back from its canonical text; a refused one must leave its field alone and say why. Run: fuzz_units
 * tests/fuzz/corpus/units -max_len=256 -max_total_time=60 */
#include "runtime/core/units.h"
#include "simulator/config.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
  if (!holds) abort();
}

static void fuzz_row(const struct emuv_option *opt, const char *text)
{
  struct emuv_config a = {0}, b = {0};
  struct emuv_err err = {0};
  char canonical[4096];
  int rc = emuv_option_parse(opt, &a, text, &err);
  if (rc != EMUV_OK) {
    require(rc == err.code && err.text[0] != '\0');
    require(memcmp(&a, &b, sizeof a) == 0);
    return;
  }
  (void)emuv_option_format(opt, &a, canonical, sizeof canonical);
  require(emuv_option_parse(opt, &b, canonical, &err) == EMUV_OK);
  require(memcmp(&a, &b, sizeof a) == 0);
}

static void fuzz_units(const char *text)
{
  uint64_t bytes = 0, again = 0;
  double value = 0;
  char buf[40];
  if (emuv_units_parse_bytes(text, &bytes, NULL) == EMUV_OK) {
    require(bytes <= UINT64_C(1) << 62);
    require(emuv_units_parse_bytes(emuv_units_format_bytes(bytes, buf, sizeof buf), &again, NULL) == EMUV_OK);
    require(again == bytes);
    (void)emuv_units_human_bytes((double)bytes, buf, sizeof buf);
  }
  if (emuv_units_parse_rate(text, &value, NULL) == EMUV_OK) require(isfinite(value) && value >= 0);
  if (emuv_units_parse_flops(text, &value, NULL) == EMUV_OK) require(isfinite(value) && value >= 0);
  if (emuv_units_parse_time(text, &value, NULL) == EMUV_OK) {
    require(isfinite(value) && value >= 0);
    (void)emuv_units_human_time(value / 1e9, buf, sizeof buf);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  size_t n;
  const struct emuv_option *table = emuv_config_options(&n);
  if (size == 0) return 0;
  char *text = malloc(size);
  if (text == NULL) return 0;
  memcpy(text, data + 1, size - 1);
  text[size - 1] = '\0';
  fuzz_units(text);
  fuzz_row(&table[data[0] % n], text);
  if (size < 16) (void)emuv_option_suggest(table, n, text); /* slow: every key is compared */
  free(text);
  return 0;
}
