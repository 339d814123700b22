// SPDX-License-Identifier: Apache-2.0
/* Loading and answering; see load.h. */
#include "simulator/load.h"

#include "runtime/core/log.h"
#include "runtime/core/terminal.h"
#include "simulator/configs.h"
#include "simulator/notes.h"
#include "simulator/report.h"
#include "simulator/scale.h"
#include "simulator/simulate.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_folder(const char *path)
{
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A scenario in memory: the whole trace, on the card that it was captured on unless another is asked for. */
static int load_trace(const struct emuv_arguments *a, const char *path, struct emuv_scenario *s, struct emuv_err *err)
{
  char text[1024];
  emuv_text hardware = "";
  if (is_folder(path)) return emuv_err_set(err, EMUV_ERR_INPUT, "%s is a folder, not a trace", path);
  if (access(path, R_OK) != 0) return emuv_err_errno(err, EMUV_ERR_INPUT, "cannot read %s", path);
  int rc = emuv_arguments_overrides(a, "hw.preset") ? 0 : emuv_scale_trace_hardware(path, hardware, err);
  if (rc) return rc;
  if (hardware[0])
    emuv_log(EMUV_LOG_INFO, "hardware %s: what the trace was captured on; --hardware takes another", hardware);
  int n = snprintf(text, sizeof text, "source: trace\ntrace: \"%s\"\ntokens: 1000000\n%s%s\n", path,
                   hardware[0] ? "hardware: " : "", hardware);
  if (n < 0 || n >= (int)sizeof text || strpbrk(path, "\"\\\n"))
    return emuv_err_set(err, EMUV_ERR_USAGE, "cannot use this trace name: %s", path);
  return emuv_scenario_parse(path, text, (size_t)n, (const char *const *)a->overrides, a->n_overrides, s, err);
}

static bool is_trace(const char *path)
{
  const char *dot = strrchr(path, '.');
  return dot && strcmp(dot, ".emuv") == 0;
}

int emuv_load_scenario(const struct emuv_arguments *a, struct emuv_scenario *s, struct emuv_err *err)
{
  const char *const *overrides = (const char *const *)a->overrides;
  if (a->scenario && !is_trace(a->scenario)) return emuv_scenario_load(a->scenario, overrides, a->n_overrides, s, err);
  return load_trace(a, a->scenario ? a->scenario : a->trace, s, err);
}

/* The folder of a file that is to be written. */
static int check_folder(const char *path, struct emuv_err *err)
{
  char copy[PATH_MAX];
  if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy)
    return emuv_err_set(err, EMUV_ERR_USAGE, "the name of the database is too long");
  const char *folder = dirname(copy);
  if (is_folder(folder)) return 0;
  emuv_err_set(err, EMUV_ERR_IO, "cannot write %s: there is no folder %s", path, folder);
  return emuv_err_hint(err, "make it, or use --output with a file in a folder that you can write");
}

/* results/NAME.sqlite in the current folder. */
int emuv_load_output(const struct emuv_arguments *a, const char *scenario, char *path, size_t size,
                     struct emuv_err *err)
{
  if (a->output) {
    (void)snprintf(path, size, "%s", a->output);
    return check_folder(a->output, err);
  }
  (void)snprintf(path, size, "results/%s.sqlite", scenario);
  if (mkdir("results", 0777) == 0 || is_folder("results")) return 0;
  if (errno == EEXIST) errno = ENOTDIR;
  emuv_err_errno(err, EMUV_ERR_IO, "cannot make the folder results");
  return emuv_err_hint(err, "use --output with a file in a folder that you can write");
}

int emuv_load_dry_run(const struct emuv_arguments *a, const struct emuv_scenario *s, struct emuv_err *err)
{
  enum emuv_configs_format format = a->json ? EMUV_CONFIGS_JSON : a->csv ? EMUV_CONFIGS_CSV : EMUV_CONFIGS_TABLE;
  int rc = emuv_configs_print(s, format, stdout, err);
  if (!rc) emuv_log(EMUV_LOG_INFO, "%zu configurations; nothing was run", s->n_configs);
  return rc;
}

/* The terminal's, or what fits in most editors and pages. */
static int table_width(void)
{
  return emuv_terminal_is(stdout) ? emuv_terminal_width(stdout) : 100;
}

void emuv_load_notes(const struct emuv_scenario *s)
{
  char text[512];
  if (emuv_note_small_vram(s, text, sizeof text)) emuv_log(EMUV_LOG_WARNING, "%s", text);
}

int emuv_load_answer(const struct emuv_arguments *a, const struct emuv_scenario *s, const char *kind,
                     struct emuv_results *r, struct emuv_err *err)
{
  int rc = emuv_report_select(r, s, err);
  if (rc) return rc;
  if (a->csv) return emuv_report_csv(r, stdout, err);
  if (a->json) return emuv_report_json(r, stdout, err);
  rc = emuv_report_table(r, s, kind, stdout, table_width(), err);
  if (!rc) emuv_log(EMUV_LOG_INFO, "database: %s   figures: emuv-plot %s", r->path, r->path);
  return rc;
}

static void note_trace(const struct emuv_scenario *s, const char *trace, const struct emuv_workload *w)
{
  char text[512];
  const char *slash = strrchr(trace, '/');
  if (w->remark[0]) emuv_log(EMUV_LOG_WARNING, "%s: %s", slash ? slash + 1 : trace, w->remark);
  if (emuv_note_small_launch(s, trace, emuv_launch_bytes(w), text, sizeof text)) emuv_log(EMUV_LOG_WARNING, "%s", text);
}

/* Traces are read before anything is written: a damaged one must not leave a database. */
int emuv_load_check_traces(const struct emuv_scenario *s, struct emuv_err *err)
{
  const char *checked = "";
  int rc = 0;
  for (size_t i = 0; i < s->n_configs && !rc; i++) {
    struct emuv_workload w;
    const struct emuv_config *c = &s->configs[i];
    if (strcmp(c->source, "trace") != 0 || strcmp(c->trace, checked) == 0) continue;
    checked = c->trace;
    rc = emuv_workload_build(c, &w, err);
    if (rc) break;
    note_trace(s, c->trace, &w);
    emuv_workload_free(&w);
  }
  return rc;
}
