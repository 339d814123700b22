// SPDX-License-Identifier: Apache-2.0
/* The simulator on reference strings with closed forms: cyclic scans, equality of the pager's misses with each policy's
 * own replay, what the speed of the link changes and what it does not, memory that only helps, the roofline. */
#include "runtime/policy/policy.h"
#include "simulator/program.h"
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

static const uint64_t PAGE = UINT64_C(2) << 20;

static struct emuv_config pattern(const char *kind, uint64_t objects, uint64_t references, uint64_t frames)
{
  struct emuv_config c;
  struct emuv_err err = {0};
  if (emuv_config_defaults(&c, &err) || emuv_preset_load_hardware("rtx-4090", &c, &err)) fail_msg("%s", err.text);
  strcpy(c.source, "pattern");
  strcpy(c.policy, "lru");
  strcpy(c.prefetch, "none");
  strcpy(c.pattern.kind, kind);
  c.pattern.object = c.page_size = PAGE;
  c.pattern.objects = objects;
  c.pattern.references = references;
  c.vram = frames * PAGE;
  c.tokens = 1;
  c.warmup = 0;
  return c;
}

static struct emuv_metrics simulate(const struct emuv_config *c)
{
  struct emuv_workload w;
  struct emuv_metrics m;
  struct emuv_err err = {0};
  int rc = emuv_workload_build(c, &w, &err);
  if (rc) fail_msg("%s", err.text);
  rc = emuv_simulate(c, &w, &m, &err);
  emuv_workload_free(&w);
  if (rc) fail_msg("%s", err.text);
  return m;
}

static struct emuv_metrics paged(struct emuv_config c, const char *policy)
{
  strcpy(c.strategy, "paged");
  strcpy(c.policy, policy);
  strcpy(c.prefetch, "none");
  return simulate(&c);
}

static void test_lru_misses_every_reference_of_a_scan(void **unused)
{
  (void)unused;
  for (uint64_t frames = 1; frames < 50; frames += 8) {
    struct emuv_metrics m = paged(pattern("cyclic", 50, 1000, frames), "lru");
    assert_int_equal(m.faults, 1000);
    assert_int_equal(m.hits, 0);
    assert_int_equal(m.h2d_bytes, 1000 * PAGE);
  }
  assert_int_equal(paged(pattern("cyclic", 50, 1000, 50), "lru").faults, 50);
}

/* (N - C) / (N - 1) of the re-references, up to what the ends of a finite scan cost: less than a round. */
static void test_belady_on_a_scan(void **unused)
{
  (void)unused;
  const uint64_t pages = 61, references = 61 * 400;
  for (uint64_t frames = 1; frames <= pages; frames += 4) {
    struct emuv_metrics m = paged(pattern("cyclic", pages, references, frames), "belady");
    double again = (double)(references - pages);
    double expected = (double)pages + again * (double)(pages - frames) / (double)(pages - 1);
    if (fabs((double)m.faults - expected) > (double)pages)
      fail_msg("%llu frames: %llu faults, %f expected", (unsigned long long)frames, (unsigned long long)m.faults,
               expected);
  }
}

/* The page string of a program, one entry per reference. */
static uint32_t *page_string(const struct emuv_program *p)
{
  uint32_t *refs = malloc(p->n_refs * sizeof *refs), n = 0;
  assert_non_null(refs);
  for (size_t r = 0; r < p->n_runs; r++)
    for (uint32_t i = 0; i < p->runs[r].n; i++) refs[n++] = p->runs[r].first + i;
  assert_int_equal(n, p->n_refs);
  return refs;
}

static uint64_t replay(const struct emuv_policy_ops *ops, const struct emuv_program *p, uint32_t frames, uint64_t seed)
{
  struct emuv_policy_env env = {.n_pages = p->n_pages, .capacity = frames, .n_refs = p->n_refs, .seed = seed};
  uint32_t *refs = page_string(p), *next = malloc(p->n_refs * sizeof *next), *last = malloc(p->n_pages * sizeof *last);
  size_t bytes = (ops->state_bytes(&env) + 63) & ~(size_t)63;
  void *state = aligned_alloc(64, bytes);
  assert_true(state && next && last);
  memset(state, 0, bytes);
  emuv_program_next_uses(p, next, last);
  ops->init(state, &env);
  uint64_t misses = ops->replay(state, refs, ops->flags & EMUV_POLICY_NEEDS_FUTURE ? next : NULL, p->n_refs);
  free(state);
  free(refs);
  free(next);
  free(last);
  return misses;
}

static void compare_with_replay(const struct emuv_config *c)
{
  struct emuv_workload w;
  struct emuv_program p;
  struct emuv_err err = {0};
  assert_int_equal(emuv_workload_build(c, &w, &err), 0);
  assert_int_equal(emuv_program_build(&w, c->page_size, c->slice, &p, &err), 0);
  uint32_t frames = (uint32_t)(c->vram / c->page_size);
  for (size_t i = 0; emuv_policies[i]; i++) {
    struct emuv_config one = *c;
    if (emuv_policies[i]->flags & EMUV_POLICY_GIVES_UP_NEWEST)
      one.slice = c->page_size; /* no page is held for others */
    struct emuv_metrics m = paged(one, emuv_policies[i]->name);
    uint64_t expected = replay(emuv_policies[i], &p, frames < p.n_pages ? frames : p.n_pages, c->seed);
    if (m.faults + m.births != expected)
      fail_msg("%s %s, %u frames: the pager misses %llu, replay %llu", c->pattern.kind, emuv_policies[i]->name, frames,
               (unsigned long long)(m.faults + m.births), (unsigned long long)expected);
  }
  emuv_program_free(&p);
  emuv_workload_free(&w);
}

static void test_pager_misses_what_the_policy_misses(void **unused)
{
  (void)unused;
  static const char *const kinds[] = {"cyclic", "zipf", "random", "stride"};
  static const uint64_t frames[] = {1, 7, 40, 99, 100, 200};
  for (size_t k = 0; k < 4; k++)
    for (size_t f = 0; f < sizeof frames / sizeof *frames; f++) {
      struct emuv_config c = pattern(kinds[k], 100, 3000, frames[f]);
      c.pattern.stride = 7;
      c.pattern.write_ratio = 0.2;
      compare_with_replay(&c);
      c.pattern.object = 5 * PAGE; /* five pages a reference */
      c.slice = 2 * PAGE;
      compare_with_replay(&c);
      c.pattern.object = PAGE / 3; /* several objects a page */
      compare_with_replay(&c);
    }
}

/* A launch that gives up its own pages runs in parts of one page. Held, it runs whole, and costs few frames: with 0.75
 * of a scan in VRAM at most a 64th more misses, and much less time where a copy takes less than a launch. */
static void test_slices_run_whole(void **unused)
{
  (void)unused;
  struct emuv_config c = pattern("cyclic", 500, 10000, 0), one;
  c.page_size = 64 << 10;
  c.pattern.object = 8 * c.page_size;
  c.vram = 3000 * c.page_size;
  one = c;
  one.slice = c.page_size;
  struct emuv_metrics whole = paged(c, "recur"), parts = paged(one, "recur"), lru = paged(c, "lru");
  assert_true((double)whole.faults < (1 + 1 / 64.0) * (double)parts.faults);
  assert_true(whole.total_s < 0.7 * parts.total_s);
  assert_true(whole.total_s < 0.5 * lru.total_s);
}

static void test_a_decoder_misses_what_the_policy_misses(void **unused)
{
  (void)unused;
  struct emuv_config c = pattern("cyclic", 1, 1, 256);
  strcpy(c.source, "transformer");
  c.model = (struct emuv_model){.layers = 4,
                                .hidden = 1024,
                                .heads = 8,
                                .kv_heads = 8,
                                .head_dim = 128,
                                .intermediate = 4096,
                                .vocab = 32000,
                                .experts = 1,
                                .experts_per_token = 1,
                                .mlp_matrices = 3};
  c.page_size = 64 << 10;
  c.slice = 1 << 20;
  c.warmup = 0;
  c.tokens = 3;
  for (uint64_t mib = 16; mib <= 256; mib *= 2) {
    c.vram = mib << 20;
    compare_with_replay(&c);
  }
}

static void slow_link(struct emuv_config *c, double factor)
{
  for (uint32_t i = 0; i < c->hw.h2d.n; i++) c->hw.h2d.point[i].bytes_per_s /= factor;
  for (uint32_t i = 0; i < c->hw.d2h.n; i++) c->hw.d2h.point[i].bytes_per_s /= factor;
  c->hw.duplex_rate /= factor;
  c->hw.zero_copy_rate /= factor;
  c->hw.pageable_rate /= factor;
}

static void test_link_speed_changes_time_not_misses(void **unused)
{
  (void)unused;
  for (size_t i = 0; emuv_policies[i]; i++) {
    struct emuv_config fast = pattern("zipf", 200, 4000, 50), slow = fast;
    fast.pattern.write_ratio = slow.pattern.write_ratio = 0.1;
    slow_link(&slow, 4);
    struct emuv_metrics f = paged(fast, emuv_policies[i]->name), s = paged(slow, emuv_policies[i]->name);
    assert_int_equal(f.faults, s.faults);
    assert_int_equal(f.h2d_bytes, s.h2d_bytes);
    assert_int_equal(f.d2h_bytes, s.d2h_bytes);
    assert_true(f.compute_s == s.compute_s);
    assert_true(s.total_s > 2 * f.total_s && s.bound_link_s > 3.9 * f.bound_link_s);
  }
}

/* Every policy and size on one string: more misses, fewer accesses per second, whatever the reason. */
static void test_misses_cost_speed(void **unused)
{
  (void)unused;
  struct emuv_metrics m[64];
  size_t n = 0;
  for (size_t i = 0; emuv_policies[i]; i++)
    for (uint64_t frames = 10; frames <= 160 && n < 64; frames *= 2)
      m[n++] = paged(pattern("zipf", 200, 4000, frames), emuv_policies[i]->name);
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < n; j++)
      if (m[i].faults > m[j].faults) assert_true(m[i].total_s > m[j].total_s);
}

static void test_more_memory_never_more_misses(void **unused)
{
  (void)unused;
  static const char *const kinds[] = {"cyclic", "zipf", "random", "stride"};
  for (size_t k = 0; k < 4; k++)
    for (int p = 0; p < 2; p++) {
      uint64_t before = UINT64_MAX;
      for (uint64_t frames = 1; frames <= 80; frames++) {
        struct emuv_config c = pattern(kinds[k], 80, 1500, frames);
        c.pattern.stride = 9;
        uint64_t faults = paged(c, p ? "belady" : "lru").faults;
        assert_true(faults <= before);
        before = faults;
      }
      assert_true(before <= 80); /* all fit: each page once */
    }
}

static void test_belady_misses_least(void **unused)
{
  (void)unused;
  static const char *const kinds[] = {"cyclic", "zipf", "random", "stride"};
  for (size_t k = 0; k < 4; k++)
    for (uint64_t frames = 2; frames <= 64; frames *= 2) {
      struct emuv_config c = pattern(kinds[k], 90, 3000, frames);
      uint64_t least = paged(c, "belady").faults;
      for (size_t i = 0; emuv_policies[i]; i++) assert_true(paged(c, emuv_policies[i]->name).faults >= least);
    }
}

/* All in VRAM after the first pass: what the card's memory delivers, whatever the strategy. */
static void test_what_fits_runs_at_the_roofline(void **unused)
{
  (void)unused;
  static const char *const strategies[] = {"resident", "um", "uva", "layer-offload", "stream", "paged", "emuv"};
  for (size_t s = 0; s < sizeof strategies / sizeof *strategies; s++) {
    struct emuv_config c = pattern("cyclic", 100, 100, 128);
    c.pattern.object = 8 * PAGE;
    c.vram = 900 * PAGE;
    c.warmup = 1;
    c.tokens = 5;
    strcpy(c.strategy, strategies[s]);
    struct emuv_metrics m = simulate(&c);
    double bytes = 500.0 * 8 * (double)PAGE;
    double roofline = bytes / (c.hw.vram_rate * c.hw.vram_efficiency) + 500 * c.hw.launch * 1e-9;
    assert_int_equal(m.faults, 0);
    assert_int_equal(m.h2d_bytes, 0);
    if (m.total_s < roofline * 0.999999 || m.total_s > roofline * 1.01)
      fail_msg("%s: %.9f s, roofline %.9f s", strategies[s], m.total_s, roofline);
    assert_string_equal(m.bound_by, "compute");
  }
}

/* One page at a time, nothing overlaps: a fault costs its handling and its copy, and the GPU works in between. */
static void test_the_time_of_a_scan_in_closed_form(void **unused)
{
  (void)unused;
  struct emuv_config c = pattern("cyclic", 50, 500, 10);
  struct emuv_metrics m = paged(c, "lru");
  double copy_s = (double)PAGE / emuv_curve_rate(&c.hw.h2d, PAGE), fault_s = c.hw.fault * 1e-9;
  double kernel_s = (double)PAGE / (c.hw.vram_rate * c.hw.vram_efficiency) + c.hw.launch * 1e-9;
  double expected = 500 * (copy_s + fault_s + kernel_s);
  if (fabs(m.total_s / expected - 1) > 1e-3) fail_msg("%.9f s, %.9f s expected", m.total_s, expected);
  assert_true(fabs(m.link_busy_s / (500 * copy_s) - 1) < 1e-9);
  assert_true(fabs(m.compute_s / (500 * kernel_s) - 1) < 1e-9);
}

/* A perfect prefetcher on a scan hides either the copies or the work, whichever is shorter. */
static void test_oracle_hides_the_shorter_one(void **unused)
{
  (void)unused;
  for (int fast = 0; fast < 2; fast++) {
    struct emuv_config c = pattern("cyclic", 200, 2000, 100);
    strcpy(c.strategy, "paged");
    strcpy(c.policy, "fifo");
    strcpy(c.prefetch, "oracle");
    c.slice = 4 * PAGE;
    if (fast) c.hw.vram_rate /= 400; /* now the work takes longer */
    struct emuv_metrics m = simulate(&c);
    double copies = 2000 * (double)PAGE / emuv_curve_rate(&c.hw.h2d, PAGE);
    double longer = copies > m.compute_s ? copies : m.compute_s;
    assert_int_equal(fast, m.compute_s > copies);
    if (m.total_s > 1.03 * longer) fail_msg("%f s, the longer is %f s", m.total_s, longer);
    assert_true(m.prefetch_used > 1900 && m.faults < 50);
  }
}

/* Half of the pages in another GPU's memory, at eight times the speed of the host's link. */
static struct emuv_config half_at_peer(uint64_t pages, uint64_t references, uint64_t frames)
{
  struct emuv_config c = pattern("cyclic", pages, references, frames);
  c.peer = pages / 2 * PAGE;
  c.hw.peer = (struct emuv_curve){
      .n = 1, .point = {{.bytes = PAGE, .bytes_per_s = 8 * emuv_curve_rate(&c.hw.h2d, UINT64_MAX)}}};
  return c;
}

/* One page at a time: each memory's faults cost the copies of its own link. */
static void test_a_scan_over_another_gpu_in_closed_form(void **unused)
{
  (void)unused;
  struct emuv_config c = half_at_peer(48, 480, 10);
  struct emuv_metrics m = paged(c, "lru");
  double host_s = (double)PAGE / emuv_curve_rate(&c.hw.h2d, PAGE), fault_s = c.hw.fault * 1e-9;
  double peer_s = (double)PAGE / emuv_curve_rate(&c.hw.peer, PAGE);
  double kernel_s = (double)PAGE / (c.hw.vram_rate * c.hw.vram_efficiency) + c.hw.launch * 1e-9;
  double expected = 240 * (host_s + peer_s) + 480 * (fault_s + kernel_s);
  assert_int_equal(m.faults, 480);
  assert_int_equal(m.h2d_bytes, 240 * PAGE);
  assert_int_equal(m.peer_read_bytes, 240 * PAGE);
  if (fabs(m.total_s / expected - 1) > 1e-3) fail_msg("%.9f s, %.9f s expected", m.total_s, expected);
  assert_true(fabs(m.link_busy_s / (240 * host_s) - 1) < 1e-9);
  assert_true(fabs(m.peer_busy_s / (240 * peer_s) - 1) < 1e-9);
}

/* Loaded ahead, both links work at the same time: the host's half decides. What is not in VRAM nor there must cross the
 * host's link, and all of it both links together. */
static void test_both_links_work_at_once(void **unused)
{
  (void)unused;
  struct emuv_config c = half_at_peer(400, 4000, 100);
  strcpy(c.strategy, "paged");
  strcpy(c.policy, "fifo");
  strcpy(c.prefetch, "oracle");
  c.slice = 4 * PAGE;
  struct emuv_metrics m = simulate(&c);
  double copies = (double)m.h2d_bytes / emuv_curve_rate(&c.hw.h2d, PAGE);
  assert_true(m.h2d_bytes > 1900 * PAGE && m.peer_read_bytes > 1900 * PAGE);
  if (m.total_s > 1.05 * copies) fail_msg("%f s, the copies of the host's half take %f s", m.total_s, copies);
  double rate = emuv_curve_rate(&c.hw.h2d, UINT64_MAX);
  double host = (400 - 100 - 200) * (double)PAGE / rate, together = 300 * (double)PAGE / (9 * rate);
  if (fabs(m.bound_link_s / host - 1) > 0.01) fail_msg("bound %f s, %f s expected", m.bound_link_s, host);
  c.peer = 400 * PAGE; /* all of it: 300 pages over either link */
  m = simulate(&c);
  assert_int_equal(m.h2d_bytes, 0);
  if (fabs(m.bound_link_s / together - 1) > 0.01) fail_msg("bound %f s, %f s expected", m.bound_link_s, together);
}

/* What is written goes down once when it is evicted, or once per write when written through. */
static void test_writes_go_down(void **unused)
{
  (void)unused;
  struct emuv_config c = pattern("cyclic", 50, 500, 10);
  c.pattern.write_ratio = 1;
  struct emuv_metrics back = paged(c, "lru");
  assert_int_equal(back.writeback_bytes, (500 - 10) * PAGE); /* the last ten are still there */
  strcpy(c.write, "through");
  struct emuv_metrics through = paged(c, "lru");
  assert_int_equal(through.writeback_bytes, 500 * PAGE);
  assert_int_equal(through.faults, back.faults);
  c.pattern.write_ratio = 0;
  assert_int_equal(paged(c, "lru").writeback_bytes, 0);
}

/* RAM for 40 of 100 pages and VRAM for 10: at least the other 50 come from the disk in each round, and that decides. */
static void test_a_scan_from_disk(void **unused)
{
  (void)unused;
  struct emuv_config c = pattern("cyclic", 100, 1000, 10);
  c.ram = 40 * PAGE;
  c.nvme = 200 * PAGE;
  struct emuv_metrics m = paged(c, "lru");
  assert_int_equal(m.faults, 1000);
  assert_true(m.nvme_read_bytes >= 500 * PAGE && m.nvme_read_bytes <= 1000 * PAGE);
  assert_int_equal(m.nvme_write_bytes, 0);
  assert_string_equal(m.bound_by, "disk");
  assert_true(m.stall_disk_s > m.stall_link_s);
  c.nvme = 0;
  struct emuv_workload w;
  struct emuv_err err = {0};
  assert_int_equal(emuv_workload_build(&c, &w, &err), 0);
  assert_int_equal(emuv_simulate(&c, &w, &m, &err), EMUV_ERR_NOSPACE);
  emuv_workload_free(&w);
}

/* Pinned weights stay: a scan over weights and cache then misses what is not pinned. */
static void test_pinned_pages_stay(void **unused)
{
  (void)unused;
  struct emuv_config c = pattern("cyclic", 1, 1, 1);
  struct emuv_err err = {0};
  strcpy(c.source, "transformer");
  assert_int_equal(emuv_preset_load_model("tinyllama-1.1b", &c, &err), 0);
  c.vram = UINT64_C(1) << 30;
  c.context = 4096;
  c.warmup = 2;
  c.tokens = 2;
  uint64_t none = paged(c, "lru").faults;
  strcpy(c.pin, "kv");
  uint64_t kv = paged(c, "lru").faults;
  strcpy(c.pin, "weights");
  uint64_t weights = paged(c, "lru").faults;
  assert_true(kv < none && weights < none && weights < kv);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lru_misses_every_reference_of_a_scan),
      cmocka_unit_test(test_belady_on_a_scan),
      cmocka_unit_test(test_pager_misses_what_the_policy_misses),
      cmocka_unit_test(test_slices_run_whole),
      cmocka_unit_test(test_a_decoder_misses_what_the_policy_misses),
      cmocka_unit_test(test_link_speed_changes_time_not_misses),
      cmocka_unit_test(test_misses_cost_speed),
      cmocka_unit_test(test_more_memory_never_more_misses),
      cmocka_unit_test(test_belady_misses_least),
      cmocka_unit_test(test_what_fits_runs_at_the_roofline),
      cmocka_unit_test(test_the_time_of_a_scan_in_closed_form),
      cmocka_unit_test(test_oracle_hides_the_shorter_one),
      cmocka_unit_test(test_a_scan_over_another_gpu_in_closed_form),
      cmocka_unit_test(test_both_links_work_at_once),
      cmocka_unit_test(test_writes_go_down),
      cmocka_unit_test(test_a_scan_from_disk),
      cmocka_unit_test(test_pinned_pages_stay),
  };
  return cmocka_run_group_tests_name("paging", tests, NULL, NULL);
}
