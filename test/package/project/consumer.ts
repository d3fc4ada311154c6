import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type KeyedStateBackend,
  type MapState,
  type ValueState,
  StateBackendError,
  f64,
  fileSystemStorage,
  json,
  openKeyedStateBackend,
  optional,
  struct,
  utf8,
} from "varve";
import type { Environment } from "varve";
import { type CheckpointView, openCheckpoint, verifyCheckpoint } from "varve/inspect";
import { defineKeyedStateSuite, memoryEnvironment } from "varve/testing";

interface Flight {
  readonly from: string;
  readonly delay: number;
}

assert.equal(typeof defineKeyedStateSuite, "function");
const environment: Environment = memoryEnvironment({ seed: 7 });
assert.equal(environment.fileSystem.isNative, false);
const root = mkdtempSync(join(tmpdir(), "varve-typed-"));
try {
  const backend: KeyedStateBackend = await openKeyedStateBackend({
    workingDirectory: join(root, "work"),
    checkpointStorage: fileSystemStorage(join(root, "checkpoints")),
    memoryBudgetBytes: 32 * 1024 * 1024,
    restore: "latest-or-new",
  });
  const total: ValueState<number> = backend.valueState({ name: "total", value: f64 });
  const last: MapState<string, Flight> = backend.mapState({
    name: "last",
    key: utf8,
    value: json<Flight>(),
  });
  const row = backend.valueState({ name: "row", value: struct({ a: f64, b: optional(utf8) }) });
  const sum: number = backend.withKey("LHR", () => {
    total.update((total.value() ?? 0) + 1);
    last.put("x", { from: "LHR", delay: 3 });
    row.update({ a: 1, b: undefined });
    const back: { a: number; b: string | undefined } | undefined = row.value();
    return back?.a ?? 0;
  });
  assert.equal(sum, 1);
  const { checkpointId } = await backend.checkpoint({ offset: 1 });
  assert.equal(checkpointId, 1);
  await backend.close();
  const view: CheckpointView = await openCheckpoint(join(root, "checkpoints"));
  assert.equal((await view.get("total", "LHR"))?.value, 1);
  for await (const { value } of view.scan("last")) {
    assert.deepEqual(value, [["x", { from: "LHR", delay: 3 }]]);
  }
  assert.ok((await verifyCheckpoint(view)).isIntact);
  await view.close();
} catch (error) {
  if (error instanceof StateBackendError) process.stderr.write(`${error.code} ${error.message}\n`);
  throw error;
} finally {
  rmSync(root, { recursive: true, force: true });
}
