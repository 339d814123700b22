-- SPDX-License-Identifier: Apache-2.0
-- Memory touched over time: the last steps (tokens) of the trace.
CREATE TEMP TABLE shown AS SELECT * FROM heat_view WHERE view = 'steps';
SELECT 'why', 'the trace has no steps (tokens)' WHERE NOT EXISTS (SELECT 1 FROM shown);
SELECT 'num', 'marked', -1;
SELECT 'block', 'steps';
SELECT 'row', 'steps', printf('%.9g', (step.begin - shown.begin) / length), number
FROM (SELECT *, sum(NOT prefill) OVER (ORDER BY step) AS number FROM step WHERE step > 0) AS step, shown, clock
WHERE step.begin >= shown.begin ORDER BY step.step;
-- Where the map lies, in the units of the axes.
SELECT 'num', 'time_step', printf('%.9g', time_bin / length) FROM shown, clock;
SELECT 'num', 'time_from', printf('%.9g', begin / length) FROM shown, clock;
SELECT 'num', 'space_step', printf('%.9g', space_bin_bytes / bytes) FROM shown, space_memory;
SELECT 'num', 'n_times', n_times FROM shown;
SELECT 'num', 'n_spaces', n_spaces FROM shown;
SELECT 'set', 'bin', CASE WHEN time_unit <> 'ns' THEN time_bin || CASE time_bin WHEN 1 THEN ' call' ELSE ' calls' END
  WHEN time_bin >= 1e9 THEN printf('%.3g s', time_bin / 1e9) WHEN time_bin >= 1e6 THEN printf('%.3g ms', time_bin / 1e6)
  WHEN time_bin >= 1e3 THEN printf('%.3g us', time_bin / 1e3) ELSE printf('%d ns', time_bin) END
FROM shown, about;
-- How often a byte of the bin was touched.
CREATE TEMP VIEW cells AS
SELECT time, space, heat.bytes * 1.0 / min(space_bin_bytes, space_bytes - space * space_bin_bytes) AS times
FROM heat, shown USING (view), about WHERE space * space_bin_bytes < space_bytes;
SELECT 'num', 'hottest', printf('%.6g', max(times)) FROM cells;
SELECT 'matrix', 'heat', n_times, n_spaces FROM shown;
SELECT 'cell', 'heat', time, space, printf('%.4g', times) FROM cells;
