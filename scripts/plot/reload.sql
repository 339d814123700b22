-- SPDX-License-Identifier: Apache-2.0
-- Bytes brought in for each byte that a step uses, over VRAM as a share of the footprint, a line per eviction policy. Not for
-- patterns, whose steps use the same bytes many times.
-- Without prefetch where that was run.
CREATE TEMP TABLE panel AS
SELECT * FROM panels_policy WHERE n_vram > 1 AND model NOT LIKE 'pattern:%'
ORDER BY n_policy_vram DESC, n_measured DESC, bits DESC, n DESC, context_tokens, hardware, model, strategy LIMIT 1;
SELECT 'why', 'needs at least two VRAM sizes with an eviction policy' WHERE NOT EXISTS (SELECT 1 FROM panel);

CREATE TEMP TABLE pick AS
WITH c AS (SELECT page_bytes, prefetch, count(DISTINCT policy || '/' || vram_gib) AS points
           FROM swept WHERE kind = (SELECT kind FROM base) GROUP BY 1, 2)
SELECT page_bytes, prefetch FROM c WHERE points >= 0.9 * (SELECT max(points) FROM c)
ORDER BY prefetch <> 'none', prefetch, max(page_bytes, 2097152) / min(page_bytes, 2097152), page_bytes LIMIT 1;

CREATE TEMP TABLE slice AS SELECT run_id FROM swept JOIN pick USING (page_bytes, prefetch);
SELECT 'why', 'no row says how many bytes its steps use'
WHERE EXISTS (SELECT 1 FROM panel) AND NOT EXISTS (SELECT 1 FROM plot_misses JOIN slice USING (run_id) WHERE reload_percent IS NOT NULL);

SELECT 'line', policy, vram_percent, min(reload_percent), printf('%.0f', vram_percent)
FROM plot_misses JOIN slice USING (run_id) WHERE kind = (SELECT kind FROM base)
GROUP BY policy, vram_percent ORDER BY avg(min(reload_percent)) OVER (PARTITION BY policy) DESC, policy, vram_percent;
SELECT 'point', policy, vram_percent, reload_percent 
FROM plot_misses JOIN slice USING (run_id) WHERE kind <> (SELECT kind FROM base);
