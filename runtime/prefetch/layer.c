// SPDX-License-Identifier: Apache-2.0
/* Layer prefetch: on entering a layer, load the next one (in the cyclic order of layers), as the offloading runtimes do
 * (FlexGen, Sheng et al., ICML 2023; ZeRO-Inference). Runs known only at launch (experts) are not skipped: a layer is
 * taken as a whole. */
#include "runtime/prefetch/proposal.h"

struct layer {
  const struct emuv_prefetch_env *env;
};

static size_t layer_state_bytes(const struct emuv_prefetch_env *env)
{
  (void)env;
  return sizeof(struct layer);
}

static void layer_init(void *state, const struct emuv_prefetch_env *env)
{
  ((struct layer *)state)->env = env;
}

static void add_layer(struct proposal *p, size_t layer)
{
  const struct emuv_program *program = p->env->program;
  const struct emuv_layer_pages *pages = &program->layers[layer];
  for (uint32_t r = 0; r < pages->n_runs && !proposal_full(p); r++) {
    const struct emuv_page_run *run = &program->layer_runs[pages->first_run + r];
    proposal_add(p, run->first, run->n);
  }
}

static uint32_t layer_propose(void *state, uint32_t slice, uint32_t missed, uint32_t budget, struct emuv_page_run *out,
                              uint32_t max_runs)
{
  const struct emuv_prefetch_env *env = ((struct layer *)state)->env;
  const struct emuv_program *program = env->program;
  struct proposal p = {.env = env, .out = out, .max_runs = max_runs, .budget = budget};
  int32_t now = program->slice_layer[slice];
  (void)missed;
  if (!program->n_layers) return 0;
  /* Launches outside the layers (embedding, head) prepare the first one. */
  add_layer(&p, now < 0 ? 0 : (size_t)(now + 1) % program->n_layers);
  return p.n;
}

const struct emuv_prefetch_ops emuv_prefetch_layer = {
    .name = "layer",
    .summary = "the whole next layer while one runs",
    .state_bytes = layer_state_bytes,
    .init = layer_init,
    .propose = layer_propose,
};
