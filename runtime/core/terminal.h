// SPDX-License-Identifier: Apache-2.0
/* The terminal behind stderr: colour, width, and one status line (the progress bar) that log lines do not tear.
 *
 * All writers of stderr that run while a status line may be shown go through emuv_terminal_line, which takes the status
 * line away, writes, and puts it back. State is one static status line behind one mutex: any thread may call anything.
 */
#ifndef EMUV_CORE_TERMINAL_H
#define EMUV_CORE_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

/* `out` is a terminal that understands escape sequences (TERM is set and not "dumb"). */
bool emuv_terminal_is(FILE *out);
/* Colour is wanted there: a terminal, and NO_COLOR (https://no-color.org) is unset or empty. */
bool emuv_terminal_colour(FILE *out);
/* Columns; 80 when unknown. */
int emuv_terminal_width(FILE *out);
/* Writes one whole line to stderr (the newline is added) above the status line. */
void emuv_terminal_line(const char *text);
/* Replaces the status line; "" takes it away. Does nothing when stderr is not a terminal. */
void emuv_terminal_status(const char *text);

#endif
