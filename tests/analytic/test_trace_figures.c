// SPDX-License-Identifier: Apache-2.0
/* What is drawn of a trace, where it can be said in closed form: a cyclic scan, operands that overlap, and random
 * touches against a model that keeps a list of single bytes. */
#include "../unit/trace_decode.h"
#include "../unit/trace_scan.h"

#include "simulator/mrc_lru.h"
#include "tracer/format/figures.h"

#include <math.h>

enum { PAGES = 10, ROUNDS = 20, PAGE_BYTES = 4096, LENGTH_NS = 1000, ORIGIN_NS = 5000 };

/* PAGES pages, ROUNDS times, one launch each of LENGTH_NS, without a pause. */
static void cyclic_scan(struct emuv_trace_data *d, bool timed)
{
  struct scan s;
  scan_begin(&s);
  scan_allocate(&s, 1, PAGES * PAGE_BYTES, EMUV_TRACE_MEMORY_DEVICE);
  for (uint64_t i = 0; i < PAGES * ROUNDS; i++) {
    struct emuv_trace_operand o = scan_operand(1, i % PAGES * PAGE_BYTES, PAGE_BYTES);
    uint64_t start = timed ? ORIGIN_NS + i * LENGTH_NS : 0;
    scan_launch(&s, (uint32_t)i, start, timed ? start + LENGTH_NS : 0, &o, 1);
  }
  scan_load(&s, d);
}

struct parts {
  struct emuv_trace_space space;
  struct emuv_trace_order order;
  struct emuv_trace_touches touches;
  struct emuv_trace_atoms atoms;
};

static void parts_build(const struct emuv_trace_data *d, uint64_t most, struct parts *p)
{
  assert_int_equal(emuv_trace_space_build(d, &p->space, NULL), 0);
  assert_int_equal(emuv_trace_order_build(d, &p->order, NULL), 0);
  assert_int_equal(emuv_trace_touches_build(d, &p->space, &p->order, &p->touches, NULL), 0);
  assert_int_equal(emuv_trace_atoms_build(&p->touches, most, &p->atoms, NULL), 0);
}

static void parts_free(struct parts *p)
{
  emuv_trace_atoms_free(&p->atoms);
  emuv_trace_touches_free(&p->touches);
  emuv_trace_order_free(&p->order);
  emuv_trace_space_free(&p->space);
}

static uint64_t heat_sum(const struct emuv_trace_heat *h)
{
  uint64_t sum = 0;
  for (size_t i = 0; i < (size_t)h->n_times * h->n_spaces; i++) sum += h->bytes[i];
  return sum;
}

/* ---- cyclic scan ---- */

static void distance_of_a_scan(void **state)
{
  (void)state;
  const uint64_t all = (uint64_t)PAGES * ROUNDS * PAGE_BYTES, first = PAGES * PAGE_BYTES;
  struct emuv_trace_data d;
  struct parts p;
  struct emuv_trace_reuse r;
  cyclic_scan(&d, true);
  parts_build(&d, EMUV_TRACE_REFERENCES_MOST, &p);
  assert_int_equal(p.atoms.n, PAGES);
  assert_int_equal(p.atoms.references, PAGES * ROUNDS);
  assert_int_equal(p.atoms.grain, 1);
  assert_int_equal(emuv_trace_reuse_compute(&p.touches, &p.atoms, 0, &r, NULL), 0);
  assert_int_equal(r.bytes, all);
  assert_int_equal(r.first_bytes, first);
  assert_int_equal(r.distance[emuv_trace_bin(first)], all - first);
  assert_int_equal(r.time[emuv_trace_bin(PAGES * LENGTH_NS)], all - first);
  for (uint32_t i = 0; i < EMUV_TRACE_CAPACITIES; i++) {
    bool fits = (i + 1) * r.capacity_bin >= first;
    assert_int_equal(emuv_trace_reuse_misses(&r, i), fits ? first : all);
  }
  parts_free(&p);
  emuv_trace_data_free(&d);
}

/* Launches but the last PAGES come back after PAGES x LENGTH_NS; the others stay to the end. */
static double scan_mean(double window)
{
  double sum = (PAGES * ROUNDS - PAGES) * fmin(PAGES * LENGTH_NS, window);
  for (int j = 1; j <= PAGES; j++) sum += fmin(j * LENGTH_NS, window);
  return sum * PAGE_BYTES / (PAGES * ROUNDS * LENGTH_NS);
}

static void working_set_of_a_scan(void **state)
{
  (void)state;
  struct emuv_trace_data d;
  struct parts p;
  struct emuv_trace_reuse r;
  cyclic_scan(&d, true);
  parts_build(&d, EMUV_TRACE_REFERENCES_MOST, &p);
  assert_true(p.touches.timed);
  assert_int_equal(p.touches.origin_ns, ORIGIN_NS);
  assert_int_equal(p.touches.last, PAGES * ROUNDS * LENGTH_NS);
  for (uint64_t k = 1; k <= 2 * PAGES; k++) {
    struct emuv_trace_series s;
    assert_int_equal(emuv_trace_working_set_windows(&p.touches, &p.atoms, k * LENGTH_NS, &s, NULL), 0);
    assert_int_equal(s.n, (PAGES * ROUNDS + k - 1) / k);
    for (size_t i = 0; i < s.n - (PAGES * ROUNDS % k != 0); i++)
      assert_int_equal(s.bytes[i], (k < PAGES ? k : PAGES) * PAGE_BYTES);
    emuv_trace_series_free(&s);
  }
  assert_int_equal(emuv_trace_reuse_compute(&p.touches, &p.atoms, 0, &r, NULL), 0);
  for (uint32_t i = 0; i < 4 * 17; i++) {
    double want = scan_mean(emuv_trace_bin_low(i));
    if (fabs(r.window[i] / want - 1) > 1e-9) fail_msg("bin %u: %g, not %g", i, r.window[i], want);
  }
  parts_free(&p);
  emuv_trace_data_free(&d);
}

/* One launch per time bin, one page per space bin: the diagonal. */
static void heat_of_a_scan(void **state)
{
  (void)state;
  struct emuv_trace_data d;
  struct parts p;
  struct emuv_trace_heat h;
  cyclic_scan(&d, true);
  parts_build(&d, EMUV_TRACE_REFERENCES_MOST, &p);
  assert_int_equal(emuv_trace_heat_compute(&p.touches, 0, p.touches.last, PAGES * ROUNDS, PAGES, &h, NULL), 0);
  assert_int_equal(h.n_times, PAGES * ROUNDS);
  assert_int_equal(h.n_spaces, PAGES);
  for (uint32_t t = 0; t < h.n_times; t++)
    for (uint32_t a = 0; a < h.n_spaces; a++) assert_int_equal(h.bytes[t * PAGES + a], a == t % PAGES ? PAGE_BYTES : 0);
  emuv_trace_heat_free(&h);
  /* However it is cut, nothing is lost. */
  for (uint32_t n = 1; n < 40; n += 3) {
    assert_int_equal(emuv_trace_heat_compute(&p.touches, 0, p.touches.last, 7 * n, n, &h, NULL), 0);
    assert_int_equal(heat_sum(&h), p.touches.bytes);
    emuv_trace_heat_free(&h);
  }
  parts_free(&p);
  emuv_trace_data_free(&d);
}

/* Without times all is counted in calls. */
static void scan_without_times(void **state)
{
  (void)state;
  struct emuv_trace_data d;
  struct emuv_trace_figures f;
  cyclic_scan(&d, false);
  assert_int_equal(emuv_trace_figures_compute(&d, &f, NULL), 0);
  assert_false(f.touches.timed);
  assert_int_equal(f.touches.last, PAGES * ROUNDS);
  assert_int_equal(f.live.n, 0);
  assert_int_equal(f.window[0].length, 1);
  assert_int_equal(f.window[1].length, 10);
  for (size_t i = 0; i < f.window[1].n; i++) assert_int_equal(f.window[1].bytes[i], PAGES * PAGE_BYTES);
  assert_int_equal(heat_sum(&f.heat), f.touches.bytes);
  /* Ten kernels, again and again: a period, so steps of PAGES calls. */
  assert_int_equal(f.steps.how, EMUV_TRACE_STEPS_PERIOD);
  for (size_t s = 1; s < f.steps.n; s++) assert_int_equal(f.step_bytes[s], PAGES * PAGE_BYTES);
  emuv_trace_figures_free(&f);
  emuv_trace_data_free(&d);
}

/* ---- one call ---- */

static void one_launch(void **state)
{
  (void)state;
  struct scan s;
  struct emuv_trace_data d;
  struct emuv_trace_figures f;
  scan_begin(&s);
  scan_allocate(&s, 1, 10000, EMUV_TRACE_MEMORY_DEVICE);
  scan_allocate(&s, 2, 10000, EMUV_TRACE_MEMORY_HOST);
  /* Three overlap, one lies apart, one is host memory: 300 + 50 bytes. */
  struct emuv_trace_operand o[] = {scan_operand(1, 100, 100), scan_operand(1, 150, 150), scan_operand(1, 290, 110),
                                   scan_operand(1, 5000, 50), scan_operand(2, 0, 10000)};
  scan_launch(&s, 0, ORIGIN_NS, ORIGIN_NS + 700, o, 5);
  scan_load(&s, &d);
  assert_int_equal(emuv_trace_figures_compute(&d, &f, NULL), 0);
  assert_int_equal(f.touches.bytes, 350);
  assert_int_equal(f.touches.first[1], 2);
  assert_int_equal(heat_sum(&f.heat), 350);
  assert_int_equal(f.reuse.bytes, 350);
  assert_int_equal(f.reuse.first_bytes, 350);
  emuv_trace_figures_free(&f);
  emuv_trace_data_free(&d);
}

static void refused(struct scan *s, const char *text)
{
  struct emuv_trace_data d;
  struct emuv_trace_figures f;
  struct emuv_err err = {0};
  scan_load(s, &d);
  assert_int_equal(emuv_trace_figures_compute(&d, &f, &err), EMUV_ERR_INPUT);
  if (!strstr(err.text, text)) fail_msg("%s", err.text);
  emuv_trace_data_free(&d);
}

static void nothing_to_draw(void **state)
{
  (void)state;
  struct scan s;
  struct emuv_trace_operand o = scan_operand(1, 0, 4096);
  scan_begin(&s);
  refused(&s, "no launch, copy or set");
  scan_begin(&s);
  scan_allocate(&s, 1, 8192, EMUV_TRACE_MEMORY_HOST);
  scan_launch(&s, 0, ORIGIN_NS, ORIGIN_NS + 1, &o, 1);
  refused(&s, "no call touches device memory");
  scan_begin(&s);
  scan_allocate(&s, 1, 8192, EMUV_TRACE_MEMORY_DEVICE);
  scan_launch(&s, 0, ORIGIN_NS, ORIGIN_NS + 1, NULL, 0);
  refused(&s, "no call touches device memory");
}

/* ---- random touches ---- */

enum { SPACE = 97, CALLS = 400 };

/* Bytes in the order of their last touch; distances of a call's bytes in ascending order. */
struct model {
  uint32_t stack[SPACE], depth;
  uint64_t bytes, first, hits[SPACE + 1];
};

static void model_touch(struct model *m, uint32_t byte)
{
  uint32_t at = 0;
  while (at < m->depth && m->stack[at] != byte) at++;
  m->bytes++;
  if (at == m->depth) {
    m->first++;
    m->depth++;
  } else {
    m->hits[at + 1]++;
  }
  memmove(m->stack + 1, m->stack, at * sizeof *m->stack);
  m->stack[0] = byte;
}

static void model_call(struct model *m, const bool *touched)
{
  for (uint32_t b = 0; b < SPACE; b++)
    if (touched[b]) model_touch(m, b);
}

static void random_touches(struct emuv_trace_data *d, struct model *m, uint64_t seed)
{
  struct scan s;
  struct emuv_rng rng;
  emuv_rng_seed(&rng, seed);
  scan_begin(&s);
  scan_allocate(&s, 1, SPACE, EMUV_TRACE_MEMORY_DEVICE);
  *m = (struct model){0};
  for (uint32_t i = 0; i < CALLS; i++) {
    struct emuv_trace_operand o[3];
    bool touched[SPACE] = {false};
    uint32_t n = 1 + (uint32_t)emuv_rng_below(&rng, 3);
    for (uint32_t k = 0; k < n; k++) {
      uint64_t lo = i == 0 ? 0 : emuv_rng_below(&rng, SPACE);
      uint64_t bytes = i == 0 ? SPACE : 1 + emuv_rng_below(&rng, SPACE - lo < 20 ? SPACE - lo : 20);
      o[k] = scan_operand(1, lo, bytes);
      for (uint64_t b = lo; b < lo + bytes; b++) touched[b] = true;
    }
    scan_launch(&s, i, ORIGIN_NS + i, ORIGIN_NS + i + emuv_rng_below(&rng, 5), o, n);
    model_call(m, touched);
  }
  scan_load(&s, d);
}

static void distances_of_random_touches(void **state)
{
  (void)state;
  for (uint64_t seed = 1; seed <= 5; seed++) {
    struct emuv_trace_data d;
    struct model m;
    struct parts p;
    struct emuv_trace_reuse r;
    random_touches(&d, &m, seed);
    parts_build(&d, EMUV_TRACE_REFERENCES_MOST, &p);
    assert_int_equal(emuv_trace_reuse_compute(&p.touches, &p.atoms, 0, &r, NULL), 0);
    assert_int_equal(r.capacity_bin, 1);
    assert_int_equal(r.bytes, m.bytes);
    assert_int_equal(r.first_bytes, m.first);
    uint64_t misses = m.bytes, model_misses = m.bytes;
    for (uint32_t c = 1; c <= SPACE; c++) {
      misses = emuv_trace_reuse_misses(&r, c - 1);
      model_misses -= m.hits[c];
      /* Within one call several bytes of an atom come one after the other, so a model of single bytes sees the same. */
      assert_int_equal(misses, model_misses);
    }
    parts_free(&p);
    emuv_trace_data_free(&d);
  }
}

static void windows_of_random_touches(void **state)
{
  (void)state;
  struct emuv_trace_data d;
  struct model m;
  struct parts p;
  random_touches(&d, &m, 7);
  parts_build(&d, EMUV_TRACE_REFERENCES_MOST, &p);
  for (uint64_t length = 1; length < 50; length += 6) {
    struct emuv_trace_series s;
    assert_int_equal(emuv_trace_working_set_windows(&p.touches, &p.atoms, length, &s, NULL), 0);
    for (size_t w = 0; w < s.n; w++) {
      bool seen[SPACE] = {false};
      uint64_t bytes = 0;
      for (size_t i = 0; i < p.touches.n_calls; i++) {
        uint64_t end = p.touches.end[i] > p.touches.begin[i] ? p.touches.end[i] - 1 : p.touches.begin[i];
        size_t from = p.touches.begin[i] / length, to = end / length;
        if (w < (from < s.n ? from : s.n - 1) || w > (to < s.n ? to : s.n - 1)) continue;
        for (size_t k = p.touches.first[i]; k < p.touches.first[i + 1]; k++)
          for (uint64_t b = p.touches.intervals[k].lo; b < p.touches.intervals[k].hi; b++) seen[b] = true;
      }
      for (uint32_t b = 0; b < SPACE; b++) bytes += seen[b];
      assert_int_equal(s.bytes[w], bytes);
    }
    emuv_trace_series_free(&s);
  }
  parts_free(&p);
  emuv_trace_data_free(&d);
}

/* ---- pages: the same as the miss-ratio curves of emuv-sim ---- */

static void pages_like_mrc(void **state)
{
  (void)state;
  enum { N = 64, REFERENCES = 5000 };
  static uint32_t refs[REFERENCES], ids[N], capacity[N];
  uint64_t misses[N];
  uint32_t n_pages = 0;
  struct scan s;
  struct emuv_rng rng;
  struct emuv_trace_data d;
  struct parts p;
  struct emuv_trace_reuse r;
  emuv_rng_seed(&rng, 3);
  scan_begin(&s);
  scan_allocate(&s, 1, N * PAGE_BYTES, EMUV_TRACE_MEMORY_DEVICE);
  for (uint32_t i = 0; i < REFERENCES; i++) {
    uint32_t page = i < N ? i : (uint32_t)(emuv_rng_below(&rng, N) * emuv_rng_below(&rng, N) / N);
    struct emuv_trace_operand o = scan_operand(1, page * (uint64_t)PAGE_BYTES, PAGE_BYTES);
    scan_launch(&s, page, ORIGIN_NS + i, ORIGIN_NS + i + 1, &o, 1);
    if (i < N) ids[page] = n_pages++;
    refs[i] = ids[page];
  }
  scan_load(&s, &d);
  parts_build(&d, EMUV_TRACE_REFERENCES_MOST, &p);
  assert_int_equal(emuv_trace_reuse_compute(&p.touches, &p.atoms, 0, &r, NULL), 0);
  assert_int_equal(r.capacity_bin * EMUV_TRACE_CAPACITIES, N * PAGE_BYTES);
  for (uint32_t i = 0; i < N; i++) capacity[i] = i + 1;
  struct emuv_mrc_trace t = {.refs = refs, .n = REFERENCES, .n_pages = N};
  assert_int_equal(emuv_mrc_lru_distances(&t, capacity, N, misses, NULL), 0);
  for (uint32_t i = 0; i < N; i++)
    assert_int_equal(emuv_trace_reuse_misses(&r, (i + 1) * (EMUV_TRACE_CAPACITIES / N) - 1), misses[i] * PAGE_BYTES);
  parts_free(&p);
  emuv_trace_data_free(&d);
}

/* Too many references: a coarser cut, never fewer bytes than were touched. */
static void coarse_cut(void **state)
{
  (void)state;
  struct emuv_trace_data d;
  struct parts fine, coarse;
  struct emuv_trace_reuse f, c;
  cyclic_scan(&d, true);
  parts_build(&d, EMUV_TRACE_REFERENCES_MOST, &fine);
  parts_build(&d, 1, &coarse);
  assert_true(coarse.atoms.grain > PAGE_BYTES);
  assert_int_equal(coarse.atoms.n, 1);
  assert_int_equal(emuv_trace_reuse_compute(&fine.touches, &fine.atoms, 0, &f, NULL), 0);
  assert_int_equal(emuv_trace_reuse_compute(&coarse.touches, &coarse.atoms, 0, &c, NULL), 0);
  assert_true(c.bytes > f.bytes);
  parts_free(&coarse);
  parts_free(&fine);
  emuv_trace_data_free(&d);
}

/* ---- a decode ---- */

static void steps_of_a_decode(void **state)
{
  (void)state;
  struct decode decode = {
      .layers = 6, .tokens = 12, .matrix_bytes = 8 << 20, .launch_host_ns = 12000, .kernel_ns = 6000, .nvtx = true};
  char path[64];
  struct emuv_trace_data d;
  struct emuv_trace_figures f;
  decode_write(&decode, fixture_path(path));
  assert_int_equal(emuv_trace_load(path, &d, NULL), 0);
  unlink(path);
  assert_int_equal(emuv_trace_figures_compute(&d, &f, NULL), 0);
  assert_int_equal(f.steps.n, 13);
  assert_int_equal(f.counted_step, 1);
  for (size_t s = 1; s < f.steps.n; s++)
    assert_true(f.step_bytes[s] >= decode.weight_bytes && f.step_bytes[s] <= decode.weight_bytes + (70 << 10));
  assert_int_equal(f.reuse.first_bytes, 0); /* loading touched everything */
  assert_true(f.reuse.distance[emuv_trace_bin(decode.weight_bytes)] >= 12 * decode.weight_bytes);
  assert_non_null(f.step_heat.bytes);
  assert_true(heat_sum(&f.step_heat) >= 3 * decode.weight_bytes && heat_sum(&f.step_heat) < 4 * decode.weight_bytes);
  uint64_t allocated = 6 * 4 * decode.matrix_bytes + (2 << 20);
  assert_int_equal(f.live.bytes[f.live.n - 1], allocated);
  emuv_trace_figures_free(&f);
  emuv_trace_data_free(&d);
}

static void bins(void **state)
{
  (void)state;
  for (uint64_t v = 1; v < UINT64_C(1) << 62; v += 1 + v / 7) {
    uint32_t bin = emuv_trace_bin(v);
    assert_true(bin + 1 < EMUV_TRACE_BINS);
    assert_true(emuv_trace_bin_low(bin) <= (double)v * (1 + 1e-12));
    assert_true(emuv_trace_bin_low(bin + 1) > (double)v * (1 - 1e-12));
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(distance_of_a_scan),
      cmocka_unit_test(working_set_of_a_scan),
      cmocka_unit_test(heat_of_a_scan),
      cmocka_unit_test(scan_without_times),
      cmocka_unit_test(one_launch),
      cmocka_unit_test(nothing_to_draw),
      cmocka_unit_test(distances_of_random_touches),
      cmocka_unit_test(windows_of_random_touches),
      cmocka_unit_test(pages_like_mrc),
      cmocka_unit_test(coarse_cut),
      cmocka_unit_test(steps_of_a_decode),
      cmocka_unit_test(bins),
  };
  return cmocka_run_group_tests_name("figures of a trace", tests, NULL, NULL);
}
