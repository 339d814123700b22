// SPDX-License-Identifier: Apache-2.0
/* The captured Llama decode in results/traces against the modelled source `transformer` of the same shape (22 layers,
 * hidden 2048, intermediate 5632, 32 heads, 4 KV heads, vocabulary 32000, fp16, prompt 64, 32 tokens): distinct bytes
 * that a token touches. Both sides are workloads of the simulator; a byte counts once per token.
 *
 * The 155 matrices agree to the byte; the trace's segments of kind WEIGHT are these and the embedding table, the model
 * has beside them 45 norms of 4096 bytes (too small for WEIGHT in a trace). The rest, less than 1 % of a token,
 * differs:
 * - embedding: the model reads one row; the trace does not tell which, so the look-up is bounded by what it has time
 * for, 1 to 3 MB;
 * - workspace of split-k products, in the traced program alone: the kernel that sums it up is bounded in the same way,
 * 14 to 20 MB;
 * - KV cache: the model appends to one cache per layer and reads it whole; the traced program concatenates, reading the
 *   old keys and values and writing new ones, into memory that its caching allocator uses for one layer after the
 * other;
 * - activations: the model has two buffers that all layers share; the traced program has a tensor per operation;
 * - logits: the model writes one row in fp16; the traced program also converts it to fp32 and searches it;
 * - rotary tables, masks, positions: in the traced program alone. */
#include "simulator/scenario.h"
#include "simulator/simulate.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TOKENS = 32 };
/* All parameters but the embedding table, fp16 (results/traces/llama-1.1b-decode.parameters.json). */
static const uint64_t PARAMETER_BYTES = 2069024768;
static const uint64_t NORMS_BYTES = 45 * 4096, ROW_BYTES = 4096;
static const char CAPTURED[] = "trace: \"" EMUV_SOURCE_DIR "/results/traces/llama-1.1b-decode.emuv\"\n"
                               "hardware: h200\ntokens: 1000000\n";
static const char MODELLED[] = "model: tinyllama-1.1b\nhardware: h200\nprompt: 64\ncontext: 64\ntokens: 32\n";

struct token {
  uint64_t all, weights, kv, other;
};

struct fixture {
  struct emuv_workload captured, modelled;
};

static void workload_of(const char *text, struct emuv_workload *w)
{
  struct emuv_scenario s;
  struct emuv_err err = {0};
  if (emuv_scenario_parse("test.yaml", text, strlen(text), NULL, 0, &s, &err)) fail_msg("%s", err.text);
  assert_int_equal(s.n_configs, 1);
  if (emuv_workload_build(&s.configs[0], w, &err)) fail_msg("%s", err.text);
  emuv_scenario_free(&s);
}

static int setup(void **state)
{
  static struct fixture f;
  workload_of(CAPTURED, &f.captured);
  workload_of(MODELLED, &f.modelled);
  *state = &f;
  return 0;
}

static int teardown(void **state)
{
  struct fixture *f = *state;
  emuv_workload_free(&f->captured);
  emuv_workload_free(&f->modelled);
  return 0;
}

static int by_place(const void *a, const void *b)
{
  const struct emuv_range *x = a, *y = b;
  return (x->offset > y->offset) - (x->offset < y->offset);
}

static void count(struct token *t, const struct emuv_workload *w, const struct emuv_range *r, uint64_t bytes)
{
  enum emuv_segment_kind kind = w->segments[r->segment].kind;
  t->all += bytes;
  if (kind == EMUV_SEGMENT_WEIGHT)
    t->weights += bytes;
  else if (kind == EMUV_SEGMENT_KV)
    t->kv += bytes;
  else
    t->other += bytes;
}

/* Distinct bytes of a step. */
static struct token bytes_of_step(const struct emuv_workload *w, const struct emuv_step *step)
{
  const struct emuv_op *first = &w->ops[step->first_op], *last = first + step->n_ops - 1;
  size_t n = last->first_range + last->n_ranges - first->first_range;
  struct emuv_range *ranges = malloc((n + 1) * sizeof *ranges);
  struct token t = {0};
  uint64_t end = 0;
  assert_non_null(ranges);
  memcpy(ranges, w->ranges + first->first_range, n * sizeof *ranges);
  qsort(ranges, n, sizeof *ranges, by_place);
  for (size_t i = 0; i < n; i++) {
    uint64_t lo = ranges[i].offset > end ? ranges[i].offset : end, hi = ranges[i].offset + ranges[i].bytes;
    if (hi <= lo) continue;
    count(&t, w, &ranges[i], hi - lo);
    end = hi;
  }
  free(ranges);
  return t;
}

/* The decode steps: the last TOKENS ones of both. */
static struct token token_of(const struct emuv_workload *w, size_t i)
{
  assert_true(w->n_steps > TOKENS);
  const struct emuv_step *step = &w->steps[w->n_steps - TOKENS + i];
  assert_false(step->prefill);
  return bytes_of_step(w, step);
}

static void bytes_of_a_token(void **state)
{
  const struct fixture *f = *state;
  uint64_t captured = 0, modelled = 0;
  for (size_t i = 0; i < TOKENS; i++) {
    struct token c = token_of(&f->captured, i), m = token_of(&f->modelled, i);
    print_message("token %2zu: captured %" PRIu64 " (weights %" PRIu64 ", rest %" PRIu64 "), modelled %" PRIu64
                  " (weights %" PRIu64 ", kv %" PRIu64 ", activations %" PRIu64 "): %+.3f %%\n",
                  i + 1, c.all, c.weights, c.other, m.all, m.weights, m.kv, m.other,
                  100 * ((double)m.all / (double)c.all - 1));
    assert_int_equal(m.weights, PARAMETER_BYTES + ROW_BYTES);
    assert_true(c.weights >= PARAMETER_BYTES - NORMS_BYTES && c.weights < PARAMETER_BYTES + (3 << 20));
    assert_true(c.other >= m.kv && c.other < m.kv + m.other + (24 << 20));
    assert_true(fabs((double)m.all / (double)c.all - 1) < 0.02);
    captured += c.all;
    modelled += m.all;
  }
  assert_true(fabs((double)modelled / (double)captured - 1) < 0.02);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bytes_of_a_token),
  };
  return cmocka_run_group_tests_name("captured and modelled bytes", tests, setup, teardown);
}
