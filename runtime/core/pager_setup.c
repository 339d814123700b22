// SPDX-License-Identifier: Apache-2.0
/* Life of a pager: one allocation, carved into its arrays and the policies' states; the data placed in the lower tiers.
 */
#include "runtime/core/pager.h"
#include "runtime/core/pager_frames.h"
#include "runtime/core/pager_home.h"
#include "runtime/core/pager_move.h"

#include <stdlib.h>
#include <string.h>

/* Hands out aligned parts of the block; with base NULL it only adds up sizes. */
struct carver {
  char *base;
  size_t used;
};

static void *carve(struct carver *c, size_t bytes)
{
  void *at = c->base ? c->base + c->used : NULL;
  c->used += (bytes + 63) & ~(size_t)63;
  return at;
}

static bool ram_is_tight(const struct emuv_pager_env *env)
{
  return env->ram_frames < env->n_pages && !env->on_disk;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
  return a < b ? a : b;
}

static uint32_t bounce_frames(const struct emuv_pager_env *env)
{
  return env->bounce_frames ? env->bounce_frames : env->n_pages;
}

/* Frames that can be in use: numbers beyond the pages' are never needed. */
static void size_frames(struct emuv_pager *p)
{
  const struct emuv_pager_env *e = &p->env;
  bool ram_own = e->ram_frames >= e->n_pages && !e->on_disk;
  p->vram_free.size = smaller(e->vram_frames, e->n_pages);
  p->ram_free.size = ram_own ? 0 : smaller(e->ram_frames, e->n_pages) + bounce_frames(e);
  p->nvme_free.size = smaller(e->nvme_frames, e->n_pages);
  p->slots_own = e->nvme_frames >= e->n_pages;
}

static void carve_frames(struct emuv_pager *p, struct carver *c)
{
  size_t n = p->env.n_pages;
  struct emuv_frames *const f[] = {&p->vram_free, &p->ram_free, &p->nvme_free};
  p->vram_frame = carve(c, n * sizeof *p->vram_frame);
  p->ram_frame = carve(c, n * sizeof *p->ram_frame);
  p->nvme_slot = carve(c, n * sizeof *p->nvme_slot);
  p->moves = carve(c, n * sizeof *p->moves);
  size_frames(p);
  p->issues.size = p->env.ahead_slices ? p->vram_free.size : 0;
  p->issues.ring = p->issues.size ? carve(c, p->issues.size * sizeof *p->issues.ring) : NULL;
  p->issues.number = p->issues.size ? carve(c, n * sizeof *p->issues.number) : NULL;
  for (size_t i = 0; i < sizeof f / sizeof *f; i++)
    f[i]->ring = f[i]->size ? carve(c, f[i]->size * sizeof *f[i]->ring) : NULL;
}

static void fill_frames(struct emuv_pager *p)
{
  uint32_t of_ram = smaller(p->env.ram_frames, p->env.n_pages), bounce = p->ram_free.size - of_ram;
  for (uint32_t i = 0; i < p->vram_free.size; i++) emuv_frames_give(&p->vram_free, i);
  for (uint32_t i = 0; p->ram_free.size && i < of_ram; i++) emuv_frames_give(&p->ram_free, i);
  for (uint32_t i = 0; p->ram_free.size && i < bounce; i++) emuv_frames_give(&p->ram_free, p->env.ram_frames + i);
  for (uint32_t i = 0; !p->slots_own && i < p->nvme_free.size; i++) emuv_frames_give(&p->nvme_free, i);
  for (uint32_t i = 0; i < p->env.n_pages; i++) p->ram_frame[i] = p->ram_free.ring ? EMUV_NO_FRAME : i;
}

static void carve_all(struct emuv_pager *p, struct carver *c)
{
  size_t n = p->env.n_pages;
  bool tight = ram_is_tight(&p->env), future = p->env.policy->flags & EMUV_POLICY_NEEDS_FUTURE;
  p->state = carve(c, n);
  p->pinned = carve(c, n);
  p->from_nvme = carve(c, n);
  p->ready_ns = carve(c, n * sizeof *p->ready_ns);
  p->used_in = carve(c, n * sizeof *p->used_in);
  p->victims = carve(c, n * sizeof *p->victims);
  p->vram_policy = carve(c, p->env.policy->state_bytes(&p->vram_env));
  p->ram_policy = tight ? carve(c, p->env.policy->state_bytes(&p->ram_env)) : NULL;
  p->shadows.link = tight ? carve(c, emuv_list_bytes(p->env.n_pages)) : NULL;
  p->next_use = future ? carve(c, n * sizeof *p->next_use) : NULL;
  carve_frames(p, c);
}

static void set_envs(struct emuv_pager *p)
{
  const struct emuv_pager_env *e = &p->env;
  p->vram_env =
      (struct emuv_policy_env){.n_pages = e->n_pages, .capacity = e->vram_frames, .n_refs = e->n_refs, .seed = e->seed};
  p->ram_env = p->vram_env;
  p->ram_env.capacity = e->ram_frames ? e->ram_frames : 1;
}

size_t emuv_pager_bytes(const struct emuv_pager_env *env)
{
  struct emuv_pager p = {.env = *env};
  struct carver c = {0};
  set_envs(&p);
  carve_all(&p, &c);
  return c.used;
}

static int check_env(const struct emuv_pager_env *env, struct emuv_err *err)
{
  if (!env->n_pages || !env->vram_frames)
    return emuv_err_set(err, EMUV_ERR_RANGE, "a pager needs at least one page and one VRAM frame");
  if (env->bounce_frames == 1) return emuv_err_set(err, EMUV_ERR_RANGE, "a pager needs two bounce frames, or none");
  if (env->nvme_frames && !env->nvme) return emuv_err_set(err, EMUV_ERR_RANGE, "NVMe frames without an NVMe tier");
  return 0;
}

int emuv_pager_init(struct emuv_pager *p, const struct emuv_pager_env *env, struct emuv_err *err)
{
  *p = (struct emuv_pager){.env = *env, .frame_wait_slice = UINT32_MAX};
  int rc = check_env(env, err);
  if (rc) return rc;
  size_t bytes = emuv_pager_bytes(env);
  p->block = aligned_alloc(64, bytes);
  if (!p->block) return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for the page table: %zu bytes", bytes);
  memset(p->block, 0, bytes);
  struct carver c = {.base = p->block};
  set_envs(p);
  carve_all(p, &c);
  p->vram_env.pinned = p->pinned;
  fill_frames(p);
  memset(p->used_in, 0xff, sizeof *p->used_in * env->n_pages);
  env->policy->init(p->vram_policy, &p->vram_env);
  if (p->ram_policy) {
    env->policy->init(p->ram_policy, &p->ram_env);
    emuv_list_init(&p->shadows, p->shadows.link, env->n_pages);
  }
  rc = emuv_pager_home_place(p, err);
  if (rc) emuv_pager_free(p);
  return rc;
}

void emuv_pager_free(struct emuv_pager *p)
{
  free(p->block);
  *p = (struct emuv_pager){0};
}
