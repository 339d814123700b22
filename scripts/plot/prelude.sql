-- SPDX-License-Identifier: Apache-2.0
-- Read before the SQL of a figure. A figure's SQL makes two temporary tables and then prints lines:
--   panel   one row: the scenario, machine, model, ... that the figure shows (NULL in a column = any value)
--   slice   the run_id of every row that is drawn
-- Lines, tab-separated, tag first ("series" is what a legend shows, "key" is what decides its colour):
--   why TEXT                     the figure does not apply; nothing else is used
--   note TEXT                    words under the title, on how the rows were chosen
--   set NAME TEXT, num NAME X    variables of the gnuplot script
--   line SERIES X Y LABEL        a line; LABEL is the text at the x axis. Lines that are equal are drawn as one
--   point SERIES X Y             a measured point in the colour of that series
--   bound X Y                    the bound
--   ref X Y                      the same work with everything in VRAM
--   cell GROUP LABEL SERIES Y    a bar in a group of bars; gbound GROUP Y: the bound of a group
--   cpoint GROUP SERIES Y        a measured point over that bar
--   bar STRATEGY POLICY SETTINGS V1 ... Vn   a stacked bar; POLICY may be empty. Equal bars of a strategy become one
-- Predictions are drawn as lines and bars. Where there are none, measurements take their place.
CREATE TEMP TABLE base AS
SELECT CASE WHEN sum(kind = 'sim') > 0 THEN 'sim' ELSE min(kind) END AS kind FROM plot_rows;
-- Strategy "resident" ignores the limit on VRAM. It is what could be had with enough of it: a reference, not a
-- competitor, unless there is nothing else. The order decides between equally good rows, nothing else.
CREATE TEMP TABLE rows_all AS
SELECT p.*, b.kind AS base_kind FROM plot_rows AS p, base AS b
WHERE p.strategy <> 'resident' OR NOT EXISTS (SELECT 1 FROM plot_rows WHERE strategy <> 'resident')
ORDER BY p.prefetch = 'oracle', p.run_id;

-- Rows that compare eviction policies: not those of strategies that choose for themselves.
CREATE TEMP VIEW rows_policy AS
SELECT * FROM rows_all WHERE coalesce(policy, '') NOT IN ('', 'static', 'none', 'auto') AND strategy <> 'um';

-- What could be put on one picture, how much each sweeps, and how many measurements go with it.
CREATE TEMP VIEW panels AS
SELECT scenario, hardware, model, data_types, context_tokens, batch, ram_bytes, peer_bytes, max(kv_bits + weight_bits) AS bits,
       count(*) AS n, sum(kind <> base_kind) AS n_measured,
       count(DISTINCT CASE kind WHEN base_kind THEN vram_gib END) AS n_vram, max(vram_gib < footprint_gib) AS n_over,
       count(DISTINCT strategy) AS n_strategy, count(DISTINCT strategy || '/' || vram_gib) AS n_strategy_vram
FROM rows_all GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
CREATE TEMP VIEW panels_policy AS
SELECT scenario, hardware, model, data_types, context_tokens, batch, ram_bytes, peer_bytes, strategy,
       max(kv_bits + weight_bits) AS bits, count(*) AS n, sum(kind <> base_kind) AS n_measured,
       count(DISTINCT CASE kind WHEN base_kind THEN vram_gib END) AS n_vram,
       count(DISTINCT CASE kind WHEN base_kind THEN page_bytes END) AS n_page,
       count(DISTINCT policy || '/' || vram_gib) AS n_policy_vram,
       count(DISTINCT policy || '/' || page_bytes) AS n_policy_page
FROM rows_policy GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9;

-- What a figure has to itself once it has made its `panel`: rows that compare policies, and the best of each strategy.
CREATE TEMP VIEW swept AS
SELECT r.* FROM rows_policy AS r JOIN panel AS p
USING (scenario, hardware, model, data_types, context_tokens, batch, ram_bytes, peer_bytes, strategy);
CREATE TEMP VIEW best_strategies AS
SELECT s.* FROM plot_strategies AS s JOIN panel AS p
USING (scenario, hardware, model, data_types, context_tokens, batch, ram_bytes, peer_bytes)
WHERE s.kind = (SELECT kind FROM base) AND s.run_id IN (SELECT run_id FROM rows_all);
CREATE TEMP VIEW residents AS
SELECT s.* FROM plot_rows AS s JOIN panel AS p
USING (scenario, hardware, model, data_types, context_tokens, batch, ram_bytes, peer_bytes)
WHERE s.kind = (SELECT kind FROM base) AND s.strategy = 'resident';

-- For stacked bars: panels of one VRAM size, first those that do not hold everything, then those with most to compare,
-- then those nearest to half of the footprint, where differences show best.
CREATE TEMP VIEW panels_bars AS
SELECT scenario, hardware, model, data_types, context_tokens, batch, ram_bytes, peer_bytes, vram_gib
FROM rows_all WHERE kind = base_kind GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
ORDER BY vram_gib < max(footprint_gib) DESC, count(DISTINCT strategy) DESC, count(DISTINCT strategy || policy) DESC,
         count(*) DESC, max(kv_bits + weight_bits) DESC, avg(abs(vram_gib - coalesce(footprint_gib, 0) / 2)),
         context_tokens, hardware, model;
-- One bar per strategy and policy, each with its best prefetcher and page size. `place` orders them: the best of each
-- strategy first, then the best of the rest.
CREATE TEMP VIEW bars AS
SELECT *, row_number() OVER (ORDER BY again, tokens_per_s DESC, policy) AS place
FROM (SELECT *, row_number() OVER (PARTITION BY strategy ORDER BY tokens_per_s DESC, policy) > 1 AS again
      FROM (SELECT r.run_id, r.strategy, r.policy, max(r.tokens_per_s) AS tokens_per_s,
                   CASE WHEN paged THEN r.policy ELSE '' END AS policy_label,
                   CASE WHEN paged THEN coalesce(' · ' || nullif(r.prefetch, 'none'), '') || ' · ' || r.page ELSE '' END
                     AS settings_label
            FROM (SELECT *, run_id IN (SELECT run_id FROM rows_policy) AS paged FROM rows_all) AS r
            JOIN panel AS p USING (scenario, hardware, model, data_types, context_tokens, batch, ram_bytes, peer_bytes, vram_gib)
            WHERE r.kind = r.base_kind GROUP BY r.strategy, r.policy));
