// SPDX-License-Identifier: Apache-2.0
/* Presets: every shipped one loads and is complete, YAML presets and Hugging Face files give the sizes that they say,
 * and what is wrong in one is named with its place. */
#include "simulator/preset.h"
#include "simulator/scenario.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

typedef int load_preset(const char *, struct emuv_config *, struct emuv_err *);

/* Loads every preset of a kind into a default configuration, which must then be sound. */
static void assert_all_load(const char *kind, load_preset *load, size_t at_least)
{
  char **names = NULL;
  size_t n = 0;
  assert_int_equal(emuv_preset_names(kind, &names, NULL), 0);
  for (; names[n] != NULL; n++) {
    struct emuv_config config;
    struct emuv_err err;
    assert_true(n == 0 || strcmp(names[n - 1], names[n]) < 0);
    assert_int_equal(emuv_config_defaults(&config, &err), 0);
    int rc = emuv_preset_load_hardware("h200", &config, &err);
    if (rc == 0) rc = emuv_preset_load_model("llama-2-7b", &config, &err);
    if (rc == 0) rc = load(names[n], &config, &err);
    if (rc == 0) rc = emuv_config_check(&config, &err);
    if (rc != 0) fail_msg("%s: %s:%ld %s", names[n], err.file, err.line, err.text);
  }
  assert_true(n >= at_least);
  emuv_preset_free_names(names);
}

static void every_shipped_preset_loads(void **state)
{
  (void)state;
  assert_all_load("hardware", emuv_preset_load_hardware, 7);
  assert_all_load("models", emuv_preset_load_model, 5);
}

static void names_come_from_all_directories_once(void **state)
{
  (void)state;
  char **names = NULL;
  size_t twice = 0, own = 0;
  assert_int_equal(setenv("EMUV_DATA_DIR", EMUV_TEST_DIR "/unit/data", 1), 0);
  assert_int_equal(emuv_preset_names("hardware", &names, NULL), 0);
  for (size_t i = 0; names[i] != NULL; i++) {
    twice += strcmp(names[i], "rtx-4090") == 0; /* there and among the shipped ones */
    own += strcmp(names[i], "test-card") == 0;
  }
  emuv_preset_free_names(names);
  assert_int_equal(twice, 1);
  assert_int_equal(own, 1);
  struct emuv_config config = {0};
  assert_int_equal(emuv_preset_load_hardware("rtx-4090", &config, NULL), 0);
  assert_string_equal(config.hw.gpu, "Test Card");
  assert_int_equal(unsetenv("EMUV_DATA_DIR"), 0);
  assert_int_equal(emuv_preset_names("nothing", &names, NULL), 0);
  assert_null(names[0]);
  emuv_preset_free_names(names);
  emuv_preset_free_names(NULL);
}

static int parse_yaml(const char *text, const char *prefix, struct emuv_config *config, struct emuv_err *err)
{
  struct emuv_yaml_input input = {"p.yaml", text, strlen(text)};
  memset(config, 0, sizeof *config);
  return emuv_preset_parse_yaml(&input, prefix, config, err);
}

static void a_preset_sets_its_group_and_nothing_else(void **state)
{
  (void)state;
  struct emuv_config config;
  struct emuv_err err;
  if (parse_yaml("vram: 24GiB\nh2d: 4KiB=1.7GB/s 64KiB=18GB/s\n", "hw.", &config, &err) != 0) fail_msg("%s", err.text);
  assert_int_equal(config.hw.vram, UINT64_C(24) << 30);
  assert_int_equal(config.hw.h2d.n, 2);
  assert_true(config.hw.h2d.point[1].bytes_per_s == 18e9);
  assert_true(config.hw.fault == 10000); /* not given: the default */
  assert_int_equal(config.page_size, 0);
  assert_int_equal(config.model.layers, 0);
}

static void assert_bad_yaml(const char *text, const char *prefix, long line, long column, const char *message,
                            const char *hint)
{
  struct emuv_config config;
  struct emuv_err err;
  assert_int_equal(parse_yaml(text, prefix, &config, &err), EMUV_ERR_INPUT);
  assert_string_equal(err.text, message);
  assert_string_equal(err.hint, hint);
  assert_string_equal(err.file, "p.yaml");
  assert_int_equal(err.line, line);
  assert_int_equal(err.column, column);
}

static void bad_presets_say_where(void **state)
{
  (void)state;
  assert_bad_yaml("vram: 24GiB\nvrma: 1\n", "hw.", 2, 1, "unknown key \"vrma\"", "did you mean \"vram\"?");
  assert_bad_yaml("layer: 3\n", "model.", 1, 1, "unknown key \"layer\"", "did you mean \"layers\"?");
  assert_bad_yaml("vram: [1GiB, 2GiB]\n", "hw.", 1, 7, "hw.vram takes one value, not a list", "");
  assert_bad_yaml("gpu: x\npreset: other\n", "hw.", 2, 1, "a preset cannot name another preset", "");
  assert_bad_yaml("variants: []\n", "hw.", 1, 1, "unknown key \"variants\"", "`emuv-sim --schema` prints every key");
  assert_bad_yaml("", "hw.", 1, 1, "the file is empty", "write lines such as `vram: 24GiB`");
  assert_bad_yaml("h2d: 4KiB\n", "hw.", 1, 6, "hw.h2d: \"4KiB\": unknown unit \"KiB\" of a rate",
                  "write e.g. 25GB/s or 24GiB/s");
}

#define LLAMA                                                                                                          \
  "\"hidden_size\": 4096, \"intermediate_size\": 14336, \"num_attention_heads\": 32, \"num_hidden_layers\": 32,\n"     \
  " \"num_key_value_heads\": 8, \"vocab_size\": 128256"

static int parse_json(const char *text, struct emuv_model *model, struct emuv_err *err)
{
  struct emuv_yaml_input input = {"config.json", text, strlen(text)};
  *model = (struct emuv_model){.experts = 1, .experts_per_token = 1, .mlp_matrices = 3};
  return emuv_preset_parse_huggingface(&input, model, err);
}

static struct emuv_model model_of(const char *text)
{
  struct emuv_model model;
  struct emuv_err err;
  if (parse_json(text, &model, &err) != 0) fail_msg("%s", err.text);
  return model;
}

static void hugging_face_files_give_the_sizes(void **state)
{
  (void)state;
  struct emuv_model m = model_of("{\"model_type\": \"llama\", " LLAMA ", \"rope_theta\": 5e5, \"head_dim\": null}");
  assert_int_equal(m.layers, 32);
  assert_int_equal(m.hidden, 4096);
  assert_int_equal(m.heads, 32);
  assert_int_equal(m.kv_heads, 8);
  assert_int_equal(m.head_dim, 0); /* follows from hidden and heads */
  assert_int_equal(m.intermediate, 14336);
  assert_int_equal(m.vocab, 128256);
  assert_int_equal(m.experts, 1);
  assert_int_equal(m.mlp_matrices, 3);
  assert_false(m.tied_embeddings);
  m = model_of("{\"model_type\": \"llama\", " LLAMA ", \"head_dim\": 96, \"tie_word_embeddings\": true}");
  assert_int_equal(m.head_dim, 96);
  assert_true(m.tied_embeddings);
  m = model_of("{\"model_type\": \"mixtral\", " LLAMA ", \"num_local_experts\": 8, \"num_experts_per_tok\": 2}");
  assert_int_equal(m.experts, 8);
  assert_int_equal(m.experts_per_token, 2);
  assert_true(model_of("{\"model_type\": \"gemma\", " LLAMA "}").tied_embeddings);
}

static void assert_bad_json(const char *text, int code, long line, long column, const char *message)
{
  struct emuv_model model, before;
  struct emuv_err err;
  assert_int_equal(parse_json("{}", &before, NULL), EMUV_ERR_INPUT);
  assert_int_equal(parse_json(text, &model, &err), code);
  assert_string_equal(err.text, message);
  assert_int_equal(err.line, line);
  assert_int_equal(err.column, column);
  assert_memory_equal(&model, &before, sizeof model);
}

static void bad_hugging_face_files_say_where(void **state)
{
  (void)state;
  assert_bad_json("{\n\"model_type\": \"gpt2\"}", EMUV_ERR_INPUT, 2, 1, "unsupported architecture \"gpt2\"");
  assert_bad_json("{" LLAMA "}", EMUV_ERR_INPUT, 1, 1, "missing field \"model_type\"");
  assert_bad_json("{\"model_type\": \"llama\", \"num_hidden_layers\": 2}", EMUV_ERR_INPUT, 1, 1,
                  "missing field \"hidden_size\"");
  assert_bad_json("{\"model_type\": \"mixtral\", " LLAMA "}", EMUV_ERR_INPUT, 1, 1,
                  "missing field \"num_local_experts\"");
  assert_bad_json("{\"model_type\": \"llama\",\n \"num_hidden_layers\": 2.5}", EMUV_ERR_INPUT, 2, 2,
                  "field \"num_hidden_layers\" is not a whole number");
  assert_bad_json("{\"model_type\": \"llama\",\n \"num_hidden_layers\": -3}", EMUV_ERR_RANGE, 2, 2,
                  "model.layers: \"-3\": must not be negative");
  assert_bad_json("{\"model_type\": \"llama\",\n \"num_hidden_layers\": 9000000000}", EMUV_ERR_RANGE, 2, 2,
                  "model.layers: \"9000000000\" is too large: the most is 1000000");
  assert_bad_json("[]", EMUV_ERR_INPUT, 1, 1, "the file is not a JSON object");
  assert_bad_json("{\"a\": 1, \"a\": 2}", EMUV_ERR_INPUT, 1, 12, "JSON: duplicate object key near '\"a\"'");
  assert_bad_json("{\"a\": }", EMUV_ERR_INPUT, 1, 7, "JSON: unexpected token near '}'");
  assert_bad_json("\x01", EMUV_ERR_INPUT, 1, 1, "not a text file: byte 0x01 at offset 0");
}

static void write_file(const char *path, const char *text)
{
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
}

static void files_given_by_path_are_named_after_them(void **state)
{
  (void)state;
  char folder[] = "/tmp/emuv-test-XXXXXX";
  struct emuv_config config;
  struct emuv_err err;
  assert_int_equal(emuv_config_defaults(&config, NULL), 0);
  assert_non_null(mkdtemp(folder));
  assert_int_equal(chdir(folder), 0);
  assert_int_equal(mkdir("my-llama", 0700), 0);
  write_file("my-llama/config.json", "{\"model_type\": \"llama\", " LLAMA "}");
  write_file("small.v2.yaml", "layers: 3\n");
  if (emuv_preset_load_model("./my-llama/config.json", &config, &err) != 0) fail_msg("%s", err.text);
  assert_string_equal(config.model.preset, "my-llama");
  assert_int_equal(config.model.vocab, 128256);
  if (emuv_preset_load_model("small.v2.yaml", &config, &err) != 0) fail_msg("%s", err.text);
  assert_string_equal(config.model.preset, "small.v2");
  assert_int_equal(config.model.layers, 3);
  assert_int_equal(config.model.vocab, 0); /* nothing is left of the model before */
  assert_int_equal(emuv_preset_load_model("nothing.yaml", &config, &err), EMUV_ERR_IO);
  assert_int_equal(emuv_preset_load_hardware("small.v2.yaml", &config, &err), EMUV_ERR_INPUT);
  assert_string_equal(err.text, "unknown key \"layers\"");
  assert_string_equal(err.file, "small.v2.yaml");
  assert_int_equal(unlink("my-llama/config.json"), 0);
  assert_int_equal(unlink("small.v2.yaml"), 0);
  assert_int_equal(rmdir("my-llama"), 0);
  assert_int_equal(chdir("/"), 0);
  assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_shipped_preset_loads),
      cmocka_unit_test(names_come_from_all_directories_once),
      cmocka_unit_test(a_preset_sets_its_group_and_nothing_else),
      cmocka_unit_test(bad_presets_say_where),
      cmocka_unit_test(hugging_face_files_give_the_sizes),
      cmocka_unit_test(bad_hugging_face_files_say_where),
      cmocka_unit_test(files_given_by_path_are_named_after_them),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
