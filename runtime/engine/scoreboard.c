// SPDX-License-Identifier: Apache-2.0
/* Memory of the scoreboard: zeroed pages of the system, touched as frames are used. */
#include "runtime/engine/scoreboard.h"

#include <stdlib.h>

int emuv_scoreboard_init(struct emuv_scoreboard *board, uint32_t vram_frames, uint32_t ram_frames, uint32_t slots,
                         struct emuv_err *err)
{
  *board = (struct emuv_scoreboard){0};
  board->vram = calloc((size_t)vram_frames + 1, sizeof *board->vram);
  board->ram = calloc((size_t)ram_frames + 1, sizeof *board->ram);
  board->slot = calloc((size_t)slots + 1, sizeof *board->slot);
  if (board->vram && board->ram && board->slot) return 0;
  emuv_scoreboard_free(board);
  return emuv_err_set(err, EMUV_ERR_NOMEM, "no memory for the marks of %u frames and %u slots",
                      vram_frames + ram_frames, slots);
}

void emuv_scoreboard_free(struct emuv_scoreboard *board)
{
  free(board->vram);
  free(board->ram);
  free(board->slot);
  *board = (struct emuv_scoreboard){0};
}
