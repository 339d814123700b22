// SPDX-License-Identifier: Apache-2.0
/* Environment capture (environment.h) from /proc, /sys and /etc/os-release; file formats: proc(5), os-release(5), and
 * the NVIDIA driver's README, chapter "The /proc Interface". A file that is missing or malformed leaves its field
 * unknown. No state. */
#include "runtime/core/environment.h"

#include "emuv_version.h"

#include <dirent.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FILE_SIZE = 65536 };

/* The start of a file as text, without trailing space; "" when it cannot be read. */
static void read_text(const char *root, const char *path, char *buf, size_t size)
{
  char name[PATH_MAX];
  (void)snprintf(name, sizeof name, "%s%s", root, path);
  FILE *file = fopen(name, "re");
  size_t n = file != NULL ? fread(buf, 1, size - 1, file) : 0;
  if (file != NULL) (void)fclose(file);
  while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == ' ')) n--;
  buf[n] = '\0';
}

/* The value of the first line that starts with `key`, after separators (": \t=\""). */
static void find_line(const char *text, const char *key, char *out, size_t size)
{
  out[0] = '\0';
  size_t n = strlen(key);
  for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
    line += *line == '\n';
    if (strncmp(line, key, n) != 0) continue;
    const char *value = line + n + strspn(line + n, ": \t=\"");
    size_t length = strcspn(value, "\n\"");
    while (length > 0 && (value[length - 1] == ' ' || value[length - 1] == '\t')) length--;
    (void)snprintf(out, size, "%.*s", (int)length, value);
    return;
  }
}

static uint32_t usable_cores(void)
{
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 0;
}

static void capture_host(const char *root, struct emuv_environment *e)
{
  static const char *const cpu_keys[] = {"model name", "Model", "cpu model"};
  char text[FILE_SIZE], value[96];
  read_text(root, "/proc/cpuinfo", text, sizeof text);
  for (size_t i = 0; i < 3 && e->cpu[0] == '\0'; i++) find_line(text, cpu_keys[i], e->cpu, sizeof e->cpu);
  e->cores = usable_cores();
  read_text(root, "/proc/meminfo", text, sizeof text);
  find_line(text, "MemTotal", value, sizeof value);
  e->ram_bytes = strtoull(value, NULL, 10) * 1024;
  read_text(root, "/proc/sys/kernel/osrelease", e->kernel, sizeof e->kernel);
  read_text(root, "/etc/os-release", text, sizeof text);
  find_line(text, "PRETTY_NAME", e->os, sizeof e->os);
}

/* The word of the driver's version line that starts with a digit: "... Kernel Module  580.159.03  Release ...". */
static void capture_driver(const char *root, struct emuv_environment *e)
{
  char text[2048], line[256];
  read_text(root, "/proc/driver/nvidia/version", text, sizeof text);
  find_line(text, "NVRM version", line, sizeof line);
  for (char *save, *word = strtok_r(line, " \t", &save); word != NULL; word = strtok_r(NULL, " \t", &save)) {
    if (word[0] < '0' || word[0] > '9' || strchr(word, '.') == NULL) continue;
    (void)snprintf(e->driver, sizeof e->driver, "%s", word);
    return;
  }
}

static void capture_link(const char *root, const char *bus, struct emuv_environment *e)
{
  char path[PATH_MAX], speed[40], width[16];
  (void)snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/current_link_speed", bus);
  read_text(root, path, speed, sizeof speed);
  (void)snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/current_link_width", bus);
  read_text(root, path, width, sizeof width);
  if (speed[0] != '\0' && width[0] != '\0') (void)snprintf(e->link, sizeof e->link, "%s x%s", speed, width);
}

/* The first GPU in the order of bus addresses, which name the directories. */
static uint32_t find_gpus(const char *root, char *first, size_t size)
{
  char path[PATH_MAX];
  uint32_t n = 0;
  first[0] = '\0';
  (void)snprintf(path, sizeof path, "%s/proc/driver/nvidia/gpus", root);
  DIR *dir = opendir(path);
  for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
    size_t length = strlen(entry->d_name);
    if (entry->d_name[0] == '.' || length >= size) continue;
    if (n++ == 0 || strcmp(entry->d_name, first) < 0) memcpy(first, entry->d_name, length + 1);
  }
  if (dir != NULL) (void)closedir(dir);
  return n;
}

static void capture_gpu(const char *root, struct emuv_environment *e)
{
  char bus[64], path[PATH_MAX], text[4096];
  e->gpus = find_gpus(root, bus, sizeof bus);
  if (e->gpus == 0) return;
  (void)snprintf(path, sizeof path, "/proc/driver/nvidia/gpus/%s/information", bus);
  read_text(root, path, text, sizeof text);
  find_line(text, "Model", e->gpu, sizeof e->gpu);
  capture_driver(root, e);
  capture_link(root, bus, e);
}

void emuv_environment_capture_from(const char *root, struct emuv_environment *e)
{
  struct timespec now;
  struct tm utc;
  memset(e, 0, sizeof *e);
  capture_host(root, e);
  capture_gpu(root, e);
  (void)snprintf(e->version, sizeof e->version, "%s", EMUV_VERSION);
  (void)snprintf(e->revision, sizeof e->revision, "%s", EMUV_GIT_REVISION);
  e->dirty = EMUV_GIT_DIRTY != 0;
  (void)clock_gettime(CLOCK_REALTIME, &now);
  if (gmtime_r(&now.tv_sec, &utc) != NULL) (void)strftime(e->started, sizeof e->started, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

void emuv_environment_capture(struct emuv_environment *e)
{
  emuv_environment_capture_from("", e);
}
