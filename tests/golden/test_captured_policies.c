// SPDX-License-Identifier: Apache-2.0
/* Bytes that policy `recur` moves over captured programs, alone and with prefetcher `learned`, against those of
 * `belady` in the same memory: at most 1.05 times on the decode's scan of the weights, at most 1.2 times on training
 * and diffusion, and in the mixture of experts where a token's experts do not fit; nowhere there does lru come near.
 * Where the experts that come next cannot be known, loading ahead costs next to nothing. Counts only: no time is looked
 * at.
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
    {"resnet50-train", MiB / 4, {875 * MiB, 1750 * MiB, 2450 * MiB}, 1.2},
    {"resnet50-train", 2 * MiB, {875 * MiB, 1750 * MiB, 2450 * MiB, 3150 * MiB}, 1.2},
    {"resnet50-train", 16 * MiB, {875 * MiB, 1750 * MiB, 2450 * MiB, 3150 * MiB}, 1.2},
    {"unet-step", MiB / 4, {468 * MiB, 936 * MiB, 1311 * MiB, 1686 * MiB}, 1.2},
    {"unet-step", 2 * MiB, {468 * MiB, 936 * MiB, 1311 * MiB, 1686 * MiB}, 1.2},
    {"unet-step", 16 * MiB, {468 * MiB, 936 * MiB, 1311 * MiB, 1686 * MiB}, 1.2},
    {"mixtral-decode", 16 * MiB, {368 * MiB}, 1.2},
};

struct captured {
  struct emuv_scenario s;
  struct emuv_workload w;
};

static void captured_open(struct captured *c, const char *trace, uint64_t page_bytes)
{
  char text[512];
  struct emuv_err err = {0};
  snprintf(text, sizeof text,
           "trace: \"%s/results/traces/%s.emuv\"\nhardware: h200\ntokens: 1000000\n"
           "strategy: paged\npage_size: %llu\n",
           EMUV_SOURCE_DIR, trace, (unsigned long long)page_bytes);
  if (emuv_scenario_parse("test.yaml", text, strlen(text), NULL, 0, &c->s, &err)) fail_msg("%s", err.text);
  if (emuv_workload_build(&c->s.configs[0], &c->w, &err)) fail_msg("%s", err.text);
}

static void captured_close(struct captured *c)
{
  emuv_workload_free(&c->w);
  emuv_scenario_free(&c->s);
}

static double moved(const struct captured *captured, uint64_t vram, const char *policy, const char *prefetch)
{
  struct emuv_config c = captured->s.configs[0];
  struct emuv_metrics m = {0};
  struct emuv_err err = {0};
  c.vram = vram;
  snprintf(c.policy, sizeof c.policy, "%s", policy);
  snprintf(c.prefetch, sizeof c.prefetch, "%s", prefetch);
  if (emuv_simulate(&c, &captured->w, &m, &err)) fail_msg("%s: %s", policy, err.text);
  return (double)(m.h2d_bytes + m.d2h_bytes);
}

static void check_bytes(const struct limit *l, uint64_t vram, double least, double bytes, const char *what)
{
  if (bytes > l->most * least)
    fail_msg("%s, pages of %llu, VRAM %llu, %s: %.3f times belady's bytes", l->trace, (unsigned long long)l->page_bytes,
             (unsigned long long)vram, what, bytes / least);
}

static void check_limit(const struct limit *l)
{
  struct captured c;
  captured_open(&c, l->trace, l->page_bytes);
  for (size_t i = 0; i < sizeof l->vram / sizeof *l->vram && l->vram[i]; i++) {
    double least = moved(&c, l->vram[i], "belady", "none");
    assert_true(least > 100 * MiB);
    check_bytes(l, l->vram[i], least, moved(&c, l->vram[i], "recur", "none"), "recur");
    check_bytes(l, l->vram[i], least, moved(&c, l->vram[i], "recur", "learned"), "recur and learned");
    assert_true(moved(&c, l->vram[i], "lru", "none") > l->most * least);
  }
  captured_close(&c);
}

static void test_bytes_near_belady(void **unused)
{
  (void)unused;
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) check_limit(&limits[i]);
}

/* The routers' choices: experts that were loaded ahead in vain would be bytes. Of 24 tokens, so one expert of one layer
 * counts: together over all sizes of VRAM. */
static void test_experts_are_not_guessed(void **unused)
{
  (void)unused;
  static const uint64_t pages[] = {MiB / 4, 2 * MiB, 16 * MiB}, vram[] = {368 * MiB, 737 * MiB, 1024 * MiB};
  for (size_t p = 0; p < sizeof pages / sizeof *pages; p++) {
    double alone = 0, pair = 0;
    struct captured c;
    captured_open(&c, "mixtral-decode", pages[p]);
    for (size_t v = 0; v < sizeof vram / sizeof *vram; v++) {
      alone += moved(&c, vram[v], "recur", "none");
      pair += moved(&c, vram[v], "recur", "learned");
    }
    captured_close(&c);
    if (pair > 1.05 * alone) fail_msg("pages of %llu: %.3f", (unsigned long long)pages[p], pair / alone);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_bytes_near_belady),
                                     cmocka_unit_test(test_experts_are_not_guessed)};
  return cmocka_run_group_tests_name("policies over captured programs", tests, NULL, NULL);
}
