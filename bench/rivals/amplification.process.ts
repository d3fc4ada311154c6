// Child process: read-modify-writes on Varve with checkpoints every second; counts what is written.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileSystemStorage, openKeyedStateBackend } from "../../src/index.ts";
import { ColdRows } from "./cold-rows.ts";
import type { RowsAssignment } from "./cold.ts";
import { serveLines } from "./line-server.ts";
import type { RivalTiming } from "./operations.ts";

const intervalMs = 1000;
/** Between two looks at the clock. */
const sliceCalls = 1000;

let rows: ColdRows | undefined;
let checkpoints = 0;

function opened(): ColdRows {
  if (rows === undefined) throw new Error("nothing was assigned yet");
  return rows;
}

async function readModifyWrite(calls: number): Promise<RivalTiming & { checkpoints: number }> {
  const start = performance.now();
  const before = checkpoints;
  let dueMs = start + intervalMs;
  let running: Promise<void> | undefined;
  let failure: Error | undefined;
  for (let done = 0; done < calls; done += sliceCalls) {
    await opened().readModifyWrite(sliceCalls);
    await new Promise((resolve) => setImmediate(resolve));
    if (failure !== undefined) throw failure;
    const now = performance.now();
    if (now < dueMs || running !== undefined) continue;
    while (dueMs <= now) dueMs += intervalMs;
    running = opened()
      .backend.checkpoint()
      .then(
        () => void checkpoints++,
        (error: Error) => void (failure = error),
      )
      .finally(() => (running = undefined));
  }
  await running;
  if (failure !== undefined) throw failure;
  return { ops: calls, millis: performance.now() - start, checkpoints: checkpoints - before };
}

/** Bytes that this process has caused to be written, once it is quiet. */
async function writtenBytes(): Promise<number> {
  let written = -1;
  for (let quiet = 0, attempt = 0; quiet < 3 && attempt < 100; attempt++) {
    const now = Number(/^write_bytes: (\d+)$/m.exec(readFileSync("/proc/self/io", "utf8"))?.[1]);
    quiet = now === written ? quiet + 1 : 0;
    written = now;
    await delay(200);
  }
  return written;
}

serveLines(
  {
    async open(assignment: RowsAssignment) {
      const backend = await openKeyedStateBackend({
        workingDirectory: join(assignment.directory, "working"),
        checkpointStorage: fileSystemStorage(join(assignment.directory, "checkpoints")),
        restore: "latest-or-new",
        policy: "incremental",
        memoryBudgetBytes: assignment.managedBytes,
        retainedCheckpoints: 1,
      });
      rows = new ColdRows(backend, assignment);
    },
    load: () => opened().load(),
    draws: ({ path }: { path: string }) => opened().draw(path),
    readModifyWrite: ({ calls }: { calls: number }) => readModifyWrite(calls),
    writtenBytes,
    checksum: ({ every }: { every: number }) => opened().checksum(every),
  },
  () => rows?.close(),
);
