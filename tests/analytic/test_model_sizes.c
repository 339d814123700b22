// SPDX-License-Identifier: Apache-2.0
/* Sizes of the model presets against published figures.
 *
 * Parameters: totals of the checkpoints (safetensors metadata on Hugging Face); layers and KV cache: by hand from the
 * public config.json files. 16 bits per value. */
#include "simulator/scenario.h"
#include "simulator/source/shape.h"
#include "simulator/source/source.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct row {
  const char *name;
  double parameters;             /* of the checkpoint */
  double attention_mib, mlp_mib; /* per layer; MLP of one expert */
  double kv_kib;                 /* per token, all layers */
  double active;                 /* parameters that a token is multiplied with, in 1e9; 0 = not checked */
} rows[] = {
    {"llama-2-7b", 6738415616.0, 128, 258, 512, 0},    {"llama-2-13b", 13015864320.0, 200, 405, 800, 0},
    {"llama-2-70b", 68976648192.0, 288, 1344, 320, 0}, {"llama-3-8b", 8030261248.0, 80, 336, 128, 0},
    {"llama-3-70b", 70553706496.0, 288, 1344, 320, 0}, {"mixtral-8x7b", 46702792704.0, 80, 336, 128, 12.748e9},
    {"tinyllama-1.1b", 1100048384.0, 18, 66, 22, 0},
};

enum { N_ROWS = sizeof rows / sizeof *rows };

static struct emuv_config load(const char *name)
{
  struct emuv_config c;
  struct emuv_err err = {0};
  int rc = emuv_config_defaults(&c, &err);
  if (rc == 0) rc = emuv_preset_load_model(name, &c, &err);
  if (rc != 0) fail_msg("%s: %s", name, err.text);
  return c;
}

static void assert_within(const char *name, const char *what, double value, double expected)
{
  if (fabs(value / expected - 1) > 0.001) fail_msg("%s: %s is %.6g, not %.6g", name, what, value, expected);
}

static double matrices_mib(const struct emuv_model *m, int first, int last)
{
  double sum = 0;
  for (int id = first; id <= last; id++)
    sum += (double)emuv_matrix_bytes(emuv_model_matrix(m, (enum emuv_matrix_id)id), 16, 0);
  return sum / 0x1p20;
}

static void parameters_and_layers(void **state)
{
  (void)state;
  for (size_t i = 0; i < N_ROWS; i++) {
    struct emuv_config c = load(rows[i].name);
    const struct emuv_model *m = &c.model;
    double kv = (double)(m->layers * emuv_model_kv_bytes(m, 16)) / 1024;
    assert_within(rows[i].name, "parameters", (double)emuv_model_parameters(m), rows[i].parameters);
    assert_within(rows[i].name, "bytes", (double)emuv_model_bytes(m, 16, 0), 2 * rows[i].parameters);
    assert_within(rows[i].name, "attention", matrices_mib(m, EMUV_MATRIX_Q, EMUV_MATRIX_O), rows[i].attention_mib);
    assert_within(rows[i].name, "MLP", matrices_mib(m, EMUV_MATRIX_GATE, EMUV_MATRIX_DOWN), rows[i].mlp_mib);
    assert_within(rows[i].name, "KV cache per token", kv, rows[i].kv_kib);
    if (rows[i].active > 0)
      assert_within(rows[i].name, "active parameters", (double)emuv_model_active_parameters(m), rows[i].active);
  }
}

/* The workload's weight segments are the model's bytes, and its KV segments hold what the formula says. */
static void workloads_have_the_sizes(void **state)
{
  (void)state;
  for (size_t i = 0; i < N_ROWS; i++) {
    struct emuv_config c = load(rows[i].name);
    struct emuv_workload w = {0};
    struct emuv_err err = {0};
    c.tokens = 1;
    if (emuv_source_find("transformer")->build(&c, &w, &err) != 0) fail_msg("%s: %s", rows[i].name, err.text);
    double kv = 0;
    for (size_t s = 0; s < w.n_segments; s++)
      if (w.segments[s].kind == EMUV_SEGMENT_KV) kv += (double)w.segments[s].bytes;
    assert_within(rows[i].name, "weight bytes", (double)w.weight_bytes, 2 * rows[i].parameters);
    assert_within(rows[i].name, "KV bytes", kv, (double)(c.context + 1) * 1024 * rows[i].kv_kib);
    emuv_workload_free(&w);
  }
}

/* Llama-2-70B, 4 bits, groups of 128: the published GPTQ file has 36.65 GB (TheBloke/Llama-2-70B-GPTQ, branch
 * gptq-4bit-128g-actorder_True); it also holds the order of columns, 4 bytes per input, which kernels drop after
 * loading. */
static void gptq_checkpoint_size(void **state)
{
  (void)state;
  struct emuv_config c = load("llama-2-70b");
  double order = 80 * 4.0 * (6 * 8192 + 28672);
  assert_within("llama-2-70b 4 bits", "bytes", (double)emuv_model_bytes(&c.model, 4, 128) + order, 36.65e9);
}

static void every_model_preset_is_listed_here(void **state)
{
  (void)state;
  char **names = NULL;
  size_t n = 0;
  assert_int_equal(emuv_preset_names("models", &names, NULL), 0);
  for (; names[n]; n++) {
    bool found = false;
    for (size_t i = 0; i < N_ROWS; i++) found = found || strcmp(rows[i].name, names[n]) == 0;
    if (!found) fail_msg("model preset %s has no published size here", names[n]);
  }
  assert_int_equal(n, N_ROWS);
  emuv_preset_free_names(names);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(parameters_and_layers),
      cmocka_unit_test(workloads_have_the_sizes),
      cmocka_unit_test(gptq_checkpoint_size),
      cmocka_unit_test(every_model_preset_is_listed_here),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
