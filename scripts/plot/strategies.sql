-- SPDX-License-Identifier: Apache-2.0
-- Strategies side by side, a group of bars per VRAM size.
-- Each strategy at its best settings; at most eight VRAM sizes.
CREATE TEMP TABLE panel AS
SELECT * FROM panels WHERE n_strategy > 1
ORDER BY n_over DESC, n_strategy_vram DESC, n_measured DESC, bits DESC, n DESC, context_tokens, hardware, model LIMIT 1;
SELECT 'why', 'needs at least two strategies' WHERE NOT EXISTS (SELECT 1 FROM panel);

CREATE TEMP TABLE best_all AS SELECT * FROM best_strategies;
-- Spread evenly over the sizes that most strategies were run with; the smallest and the largest are kept.
CREATE TEMP TABLE sizes AS
WITH v AS (SELECT vram_gib, count(DISTINCT strategy) AS n FROM best_all GROUP BY 1),
     w AS (SELECT vram_gib, row_number() OVER (ORDER BY vram_gib) - 1 AS i, count(*) OVER () AS total
           FROM v WHERE n > 1 OR (SELECT max(n) FROM v) = 1),
     k AS (SELECT vram_gib, i * (min(total, 8) - 1) / max(total - 1, 1) AS slot FROM w)
SELECT max(vram_gib) AS vram_gib, row_number() OVER (ORDER BY max(vram_gib)) AS g FROM k GROUP BY slot;
CREATE TEMP TABLE best AS SELECT * FROM best_all JOIN sizes USING (vram_gib);
-- Measurements of exactly the configurations that are drawn.
CREATE TEMP TABLE measured AS
SELECT b.strategy, b.g, m.run_id, m.tokens_per_s
FROM best AS b JOIN rows_all AS s USING (run_id)
JOIN rows_all AS m ON m.config_hash = s.config_hash AND m.kind <> m.base_kind;
CREATE TEMP TABLE slice AS SELECT run_id FROM best UNION SELECT run_id FROM measured;

SELECT 'cell', g, printf('%g', round(vram_gib, 2)) || ' GiB', strategy, tokens_per_s FROM best
ORDER BY avg(tokens_per_s) OVER (PARTITION BY strategy) DESC, strategy, g;
SELECT 'cpoint', g, strategy, tokens_per_s FROM measured;
SELECT 'gbound', g, max(bound_tokens_per_s) FROM best WHERE bound_tokens_per_s > 0 GROUP BY g ORDER BY g;
SELECT 'ref', g, (SELECT max(tokens_per_s) FROM residents) FROM best
WHERE EXISTS (SELECT 1 FROM residents) GROUP BY g ORDER BY g;
SELECT 'set', 'bound_by', group_concat(bound_by, '/')
FROM (SELECT bound_by FROM best GROUP BY bound_by ORDER BY min(vram_gib));
SELECT 'note', 'each bar: best policy, prefetch, page size and what else was swept';
