// SPDX-License-Identifier: Apache-2.0
/* Source `pattern`: simple reference strings with known answers, for analytic tests and for comparing policies.
 *
 * Objects of equal size lie side by side in one segment. Each reference is one op that reads (or, with probability
 * write_ratio, writes) one whole object. A step has pattern.references references; the string goes on from step to
 * step. cyclic  0 1 2 ... objects-1 0 1 ... stride  columns of a row-major matrix of `stride` columns: 0 s 2s ... 1 s+1
 * 2s+1 ...; every object once per round random  uniform and independent zipf    independent, P(rank k) ~ 1/k^skew;
 * ranks are scattered over the addresses by a random permutation, so that a popular object has unpopular neighbours
 * Deterministic in config->seed; one thread per build. */
#include "simulator/source/source.h"
#include "simulator/source/zipf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct emuv_source_ops emuv_source_pattern;

enum { ALIGN_BYTES = 512, VALUE_BYTES = 2 };
static const double MAX_REFERENCES = 0x1p25; /* of all steps: about 4 GiB of ops; longer strings are for emuv-sim mrc */

struct walk {
  const struct emuv_pattern *pattern;
  struct emuv_rng order_rng, write_rng; /* separate, so that write_ratio does not change the order */
  struct emuv_zipf zipf;
  uint64_t *place; /* zipf: rank -> object */
  uint64_t last;   /* cyclic, stride: object referenced last; objects = none yet */
};

typedef uint64_t next_fn(struct walk *walk);

static uint64_t next_cyclic(struct walk *walk)
{
  return walk->last + 1 < walk->pattern->objects ? walk->last + 1 : 0;
}

static uint64_t next_stride(struct walk *walk)
{
  uint64_t n = walk->pattern->objects, stride = walk->pattern->stride;
  if (walk->last >= n) return 0;
  if (stride < n - walk->last) return walk->last + stride;
  uint64_t column = walk->last % stride + 1;
  return column < stride && column < n ? column : 0;
}

static uint64_t next_random(struct walk *walk)
{
  return emuv_rng_below(&walk->order_rng, walk->pattern->objects);
}

static uint64_t next_zipf(struct walk *walk)
{
  return walk->place[emuv_zipf_next(&walk->zipf, &walk->order_rng)];
}

static const struct {
  const char *kind;
  next_fn *next;
} kinds[] = {{"cyclic", next_cyclic}, {"zipf", next_zipf}, {"random", next_random}, {"stride", next_stride}};

static next_fn *find_kind(const char *kind)
{
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (strcmp(kinds[i].kind, kind) == 0) return kinds[i].next;
  return NULL;
}

/* Fisher and Yates. */
static void shuffle(uint64_t *values, uint64_t n, struct emuv_rng *rng)
{
  for (uint64_t i = 0; i < n; i++) {
    uint64_t j = emuv_rng_below(rng, i + 1);
    values[i] = values[j];
    values[j] = i;
  }
}

static int walk_init(struct walk *walk, const struct emuv_config *config, bool permuted, struct emuv_err *err)
{
  const struct emuv_pattern *p = &config->pattern;
  *walk = (struct walk){.pattern = p, .last = p->objects};
  emuv_rng_seed(&walk->order_rng, config->seed);
  emuv_rng_seed(&walk->write_rng, ~config->seed);
  if (!permuted) return 0;
  walk->place = reallocarray(NULL, p->objects, sizeof *walk->place);
  if (!walk->place)
    return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for %llu objects", (unsigned long long)p->objects);
  shuffle(walk->place, p->objects, &walk->order_rng);
  emuv_zipf_init(&walk->zipf, p->objects, p->skew);
  return 0;
}

static int check(const struct emuv_config *config, struct emuv_err *err)
{
  const struct emuv_pattern *p = &config->pattern;
  uint64_t bytes;
  if (p->object == 0 || p->objects == 0 || p->references == 0)
    return emuv_err_set(err, EMUV_ERR_RANGE, "pattern.object, pattern.objects and pattern.references must be positive");
  if (__builtin_mul_overflow(p->object, p->objects, &bytes) || bytes >> 62)
    return emuv_err_set(err, EMUV_ERR_RANGE, "pattern.object x pattern.objects is more than 2^62 bytes");
  if ((double)p->references * ((double)config->warmup + (double)config->tokens) > MAX_REFERENCES)
    return emuv_err_set(err, EMUV_ERR_RANGE,
                        "pattern.references x (warmup + tokens) is more than 2^25; use emuv-sim mrc");
  if (!find_kind(p->kind)) {
    emuv_err_set(err, EMUV_ERR_INPUT, "unknown pattern \"%s\"", p->kind);
    return err ? emuv_err_hint(err, "patterns are cyclic, zipf, random, stride") : EMUV_ERR_INPUT;
  }
  if (find_kind(p->kind) == next_stride && p->stride == 0)
    return emuv_err_set(err, EMUV_ERR_RANGE, "pattern.stride must be positive");
  if (!(p->skew >= 0.0) || p->skew > 100.0)
    return emuv_err_set(err, EMUV_ERR_RANGE, "pattern.skew must lie between 0 and 100");
  return 0;
}

/* One reference: bytes of memory traffic are the object, and one addition per 16-bit value never limits. */
static int add_reference(struct emuv_workload *w, uint64_t object, uint64_t bytes, bool write, bool sync,
                         struct emuv_err *err)
{
  struct emuv_op op = {.layer = -1, .launches = 1, .sync = sync, .bytes = (double)bytes};
  op.flops = (double)bytes / VALUE_BYTES;
  strcpy(op.name, write ? "write" : "read");
  int rc = emuv_workload_op(w, &op, err);
  if (rc != 0) return rc;
  return emuv_workload_range(w, 0, object * bytes, bytes, write ? EMUV_RANGE_WRITE : EMUV_RANGE_READ, err);
}

static int add_step(struct emuv_workload *w, struct walk *walk, next_fn *next, struct emuv_err *err)
{
  const struct emuv_pattern *p = walk->pattern;
  int rc = emuv_workload_step(w, p->references, false, err);
  for (uint64_t i = 0; rc == 0 && i < p->references; i++) {
    walk->last = next(walk);
    bool write = emuv_rng_unit(&walk->write_rng) < p->write_ratio;
    rc = add_reference(w, walk->last, p->object, write, i + 1 == p->references, err);
  }
  return rc;
}

static int build(const struct emuv_config *config, struct emuv_workload *w, struct emuv_err *err)
{
  const struct emuv_pattern *p = &config->pattern;
  int rc = check(config, err);
  if (rc != 0) return rc;
  next_fn *next = find_kind(p->kind);
  struct walk walk;
  rc = walk_init(&walk, config, next == next_zipf, err);
  snprintf(w->name, sizeof w->name, "pattern:%.40s", p->kind);
  strcpy(w->work_unit, "access");
  w->warmup_steps = config->warmup;
  if (rc == 0)
    rc = emuv_workload_segment(w, "objects", p->object * p->objects, EMUV_SEGMENT_OTHER, -1, ALIGN_BYTES, NULL, err);
  for (uint64_t i = 0; rc == 0 && i < config->warmup + config->tokens; i++) rc = add_step(w, &walk, next, err);
  free(walk.place);
  if (rc != 0) emuv_workload_free(w);
  return rc;
}

const struct emuv_source_ops emuv_source_pattern = {
    .name = "pattern",
    .summary = "reference strings with known answers: cyclic, stride, random, zipf",
    .build = build,
};
