// SPDX-License-Identifier: Apache-2.0
/* What the host pays to submit kernels and copies (calibrate.h): through the engine, with what a replay does beside it.
 * Kernels use pages that are in VRAM and wait for nothing; copies are of small pages that adjoin on neither side, so
 * the link keeps up. No series is so long that a queue of the device fills. */
#include "runtime/engine/engine.h"
#include "runtime/replay/calibrate_internal.h"

static const uint64_t PAGE_BYTES = UINT64_C(64) << 10;
enum { MANY_PAGES = 64, N_KERNELS = 512, N_BATCHES = 128, MANY_BATCHES = 32 };

struct host {
  struct emuv_engine *engine;
  struct emuv_tier ram, nvme;
  uint32_t pages; /* of a kernel, of a batch */
  bool down;
};

/* As the loop of a replay: a look at the clock, at what is to be tended and at what has ended, and the kernel. */
static int submit_kernel(const struct host *h, const struct emuv_use *use, uint64_t *seq, double *now_ns,
                         struct emuv_err *err)
{
  struct emuv_span span;
  double data_ns;
  bool from_disk;
  int rc = emuv_engine_tend(h->engine, NULL, err); /* no page is wrong */
  if (*seq > 1) (void)emuv_engine_span(h->engine, *seq - 1, &span, &data_ns, &from_disk);
  *now_ns = emuv_calibrate_now_ns();
  return rc != 0 ? rc : emuv_engine_launch(h->engine, use, h->pages, 0, seq, err);
}

/* Nanoseconds per kernel with `pages` pages. */
static int measure_kernels(void *arg, double *ns, struct emuv_err *err)
{
  const struct host *h = arg;
  struct emuv_use use[MANY_PAGES];
  uint64_t seq = 0;
  double now_ns;
  int rc = 0;
  for (uint32_t i = 0; i < h->pages; i++) use[i] = (struct emuv_use){.page = i, .frame = i, .read = true, .bytes = 64};
  const double start = emuv_calibrate_now_ns();
  for (uint32_t i = 0; rc == 0 && i < N_KERNELS; i++) rc = submit_kernel(h, use, &seq, &now_ns, err);
  *ns = (emuv_calibrate_now_ns() - start) / N_KERNELS;
  return rc != 0 ? rc : emuv_engine_drain(h->engine, err);
}

/* Nanoseconds per batch of `pages` pages, with what it takes to find out when it ran. */
static int measure_copies(void *arg, double *ns, struct emuv_err *err)
{
  struct host *h = arg;
  struct emuv_move moves[MANY_PAGES];
  struct emuv_engine_stats stats;
  const uint32_t n = h->pages > 1 ? MANY_BATCHES : N_BATCHES;
  int rc = 0;
  for (uint32_t i = 0; i < h->pages; i++)
    moves[i] = (struct emuv_move){.page = i, .upper = i, .lower = MANY_PAGES - 1 - i};
  double start = emuv_calibrate_now_ns(), sum, done;
  for (uint32_t i = 0; rc == 0 && i < n; i++) {
    rc = (h->down ? h->ram.ops->write : h->ram.ops->read)(&h->ram, moves, h->pages, 0, &done, err);
    if (rc == 0) rc = emuv_engine_flush(h->engine, err);
  }
  sum = emuv_calibrate_now_ns() - start;
  if (rc == 0) rc = emuv_engine_drain(h->engine, err);
  start = emuv_calibrate_now_ns();
  emuv_engine_stats(h->engine, &stats);
  *ns = (sum + emuv_calibrate_now_ns() - start) / n;
  return rc;
}

static struct emuv_figure worse(const struct emuv_figure *a, const struct emuv_figure *b, double value)
{
  return (struct emuv_figure){
      .value = value > 0 ? value : 0, .spread = a->spread > b->spread ? a->spread : b->spread, .n = a->n};
}

static int kernels(struct host *h, struct emuv_calibration *c, struct emuv_err *err)
{
  struct emuv_figure many = {.n = 0};
  h->pages = 1;
  int rc = emuv_calibrate_repeat(measure_kernels, h, &c->kernel_host, err);
  h->pages = MANY_PAGES;
  if (rc == 0) rc = emuv_calibrate_repeat(measure_kernels, h, &many, err);
  c->page_host = worse(&many, &many, (many.value - c->kernel_host.value) / (MANY_PAGES - 1));
  return rc;
}

/* The mean of both directions. */
static int copies(struct host *h, struct emuv_calibration *c, struct emuv_err *err)
{
  struct emuv_figure one[2] = {{.n = 0}}, many[2] = {{.n = 0}};
  int rc = 0;
  for (int down = 0; down < 2 && rc == 0; down++) {
    h->down = down;
    h->pages = 1;
    rc = emuv_calibrate_repeat(measure_copies, h, &one[down], err);
    h->pages = MANY_PAGES;
    if (rc == 0) rc = emuv_calibrate_repeat(measure_copies, h, &many[down], err);
  }
  const double alone = (one[0].value + one[1].value) / 2, all = (many[0].value + many[1].value) / 2;
  c->piece_host = worse(&many[0], &many[1], (all - alone) / (MANY_PAGES - 1));
  c->copy_host = worse(&one[0], &one[1], alone - c->piece_host.value);
  return rc;
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
  int rc = emuv_engine_open(&env, &h.engine, err);
  if (rc != 0) return rc;
  emuv_engine_tiers(h.engine, &h.ram, &h.nvme);
  rc = kernels(&h, c, err);
  if (rc == 0) rc = copies(&h, c, err);
  emuv_engine_close(h.engine);
  return rc;
}
