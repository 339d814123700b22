// SPDX-License-Identifier: Apache-2.0
/* What the host pays to submit kernels (calibrate.h): through the engine, over pages that are in VRAM, while the device
 * is behind, so that nothing is waited for. */
#include "runtime/engine/engine.h"
#include "runtime/replay/calibrate_internal.h"

static const uint64_t PAGE_BYTES = UINT64_C(64) << 10;
enum { MANY_PAGES = 64, N_KERNELS = 64, FIRST_NS = 200000 };

struct host {
  struct emuv_engine *engine;
  uint32_t pages;
};

/* Nanoseconds per kernel with `pages` pages. */
static int measure(void *arg, double *ns, struct emuv_err *err)
{
  const struct host *h = arg;
  struct emuv_use use[MANY_PAGES];
  uint64_t seq = 0;
  for (uint32_t i = 0; i < h->pages; i++) use[i] = (struct emuv_use){.page = i, .frame = i, .read = true, .bytes = 64};
  int rc = emuv_engine_launch(h->engine, use, h->pages, FIRST_NS, &seq, err);
  const double start = emuv_calibrate_now_ns();
  for (uint32_t i = 0; rc == 0 && i < N_KERNELS; i++) rc = emuv_engine_launch(h->engine, use, h->pages, 0, &seq, err);
  *ns = (emuv_calibrate_now_ns() - start) / N_KERNELS;
  return rc != 0 ? rc : emuv_engine_drain(h->engine, err);
}

int emuv_calibrate_host(const struct emuv_calibrate_options *o, struct emuv_calibration *c, struct emuv_err *err)
{
  const struct emuv_engine_env env = {.device = o->device,
                                      .device_index = o->device_index,
                                      .page_bytes = PAGE_BYTES,
                                      .n_pages = MANY_PAGES,
                                      .vram_frames = MANY_PAGES,
                                      .ram_frames = MANY_PAGES,
                                      .bounce_frames = 2,
                                      .verify = EMUV_VERIFY_OFF,
                                      .threads = o->threads,
                                      .up = o->up,
                                      .down = o->down};
  struct host h = {.pages = 1};
  struct emuv_figure many = {.n = 0};
  int rc = emuv_engine_open(&env, &h.engine, err);
  if (rc != 0) return rc;
  rc = emuv_calibrate_repeat(measure, &h, &c->kernel_host, err);
  h.pages = MANY_PAGES;
  if (rc == 0) rc = emuv_calibrate_repeat(measure, &h, &many, err);
  emuv_engine_close(h.engine);
  const double more = (many.value - c->kernel_host.value) / (MANY_PAGES - 1);
  c->page_host = (struct emuv_figure){.value = more > 0 ? more : 0, .spread = many.spread, .n = many.n};
  return rc;
}
