-- SPDX-License-Identifier: Apache-2.0
-- Read after the SQL of a figure: says in words what the rows in `slice` have in common, for title and caption.
CREATE TEMP TABLE shown AS SELECT * FROM rows_all WHERE run_id IN (SELECT run_id FROM slice);

-- Settings that have no place in a figure (pinning, lookahead, seed, ...) do not make several points out of one.
SELECT 'note', 'of rows that differ in what is not named, the best'
WHERE NOT EXISTS (SELECT 1 FROM pragma_table_info('panel') WHERE name = 'all_of_them')
  AND EXISTS (SELECT 1 FROM shown WHERE kind = base_kind
              GROUP BY strategy, policy, prefetch, page_bytes, vram_gib, context_tokens, hardware HAVING count(*) > 1);
SELECT 'set', 'unit', coalesce(min(work_unit), 'token') FROM shown;
SELECT 'set', 'units', coalesce(min(CASE work_unit WHEN 'access' THEN 'accesses' ELSE work_unit || 's' END), 'tokens')
FROM shown;
SELECT 'set', 'subject', coalesce(CASE WHEN count(DISTINCT model) = 1 THEN min(model) END, 'several workloads')
       || coalesce(' on ' || CASE WHEN count(DISTINCT hardware) = 1 THEN min(hardware) END, '') FROM shown;
-- Settings that all rows of a kind of label share. The page size of rows without paging says nothing, hence rows_policy.
SELECT 'set', 'settings', rtrim(
       coalesce(CASE WHEN count(DISTINCT strategy) = 1 THEN 'strategy ' || min(strategy) || ' · ' END, '')
       || coalesce((SELECT CASE WHEN count(DISTINCT page) = 1 THEN 'page ' || min(page) || ' · ' END
                    FROM rows_policy WHERE run_id IN (SELECT run_id FROM slice)), '')
       || coalesce((SELECT CASE WHEN count(DISTINCT prefetch) = 1 THEN 'prefetch ' || min(prefetch) || ' · ' END
                    FROM rows_policy WHERE run_id IN (SELECT run_id FROM slice)), '')
       || coalesce(CASE WHEN count(DISTINCT vram_gib) = 1
                        THEN 'VRAM ' || printf('%g', round(min(vram_gib), 2)) || ' GiB · ' END, '')
       || coalesce(CASE WHEN count(DISTINCT round(footprint_gib, 1)) = 1
                        THEN 'footprint ' || printf('%g', round(min(footprint_gib), 1)) || ' GiB · ' END, '')
       || coalesce(CASE WHEN count(DISTINCT ram_bytes) = 1 AND min(ram_bytes) > 0
                        THEN 'RAM ' || printf('%g', round(min(ram_bytes) / 1073741824.0, 1)) || ' GiB · ' END, '')
       || coalesce(CASE WHEN count(DISTINCT peer_bytes) = 1 AND min(peer_bytes) > 0
                        THEN 'other GPU ' || printf('%g', round(min(peer_bytes) / 1073741824.0, 1)) || ' GiB · ' END, '')
       || coalesce(CASE WHEN count(DISTINCT data_types) = 1 AND (SELECT count(DISTINCT data_types) FROM rows_all) > 1
                        THEN min(data_types) || ' · ' END, '')
       || coalesce(CASE WHEN count(DISTINCT context_tokens) = 1 AND min(context_tokens) > 0
                        THEN 'context ' || min(context_tokens) || ' · ' END, '')
       || coalesce(CASE WHEN count(DISTINCT batch) = 1 AND min(batch) > 0
                        THEN 'batch ' || min(batch) || ' · ' END, ''), ' ·')
FROM shown;
SELECT 'set', 'origin',
       'scenario ' || coalesce((SELECT group_concat(scenario, ', ') FROM (SELECT DISTINCT scenario FROM shown)), '?')
       || ' · emuV ' || coalesce((SELECT group_concat(version, ', ') FROM (SELECT DISTINCT version FROM shown)), '?')
       || ' · ' || count(*) || ' of ' || (SELECT count(*) FROM plot_rows) || ' rows drawn'
FROM shown;
SELECT 'num', 'n_measured', count(*) FROM shown WHERE kind <> (SELECT kind FROM base);
SELECT 'set', 'base_kind', CASE kind WHEN 'sim' THEN 'predicted' ELSE 'measured' END FROM base;
