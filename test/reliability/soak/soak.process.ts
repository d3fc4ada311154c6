// Two jobs, one of them restarted now and then: records, checkpoints, savepoints, cold state. It ends after whole
// cycles of restarts: files come and go with each.
import { readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Sample, RESTART_EVERY, isWhole } from "./samples.ts";
import {
  type CheckpointPolicy,
  KIB,
  type KeyedStateBackend,
  MIB,
  fileSystemStorage,
  openKeyedStateBackend,
  utf8,
} from "../../../src/index.ts";

const KEYS = 30_000;
const RECORDS = 4000;
const [root = "", seed = "1", seconds = "20"] = process.argv.slice(2);

function open(name: string, policy: CheckpointPolicy): Promise<KeyedStateBackend> {
  const changelog = { segmentBytes: 256 * KIB, materializationLogBytes: MIB };
  return openKeyedStateBackend({
    workingDirectory: join(root, name, "work"),
    checkpointStorage: fileSystemStorage(join(root, name, "checkpoints")),
    restore: "latest-or-new",
    memoryBudgetBytes: 16 * MIB,
    policy,
    ...(policy === "changelog" ? { changelog } : {}),
  });
}

function filesIn(folder: string): number {
  return [...readdirSync(folder, { recursive: true })].length;
}

function sample(checkpoints: number): Sample {
  (globalThis as { gc?: () => void }).gc?.();
  const status = readFileSync("/proc/self/status", "utf8");
  const threads = Number(/^Threads:\s+(\d+)/m.exec(status)?.[1]);
  return {
    residentBytes: process.memoryUsage.rss(),
    handles: readdirSync("/proc/self/fd").length,
    threads,
    files: filesIn(join(root, "a", "work")) + filesIn(join(root, "b", "work")),
    storedFiles: filesIn(join(root, "a", "checkpoints")) + filesIn(join(root, "b", "checkpoints")),
    checkpoints,
  };
}

const endMs = performance.now() + Number(seconds) * 1000;
let a = await open("a", "changelog");
const b = await open("b", "incremental");
let checkpoints = 0;
let turn = Number(seed) * 7919;
for (let round = 1; performance.now() < endMs || !isWhole(round - 1); round++) {
  for (const backend of [a, b]) {
    const text = backend.valueState({ name: "text", value: utf8 });
    for (let left = RECORDS; left > 0; left--) {
      if (backend.needsDrain) await backend.drained();
      const key = Math.imul(turn++, 0x9e3779b1) >>> 0;
      backend.withKey(key % KEYS, () => {
        if (key % 9 === 0) text.clear();
        else text.update(`${turn}:${text.value()?.slice(0, 40) ?? ""}`.padEnd(400, "."));
      });
    }
    await backend.checkpoint({ round });
    checkpoints++;
  }
  if (round % RESTART_EVERY === 0) {
    const saved = join(root, "saved");
    await a.savepoint(saved);
    rmSync(saved, { recursive: true });
    await a.close();
    a = await open("a", "changelog");
  }
  process.stdout.write(`${JSON.stringify(sample(checkpoints))}\n`);
}
await a.close();
await b.close();
