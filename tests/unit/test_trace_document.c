// SPDX-License-Identifier: Apache-2.0
/* FORMAT.md lists exactly the fields, codings, channels and codes that the code has. */
#include "trace_fixture.h"

static char *document;

static int read_document(void **state)
{
  (void)state;
  size_t n;
  uint8_t *bytes = fixture_slurp(EMUV_SOURCE_DIR "/tracer/format/FORMAT.md", &n);
  bytes[n] = '\0';
  document = (char *)bytes;
  return 0;
}

static int free_document(void **state)
{
  (void)state;
  free(document);
  return 0;
}

static void expect_line(const char *line)
{
  const char *at = strstr(document, line);
  if (!at || (at != document && at[-1] != '\n')) fail_msg("FORMAT.md should have the line\n%s", line);
}

static void describe(FILE *out, const struct emuv_trace_field *f)
{
  static const char *const codings[] = {"", "delta", "optional"};
  static const char *const channels[EMUV_CHANNELS] = {
      "", "host_ns", "device_ns", "sequence", "correlation", "late_correlation", "allocation", "address"};
  fprintf(out, "%s u%d", f->name, f->size * 8);
  if (f->coding != EMUV_CODING_PLAIN) fprintf(out, " (%s %s)", codings[f->coding], channels[f->channel]);
  if (f->show == EMUV_SHOW_STRING) fputs(" string", out);
  if (f->show == EMUV_SHOW_KERNEL) fputs(" kernel id", out);
  if (f->show == EMUV_SHOW_NAME) fputs(" code", out);
}

static void expect_schema(uint32_t type, const struct emuv_trace_schema *s)
{
  char *line;
  size_t n;
  FILE *out = open_memstream(&line, &n);
  assert_non_null(out);
  fputs("**", out);
  if (type) fprintf(out, "%u ", type);
  fprintf(out, "`%s`**: ", s->name);
  for (uint32_t i = 0; i < s->n_fields; i++) {
    if (i) fputs(", ", out);
    describe(out, &s->fields[i]);
  }
  fputc('\n', out);
  fclose(out);
  expect_line(line);
  free(line);
}

static void fields_are_documented(void **state)
{
  (void)state;
  for (uint32_t t = 1; t < EMUV_TRACE_TYPES; t++) expect_schema(t, &emuv_trace_schemas[t]);
  expect_schema(0, &emuv_trace_schema_operand);
  expect_schema(0, &emuv_trace_schema_kernel);
  expect_schema(0, &emuv_trace_schema_verdict);
}

static void expect_codes(const char *what, const char *const *names, uint32_t n)
{
  char line[512];
  size_t at = (size_t)snprintf(line, sizeof line, "| %s |", what);
  for (uint32_t i = 0; i < n; i++)
    at += (size_t)snprintf(line + at, sizeof line - at, " %u %s%s", i, names[i], i + 1 < n ? "," : " |\n");
  expect_line(line);
}

static void codes_are_documented(void **state)
{
  (void)state;
  expect_codes("allocation.kind", emuv_trace_memory_names, EMUV_TRACE_MEMORY_KINDS);
  expect_codes("copy.kind, graph_node.copy_kind", emuv_trace_copy_names, EMUV_TRACE_COPY_KINDS);
  expect_codes("operand.access", emuv_trace_access_names, EMUV_TRACE_ACCESS_KINDS);
  expect_codes("operand.provenance", emuv_trace_provenance_names, EMUV_TRACE_PROVENANCES);
  expect_codes("launch.class, operand.class, graph_node.class", emuv_trace_class_names, EMUV_TRACE_CLASSES);
  expect_codes("range.kind", emuv_trace_range_names, EMUV_TRACE_RANGE_KINDS);
  expect_codes("sync.kind", emuv_trace_sync_names, EMUV_TRACE_SYNC_KINDS);
  expect_codes("gap.why", emuv_trace_gap_names, EMUV_TRACE_GAP_WHYS);
  expect_codes("graph_node.kind", emuv_trace_node_names, EMUV_TRACE_NODE_KINDS);
  expect_codes("verdict.status", emuv_trace_status_names, EMUV_TRACE_STATUSES);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(fields_are_documented), cmocka_unit_test(codes_are_documented)};
  return cmocka_run_group_tests(tests, read_document, free_document);
}
