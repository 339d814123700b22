-- SPDX-License-Identifier: Apache-2.0
-- Work units per second over VRAM, a line per eviction policy.
-- Drawn at the page size and prefetcher that do best overall.
CREATE TEMP TABLE panel AS
SELECT * FROM panels_policy WHERE n_vram > 1
ORDER BY n_policy_vram DESC, n_measured DESC, bits DESC, n DESC, context_tokens, hardware, model, strategy LIMIT 1;
SELECT 'why', 'needs at least two VRAM sizes with an eviction policy' WHERE NOT EXISTS (SELECT 1 FROM panel);

-- Candidates must cover (nearly) as many points as any other. Within 2 % of the best, prefer what was measured too, then
-- a prefetcher that needs no knowledge of the future, then the page size nearest to 2 MiB.
CREATE TEMP TABLE pick AS
WITH c AS (SELECT page_bytes, prefetch, sum(kind <> base_kind) AS measured,
                  count(DISTINCT CASE kind WHEN base_kind THEN policy || '/' || vram_gib END) AS points,
                  avg(CASE kind WHEN base_kind THEN tokens_per_s END) AS mean
           FROM swept GROUP BY 1, 2),
     d AS (SELECT * FROM c WHERE points >= 0.9 * (SELECT max(points) FROM c))
SELECT page_bytes, prefetch FROM d WHERE mean >= 0.98 * (SELECT max(mean) FROM d)
ORDER BY measured = 0, prefetch = 'oracle', max(page_bytes, 2097152) / min(page_bytes, 2097152), page_bytes, prefetch
LIMIT 1;

CREATE TEMP TABLE slice AS SELECT run_id FROM swept JOIN pick USING (page_bytes, prefetch);

SELECT 'line', policy, vram_gib, max(tokens_per_s), printf('%g', round(vram_gib, 2))
FROM plot_throughput JOIN slice USING (run_id) WHERE kind = (SELECT kind FROM base)
GROUP BY policy, vram_gib
ORDER BY avg(max(tokens_per_s)) OVER (PARTITION BY policy) DESC, policy, vram_gib;
SELECT 'point', policy, vram_gib, tokens_per_s
FROM plot_throughput JOIN slice USING (run_id) WHERE kind <> (SELECT kind FROM base);
SELECT 'bound', vram_gib, max(bound_tokens_per_s)
FROM plot_throughput JOIN slice USING (run_id) WHERE bound_tokens_per_s > 0 GROUP BY vram_gib ORDER BY vram_gib;
SELECT 'set', 'bound_by', group_concat(bound_by, '/')
FROM (SELECT bound_by FROM plot_throughput JOIN slice USING (run_id) GROUP BY bound_by ORDER BY min(vram_gib));
