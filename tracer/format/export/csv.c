// SPDX-License-Identifier: Apache-2.0
/* Operands of all calls as CSV (RFC 4180): see export.h. */
#include "tracer/format/export/export.h"
#include "tracer/format/schema.h"
#include "tracer/format/space.h"

#include <inttypes.h>
#include <string.h>

static void put_text(const char *text, FILE *out)
{
  if (!strpbrk(text, ",\"\r\n")) {
    fputs(text, out);
    return;
  }
  fputc('"', out);
  for (; *text; text++) {
    if (*text == '"') fputc('"', out);
    fputc(*text, out);
  }
  fputc('"', out);
}

static const char *call_name(const struct emuv_trace_data *d, const struct emuv_trace_call *call, char buf[24])
{
  if (call->type == EMUV_TRACE_LAUNCH) return emuv_trace_data_kernel(d, d->launches[call->index].kernel);
  if (call->type == EMUV_TRACE_SET) return "";
  return emuv_trace_name(emuv_trace_copy_names, EMUV_TRACE_COPY_KINDS, d->copies[call->index].kind, buf);
}

static void put_operand(const struct emuv_trace_data *d, const struct emuv_trace_call *call,
                        const struct emuv_trace_operand *o, FILE *out)
{
  const struct emuv_trace_life *life = emuv_trace_data_allocation(d, o->allocation);
  char buf[24];
  fprintf(out, "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%s,", call->sequence, call->enter_ns, call->start_ns,
          call->end_ns, emuv_trace_schemas[call->type].name);
  put_text(call_name(d, call, buf), out);
  fprintf(out, ",%" PRIu64 ",0x%" PRIx64 ",%" PRIu64 ",%" PRIu64, o->allocation,
          life ? life->a.address + o->offset : o->offset, o->offset, o->bytes);
  fprintf(out, ",%s", emuv_trace_name(emuv_trace_access_names, EMUV_TRACE_ACCESS_KINDS, o->access, buf));
  fprintf(out, ",%s", emuv_trace_name(emuv_trace_class_names, EMUV_TRACE_CLASSES, o->cls, buf));
  fprintf(out, ",%s\n", emuv_trace_name(emuv_trace_provenance_names, EMUV_TRACE_PROVENANCES, o->provenance, buf));
}

int emuv_export_csv(const struct emuv_trace_data *d, FILE *out, struct emuv_err *err)
{
  struct emuv_trace_order order;
  int code = emuv_trace_order_build(d, &order, err);
  if (code) return code;
  fputs("sequence,enter_ns,start_ns,end_ns,type,name,allocation,address,offset,bytes,access,class,provenance\n", out);
  for (size_t i = 0; i < order.n; i++) {
    uint32_t n = emuv_trace_call_operands(d, &order.calls[i]);
    for (uint32_t k = 0; k < n; k++) {
      struct emuv_trace_operand o = emuv_trace_call_operand(d, &order.calls[i], k);
      if (o.allocation) put_operand(d, &order.calls[i], &o, out);
    }
  }
  emuv_trace_order_free(&order);
  return emuv_export_finish(out, err);
}
