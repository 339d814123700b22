-- SPDX-License-Identifier: Apache-2.0
-- Work units per second over page size, a line per eviction policy.
-- With the prefetcher that does best overall; of those that copy page by page, where there are such, because merged copies
-- hide what the page size costs.
CREATE TEMP TABLE panel AS
SELECT * FROM panels_policy WHERE n_page > 1
ORDER BY n_policy_page DESC, n_measured DESC, bits DESC, n DESC, context_tokens, hardware, model, strategy LIMIT 1;
SELECT 'why', 'needs at least two page sizes with an eviction policy' WHERE NOT EXISTS (SELECT 1 FROM panel);

CREATE TEMP TABLE pick_vram AS
WITH c AS (SELECT vram_gib, count(DISTINCT policy || '/' || page_bytes) AS points,
                  avg(abs(vram_gib - coalesce(footprint_gib, 0) / 2)) AS from_half
           FROM swept WHERE kind = (SELECT kind FROM base) GROUP BY 1)
SELECT vram_gib FROM c WHERE points >= 0.9 * (SELECT max(points) FROM c) ORDER BY from_half, vram_gib LIMIT 1;
CREATE TEMP TABLE pick AS
WITH c AS (SELECT vram_gib, prefetch, sum(kind <> base_kind) AS measured,
                  count(DISTINCT CASE kind WHEN base_kind THEN policy || '/' || page_bytes END) AS points,
                  avg(CASE kind WHEN base_kind THEN tokens_per_s END) AS mean
           FROM swept JOIN pick_vram USING (vram_gib) GROUP BY 1, 2),
     e AS (SELECT *, prefetch LIKE '%merged copies' AS merged FROM c WHERE points >= 0.9 * (SELECT max(points) FROM c)),
     d AS (SELECT * FROM e WHERE merged = (SELECT min(merged) FROM e))
SELECT vram_gib, prefetch FROM d WHERE mean >= 0.98 * (SELECT max(mean) FROM d)
ORDER BY measured = 0, prefetch = 'oracle', prefetch LIMIT 1;

CREATE TEMP TABLE slice AS SELECT run_id FROM swept JOIN pick USING (vram_gib, prefetch);

SELECT 'line', policy, page_bytes, max(tokens_per_s), page
FROM plot_throughput JOIN slice USING (run_id) WHERE kind = (SELECT kind FROM base)
GROUP BY policy, page_bytes ORDER BY avg(max(tokens_per_s)) OVER (PARTITION BY policy) DESC, policy, page_bytes;
SELECT 'point', policy, page_bytes, tokens_per_s
FROM plot_throughput JOIN slice USING (run_id) WHERE kind <> (SELECT kind FROM base);
SELECT 'bound', page_bytes, max(bound_tokens_per_s)
FROM plot_throughput JOIN slice USING (run_id) WHERE bound_tokens_per_s > 0 GROUP BY page_bytes ORDER BY page_bytes;
SELECT 'set', 'bound_by', group_concat(bound_by, '/')
FROM (SELECT bound_by FROM plot_throughput JOIN slice USING (run_id) GROUP BY bound_by ORDER BY min(page_bytes));
