// SPDX-License-Identifier: Apache-2.0
/* Bad scenarios: the whole message (place, text, source line, caret, hint) and the exit status of every kind of
 * mistake, and that hostile files of 10 MB are refused at their first bracket. */
#include "simulator/scenario.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char *printed(const struct emuv_err *err)
{
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  assert_non_null(out);
  emuv_err_print(err, out);
  (void)fclose(out);
  return text;
}

static void assert_fails(const char *text, size_t length, const char *override, int status, const char *expected)
{
  struct emuv_scenario s;
  struct emuv_err err;
  int rc = emuv_scenario_parse("s.yaml", text, length, &override, override != NULL, &s, &err);
  if (rc == 0) fail_msg("accepted: %.200s", text);
  assert_int_equal(rc, err.code);
  assert_int_equal(emuv_err_exit_status(rc), status);
  assert_null(s.configs);
  assert_int_equal(s.n_configs, 0);
  char *message = printed(&err);
  assert_string_equal(message, expected);
  free(message);
  assert_int_equal(emuv_scenario_parse("s.yaml", text, length, &override, override != NULL, &s, NULL), rc);
}

struct bad {
  const char *text, *message;
};

static void assert_all_fail(const struct bad *cases, size_t n)
{
  for (size_t i = 0; i < n; i++) assert_fails(cases[i].text, strlen(cases[i].text), NULL, 3, cases[i].message);
}
#define ASSERT_ALL_FAIL(cases) assert_all_fail(cases, sizeof(cases) / sizeof(cases)[0])

static void keys(void **state)
{
  (void)state;
  static const struct bad cases[] = {
      {"page_sise: 2MiB\n", "s.yaml:1:1: error: unknown key \"page_sise\"\n"
                            "     1 | page_sise: 2MiB\n"
                            "       | ^\n"
                            "hint: did you mean \"page_size\"?\n"},
      {"vram: 1GiB\nmodel:\n  layer: 3\n", "s.yaml:3:3: error: unknown key \"model.layer\"\n"
                                           "     3 |   layer: 3\n"
                                           "       |   ^\n"
                                           "hint: did you mean \"model.layers\"?\n"},
      {"hardwear: h200\n", "s.yaml:1:1: error: unknown key \"hardwear\"\n"
                           "     1 | hardwear: h200\n"
                           "       | ^\n"
                           "hint: did you mean \"hardware\"?\n"},
      {"bananas: 3\n", "s.yaml:1:1: error: unknown key \"bananas\"\n"
                       "     1 | bananas: 3\n"
                       "       | ^\n"
                       "hint: `emuv-sim --schema` prints every key\n"},
      {"vram: 1GiB\n# more\nvram: 2GiB\n", "s.yaml:3:1: error: duplicate key \"vram\"\n"
                                           "     3 | vram: 2GiB\n"
                                           "       | ^\n"
                                           "hint: first given on line 1; write a list to try several values\n"},
      {"hardware: {vram: 1GiB}\nhw.vram: 1GiB\n", "s.yaml:2:1: error: duplicate key \"hw.vram\"\n"
                                                  "     2 | hw.vram: 1GiB\n"
                                                  "       | ^\n"
                                                  "hint: first given on line 1; write a list to try several values\n"},
      {"model: a\nmodel: {preset: b}\n", "s.yaml:2:9: error: duplicate key \"model.preset\"\n"
                                         "     2 | model: {preset: b}\n"
                                         "       |         ^\n"
                                         "hint: first given on line 1; write a list to try several values\n"},
      {"sweep: [{seed: 1}]\nsweep: [{seed: 1}]\n", "s.yaml:2:1: error: duplicate key \"sweep\"\n"
                                                   "     2 | sweep: [{seed: 1}]\n"
                                                   "       | ^\n"},
      {"<<: {vram: 1GiB}\n", "s.yaml:1:1: error: unknown key \"<<\"\n"
                             "     1 | <<: {vram: 1GiB}\n"
                             "       | ^\n"
                             "hint: merge keys are not supported: write the values out\n"},
      {"? [a]\n: 3\n", "s.yaml:1:3: error: a key must be a word, not a list or a map\n"
                       "     1 | ? [a]\n"
                       "       |   ^\n"},
      {"\"a\\0b\": 3\n", "s.yaml:1:1: error: a NUL character in the key\n"
                         "     1 | \"a\\0b\": 3\n"
                         "       | ^\n"},
  };
  ASSERT_ALL_FAIL(cases);
}

static void values(void **state)
{
  (void)state;
  static const struct bad cases[] = {
      {"page_size: [2MiB, 64K]\n", "s.yaml:1:19: error: page_size: \"64K\": unknown unit \"K\" of a size\n"
                                   "     1 | page_size: [2MiB, 64K]\n"
                                   "       |                   ^\n"
                                   "hint: write 64KiB (1024-based) or 64kB (1000-based)\n"},
      {"vram:\n  - 1GiB\n  - -3GiB\n", "s.yaml:3:5: error: vram: \"-3GiB\": a size must not be negative\n"
                                       "     3 |   - -3GiB\n"
                                       "       |     ^\n"},
      {"vram: 900PiB\n", "s.yaml:1:7: error: vram: \"900PiB\" is too large: the most is 64TiB\n"
                         "     1 | vram: 900PiB\n"
                         "       |       ^\n"},
      {"vram: 99999999PiB\n",
       "s.yaml:1:7: error: vram: \"99999999PiB\" is an absurd size: the most that is accepted is 4096PiB\n"
       "     1 | vram: 99999999PiB\n"
       "       |       ^\n"},
      {"write: [back, trough]\n", "s.yaml:1:15: error: unknown write \"trough\"\n"
                                  "     1 | write: [back, trough]\n"
                                  "       |               ^\n"
                                  "hint: did you mean \"through\"? valid: back through\n"},
      {"vram:\n", "s.yaml:1:6: error: vram has no value\n"
                  "     1 | vram:\n"
                  "       |      ^\n"},
      {"vram: []\n", "s.yaml:1:7: error: vram: the list is empty\n"
                     "     1 | vram: []\n"
                     "       |       ^\n"},
      {"vram: [[1GiB]]\n", "s.yaml:1:8: error: vram: a list inside a list of values\n"
                           "     1 | vram: [[1GiB]]\n"
                           "       |        ^\n"},
      {"model: [{layers: 3}]\n", "s.yaml:1:9: error: model.preset: a map inside a list of values\n"
                                 "     1 | model: [{layers: 3}]\n"
                                 "       |         ^\n"
                                 "hint: variants of several keys at once go into `sweep:`, a list of maps\n"},
      {"vram: {a: 1}\n", "s.yaml:1:7: error: vram takes a value, not a map\n"
                         "     1 | vram: {a: 1}\n"
                         "       |       ^\n"},
      {"description: [a, b]\n", "s.yaml:1:14: error: description takes one value, not a list\n"
                                "     1 | description: [a, b]\n"
                                "       |              ^\n"},
      {"description: \"a\\0b\"\n", "s.yaml:1:14: error: description: a NUL character in the value\n"
                                   "     1 | description: \"a\\0b\"\n"
                                   "       |              ^\n"},
      {"sweep: 3\n", "s.yaml:1:8: error: sweep takes a list of maps\n"
                     "     1 | sweep: 3\n"
                     "       |        ^\n"},
      {"sweep: []\n", "s.yaml:1:8: error: sweep: the list is empty\n"
                      "     1 | sweep: []\n"
                      "       |        ^\n"},
      {"sweep: [1]\n", "s.yaml:1:9: error: sweep: each item is a map of keys\n"
                       "     1 | sweep: [1]\n"
                       "       |         ^\n"},
      {"sweep:\n  - sweep: []\n", "s.yaml:2:5: error: a sweep inside a sweep\n"
                                  "     2 |   - sweep: []\n"
                                  "       |     ^\n"},
  };
  ASSERT_ALL_FAIL(cases);
}

static void yaml(void **state)
{
  (void)state;
  static const struct bad cases[] = {
      {"vram: &x 1GiB\n", "s.yaml:1:7: error: anchors and aliases (& and *) are not supported here\n"
                          "     1 | vram: &x 1GiB\n"
                          "       |       ^\n"
                          "hint: write the value out, or use `sweep:` for variants of a scenario\n"},
      {"vram: *x\n", "s.yaml:1:7: error: anchors and aliases (& and *) are not supported here\n"
                     "     1 | vram: *x\n"
                     "       |       ^\n"
                     "hint: write the value out, or use `sweep:` for variants of a scenario\n"},
      {"vram: !size 1GiB\n", "s.yaml:1:7: error: tags (!) are not supported here\n"
                             "     1 | vram: !size 1GiB\n"
                             "       |       ^\n"
                             "hint: put the text in quotes if it starts with \"!\"\n"},
      {"vram: \"1GiB\n", "s.yaml:1:7: error: YAML: found unexpected end of stream (while scanning a quoted scalar)\n"
                         "     1 | vram: \"1GiB\n"
                         "       |       ^\n"},
      {"vram: @1\n",
       "s.yaml:1:7: error: YAML: found character that cannot start any token (while scanning for the next token)\n"
       "     1 | vram: @1\n"
       "       |       ^\n"
       "hint: put the text in quotes; indent with spaces, not with tabs\n"},
      {"vram: 1GiB\n---\nvram: 2GiB\n", "s.yaml:2:1: error: a second document starts here; one file holds one\n"
                                        "     2 | ---\n"
                                        "       | ^\n"},
      {"[1, 2]\n", "s.yaml:1:1: error: the file is not a map of keys\n"
                   "     1 | [1, 2]\n"
                   "       | ^\n"
                   "hint: write lines such as `model: llama-2-7b` and `vram: 12GiB`\n"},
      {"", "s.yaml:1:1: error: the file is empty\n"
           "hint: write lines such as `model: llama-2-7b` and `vram: 12GiB`\n"},
      {"# only a comment\n", "s.yaml:1:1: error: the file is empty\n"
                             "     1 | # only a comment\n"
                             "       | ^\n"
                             "hint: write lines such as `model: llama-2-7b` and `vram: 12GiB`\n"},
      {"---\n", "s.yaml:1:1: error: the file is empty\n"
                "     1 | ---\n"
                "       | ^\n"
                "hint: write lines such as `model: llama-2-7b` and `vram: 12GiB`\n"},
      {"vram: 1GiB\nram: \xff\n",
       "s.yaml:2:6: error: not a text file: byte 0xff at offset 16\n"
       "hint: scenarios and presets are YAML in UTF-8; a trace is given with --trace FILE\n"},
      {"\x7f"
       "ELF\2\1\1",
       "s.yaml:1:1: error: not a text file: byte 0x7f at offset 0\n"
       "hint: scenarios and presets are YAML in UTF-8; a trace is given with --trace FILE\n"},
  };
  ASSERT_ALL_FAIL(cases);
  assert_fails("a\0b", 3, NULL, 3,
               "s.yaml:1:2: error: not a text file: byte 0x00 at offset 1\n"
               "hint: scenarios and presets are YAML in UTF-8; a trace is given with --trace FILE\n");
}

static void between_keys(void **state)
{
  (void)state;
  static const struct bad cases[] = {
      {"page_size: [2MiB, 2GiB]\nvram: [4GiB, 1GiB]\n",
       "s.yaml:1:19: error: page_size: a page of 2GiB is larger than the 1GiB of VRAM\n"
       "     1 | page_size: [2MiB, 2GiB]\n"
       "       |                   ^\n"
       "hint: smaller pages, or more vram\n"},
      {"vram: 1MiB\n", "s.yaml:1:7: error: page_size: a page of 2MiB is larger than the 1MiB of VRAM\n"
                       "     1 | vram: 1MiB\n"
                       "       |       ^\n"
                       "hint: smaller pages, or more vram\n"},
      {"page_size: 5000\n", "s.yaml:1:12: error: page_size: 5000B is not a multiple of 4KiB\n"
                            "     1 | page_size: 5000\n"
                            "       |            ^\n"},
      {"hardware: none\nvram: 1GiB\n", "s.yaml:1:11: error: hw.vram_rate is not given\n"
                                       "     1 | hardware: none\n"
                                       "       |           ^\n"
                                       "hint: give it here or in the preset (hw.preset)\n"},
      {"model: none\n", "s.yaml:1:8: error: model.layers is not given\n"
                        "     1 | model: none\n"
                        "       |        ^\n"
                        "hint: give it here or in the preset (model.preset)\n"},
      {"model.kv_heads: 3\n", "s.yaml:1:17: error: model.kv_heads: 4 heads cannot share 3 key-value heads evenly\n"
                              "     1 | model.kv_heads: 3\n"
                              "       |                 ^\n"},
      {"model.experts_per_token: 2\n", "s.yaml:1:26: error: model.experts_per_token: 2 of 1 experts\n"
                                       "     1 | model.experts_per_token: 2\n"
                                       "       |                          ^\n"},
      {"context: 0\n", "s.yaml:1:10: error: context: there is neither a context nor a prompt\n"
                       "     1 | context: 0\n"
                       "       |          ^\n"},
      {"context: 1000000000\nbatch: 1000000\n",
       "s.yaml:1:10: error: context: the KV cache would take 455 PiB, at most 1 PiB is accepted\n"
       "     1 | context: 1000000000\n"
       "       |          ^\n"},
      {"source: trace\n", "s.yaml:1:9: error: source: trace needs the key trace, the path of a trace file\n"
                          "     1 | source: trace\n"
                          "       |         ^\n"
                          "hint: write `trace: FILE.emuv`\n"},
      {"scenario: ../../x\n", "s.yaml:1:11: error: scenario: \"../../x\" cannot name a file of results\n"
                              "     1 | scenario: ../../x\n"
                              "       |           ^\n"},
      {"trace: none.emuv\n", "s.yaml:1:8: error: trace: cannot open none.emuv: No such file or directory\n"
                             "     1 | trace: none.emuv\n"
                             "       |        ^\n"},
      {"model: ./none.json\n", "s.yaml:1:8: error: cannot open ./none.json: No such file or directory\n"
                               "     1 | model: ./none.json\n"
                               "       |        ^\n"},
      {"pattern.objects: 1000000000\npattern.object: 1GiB\n",
       "s.yaml:1:18: error: pattern.objects: all together are 954 PiB, at most 1 PiB is accepted\n"
       "     1 | pattern.objects: 1000000000\n"
       "       |                  ^\n"},
  };
  ASSERT_ALL_FAIL(cases);
}

/* The lists of known names grow, so only the start of these messages is fixed. */
static void unknown_names_get_a_suggestion(void **state)
{
  (void)state;
  static const struct {
    const char *text, *message, *hint;
    long column;
  } cases[] = {
      {"policy: [lru, fifoo]\n", "unknown policy \"fifoo\"", "did you mean \"fifo\"? valid: ", 15},
      {"prefetch: nextn\n", "unknown prefetch \"nextn\"", "did you mean \"next-n\"? valid: ", 11},
      {"strategy: streem\n", "unknown strategy \"streem\"", "did you mean \"stream\"? valid: ", 11},
      {"policy: bananas\n", "unknown policy \"bananas\"", "valid: ", 9},
      {"policy: static\n", "unknown policy \"static\"", "valid: ", 9},
      {"hardware: test-cart\n", "unknown hardware preset \"test-cart\"", "did you mean \"test-card\"? known:", 11},
      {"model: [tiny-model, tiny-modle]\n", "unknown model preset \"tiny-modle\"",
       "did you mean \"tiny-model\"? known:", 21},
      {"model: bananas\n", "unknown model preset \"bananas\"", "known:", 8},
      {"model: ..\n", "unknown model preset \"..\"", "known:", 8},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct emuv_scenario s;
    struct emuv_err err;
    assert_int_equal(emuv_scenario_parse("s.yaml", cases[i].text, strlen(cases[i].text), NULL, 0, &s, &err),
                     EMUV_ERR_INPUT);
    assert_string_equal(err.text, cases[i].message);
    err.hint[strlen(cases[i].hint)] = '\0';
    assert_string_equal(err.hint, cases[i].hint);
    assert_string_equal(err.file, "s.yaml");
    assert_int_equal(err.line, 1);
    assert_int_equal(err.column, cases[i].column);
  }
}

static void bad_overrides_are_errors_of_the_command_line(void **state)
{
  (void)state;
  static const struct {
    const char *override, *message;
  } cases[] = {
      {"vram=64K", "error: vram: \"64K\": unknown unit \"K\" of a size\n"
                   "hint: write 64KiB (1024-based) or 64kB (1000-based)\n"},
      {"vram=1GiB,-1", "error: vram: \"-1\": a size must not be negative\n"},
      {"vram=1GiB,", "error: vram: \"\" is not a size\nhint: write a number and a unit, e.g. 2MiB\n"},
      {"vrma=1GiB", "error: unknown key \"vrma\"\nhint: did you mean \"vram\"?\n"},
      {"sweep=1GiB", "error: sweep cannot be given on the command line\nhint: give the keys that it holds\n"},
      {"vram", "error: \"vram\" is not of the form key=value\nhint: e.g. page_size=64KiB,2MiB\n"},
      {"=1", "error: \"=1\" is not of the form key=value\nhint: e.g. page_size=64KiB,2MiB\n"},
      {"page_size=2GiB", "error: page_size: a page of 2GiB is larger than the 1GiB of VRAM\n"
                         "hint: smaller pages, or more vram\n"},
      {"model=./none.json", "error: cannot open ./none.json: No such file or directory\n"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_fails("vram: 1GiB\n", 11, cases[i].override, 2, cases[i].message);
}

static void overrides_do_not_hide_errors_of_the_file(void **state)
{
  (void)state;
  assert_fails("vram: 64K\n", 10, "vram=1GiB", 3,
               "s.yaml:1:7: error: vram: \"64K\": unknown unit \"K\" of a size\n"
               "     1 | vram: 64K\n"
               "       |       ^\n"
               "hint: write 64KiB (1024-based) or 64kB (1000-based)\n");
}

enum { TEN_MB = 10000000 };

/* 10 MB of one piece of text over and over. */
static void assert_nesting_fails(const char *piece, long line, long column, const char *message)
{
  size_t n = strlen(piece);
  char *text = malloc(TEN_MB);
  struct emuv_scenario s;
  struct emuv_err err;
  assert_non_null(text);
  for (size_t i = 0; i < TEN_MB; i++) text[i] = piece[i % n];
  assert_int_equal(emuv_scenario_parse("s.yaml", text, TEN_MB, NULL, 0, &s, &err), EMUV_ERR_INPUT);
  free(text);
  assert_string_equal(err.text, message);
  assert_int_equal(err.line, line);
  assert_int_equal(err.column, column);
}

static void nesting_is_refused_at_its_first_bracket(void **state)
{
  (void)state;
  assert_nesting_fails("[", 1, 1, "the file is not a map of keys");
  assert_nesting_fails("{", 1, 2, "a key must be a word, not a list or a map");
  assert_nesting_fails("- ", 1, 1, "the file is not a map of keys");
  assert_nesting_fails("? ", 1, 3, "a key must be a word, not a list or a map");
  assert_nesting_fails("vram: [", 1, 8, "vram: a map inside a list of values");
  assert_nesting_fails("{model: ", 1, 10, "unknown key \"model.model\"");
  assert_nesting_fails("!", 1, 1, "tags (!) are not supported here");
  assert_nesting_fails("*a ", 1, 1, "anchors and aliases (& and *) are not supported here");
}

static void what_is_too_much_is_refused(void **state)
{
  (void)state;
  size_t n = (16 << 20) + 1, used = 0;
  char *text = malloc(n + 16), path[] = "/tmp/emuv-test-XXXXXX";
  struct emuv_scenario s;
  struct emuv_err err;
  assert_non_null(text);
  used += (size_t)sprintf(text, "context: [");
  for (int i = 0; i < 100001; i++) used += (size_t)sprintf(text + used, "%d,", i);
  used += (size_t)sprintf(text + used, "]\n");
  assert_int_equal(emuv_scenario_parse("s.yaml", text, used, NULL, 0, &s, &err), EMUV_ERR_INPUT);
  assert_string_equal(err.text, "more than 100000 values in one file");
  used = (size_t)sprintf(text, "seed: 1\nbatch: [");
  for (int i = 1; i <= 400; i++) used += (size_t)sprintf(text + used, "%d,", i);
  used += (size_t)sprintf(text + used, "]\ncontext: [");
  for (int i = 1; i <= 300; i++) used += (size_t)sprintf(text + used, "%d,", i);
  used += (size_t)sprintf(text + used, "]\n");
  assert_int_equal(emuv_scenario_parse("s.yaml", text, used, NULL, 0, &s, &err), EMUV_ERR_INPUT);
  assert_string_equal(err.text, "the lists cross to more than 100000 configurations");
  assert_int_equal(err.line, 2);
  assert_int_equal(err.column, 9);
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  memset(text, '#', n);
  assert_int_equal(write(fd, text, n), n);
  assert_int_equal(emuv_scenario_load(path, NULL, 0, &s, &err), EMUV_ERR_INPUT);
  assert_string_equal(err.text, "the file is larger than 16 MiB, the most that is read");
  assert_int_equal(close(fd), 0);
  assert_int_equal(unlink(path), 0);
  free(text);
}

static void unreadable_files_are_run_time_errors(void **state)
{
  (void)state;
  struct emuv_scenario s;
  struct emuv_err err;
  assert_int_equal(emuv_scenario_load("/nowhere/s.yaml", NULL, 0, &s, &err), EMUV_ERR_IO);
  assert_string_equal(err.text, "cannot open /nowhere/s.yaml: No such file or directory");
  assert_int_equal(emuv_scenario_load("/tmp", NULL, 0, &s, &err), EMUV_ERR_IO);
  assert_string_equal(err.text, "cannot read /tmp: Is a directory");
}

static int use_test_presets(void **state)
{
  (void)state;
  return setenv("EMUV_DATA_DIR", EMUV_TEST_DIR "/unit/data", 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keys),
      cmocka_unit_test(values),
      cmocka_unit_test(yaml),
      cmocka_unit_test(between_keys),
      cmocka_unit_test(unknown_names_get_a_suggestion),
      cmocka_unit_test(bad_overrides_are_errors_of_the_command_line),
      cmocka_unit_test(overrides_do_not_hide_errors_of_the_file),
      cmocka_unit_test(nesting_is_refused_at_its_first_bracket),
      cmocka_unit_test(what_is_too_much_is_refused),
      cmocka_unit_test(unreadable_files_are_run_time_errors),
  };
  return cmocka_run_group_tests(tests, use_test_presets, NULL);
}
