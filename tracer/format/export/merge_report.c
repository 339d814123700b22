// SPDX-License-Identifier: Apache-2.0
/* The report of `emuv-trace merge --report`: see export.h. */
#include "tracer/format/export/export.h"
#include "tracer/format/export/json.h"

#include <inttypes.h>
#include <string.h>

static double share(uint64_t part, uint64_t whole)
{
  return whole ? 100.0 * (double)part / (double)whole : 0;
}

static int kernel_json(json_t *list, const struct emuv_merge_kernel *k)
{
  json_t *o = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", emuv_json_text(k->name), "launches",
                        emuv_json_number(k->launches), "joined", emuv_json_number(k->joined), "unobserved",
                        emuv_json_number(k->unobserved), "pages", emuv_json_number(k->pages), "uncovered_pages",
                        emuv_json_number(k->uncovered), "uncovered_in_unpaired_allocations",
                        emuv_json_number(k->unmapped), "uncovered_launches", emuv_json_number(k->uncovered_launches));
  return o ? json_array_append_new(list, o) : -1;
}

static int report_json(const struct emuv_merge *m, FILE *out)
{
  json_t *kernels = json_array();
  int rc = kernels ? 0 : -1;
  for (size_t i = 0; i < m->n_kernels && rc == 0; i++) rc = kernel_json(kernels, &m->kernels[i]);
  json_t *o = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:o}", "page_bytes",
                        emuv_json_number(m->page_bytes), "launches", emuv_json_number(m->launches), "page_launches",
                        emuv_json_number(m->page_launches), "joined", emuv_json_number(m->joined), "observed",
                        emuv_json_number(m->observed), "in_graphs", emuv_json_number(m->in_graphs), "allocations",
                        emuv_json_number(m->allocations), "page_allocations", emuv_json_number(m->page_allocations),
                        "joined_allocations", emuv_json_number(m->joined_allocations), "pages",
                        emuv_json_number(m->pages), "uncovered_pages", emuv_json_number(m->uncovered), "truncated",
                        m->truncated, "page_truncated", m->page_truncated, "kernels", kernels);
  if (rc) {
    json_decref(o);
    return rc;
  }
  return emuv_json_line(o, out);
}

static void pairs(const struct emuv_merge *m, FILE *out)
{
  fprintf(out, "launches     %" PRIu64 " of %" PRIu64 " joined with one of %" PRIu64 " in the capture of pages\n",
          m->joined, m->launches, m->page_launches);
  fprintf(out, "             %" PRIu64 " (%.1f %%) fully observed\n", m->observed, share(m->observed, m->joined));
  if (m->in_graphs)
    fprintf(out, "             %" PRIu64 " of the default capture's run in CUDA graphs\n", m->in_graphs);
  fprintf(out, "allocations  %" PRIu64 " joined, of %" PRIu64 " and %" PRIu64 "\n", m->joined_allocations,
          m->allocations, m->page_allocations);
  if (m->truncated) fputs("             the default trace ends early\n", out);
  if (m->page_truncated) fputs("             the capture of pages ends early\n", out);
}

static void list_uncovered(const struct emuv_merge *m, size_t top, FILE *out)
{
  size_t n = 0;
  for (size_t i = 0; i < m->n_kernels; i++) {
    const struct emuv_merge_kernel *const k = &m->kernels[i];
    if (k->uncovered == 0 || n++ >= top) continue;
    fprintf(out, "             %10" PRIu64 " of %10" PRIu64 " pages, %" PRIu64 " launches", k->uncovered, k->pages,
            k->uncovered_launches);
    if (k->unmapped) fprintf(out, ", %" PRIu64 " in allocations without a partner", k->unmapped);
    fprintf(out, ": %s\n", k->name);
  }
  if (n > top) fprintf(out, "             ... and %zu kernels more (--top N)\n", n - top);
}

static void list_unobserved(const struct emuv_merge *m, size_t top, FILE *out)
{
  size_t n = 0;
  for (size_t i = 0; i < m->n_kernels; i++) {
    const struct emuv_merge_kernel *const k = &m->kernels[i];
    if (k->unobserved == 0 || n++ >= top) continue;
    if (n == 1) fputs("unobserved   (these keep the operands of the default capture)\n", out);
    fprintf(out, "             %10" PRIu64 " of %10" PRIu64 " launches: %s\n", k->unobserved, k->joined, k->name);
  }
  if (n > top) fprintf(out, "             ... and %zu kernels more (--top N)\n", n - top);
}

int emuv_export_merge(const struct emuv_merge *m, enum emuv_export_style style, size_t top, FILE *out,
                      struct emuv_err *err)
{
  if (style == EMUV_EXPORT_JSON) {
    const int rc = report_json(m, out);
    return rc ? emuv_err_set(err, EMUV_ERR_IO, "cannot write the report") : emuv_export_finish(out, err);
  }
  pairs(m, out);
  fprintf(out, "pages        %" PRIu64 " touched, of %" PRIu64 " bytes, as often as launches touched them\n", m->pages,
          m->page_bytes);
  fprintf(out, "uncovered    %" PRIu64 " (%.4f %%) by the operands of the default capture\n", m->uncovered,
          share(m->uncovered, m->pages));
  list_uncovered(m, top, out);
  list_unobserved(m, top, out);
  return emuv_export_finish(out, err);
}
