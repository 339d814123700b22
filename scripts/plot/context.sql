-- SPDX-License-Identifier: Apache-2.0
-- Work units per second over context length, a line per strategy (or per policy).
-- Each strategy at its best settings. Per policy if there is only one strategy.
CREATE TEMP TABLE panel AS
SELECT scenario, hardware, model, data_types, batch, ram_bytes, peer_bytes, vram_gib,
       CASE WHEN count(DISTINCT strategy) > 1 THEN 'strategy' ELSE 'policy' END AS series
FROM rows_all WHERE kind = (SELECT kind FROM base) AND context_tokens > 0
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 HAVING count(DISTINCT context_tokens) > 1
ORDER BY max(kv_bits + weight_bits) DESC, count(DISTINCT strategy || '/' || context_tokens) DESC, count(*) DESC,
         abs(vram_gib - min(footprint_gib) / 2), hardware, model LIMIT 1;
SELECT 'why', 'needs at least two context lengths' WHERE NOT EXISTS (SELECT 1 FROM panel);

CREATE TEMP TABLE best AS
SELECT CASE p.series WHEN 'strategy' THEN r.strategy ELSE r.policy END AS series, r.context_tokens, r.run_id,
       max(r.tokens_per_s) AS tokens_per_s, r.bound_tokens_per_s, r.bound_by
FROM rows_all AS r JOIN panel AS p USING (scenario, hardware, model, data_types, batch, ram_bytes, peer_bytes, vram_gib)
WHERE r.context_tokens > 0 AND kind = (SELECT kind FROM base) GROUP BY 1, 2;
-- Measurements of exactly the configurations that are drawn.
CREATE TEMP TABLE measured AS
SELECT b.series, b.context_tokens, m.run_id, m.tokens_per_s
FROM best AS b JOIN rows_all AS s USING (run_id)
JOIN rows_all AS m ON m.config_hash = s.config_hash AND m.kind <> m.base_kind;
CREATE TEMP TABLE slice AS SELECT run_id FROM best UNION SELECT run_id FROM measured;

SELECT 'line', series, context_tokens, tokens_per_s,
       CASE WHEN context_tokens % 1048576 = 0 THEN (context_tokens / 1048576) || 'M'
            WHEN context_tokens % 1024 = 0 THEN (context_tokens / 1024) || 'K' ELSE context_tokens END
FROM best JOIN plot_context USING (run_id, context_tokens, tokens_per_s)
ORDER BY avg(tokens_per_s) OVER (PARTITION BY series) DESC, series, context_tokens;
SELECT 'point', series, context_tokens, tokens_per_s FROM measured;
SELECT 'bound', context_tokens, max(bound_tokens_per_s) FROM best WHERE bound_tokens_per_s > 0
GROUP BY context_tokens ORDER BY context_tokens;
SELECT 'ref', s.context_tokens, max(s.tokens_per_s)
FROM plot_rows AS s JOIN panel AS p USING (scenario, hardware, model, data_types, batch, ram_bytes, peer_bytes, vram_gib)
WHERE s.kind = (SELECT kind FROM base) AND s.strategy = 'resident' GROUP BY 2 ORDER BY 2;
SELECT 'num', 'log_y', 1;
SELECT 'set', 'bound_by', group_concat(bound_by, '/')
FROM (SELECT bound_by FROM best GROUP BY bound_by ORDER BY min(context_tokens));
SELECT 'set', 'series', series FROM panel;
SELECT 'note', 'each point: best of the other settings';
