-- SPDX-License-Identifier: Apache-2.0
-- The schema of 2021: no mangled names, graph nodes or processes, no enumerations; a launch without its API call, one
-- before the session's zero.
CREATE TABLE StringIds (id INTEGER PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start INT NOT NULL, end INT NOT NULL, deviceId INT NOT NULL,
  contextId INT NOT NULL, streamId INT NOT NULL, correlationId INT, demangledName INT NOT NULL, shortName INT NOT NULL,
  gridX INT NOT NULL, gridY INT NOT NULL, gridZ INT NOT NULL, blockX INT NOT NULL, blockY INT NOT NULL,
  blockZ INT NOT NULL);
CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME (start INT NOT NULL, end INT NOT NULL, globalTid INT NOT NULL,
  correlationId INT NOT NULL, nameId INT NOT NULL, returnValue INT NOT NULL);
INSERT INTO StringIds VALUES (1, 'void add<int>(int *)'), (2, 'add');
INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES (-60, -50, 71169, 1, 2, 0);
INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (-40, -30, 0, 1, 7, 1, 1, 2, 1, 1, 1, 32, 1, 1),
  (20, 30, 0, 1, 7, 2, 9, 2, 1, 1, 1, 32, 1, 1);
