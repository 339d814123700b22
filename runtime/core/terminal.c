// SPDX-License-Identifier: Apache-2.0
/* The terminal behind stderr (terminal.h). Invariant: `status` is what stands on the last line of the terminal, "" when
 * nothing does. The mutex guards it and the order of writes. Escape sequences: ECMA-48 (EL: erase in line). */
#include "runtime/core/terminal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char status[512];

bool emuv_terminal_is(FILE *out)
{
  const char *term = getenv("TERM");
  return isatty(fileno(out)) == 1 && term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0;
}

bool emuv_terminal_colour(FILE *out)
{
  const char *no_color = getenv("NO_COLOR");
  return emuv_terminal_is(out) && (no_color == NULL || no_color[0] == '\0');
}

int emuv_terminal_width(FILE *out)
{
  struct winsize size = {0};
  if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

static void draw(const char *text)
{
  fprintf(stderr, "\r\033[K%s", text);
  fflush(stderr);
}

void emuv_terminal_line(const char *text)
{
  pthread_mutex_lock(&lock);
  fprintf(stderr, "%s%s\n", status[0] != '\0' ? "\r\033[K" : "", text);
  if (status[0] != '\0') draw(status);
  pthread_mutex_unlock(&lock);
}

void emuv_terminal_status(const char *text)
{
  if (!emuv_terminal_is(stderr)) return;
  pthread_mutex_lock(&lock);
  if (text[0] != '\0' || status[0] != '\0') draw(text);
  (void)snprintf(status, sizeof status, "%s", text);
  pthread_mutex_unlock(&lock);
}
