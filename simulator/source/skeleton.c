// SPDX-License-Identifier: Apache-2.0
/* Skeleton of a workload source: copy this file, rename it, and add one line to sources.def.
 *
 * A source turns a configuration into segments (what lies in memory) and ops (what each launch reads and writes). It
 * knows neither page sizes nor hardware. It must be deterministic: seed every generator from config->seed.
 * This one describes a program that adds a bias to a vector, once per step. It is compiled, so that it stays true, but
 * it is not registered. */
#include "simulator/source/source.h"

#include <string.h>

extern const struct emuv_source_ops emuv_source_skeleton;

/* Real allocators hand out addresses on such a boundary. */
enum { ALIGN_BYTES = 512 };

/* What lies in memory. A kind lets `pin` and the strategies tell weights from KV cache; layer is -1 where there is
 * none. */
static int add_segments(const struct emuv_config *config, struct emuv_workload *w, struct emuv_err *err)
{
  uint64_t bytes = config->pattern.objects * config->pattern.object;
  int rc = emuv_workload_segment(w, "bias", bytes, EMUV_SEGMENT_WEIGHT, -1, ALIGN_BYTES, NULL, err);
  if (rc != 0) return rc;
  return emuv_workload_segment(w, "vector", bytes, EMUV_SEGMENT_ACTIVATION, -1, ALIGN_BYTES, NULL, err);
}

/* One step: a step completes work units (here one), an op stands for kernels, ranges say what they touch, in order. */
static int add_step(struct emuv_workload *w, struct emuv_err *err)
{
  uint64_t bytes = w->segments[0].bytes;
  int rc = emuv_workload_step(w, 1, false, err);
  if (rc != 0) return rc;
  struct emuv_op op = {
      .layer = -1, .launches = 1, .sync = true, .flops = (double)bytes / 2, .bytes = 3.0 * (double)bytes};
  strcpy(op.name, "add");
  rc = emuv_workload_op(w, &op, err);
  if (rc != 0) return rc;
  rc = emuv_workload_range(w, 0, 0, bytes, EMUV_RANGE_READ, err);
  if (rc != 0) return rc;
  return emuv_workload_range(w, 1, 0, bytes, EMUV_RANGE_READ | EMUV_RANGE_WRITE, err);
}

/* Warm-up steps come first; the simulator starts the clock after w->warmup_steps. On failure free the workload. */
static int build(const struct emuv_config *config, struct emuv_workload *w, struct emuv_err *err)
{
  strcpy(w->name, "skeleton");
  strcpy(w->work_unit, "step");
  w->warmup_steps = config->warmup;
  int rc = add_segments(config, w, err);
  for (uint64_t i = 0; rc == 0 && i < config->warmup + config->tokens; i++) rc = add_step(w, err);
  if (rc != 0) emuv_workload_free(w);
  return rc;
}

const struct emuv_source_ops emuv_source_skeleton = {
    .name = "skeleton",
    .summary = "the commented example that new sources are copied from",
    .build = build,
};
