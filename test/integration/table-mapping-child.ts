// Writes so many rows of 8,000 bytes, reads them back, does the same in a second backend, and
// tells how many table files of that one are mapped.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { MIB, bytes, fileSystemStorage, openKeyedStateBackend } from "../../src/index.ts";
import type { Environment, KeyedStateBackend, LsmTuning } from "../../src/index.ts";
import { tableReadsTracing } from "../../src/diagnostics.ts";
import { nodeEnvironment } from "../../src/environment/node-environment.ts";

const ROW_BYTES = 8000;
const memoryBudgetBytes = 16 * MIB;

export interface MappingReport {
  readonly mapped: number;
  readonly tables: number;
  /** Of the first one when its mapping was ended. */
  readonly mappedBefore: number;
  readonly events: readonly string[];
  /** In the working directory. */
  readonly left: readonly string[];
}

const [root, mmapReads, availableMib, rowCount, failing] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];
const ROWS = Number(rowCount);

function mappedTables(directory: string): number {
  const lines = readFileSync("/proc/self/maps", "utf8").split("\n");
  return lines.filter((line) => line.includes(directory) && line.includes(".ldb")).length;
}

function tablesOf(directory: string): number {
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.endsWith(".ldb")).length;
}

function environmentOf(): Environment {
  const node = nodeEnvironment();
  const { fileSystem } = node;
  return {
    ...node,
    availableMemoryBytes: () => Number(availableMib) * MIB,
    fileSystem: Object.assign(Object.create(fileSystem) as typeof fileSystem, {
      makeDirectory: async (path: string) => {
        if (failing === "failing" && path.includes("mappings-")) {
          throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
        }
        await fileSystem.makeDirectory(path);
      },
    }),
  };
}

async function open(name: string): Promise<KeyedStateBackend> {
  const lsm: LsmTuning = mmapReads === "auto" ? {} : { mmapReads: mmapReads === "true" };
  return openKeyedStateBackend({
    workingDirectory: join(root, name),
    checkpointStorage: fileSystemStorage(join(root, `${name}-checkpoints`)),
    restore: "latest-or-new",
    memoryBudgetBytes,
    environment: environmentOf(),
    lsm: { ...lsm, compression: false, fileSizeBytes: MIB },
  });
}

/** Rows of this byte; every one is read back from its table. */
async function fill(backend: KeyedStateBackend, fill: number): Promise<void> {
  const state = backend.valueState({ name: "row", value: bytes });
  for (let key = 0; key < ROWS; key++) {
    backend.setCurrentKey(key);
    state.update(new Uint8Array(ROW_BYTES).fill(fill + key));
    if (backend.needsDrain) await backend.drained();
  }
  await backend.checkpoint();
  for (let key = 0; key < ROWS; key++) {
    backend.setCurrentKey(key);
    const row = state.value();
    assert.equal(row?.length, ROW_BYTES);
    assert.equal(row[key % ROW_BYTES], (fill + key) & 0xff);
  }
}

const events: string[] = [];
let mappedBefore = 0;
tableReadsTracing.subscribe({
  start: () => undefined,
  end: () => undefined,
  asyncStart: () => undefined,
  asyncEnd: (trace) => {
    events.push("error" in trace ? "not ended" : "ended");
    mappedBefore = mappedTables(join(root, "first"));
  },
  error: () => undefined,
});

const backend = await open("first").catch((error: unknown) => {
  process.stdout.write(`${JSON.stringify({ refused: (error as { code: string }).code })}\n`);
  process.exit(0);
});
await fill(backend, 1);
// Tables that are opened from now on, whatever was mapped before.
const second = await open("second");
await fill(second, 2);
const report: MappingReport = {
  mapped: mappedTables(join(root, "second")),
  tables: tablesOf(join(root, "second")),
  mappedBefore,
  events,
  left: readdirSync(join(root, "first")).filter((name) => name.startsWith("mappings")),
};
await second.close();
await backend.close();
process.stdout.write(`${JSON.stringify(report)}\n`);
