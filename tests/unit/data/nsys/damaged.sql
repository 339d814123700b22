-- SPDX-License-Identifier: Apache-2.0
-- Rows that cannot be: no times, text for numbers, ends before begins, sizes and counts that are negative or do not
-- fit, unknown kinds, strings that are missing. One row of each table is sound.
CREATE TABLE StringIds (id INTEGER PRIMARY KEY, value TEXT);
CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start, end, deviceId, streamId, correlationId, globalPid, demangledName,
  mangledName, gridX, dynamicSharedMemory, graphNodeId);
CREATE TABLE CUPTI_ACTIVITY_KIND_MEMCPY (start, end, bytes, copyKind);
CREATE TABLE CUDA_GPU_MEMORY_USAGE_EVENTS (start, address, bytes, memKind, memoryOperationType);
CREATE TABLE NVTX_EVENTS (start, end, eventType, text, textId);
CREATE VIEW CUPTI_ACTIVITY_KIND_MEMSET AS WITH RECURSIVE r(start) AS (SELECT 1 UNION ALL SELECT start + 1 FROM r)
  SELECT start, start AS end FROM r;
INSERT INTO StringIds VALUES (1, NULL), (2, ''), (3, 'good');
INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES
  (10, 20, 0, 7, 1, NULL, 3, NULL, 1, 0, NULL), (NULL, 20, 0, 7, 1, NULL, 3, 3, 1, 0, NULL),
  ('soon', 20, 0, 7, 1, NULL, 3, 3, 1, 0, NULL), (30, 20, 0, 7, 1, NULL, 3, 3, 1, 0, NULL),
  (30, 40, -1, 7, 1, NULL, 3, 3, 1, 0, NULL), (30, 40, 0, 7, 1, NULL, 3, 3, 4294967296, 0, NULL),
  (9223372036854775807, 9223372036854775807, 0, 7, 1, NULL, 3, 3, 1, 0, NULL),
  (-9223372036854775808, 5, 0, 7, 1, NULL, 3, 3, 1, 0, NULL),
  (50, 60, 0, -1, -1, 'x', 99, 98, NULL, NULL, -5), (70, 80, 0, 7, 1, NULL, 1, 2, 1, 0, NULL);
INSERT INTO CUPTI_ACTIVITY_KIND_MEMCPY VALUES (10, 20, 100, 1), (10, 20, -1, 1), (10, 20, 100, -3),
  (10, 20, 9223372036854775807, 8), (10, 20, 5, 4000000000);
INSERT INTO CUDA_GPU_MEMORY_USAGE_EVENTS VALUES (1, 4096, 100, 2, 0), (2, 4096, -7, 2, 0), (3, -1, 100, 2, 0),
  (4, 8192, 100, 77, 0), (5, 5, 5, 2, 9), (6, 99999, 0, 2, 1);
INSERT INTO NVTX_EVENTS VALUES (10, 5, 59, 'backwards', NULL), (NULL, 5, 59, 'never', NULL), (20, 'x', 60, NULL, 99),
  (30, 40, 12345, 'other', NULL);
