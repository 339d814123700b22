-- SPDX-License-Identifier: Apache-2.0
-- Work units per second over VRAM, a line per strategy.
-- Each strategy at its best settings for that VRAM size.
CREATE TEMP TABLE panel AS
SELECT * FROM panels WHERE n_vram > 1 AND n_strategy > 1
ORDER BY n_strategy_vram DESC, n_measured DESC, bits DESC, n DESC, context_tokens, hardware, model LIMIT 1;
SELECT 'why', 'needs at least two strategies and two VRAM sizes' WHERE NOT EXISTS (SELECT 1 FROM panel);

CREATE TEMP TABLE best AS SELECT * FROM best_strategies;
-- Measurements of exactly the configurations that are drawn.
CREATE TEMP TABLE measured AS
SELECT b.strategy, b.vram_gib, m.run_id, m.tokens_per_s
FROM best AS b JOIN rows_all AS s USING (run_id)
JOIN rows_all AS m ON m.config_hash = s.config_hash AND m.kind <> m.base_kind;
CREATE TEMP TABLE slice AS SELECT run_id FROM best UNION SELECT run_id FROM measured;

SELECT 'line', strategy, vram_gib, tokens_per_s, printf('%g', round(vram_gib, 2))
FROM best
ORDER BY avg(tokens_per_s) OVER (PARTITION BY strategy) DESC, strategy, vram_gib;
SELECT 'point', strategy, vram_gib, tokens_per_s FROM measured;
SELECT 'bound', vram_gib, max(bound_tokens_per_s)
FROM best WHERE bound_tokens_per_s > 0 GROUP BY vram_gib ORDER BY vram_gib;
SELECT 'ref', vram_gib, (SELECT max(tokens_per_s) FROM residents) FROM best
WHERE EXISTS (SELECT 1 FROM residents) GROUP BY vram_gib ORDER BY vram_gib;
SELECT 'set', 'bound_by', group_concat(bound_by, '/')
FROM (SELECT bound_by FROM best GROUP BY bound_by ORDER BY min(vram_gib));
SELECT 'note', 'each point: best policy, prefetch, page size and what else was swept';
