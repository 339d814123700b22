-- SPDX-License-Identifier: Apache-2.0
-- Machines side by side, a group of bars per machine.
-- Each machine with the most VRAM that was tried there, each strategy at its best settings.
CREATE TEMP TABLE panel AS
SELECT scenario, model, data_types, context_tokens, batch, ram_bytes, peer_bytes
FROM plot_hardware WHERE kind = (SELECT kind FROM base) GROUP BY 1, 2, 3, 4, 5, 6, 7 HAVING count(DISTINCT hardware) > 1
ORDER BY count(DISTINCT hardware) DESC, count(*) DESC, context_tokens, model LIMIT 1;
SELECT 'why', 'needs at least two machines' WHERE NOT EXISTS (SELECT 1 FROM panel);

CREATE TEMP TABLE best AS
SELECT h.*, dense_rank() OVER (ORDER BY bound, hardware) AS g
FROM (SELECT x.*, max(x.bound_tokens_per_s) OVER (PARTITION BY x.hardware) AS bound
      FROM plot_hardware AS x JOIN panel AS p USING (scenario, model, data_types, context_tokens, batch, ram_bytes, peer_bytes)
      WHERE kind = (SELECT kind FROM base) AND x.run_id IN (SELECT run_id FROM rows_all)) AS h;
-- Measurements of exactly the configurations that are drawn.
CREATE TEMP TABLE measured AS
SELECT b.strategy, b.g, m.run_id, m.tokens_per_s
FROM best AS b JOIN rows_all AS s USING (run_id)
JOIN rows_all AS m ON m.config_hash = s.config_hash AND m.kind <> m.base_kind;
CREATE TEMP TABLE slice AS SELECT run_id FROM best UNION SELECT run_id FROM measured;

SELECT 'cell', g, hardware || '|' || printf('%g', round(max(vram_gib) OVER (PARTITION BY g), 2)) || ' GiB',
       strategy, tokens_per_s
FROM best ORDER BY avg(tokens_per_s) OVER (PARTITION BY strategy) DESC, strategy, g;
SELECT 'cpoint', g, strategy, tokens_per_s FROM measured;
SELECT 'gbound', g, bound FROM best WHERE bound > 0 GROUP BY g ORDER BY g;
SELECT 'set', 'bound_by', group_concat(bound_by, '/') FROM (SELECT DISTINCT bound_by FROM best ORDER BY 1);
SELECT 'note', 'each bar: best policy, prefetch, page size and what else was swept';
