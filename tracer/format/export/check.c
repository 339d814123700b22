// SPDX-License-Identifier: Apache-2.0
/* The verdict of `emuv-trace check`: see export.h. One pass over the records as a stream. */
#include "tracer/format/export/json.h"
#include "tracer/format/export/report.h"

#include <inttypes.h>

enum { DROPS_SHOWN = 20 };

uint64_t emuv_report_record_ns(const struct emuv_trace_record *record)
{
  const struct emuv_trace_schema *schema = &emuv_trace_schemas[record->type];
  for (uint32_t i = 0; i < schema->n_fields; i++) {
    const struct emuv_trace_field *f = &schema->fields[i];
    if (f->channel == EMUV_CHANNEL_HOST_NS || f->channel == EMUV_CHANNEL_DEVICE_NS)
      return emuv_trace_field_get(f, &record->u);
  }
  return 0;
}

struct drop { /* a DROP record, and the times of the records around it */
  uint64_t count, before_ns, after_ns;
  char what[32], text[160];
};

struct pass {
  struct emuv_trace_reader_state state;
  uint64_t dropped, gaps, first_ns, last_ns; /* host times of records */
  struct drop drops[DROPS_SHOWN];
  size_t n_drops; /* may exceed what is kept */
};

static void take_drop(struct pass *p, const struct emuv_trace_reader *r, const struct emuv_trace_drop *d)
{
  p->dropped += d->count;
  if (p->n_drops++ >= DROPS_SHOWN) return;
  struct drop *mine = &p->drops[p->n_drops - 1];
  *mine = (struct drop){.count = d->count, .before_ns = p->last_ns, .after_ns = d->ns};
  snprintf(mine->what, sizeof mine->what, "%s",
           d->what && d->what < EMUV_TRACE_TYPES ? emuv_trace_schemas[d->what].name : "");
  snprintf(mine->text, sizeof mine->text, "%.150s", emuv_trace_reader_string(r, d->text));
}

static void take_record(struct pass *p, const struct emuv_trace_reader *r, const struct emuv_trace_record *record)
{
  if (record->type == EMUV_TRACE_GAP) p->gaps += record->u.gap.count ? record->u.gap.count : 1;
  if (record->type == EMUV_TRACE_DROP) take_drop(p, r, &record->u.drop);
  if (record->type == EMUV_TRACE_GPU_TIME) return; /* of calls before */
  uint64_t ns = emuv_report_record_ns(record);
  if (ns && (p->first_ns == 0 || ns < p->first_ns)) p->first_ns = ns;
  if (ns > p->last_ns) p->last_ns = ns;
}

static int read_all(const char *path, struct pass *p, struct emuv_err *err)
{
  struct emuv_trace_reader *r;
  struct emuv_trace_record record;
  int code = emuv_trace_reader_open(&r, path, err);
  if (code) return code;
  while ((code = emuv_trace_reader_next(r, &record, err)) > 0) take_record(p, r, &record);
  p->state = *emuv_trace_reader_state(r);
  emuv_trace_reader_close(r);
  if (p->state.has_verdict) p->dropped += p->state.verdict.dropped;
  return code;
}

static double ms(uint64_t from_ns, uint64_t to_ns)
{
  return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e6 : 0.0;
}

static const char *status_of(const struct pass *p, char buf[24])
{
  if (!p->state.has_verdict) return "truncated";
  return emuv_trace_name(emuv_trace_status_names, EMUV_TRACE_STATUSES, p->state.verdict.status, buf);
}

/* Time between the last record and the end of the capture, where records were refused at the end. */
static double unrecorded_ms(const struct pass *p)
{
  const struct emuv_trace_verdict *v = &p->state.verdict;
  bool refused = v->status == EMUV_TRACE_STATUS_SIZE_LIMIT || v->status == EMUV_TRACE_STATUS_NO_SPACE ||
                 v->status == EMUV_TRACE_STATUS_IO_ERROR;
  return p->state.has_verdict && refused ? ms(p->last_ns, v->ns) : 0.0;
}

static void text_drops(const char *path, const struct pass *p, FILE *out)
{
  for (size_t i = 0; i < p->n_drops && i < DROPS_SHOWN; i++) {
    const struct drop *d = &p->drops[i];
    fprintf(out, "%s: lost %" PRIu64 "%s%s records between %.3f and %.3f ms (%.3f ms)%s%s\n", path, d->count,
            *d->what ? " " : "", d->what, ms(p->first_ns, d->before_ns), ms(p->first_ns, d->after_ns),
            ms(d->before_ns, d->after_ns), *d->text ? ": " : "", d->text);
  }
  if (p->n_drops > DROPS_SHOWN) fprintf(out, "%s: and %zu losses more\n", path, p->n_drops - DROPS_SHOWN);
}

static void text_check(const char *path, const struct pass *p, FILE *out)
{
  const struct emuv_trace_reader_state *s = &p->state;
  char buf[24];
  fprintf(out, "%s: %s, %" PRIu64 " records in %u blocks, %" PRIu64 " dropped, %" PRIu64 " gaps\n", path,
          status_of(p, buf), s->records, s->n_blocks, p->dropped, p->gaps);
  if (s->has_verdict && s->verdict.text[0]) fprintf(out, "%s: verdict: %s\n", path, s->verdict.text);
  text_drops(path, p, out);
  if (unrecorded_ms(p) > 0)
    fprintf(out, "%s: the last %.3f ms of the capture are not recorded: %" PRIu64 " records\n", path, unrecorded_ms(p),
            s->verdict.dropped);
  if (s->truncated)
    fprintf(out, "%s: the file ends early: %" PRIu64 " of %" PRIu64 " bytes are whole blocks\n", path, s->valid_bytes,
            s->file_bytes);
  if (s->truncated && p->last_ns)
    fprintf(out, "%s: records end %.3f ms after the first; what came later is lost (a capture writes every 250 ms)\n",
            path, ms(p->first_ns, p->last_ns));
  if (s->skipped_blocks || s->skipped_records)
    fprintf(out, "%s: written by a newer version: %" PRIu64 " blocks and %" PRIu64 " records skipped\n", path,
            s->skipped_blocks, s->skipped_records);
}

static json_t *json_drops(const struct pass *p)
{
  json_t *list = json_array();
  for (size_t i = 0; list && i < p->n_drops && i < DROPS_SHOWN; i++) {
    const struct drop *d = &p->drops[i];
    json_array_append_new(list, json_pack("{s:o, s:s, s:o, s:f, s:f}", "count", emuv_json_number(d->count), "what",
                                          d->what, "text", emuv_json_text(d->text), "begin_ms",
                                          ms(p->first_ns, d->before_ns), "end_ms", ms(p->first_ns, d->after_ns)));
  }
  return list;
}

static json_t *json_check(const char *path, const struct pass *p)
{
  const struct emuv_trace_reader_state *s = &p->state;
  char buf[24];
  return json_pack("{s:o, s:s, s:o, s:o, s:I, s:o, s:o, s:b, s:o, s:o, s:f, s:f, s:o, s:o, s:o}", "file",
                   emuv_json_text(path), "status", status_of(p, buf), "text",
                   emuv_json_text(s->has_verdict ? s->verdict.text : ""), "records", emuv_json_number(s->records),
                   "blocks", (json_int_t)s->n_blocks, "dropped", emuv_json_number(p->dropped), "gaps",
                   emuv_json_number(p->gaps), "truncated", s->truncated, "file_bytes", emuv_json_number(s->file_bytes),
                   "valid_bytes", emuv_json_number(s->valid_bytes), "recorded_ms", ms(p->first_ns, p->last_ns),
                   "unrecorded_ms", unrecorded_ms(p), "skipped_blocks", emuv_json_number(s->skipped_blocks),
                   "skipped_records", emuv_json_number(s->skipped_records), "losses", json_drops(p));
}

int emuv_export_check(const char *path, enum emuv_export_style style, FILE *out, bool *whole, struct emuv_err *err)
{
  struct pass p = {0};
  int code = read_all(path, &p, err);
  if (code) return code;
  const struct emuv_trace_reader_state *s = &p.state;
  *whole = !s->truncated && p.dropped == 0 && s->has_verdict && s->verdict.status == EMUV_TRACE_STATUS_COMPLETE;
  if (style == EMUV_EXPORT_TEXT)
    text_check(path, &p, out);
  else if (emuv_json_line(json_check(path, &p), out) != 0)
    return emuv_err_set(err, EMUV_ERR_IO, "cannot write the verdict");
  return emuv_export_finish(out, err);
}
