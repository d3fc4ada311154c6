// B6: megabytes of state a second, into a canonical savepoint and back.
import { mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  type KeyedStateBackend,
  type KeyedStateBackendOptions,
  MIB,
  bytes,
  fileSystemStorage,
  openKeyedStateBackend,
} from "../../src/index.ts";
import { type Report, progress } from "../support/command.ts";
import { fillBytes } from "../support/sequences.ts";
import { spreadOf } from "../support/statistics.ts";

const askedRate = 50;
/** Eight bytes of each row are its key's. */
const keyBytes = 8;
const memoryBudgetBytes = 128 * MIB;

export interface SavepointLoad {
  readonly stateBytes: number;
  readonly valueBytes: number;
  readonly repetitions: number;
  readonly scratch: string;
}

const state = { name: "rows", value: bytes } as const;

export async function measureSavepoints(report: Report, load: SavepointLoad): Promise<void> {
  const { valueBytes, repetitions, scratch } = load;
  const directory = join(scratch, `rows-${valueBytes}`);
  await mkdir(directory);
  const rows = Math.floor(load.stateBytes / (valueBytes + keyBytes));
  const megabytes = (rows * (valueBytes + keyBytes)) / 1e6;
  const backend = await openIn(directory, "source", "latest-or-new");
  const writeRates: number[] = [];
  const floorRates: number[] = [];
  let pauseMsMax = 0;
  let totalBytes = 0;
  let path = "";
  try {
    await fill(backend, rows, valueBytes);
    await backend.checkpoint();
    for (let i = 0; i < repetitions; i++) {
      progress(`savepoint of ${valueBytes}-byte rows: ${i + 1}`);
      if (path !== "") await rm(path, { recursive: true });
      path = join(directory, `save-${i}`);
      const done = await backend.savepoint(path);
      writeRates.push((megabytes * 1000) / done.durationMs);
      pauseMsMax = Math.max(pauseMsMax, done.pauseMs);
      ({ totalBytes } = done);
      floorRates.push((megabytes * 1000) / (await writeAndSync(directory, path)));
    }
  } finally {
    await backend.close();
  }
  const floor = spreadOf(floorRates).median;
  const details = { megabytes, rows, valueBytes, savepointBytes: totalBytes };
  const line = (name: string, rates: number[], more: Readonly<Record<string, number>> = {}) => {
    const spread = spreadOf(rates);
    report.measure({
      id: "B6",
      name: `${name}, rows of ${valueBytes} bytes`,
      value: spread.median,
      asked: `>= ${askedRate}`,
      ok: spread.median >= askedRate,
      unit: "MB/s",
      floor,
      ratio: spread.median / floor,
      spread,
      details: { ...details, ...more },
    });
  };
  line("canonical savepoint", writeRates, { pauseMsMax });
  const plan = { directory, path, megabytes, repetitions };
  line("restore into lsm", await restoreRates(plan, {}));
  line("restore into lsm, other key groups", await restoreRates(plan, { keyGroups: { max: 100 } }));
  const memory = { backend: "memory", memoryBudgetBytes: 2048 * MIB } as const;
  line("restore into memory", await restoreRates(plan, memory));
}

interface RestorePlan {
  readonly directory: string;
  readonly path: string;
  readonly megabytes: number;
  readonly repetitions: number;
}

async function restoreRates(
  { directory, path, megabytes, repetitions }: RestorePlan,
  options: Partial<KeyedStateBackendOptions>,
): Promise<number[]> {
  const rates: number[] = [];
  for (let i = 0; i < repetitions; i++) {
    progress(`restore: ${i + 1}`);
    const start = performance.now();
    const backend = await openIn(directory, "restored", path, options);
    const ms = performance.now() - start;
    const rows = backend.valueState(state);
    backend.setCurrentKey(0);
    if (rows.value() === undefined) throw new Error("a row is lost");
    await backend.close();
    rates.push((megabytes * 1000) / ms);
    await rm(join(directory, "restored"), { recursive: true });
  }
  return rates;
}

function openIn(
  directory: string,
  name: string,
  restore: string,
  options: Partial<KeyedStateBackendOptions> = {},
): Promise<KeyedStateBackend> {
  return openKeyedStateBackend({
    workingDirectory: join(directory, name, "work"),
    checkpointStorage: fileSystemStorage(join(directory, name, "checkpoints")),
    restore,
    memoryBudgetBytes,
    ...options,
  });
}

async function fill(backend: KeyedStateBackend, rows: number, valueBytes: number): Promise<void> {
  const values = backend.valueState(state);
  const value = new Uint8Array(valueBytes);
  progress(`loading ${rows} rows of ${valueBytes} bytes`);
  for (let key = 0; key < rows; key++) {
    fillBytes(value, key, 0);
    value.fill(0, 0, valueBytes >>> 1); // Half of it compresses.
    backend.setCurrentKey(key);
    values.update(value);
    if (backend.needsDrain) await backend.drained();
  }
}

/** Milliseconds to write as many bytes as the savepoint's files have, and sync them. */
async function writeAndSync(directory: string, savepoint: string): Promise<number> {
  const folder = join(savepoint, "files");
  const names = await readdir(folder);
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  const piece = new Uint8Array(1e6).fill(7);
  const path = join(directory, "floor");
  const start = performance.now();
  for (const size of sizes) {
    const file = await open(path, "w");
    for (let left = size; left > 0; left -= piece.length) {
      await file.write(piece, 0, Math.min(left, piece.length));
    }
    await file.sync();
    await file.close();
  }
  const ms = performance.now() - start;
  await rm(path);
  return ms;
}
