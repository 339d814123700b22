// SPDX-License-Identifier: Apache-2.0
/* Compares a trace with what the traced program says about its memory (--parameters of the reference programs).
 *
 *   trace_truth [--json] [--exact PERCENT] [--pages] TRACE PARAMETERS.json
 *
 * Where the JSON file is a list of tensors (reference.py says how), each step must read every weight that it says,
 * whole, at least PERCENT (default 99) of their bytes by operands of class exact, and none that the step does not read;
 * other tensors (caches) must be covered. Where it has a list of launches (vmm_managed.cu), the operands of each must
 * cover the extents. --pages: operands that were observed as pages count, too. Status 0 when all that holds, 1 when
 * not, 2 for wrong usage, 3 when the input cannot be read. */
#include "tests/gpu/trace_truth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_begin(const void *a, const void *b)
{
  const uint64_t x = ((const struct truth_span *)a)->begin, y = ((const struct truth_span *)b)->begin;
  return (x > y) - (x < y);
}

void truth_sort(struct truth_span *spans, size_t n)
{
  if (n) qsort(spans, n, sizeof *spans, by_begin);
}

uint64_t truth_covered(const struct truth_span *spans, size_t n, uint64_t begin, uint64_t end, bool only_exact)
{
  uint64_t sum = 0;
  for (size_t i = 0; i < n && spans[i].begin < end; i++) {
    if ((only_exact && !spans[i].exact) || spans[i].end <= begin) continue;
    const uint64_t from = spans[i].begin > begin ? spans[i].begin : begin;
    const uint64_t to = spans[i].end < end ? spans[i].end : end;
    sum += to - from;
    begin = to;
  }
  return sum;
}

bool truth_operand_address(const struct emuv_trace_data *d, const struct emuv_trace_operand *o, uint64_t *address)
{
  const struct emuv_trace_life *life = emuv_trace_data_allocation(d, o->allocation);
  if (!life) return false;
  *address = life->a.address + o->offset;
  return true;
}

bool truth_counts(const struct truth_options *options, const struct emuv_trace_operand *o)
{
  return options->pages || o->provenance != EMUV_TRACE_FROM_PAGE;
}

enum { LISTED = 8, KERNEL_WIDTH = 70 }; /* in text; --json has all */

static void print_entry(json_t *entry)
{
  const char *key;
  json_t *value;
  json_object_foreach(entry, key, value)
  {
    if (json_is_string(value))
      printf(" %s %.*s", key, KERNEL_WIDTH, json_string_value(value));
    else
      printf(" %s %" JSON_INTEGER_FORMAT, key, json_integer_value(value));
  }
  putchar('\n');
}

static void print_list(const char *title, const json_t *list)
{
  const size_t n = json_array_size(list);
  for (size_t i = 0; i < n && i < LISTED; i++) {
    printf("%s:", title);
    print_entry(json_array_get(list, i));
  }
  if (n > LISTED) printf("%s: and %zu more (--json lists them)\n", title, n - LISTED);
}

/* Numbers in a line each, lists entry by entry. */
static void print_text(json_t *result)
{
  const char *key;
  json_t *value;
  json_object_foreach(result, key, value)
  {
    if (json_is_array(value)) {
      print_list(key, value);
    } else {
      char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
      printf("%-26s %s\n", key, text ? text : "");
      free(text);
    }
  }
}

static int compare(const struct emuv_trace_data *d, const json_t *said, const struct truth_options *options,
                   json_t *result)
{
  struct emuv_trace_order order = {0};
  struct emuv_err err = {0};
  if (emuv_trace_order_build(d, &order, &err)) {
    emuv_err_print(&err, stderr);
    return TRUTH_INPUT;
  }
  const json_t *launches = json_object_get(said, "launches");
  const int status =
      launches ? truth_launches(d, &order, launches, options, result) : truth_steps(d, &order, said, options, result);
  emuv_trace_order_free(&order);
  return status;
}

static int run(const char *trace, const char *parameters, const struct truth_options *options, bool as_json)
{
  struct emuv_trace_data d;
  struct emuv_err err = {0};
  json_error_t error;
  json_t *said = json_load_file(parameters, 0, &error);
  if (!said || !(json_is_array(said) || json_is_array(json_object_get(said, "launches")))) {
    fprintf(stderr, "trace_truth: %s: %s\n", parameters, said ? "neither tensors nor launches" : error.text);
    json_decref(said);
    return TRUTH_INPUT;
  }
  if (emuv_trace_load(trace, &d, &err)) {
    emuv_err_print(&err, stderr);
    json_decref(said);
    return TRUTH_INPUT;
  }
  json_t *result = json_object();
  const int status = compare(&d, said, options, result);
  if (status != TRUTH_INPUT) json_object_set_new(result, "holds", json_boolean(status == TRUTH_YES));
  if (as_json)
    json_dumpf(result, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
  else
    print_text(result);
  if (as_json) putchar('\n');
  json_decref(result);
  json_decref(said);
  emuv_trace_data_free(&d);
  return status;
}

int main(int argc, char **argv)
{
  struct truth_options options = {.exact_percent = 99};
  bool as_json = false;
  int i = 1;
  for (; i < argc && argv[i][0] == '-'; i++) {
    if (strcmp(argv[i], "--json") == 0)
      as_json = true;
    else if (strcmp(argv[i], "--pages") == 0)
      options.pages = true;
    else if (strcmp(argv[i], "--exact") == 0 && i + 1 < argc)
      options.exact_percent = strtod(argv[++i], NULL);
    else
      break;
  }
  if (argc - i != 2) {
    fprintf(stderr, "usage: trace_truth [--json] [--exact PERCENT] [--pages] TRACE PARAMETERS.json\n");
    return 2;
  }
  return run(argv[i], argv[i + 1], &options, as_json);
}
