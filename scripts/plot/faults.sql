-- SPDX-License-Identifier: Apache-2.0
-- Demand faults per 1000 work units over page size, a line per eviction policy.
-- Without prefetch where that was run.
CREATE TEMP TABLE panel AS
SELECT * FROM panels_policy WHERE n_page > 1
ORDER BY n_policy_page DESC, n_measured DESC, bits DESC, n DESC, context_tokens, hardware, model, strategy LIMIT 1;
SELECT 'why', 'needs at least two page sizes with an eviction policy' WHERE NOT EXISTS (SELECT 1 FROM panel);

CREATE TEMP TABLE pick AS
WITH c AS (SELECT vram_gib, prefetch, count(DISTINCT policy || '/' || page_bytes) AS points,
                  count(DISTINCT page_bytes) AS pages,
                  avg(abs(vram_gib - coalesce(footprint_gib, 0) / 2)) AS from_half
           FROM swept JOIN (SELECT run_id, faults_per_1k_tokens FROM plot_faults) USING (run_id)
           WHERE kind = (SELECT kind FROM base) AND faults_per_1k_tokens > 0 GROUP BY 1, 2)
SELECT vram_gib, prefetch FROM c WHERE pages > 1 AND points >= 0.9 * (SELECT max(points) FROM c)
ORDER BY prefetch <> 'none', prefetch, from_half, vram_gib LIMIT 1;
SELECT 'why', 'no page fault at two page sizes or more: everything is resident, or loaded ahead of its use'
WHERE EXISTS (SELECT 1 FROM panel) AND NOT EXISTS (SELECT 1 FROM pick);

CREATE TEMP TABLE slice AS SELECT run_id FROM swept JOIN pick USING (vram_gib, prefetch);

SELECT 'line', policy, page_bytes, min(faults_per_1k_tokens), page
FROM plot_faults JOIN slice USING (run_id) WHERE kind = (SELECT kind FROM base) AND faults_per_1k_tokens > 0
GROUP BY policy, page_bytes
ORDER BY avg(min(faults_per_1k_tokens)) OVER (PARTITION BY policy) DESC, policy, page_bytes;
SELECT 'point', policy, page_bytes, faults_per_1k_tokens
FROM plot_faults JOIN slice USING (run_id) WHERE kind <> (SELECT kind FROM base) AND faults_per_1k_tokens > 0;
SELECT 'num', 'log_y', 1;
