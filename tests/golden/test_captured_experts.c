// SPDX-License-Identifier: Apache-2.0
/* The captured decode of a mixture of experts and the modelled one of the same shape touch the same bytes per token,
 * within 2 %: of the experts, those that the router chose. */
#include "simulator/scenario.h"
#include "simulator/simulate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void build(const char *text, struct emuv_workload *w)
{
  struct emuv_scenario s;
  struct emuv_err err = {0};
  const int rc = emuv_scenario_parse("test.yaml", text, strlen(text), NULL, 0, &s, &err);
  if (rc) fail_msg("%s; %s", err.text, err.hint);
  assert_int_equal(s.n_configs, 1);
  const struct emuv_config config = s.configs[0];
  emuv_scenario_free(&s);
  if (emuv_workload_build(&config, w, &err)) fail_msg("%s", err.text);
}

static int by_offset(const void *a, const void *b)
{
  const struct emuv_range *x = a, *y = b;
  return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Bytes that a step reads or writes, each once. */
static double touched_bytes(const struct emuv_workload *w, size_t step)
{
  const struct emuv_step *s = &w->steps[step];
  const struct emuv_op *first = &w->ops[s->first_op], *last = &w->ops[s->first_op + s->n_ops - 1];
  const size_t n = last->first_range + last->n_ranges - first->first_range;
  struct emuv_range *range = malloc((n + 1) * sizeof *range);
  uint64_t sum = 0, end = 0;
  assert_non_null(range);
  memcpy(range, w->ranges + first->first_range, n * sizeof *range);
  qsort(range, n, sizeof *range, by_offset);
  for (size_t i = 0; i < n; i++) {
    const uint64_t to = range[i].offset + range[i].bytes, from = range[i].offset > end ? range[i].offset : end;
    if (to <= end) continue;
    sum += to - from;
    end = to;
  }
  free(range);
  return (double)sum;
}

static void compare(const char *trace, const char *model)
{
  char text[1024];
  struct emuv_workload captured, modelled;
  snprintf(text, sizeof text, "trace: \"%s/results/traces/%s\"\nhardware: h200\ntokens: 1000000\n", EMUV_SOURCE_DIR,
           trace);
  build(text, &captured);
  build(model, &modelled);
  const double real = touched_bytes(&captured, captured.n_steps - 1);
  const double said = touched_bytes(&modelled, modelled.n_steps - 1);
  print_message("%s: bytes per token: captured %.0f, modelled %.0f (%+.2f %%)\n", trace, real, said,
                100 * (said / real - 1));
  emuv_workload_free(&captured);
  emuv_workload_free(&modelled);
  assert_true(fabs(said / real - 1) <= 0.02);
}

/* 64 tokens of prompt, 24 decoded; two of eight experts per layer. */
static void mixture_of_experts(void **state)
{
  (void)state;
  compare("mixtral-decode.emuv",
          "model: {layers: 8, hidden: 1024, heads: 16, kv_heads: 4, head_dim: 64, intermediate: 3584, vocab: 32000, "
          "experts: 8, experts_per_token: 2}\nhardware: h200\ncontext: 87\ntokens: 1\n");
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(mixture_of_experts)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
