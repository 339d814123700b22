// SPDX-License-Identifier: Apache-2.0
/* The JSON schema holds every key with its help, lists for what may be swept, and every name of the registries. */
#include "simulator/config.h"
#include "simulator/schema.h"

#include <jansson.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *schema(void)
{
  char *text;
  json_error_t error;
  assert_int_equal(emuv_schema_text(&text, NULL), 0);
  assert_int_equal(text[strlen(text) - 1], '\n');
  json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
  if (root == NULL) fail_msg("%s", error.text);
  free(text);
  return root;
}

static const json_t *at(const json_t *root, const char *a, const char *b)
{
  const json_t *found = json_object_get(json_object_get(root, a), b);
  if (found == NULL) fail_msg("no %s in %s", b, a);
  return found;
}

static void every_key_is_there(void **state)
{
  (void)state;
  size_t n;
  const struct emuv_option *table = emuv_config_options(&n);
  json_t *root = schema();
  for (size_t i = 0; i < n; i++) {
    const json_t *definition = at(root, "$defs", table[i].key);
    assert_string_equal(json_string_value(json_object_get(definition, "description")), table[i].help);
    (void)at(root, "properties", table[i].key);
    (void)at(json_object_get(at(root, "properties", "sweep"), "items"), "properties", table[i].key);
  }
  assert_true(json_is_false(json_object_get(root, "additionalProperties")));
  json_decref(root);
}

static void only_what_may_be_swept_takes_lists(void **state)
{
  (void)state;
  size_t n;
  const struct emuv_option *table = emuv_config_options(&n);
  json_t *root = schema();
  for (size_t i = 0; i < n; i++) {
    const json_t *forms = json_object_get(at(root, "$defs", table[i].key), "anyOf");
    const char *type = json_string_value(json_object_get(json_array_get(forms, 1), "type"));
    const bool list = type != NULL && strcmp(type, "array") == 0;
    if (list != ((table[i].flags & EMUV_OPTION_NO_SWEEP) == 0)) fail_msg("%s", table[i].key);
  }
  json_decref(root);
}

static void names_are_those_of_the_registries(void **state)
{
  (void)state;
  size_t n;
  const struct emuv_option *table = emuv_config_options(&n);
  json_t *root = schema();
  for (size_t i = 0; i < n; i++) {
    if (table[i].type != EMUV_OPTION_NAME) continue;
    const json_t *names =
        json_object_get(json_array_get(json_object_get(at(root, "$defs", table[i].key), "anyOf"), 0), "enum");
    size_t k = 0;
    for (; table[i].names()[k] != NULL; k++)
      assert_string_equal(json_string_value(json_array_get(names, k)), table[i].names()[k]);
    assert_int_equal(json_array_size(names), k);
  }
  json_decref(root);
}

static bool matches(const char *pattern, const char *text)
{
  regex_t regex;
  assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
  bool found = regexec(&regex, text, 0, NULL, 0) == 0;
  regfree(&regex);
  return found;
}

/* What the patterns accept and refuse is what the parser does. */
static void patterns_agree_with_the_parser(void **state)
{
  (void)state;
  static const char *const keys[] = {"page_size", "hw.vram_rate", "hw.fault", "hw.flops"};
  static const char *const texts[] = {"64KiB",  "64K",    "64kB",        "1.5 GiB",  "4096", "2m",
                                      "1e3KiB", "25GB/s", "25 GiB/s",    "25Gb/s",   "0",    "2.5us",
                                      "3 min",  "1e3ns",  "82.6TFLOP/s", "82TFLOPS", "x"};
  size_t n;
  const struct emuv_option *table = emuv_config_options(&n);
  json_t *root = schema();
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    struct emuv_option row = *emuv_option_find(table, n, keys[i]);
    const json_t *forms = json_array_get(json_object_get(at(root, "$defs", keys[i]), "anyOf"), 0);
    const char *pattern =
        json_string_value(json_object_get(json_array_get(json_object_get(forms, "anyOf"), 0), "pattern"));
    row.max = row.min; /* bounds are not in the pattern */
    for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++) {
      struct emuv_config config;
      if (matches(pattern, texts[k]) != (emuv_option_parse(&row, &config, texts[k], NULL) == 0))
        fail_msg("%s: %s", keys[i], texts[k]);
    }
  }
  json_decref(root);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_key_is_there),
      cmocka_unit_test(only_what_may_be_swept_takes_lists),
      cmocka_unit_test(names_are_those_of_the_registries),
      cmocka_unit_test(patterns_agree_with_the_parser),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
