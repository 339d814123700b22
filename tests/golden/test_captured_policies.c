// SPDX-License-Identifier: Apache-2.0
/* Bytes that policy `recur` moves over captured programs, against those of `belady` in the same memory: at most 1.05
 * times on the decode's scan of the weights, at most 1.2 times on training and diffusion, and in the mixture of experts
 * where a token's experts do not fit; nowhere there does lru come near. Counts only: no time is looked at.
 *
 * The first step of a trace is not timed: the policy has seen one repetition of nothing when the counting starts. */
#include "simulator/scenario.h"
#include "simulator/simulate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MiB (1ull << 20)

struct limit {
  const char *trace;
  uint64_t page_bytes;
  uint64_t vram[4]; /* a quarter, half, 0.7 and 0.9 of what the program uses; 0 = left out */
  double most;      /* times belady's bytes */
};

static const struct limit limits[] = {
    {"llama-1.1b-decode", MiB / 4, {556 * MiB, 1113 * MiB, 1558 * MiB}, 1.05},
    {"llama-1.1b-decode", 2 * MiB, {556 * MiB, 1113 * MiB, 1558 * MiB}, 1.05},
    {"llama-1.1b-decode", 16 * MiB, {556 * MiB, 1113 * MiB, 1558 * MiB, 2003 * MiB}, 1.05},
    {"resnet50-train", 2 * MiB, {875 * MiB, 1750 * MiB, 2450 * MiB, 3150 * MiB}, 1.2},
    {"resnet50-train", 16 * MiB, {875 * MiB, 1750 * MiB, 2450 * MiB, 3150 * MiB}, 1.2},
    {"unet-step", 2 * MiB, {468 * MiB, 936 * MiB, 1311 * MiB, 1686 * MiB}, 1.2},
    {"unet-step", 16 * MiB, {468 * MiB, 936 * MiB, 1311 * MiB, 1686 * MiB}, 1.2},
    {"mixtral-decode", 16 * MiB, {368 * MiB}, 1.2},
};

static uint64_t moved(const struct emuv_config *config, const struct emuv_workload *w, const char *policy)
{
  struct emuv_config c = *config;
  struct emuv_metrics m = {0};
  struct emuv_err err = {0};
  snprintf(c.policy, sizeof c.policy, "%s", policy);
  if (emuv_simulate(&c, w, &m, &err)) fail_msg("%s: %s", policy, err.text);
  return m.h2d_bytes + m.d2h_bytes;
}

static void check_limit(const struct limit *l)
{
  char text[512];
  struct emuv_scenario s;
  struct emuv_workload w;
  struct emuv_err err = {0};
  snprintf(text, sizeof text,
           "trace: \"%s/results/traces/%s.emuv\"\nhardware: h200\ntokens: 1000000\n"
           "strategy: paged\nprefetch: none\npage_size: %llu\n",
           EMUV_SOURCE_DIR, l->trace, (unsigned long long)l->page_bytes);
  if (emuv_scenario_parse("test.yaml", text, strlen(text), NULL, 0, &s, &err)) fail_msg("%s", err.text);
  if (emuv_workload_build(&s.configs[0], &w, &err)) fail_msg("%s", err.text);
  for (size_t i = 0; i < sizeof l->vram / sizeof *l->vram && l->vram[i]; i++) {
    s.configs[0].vram = l->vram[i];
    uint64_t least = moved(&s.configs[0], &w, "belady"), recur = moved(&s.configs[0], &w, "recur");
    assert_true(least > 100 * MiB);
    if ((double)recur > l->most * (double)least)
      fail_msg("%s, pages of %llu, VRAM %llu: %llu bytes, %.3f times belady's", l->trace,
               (unsigned long long)l->page_bytes, (unsigned long long)l->vram[i], (unsigned long long)recur,
               (double)recur / (double)least);
    assert_true((double)moved(&s.configs[0], &w, "lru") > l->most * (double)least);
  }
  emuv_workload_free(&w);
  emuv_scenario_free(&s);
}

static void test_bytes_near_belady(void **unused)
{
  (void)unused;
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) check_limit(&limits[i]);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_bytes_near_belady)};
  return cmocka_run_group_tests_name("policies over captured programs", tests, NULL, NULL);
}
