// SPDX-License-Identifier: Apache-2.0
/* Fuzzes the readers of text files: scenarios, presets and Hugging Face files. The first byte of the input chooses
 * which. Whatever comes in, a failure must say so in words, and what is accepted must hold the loader's promises.
 * Run: fuzz_scenario tests/fuzz/corpus/scenario -max_len=4096 -max_total_time=60 */
#include "simulator/preset.h"
#include "simulator/scenario.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
  if (!holds) abort();
}

static void check_error(int rc, const struct emuv_err *err)
{
  require(rc < 0 && rc == err->code && err->text[0] != '\0');
  require(err->file[0] == '\0' || (err->line > 0 && err->column > 0));
}

/* Accepted configurations are sound and canonical already. */
static void check_config(const struct emuv_config *config)
{
  struct emuv_config again = *config;
  struct emuv_err err;
  emuv_config_canonical(&again);
  require(memcmp(&again, config, sizeof again) == 0);
  require(emuv_config_check(config, &err) == EMUV_OK);
}

static void fuzz_scenario(const char *text, size_t length)
{
  static const char *const overrides[] = {"vram=12GiB", "hardware=h200"};
  struct emuv_scenario s;
  struct emuv_err err = {0};
  int rc = emuv_scenario_parse("fuzz.yaml", text, length, overrides, length % 3, &s, &err);
  if (rc != EMUV_OK) {
    check_error(rc, &err);
    require(s.configs == NULL);
    return;
  }
  require(s.n_configs > 0);
  for (size_t i = 0; i < s.n_configs && i < 100; i++) check_config(&s.configs[i]);
  emuv_scenario_free(&s);
}

static void fuzz_preset(const char *text, size_t length, const char *prefix)
{
  const struct emuv_yaml_input input = {"preset.yaml", text, length};
  struct emuv_config config = {0};
  struct emuv_err err = {0};
  int rc = emuv_preset_parse_yaml(&input, prefix, &config, &err);
  if (rc != EMUV_OK) check_error(rc, &err);
}

static void fuzz_huggingface(const char *text, size_t length)
{
  const struct emuv_yaml_input input = {"config.json", text, length};
  struct emuv_model model = {0};
  struct emuv_err err = {0};
  int rc = emuv_preset_parse_huggingface(&input, &model, &err);
  if (rc != EMUV_OK) check_error(rc, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size == 0) return 0;
  /* A copy of the exact length, so that the sanitizer sees any read beyond it. */
  char *text = malloc(size - 1 > 0 ? size - 1 : 1);
  if (text == NULL) return 0;
  memcpy(text, data + 1, size - 1);
  switch (data[0]) {
  case 'h': fuzz_preset(text, size - 1, "hw."); break;
  case 'm': fuzz_preset(text, size - 1, "model."); break;
  case 'j': fuzz_huggingface(text, size - 1); break;
  default: fuzz_scenario(text, size - 1);
  }
  free(text);
  return 0;
}
