-- SPDX-License-Identifier: Apache-2.0
-- Read before the SQL of a figure of a trace. The database is what `emuv-trace export --format figures` writes. A figure
-- prints lines, tab-separated, tag first:
--   why TEXT                     the figure does not apply; nothing else is used
--   note TEXT                    words under the title
--   set NAME TEXT, num NAME X    variables of the gnuplot script
--   block NAME                   makes the datablock $NAME, empty or not
--   row NAME V1 V2 ...           a line of it
--   part NAME K V1 V2 ...        the same; another K than in the line before begins a new part (gnuplot: index)
--   matrix NAME COLUMNS ROWS     makes a datablock of ROWS lines with COLUMNS numbers, 0 where nothing else is said,
--   cell NAME COLUMN ROW V       and sets one of them
CREATE TEMP TABLE about AS SELECT
  max(CASE key WHEN 'name' THEN value END) AS name, max(CASE key WHEN 'gpu' THEN value END) AS gpu,
  max(CASE key WHEN 'emuv_version' THEN value END) AS emuv_version,
  max(CASE key WHEN 'time_unit' THEN value END) AS time_unit, max(CASE key WHEN 'work_unit' THEN value END) AS work_unit,
  max(CASE key WHEN 'steps_from' THEN value END) AS steps_from,
  max(CASE key WHEN 'calls' THEN value END) AS calls, max(CASE key WHEN 'end' THEN value END) AS last,
  max(CASE key WHEN 'space_bytes' THEN value END) AS space_bytes,
  max(CASE key WHEN 'distinct_bytes' THEN value END) AS distinct_bytes,
  max(CASE key WHEN 'grain_bytes' THEN value END) AS grain_bytes,
  max(CASE key WHEN 'counted_step' THEN value END) AS counted_step,
  max(CASE key WHEN 'counted_steps' THEN value END) AS counted_steps,
  max(CASE key WHEN 'counted_begin' THEN value END) AS counted_begin,
  max(CASE key WHEN 'counted_bytes' THEN value END) AS counted_bytes,
  max(CASE key WHEN 'first_touch_bytes' THEN value END) AS first_touch_bytes,
  max(CASE key WHEN 'dropped' THEN value END) AS dropped, max(CASE key WHEN 'truncated' THEN value END) AS truncated
FROM trace;

-- Units of memory and time: the largest of which there is at least one and a half.
CREATE TEMP TABLE memory_units(unit TEXT, bytes REAL);
INSERT INTO memory_units VALUES ('GiB', 1073741824.0), ('MiB', 1048576.0), ('KiB', 1024.0), ('B', 1.0);
CREATE TEMP TABLE memory AS SELECT unit, bytes FROM memory_units, about
WHERE distinct_bytes >= 1.5 * bytes OR bytes = 1 ORDER BY bytes DESC LIMIT 1;
CREATE TEMP TABLE space_memory AS SELECT unit, bytes FROM memory_units, about
WHERE space_bytes >= 1.5 * bytes OR bytes = 1 ORDER BY bytes DESC LIMIT 1;
CREATE TEMP TABLE time_units(unit TEXT, length REAL);
INSERT INTO time_units VALUES ('s', 1e9), ('ms', 1e6), ('us', 1e3), ('ns', 1.0);
CREATE TEMP TABLE clock AS
SELECT CASE time_unit WHEN 'ns' THEN unit ELSE 'calls' END AS unit,
       CASE time_unit WHEN 'ns' THEN length ELSE 1.0 END AS length
FROM time_units, about WHERE last >= 1.5 * length OR length = 1 ORDER BY length DESC LIMIT 1;
-- A length of time in words, in a unit of its own.
CREATE TEMP VIEW window_names AS
SELECT DISTINCT window, CASE WHEN time_unit <> 'ns' THEN window || CASE window WHEN 1 THEN ' call' ELSE ' calls' END
  WHEN window >= 1000000000 THEN printf('%g s', window / 1e9) WHEN window >= 1000000 THEN printf('%g ms', window / 1e6)
  WHEN window >= 1000 THEN printf('%g us', window / 1e3) ELSE printf('%d ns', window) END AS name
FROM working_set, about;
CREATE TEMP VIEW counted_steps AS
SELECT * FROM step, about WHERE counted_step > 0 AND step >= counted_step AND NOT prefill AND step.calls > 0;

SELECT 'set', 'subject', name FROM about;
SELECT 'set', 'memory_unit', unit FROM memory;
SELECT 'set', 'time_unit', unit FROM clock;
SELECT 'set', 'space_unit', unit FROM space_memory;
SELECT 'num', 'distinct', printf('%.9g', distinct_bytes / bytes) FROM about, memory;
SELECT 'num', 'last', printf('%.9g', last / length) FROM about, clock;
SELECT 'set', 'unit', work_unit FROM about;
SELECT 'set', 'settings',
       coalesce(nullif(gpu, '') || ' · ', '') || printf('%,d', calls) || ' launches, copies and sets · '
       || printf(CASE WHEN distinct_bytes < 1000 * bytes THEN '%.3g ' ELSE '%.0f ' END, distinct_bytes / bytes) || unit || ' touched'
       || CASE WHEN counted_steps > 0 THEN ' · ' || counted_steps || ' ' || work_unit || CASE counted_steps WHEN 1 THEN '' ELSE 's' END
          || CASE steps_from WHEN 'ranges' THEN ' (NVTX)' ELSE ' (detected period)' END ELSE ' · no steps found' END
FROM about, memory;
SELECT 'note', 'counted in calls: the trace has no usable times' FROM about WHERE time_unit <> 'ns';
SELECT 'note', 'the trace ends early' FROM about WHERE truncated;
SELECT 'note', printf('%,d', dropped) || ' records were dropped' FROM about WHERE dropped > 0;
SELECT 'set', 'origin', 'trace ' || name || ' · emuV ' || emuv_version FROM about;
