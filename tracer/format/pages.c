// SPDX-License-Identifier: Apache-2.0
/* Page references of a trace: see pages.h. */
#include "tracer/format/pages.h"

int emuv_trace_pages_open(const char *path, uint64_t page_bytes, struct emuv_trace_pages *p, struct emuv_err *err)
{
  *p = (struct emuv_trace_pages){.page_bytes = page_bytes};
  if (page_bytes == 0) return emuv_err_set(err, EMUV_ERR_RANGE, "a page must have at least one byte");
  int code = emuv_trace_load(path, &p->data, err);
  if (code == 0) code = emuv_trace_space_build(&p->data, &p->space, err);
  if (code == 0) code = emuv_trace_order_build(&p->data, &p->order, err);
  p->n_pages = p->space.bytes / page_bytes + (p->space.bytes % page_bytes != 0);
  if (code == 0 && page_bytes > 1 && p->n_pages > UINT32_MAX)
    code = emuv_err_set(err, EMUV_ERR_RANGE, "%s touches more than 2^32 pages of this size", path);
  if (code) emuv_trace_pages_close(p);
  return code;
}

static bool place_operand(const struct emuv_trace_pages *p, const struct emuv_trace_operand *o,
                          struct emuv_page_reference *r)
{
  struct emuv_trace_place place;
  bool bounded = o->cls != EMUV_TRACE_CLASS_EXACT;
  if (!emuv_trace_space_find(&p->space, o->allocation, o->offset, o->bytes, bounded, &place)) return false;
  const struct emuv_trace_extent *e = &p->space.extents[place.extent];
  r->address = e->base + place.offset;
  r->bytes = place.bytes;
  r->object = p->data.allocations[e->allocation].a.address + e->offset + place.offset;
  r->access = o->access;
  r->first = r->address / p->page_bytes;
  r->n = (r->address + r->bytes - 1) / p->page_bytes - r->first + 1;
  return true;
}

bool emuv_trace_pages_next(struct emuv_trace_pages *p, struct emuv_page_reference *reference)
{
  for (; p->call < p->order.n; p->call++, p->operand = 0) {
    const struct emuv_trace_call *call = &p->order.calls[p->call];
    uint32_t n = emuv_trace_call_operands(&p->data, call);
    while (p->operand < n) {
      struct emuv_trace_operand o = emuv_trace_call_operand(&p->data, call, p->operand++);
      if (!place_operand(p, &o, reference)) continue;
      reference->ns = call->enter_ns;
      return true;
    }
  }
  return false;
}

void emuv_trace_pages_rewind(struct emuv_trace_pages *p)
{
  p->call = 0;
  p->operand = 0;
}

void emuv_trace_pages_close(struct emuv_trace_pages *p)
{
  emuv_trace_order_free(&p->order);
  emuv_trace_space_free(&p->space);
  emuv_trace_data_free(&p->data);
}
