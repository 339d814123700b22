// SPDX-License-Identifier: Apache-2.0
/* Hardware and model presets: where they lie, their names, and reading one into a configuration (scenario.h, preset.h).
 *
 * A preset is found in $EMUV_DATA_DIR, then beside the program (an installed tree may be moved), then in the source
 * tree that built it, then in the data directory that it was installed to. Loading one sets every field of its group:
 * what the file does not give gets its default. No state. */
#include "simulator/preset.h"

#include "simulator/scenario.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N_DIRECTORIES = 4, MAX_NAMES = 4096 };

/* What differs between hardware and models. */
struct kind {
  const char *folder, *prefix, *noun;
};
static const struct kind hardware = {"hardware", "hw.", "hardware preset"};
static const struct kind models = {"models", "model.", "model preset"};

/* PREFIX/share/emuv when the program is PREFIX/bin/NAME, through links; NULL when that cannot be told. */
static const char *beside_program(char path[PATH_MAX])
{
  static const char share[] = "/share/emuv";
  ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof share);
  if (n <= 0) return NULL;
  path[n] = '\0';
  for (int up = 0; up < 2; up++) {
    char *slash = strrchr(path, '/');
    if (slash == NULL) return NULL;
    *slash = '\0';
  }
  strcat(path, share);
  return path;
}

/* The i-th place to look, which may be in `buffer` and need not exist; NULL: none. */
static const char *data_directory(int i, char buffer[PATH_MAX])
{
  const char *given = getenv("EMUV_DATA_DIR");
  switch (i) {
  case 0: return given != NULL && given[0] != '\0' ? given : NULL;
  case 1: return beside_program(buffer);
  case 2: return EMUV_SOURCE_DATA_DIR;
  default: return EMUV_INSTALL_DATA_DIR;
  }
}

static bool ends_with(const char *text, const char *end)
{
  size_t n = strlen(text), m = strlen(end);
  return n > m && strcmp(text + n - m, end) == 0;
}

bool emuv_preset_is_path(const char *name)
{
  return strchr(name, '/') != NULL || ends_with(name, ".yaml") || ends_with(name, ".yml") || ends_with(name, ".json");
}

/* The first file of that name, or false. */
static bool find_file(const struct kind *kind, const char *name, char path[PATH_MAX])
{
  for (int i = 0; i < N_DIRECTORIES; i++) {
    char buffer[PATH_MAX];
    const char *directory = data_directory(i, buffer);
    if (directory == NULL) continue;
    int n = snprintf(path, PATH_MAX, "%s/scenarios/%s/%s.yaml", directory, kind->folder, name);
    if (n < PATH_MAX && access(path, R_OK) == 0) return true;
  }
  return false;
}

static int unknown_preset(const struct kind *kind, const char *name, struct emuv_err *err)
{
  char **names = NULL;
  if (err == NULL || emuv_preset_names(kind->folder, &names, NULL) != EMUV_OK) names = NULL;
  (void)emuv_err_set(err, EMUV_ERR_INPUT, "unknown %s \"%.60s\"", kind->noun, name);
  if (names == NULL) return EMUV_ERR_INPUT;
  const char *near = emuv_option_suggest_name((const char *const *)names, name);
  char list[300] = "";
  for (size_t i = 0, used = 0; names[i] != NULL && used < sizeof list; i++)
    used += (size_t)snprintf(list + used, sizeof list - used, " %s", names[i]);
  if (near != NULL)
    (void)emuv_err_hint(err, "did you mean \"%s\"? known:%s", near, list);
  else
    (void)emuv_err_hint(err, "known:%s; or give a path with a \"/\"", list);
  emuv_preset_free_names(names);
  return EMUV_ERR_INPUT;
}

/* Every field of the group back to its default, except the preset's name. */
static int reset_group(const char *prefix, struct emuv_config *config, struct emuv_err *err)
{
  size_t n;
  const struct emuv_option *table = emuv_config_options(&n);
  int rc = EMUV_OK;
  for (size_t i = 0; i < n && rc == EMUV_OK; i++)
    if (strncmp(table[i].key, prefix, strlen(prefix)) == 0)
      rc = emuv_option_parse(&table[i], config, table[i].def, err);
  return rc;
}

int emuv_preset_parse_yaml(const struct emuv_yaml_input *input, const char *prefix, struct emuv_config *config,
                           struct emuv_err *err)
{
  const struct emuv_yaml_grammar grammar = {.prefix = prefix, .scenario = false};
  struct emuv_yaml_document document;
  int rc = emuv_yaml_parse(input, &grammar, &document, err);
  if (rc != EMUV_OK) return rc;
  rc = reset_group(prefix, config, err);
  for (size_t i = 0; i < document.base.n && rc == EMUV_OK; i++) {
    const struct emuv_yaml_axis *axis = &document.base.axes[i];
    rc = emuv_option_parse(axis->opt, config, axis->values[0].text, err);
    if (strcmp(axis->opt->key + strlen(prefix), "preset") != 0) continue;
    (void)emuv_err_set(err, EMUV_ERR_INPUT, "a preset cannot name another preset");
    rc = EMUV_ERR_INPUT;
    (void)emuv_yaml_place(input, axis->line, axis->column, err);
  }
  emuv_yaml_free(&document);
  return rc;
}

static int parse_model_json(const struct emuv_yaml_input *input, struct emuv_config *config, struct emuv_err *err)
{
  int rc = reset_group(models.prefix, config, err);
  return rc != EMUV_OK ? rc : emuv_preset_parse_huggingface(input, &config->model, err);
}

static int load_file(const struct kind *kind, const char *path, struct emuv_config *config, struct emuv_err *err)
{
  struct emuv_yaml_input input = {.path = path};
  char *text;
  int rc = emuv_yaml_read(path, &text, &input.length, err);
  if (rc != EMUV_OK) return rc;
  input.text = text;
  if (kind == &models && ends_with(path, ".json"))
    rc = parse_model_json(&input, config, err);
  else
    rc = emuv_preset_parse_yaml(&input, kind->prefix, config, err);
  free(text);
  return rc;
}

/* What the results call a preset that was given by its path: the file's name, or the folder of a config.json. */
static void set_label(char *label, const char *given)
{
  char real[PATH_MAX];
  const char *name = emuv_preset_is_path(given) && realpath(given, real) != NULL ? real : given; /* "./config.json" */
  const char *end = name + strlen(name);
  if (emuv_preset_is_path(name)) {
    const char *slash = strrchr(name, '/');
    const char *file = slash != NULL ? slash + 1 : name;
    if (strcmp(file, "config.json") == 0 && slash != NULL && slash > name)
      end = slash;
    else if (strrchr(file, '.') != NULL && strrchr(file, '.') > file)
      end = strrchr(file, '.');
    const char *start = end;
    while (start > name && start[-1] != '/') start--;
    name = start;
  }
  (void)snprintf(label, EMUV_OPTION_STRING_SIZE, "%.*s", (int)(end - name), name);
}

static int load(const struct kind *kind, const char *name, struct emuv_config *config, struct emuv_err *err)
{
  char path[PATH_MAX];
  if (emuv_preset_is_path(name)) return load_file(kind, name, config, err);
  if (name[0] == '\0' || name[0] == '.' || !find_file(kind, name, path)) return unknown_preset(kind, name, err);
  return load_file(kind, path, config, err);
}

int emuv_preset_load_hardware(const char *name, struct emuv_config *config, struct emuv_err *err)
{
  int rc = load(&hardware, name, config, err);
  if (rc == EMUV_OK) set_label(config->hw.preset, name);
  return rc;
}

int emuv_preset_load_model(const char *name, struct emuv_config *config, struct emuv_err *err)
{
  int rc = load(&models, name, config, err);
  if (rc == EMUV_OK) set_label(config->model.preset, name);
  return rc;
}

static int compare_names(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Appends the names in one directory, which may not exist. */
static int list_directory(const char *directory, const char *kind, char **names, size_t *n)
{
  char path[PATH_MAX];
  if (snprintf(path, sizeof path, "%s/scenarios/%s", directory, kind) >= (int)sizeof path) return EMUV_OK;
  DIR *dir = opendir(path);
  if (dir == NULL) return EMUV_OK;
  int rc = EMUV_OK;
  for (struct dirent *entry; rc == EMUV_OK && *n < MAX_NAMES && (entry = readdir(dir)) != NULL;) {
    if (entry->d_name[0] == '.' || !ends_with(entry->d_name, ".yaml")) continue;
    names[*n] = strndup(entry->d_name, strlen(entry->d_name) - strlen(".yaml"));
    if (names[*n] == NULL)
      rc = EMUV_ERR_NOMEM;
    else
      (*n)++;
  }
  (void)closedir(dir);
  return rc;
}

static void sort_unique(char **names, size_t n)
{
  size_t kept = 0;
  qsort(names, n, sizeof *names, compare_names);
  for (size_t i = 0; i < n; i++) {
    if (kept > 0 && strcmp(names[kept - 1], names[i]) == 0)
      free(names[i]);
    else
      names[kept++] = names[i];
  }
  names[kept] = NULL;
}

int emuv_preset_names(const char *kind, char ***names, struct emuv_err *err)
{
  char **list = calloc(MAX_NAMES + 1, sizeof *list);
  size_t n = 0;
  int rc = list == NULL ? EMUV_ERR_NOMEM : EMUV_OK;
  for (int i = 0; i < N_DIRECTORIES && rc == EMUV_OK; i++) {
    char buffer[PATH_MAX];
    const char *directory = data_directory(i, buffer);
    if (directory != NULL) rc = list_directory(directory, kind, list, &n);
  }
  if (rc != EMUV_OK) {
    emuv_preset_free_names(list);
    return emuv_err_set(err, rc, "no memory to list presets");
  }
  sort_unique(list, n);
  *names = list;
  return EMUV_OK;
}

void emuv_preset_free_names(char **names)
{
  for (size_t i = 0; names != NULL && names[i] != NULL; i++) free(names[i]);
  free(names);
}
