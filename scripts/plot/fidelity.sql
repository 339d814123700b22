-- SPDX-License-Identifier: Apache-2.0
-- Predicted against measured time of each configuration that has both, and the error of the prediction.
CREATE TEMP TABLE panel AS SELECT 1 AS all_of_them; -- no row hides another
CREATE TEMP TABLE pairs AS
SELECT f.*, CASE WHEN (SELECT count(DISTINCT model) FROM plot_fidelity) > 1 THEN model
                 WHEN policy IN ('', 'static', 'none', 'auto') THEN strategy ELSE policy END AS series
FROM plot_fidelity AS f;
SELECT 'why', 'needs predictions and measurements of the same configurations' WHERE NOT EXISTS (SELECT 1 FROM pairs);
CREATE TEMP TABLE slice AS SELECT run_id FROM pairs UNION SELECT predicted_run_id FROM pairs;

-- The seven series with most points have colours of their own.
CREATE TEMP TABLE ranked AS
SELECT series, min(7, row_number() OVER (ORDER BY count(*) DESC, series)) AS place,
       row_number() OVER (ORDER BY count(*) DESC, series) = 7 AND count(*) OVER () > 7 AS crowded
FROM pairs GROUP BY series;
SELECT 'part', 'pairs', place, measured_s_per_token, predicted_s_per_token, error_percent
FROM pairs JOIN ranked USING (series) ORDER BY place, measured_s_per_token, run_id;
SELECT 'set', 'series_' || place, CASE WHEN max(crowded) THEN 'others' ELSE min(series) END
FROM ranked GROUP BY place ORDER BY place;
SELECT 'num', 'n_colours', max(place) FROM ranked;
SELECT 'num', 'low', min(min(measured_s_per_token), min(predicted_s_per_token)) FROM pairs;
SELECT 'num', 'high', max(max(measured_s_per_token), max(predicted_s_per_token)) FROM pairs;
SELECT 'num', 'worst', max(abs(error_percent)) FROM pairs;
SELECT 'note', count(*) || ' configurations: error of the time ' || printf('%.1f', (
         SELECT avg(size) FROM (SELECT abs(error_percent) AS size, row_number() OVER (ORDER BY abs(error_percent)) AS at,
                                       count(*) OVER () AS n FROM pairs)
         WHERE at IN ((n + 1) / 2, (n + 2) / 2))) || ' % in the median, '
       || printf('%.1f', max(abs(error_percent))) || ' % at most'
FROM pairs;
SELECT 'note', 'faults, hits and bytes equal in ' || CASE sum(same_counts) WHEN count(*) THEN 'all' ELSE sum(same_counts) END
FROM pairs;
