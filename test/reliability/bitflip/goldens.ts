// Small checkpoints of each kind, in test/fixtures/reliability: the same bytes in every run, so that a
// seed names one damage. Written once, by hand: node dist/test/reliability/bitflip/goldens.js write
import { existsSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import {
  KIB,
  type KeyedStateBackend,
  type KeyedStateBackendOptions,
  MIB,
  fileSystemStorage,
  openKeyedStateBackend,
} from "../../../src/index.ts";
import { memoryEnvironment } from "../../../src/testing/index.ts";
import { SavepointJob } from "../../support/savepoint-job.ts";
import { quickDirectory } from "../../support/subjects.ts";

const root = "test/fixtures/reliability";
const KEYS = 24;
const RECORDS = 40;
const ROUNDS = 3;

export interface Golden {
  readonly name: string;
  readonly options: Partial<KeyedStateBackendOptions>;
  /** A savepoint's format; undefined: a checkpoint. */
  readonly savepoint?: "native" | "canonical";
}

export const goldens: readonly Golden[] = [
  { name: "full", options: { policy: "full" } },
  { name: "incremental", options: { policy: "incremental" } },
  {
    name: "changelog",
    options: {
      policy: "changelog",
      changelog: { segmentBytes: 64 * KIB, materializationLogBytes: 64 * KIB },
    },
  },
  { name: "memory", options: { backend: "memory" } },
  { name: "native-savepoint", options: {}, savepoint: "native" },
  { name: "canonical-savepoint", options: {}, savepoint: "canonical" },
];

/** The objects of a golden by name, with `/`. */
export function objectsOf({ name }: Golden): Map<string, Buffer> {
  const objects = new Map<string, Buffer>();
  const folder = join(root, name);
  for (const path of readdirSync(folder, { recursive: true, encoding: "utf8" }).sort()) {
    const file = join(folder, path);
    if (statSync(file).isFile()) objects.set(path.replaceAll("\\", "/"), readFileSync(file));
  }
  return objects;
}

async function work(
  job: SavepointJob,
  backend: KeyedStateBackend,
  after: (round: number) => Promise<unknown>,
): Promise<void> {
  for (let round = 1; round <= ROUNDS; round++) {
    await job.change([backend], RECORDS);
    await after(round);
  }
}

/** What every golden holds: the same job, on a backend in memory. */
export async function expectedJob(): Promise<SavepointJob> {
  const environment = memoryEnvironment();
  const backend = await openKeyedStateBackend({
    backend: "memory",
    workingDirectory: "/work",
    checkpointStorage: fileSystemStorage("/checkpoints", {}, environment),
    restore: "latest-or-new",
    memoryBudgetBytes: 16 * MIB,
    environment,
  });
  const job = new SavepointJob(KEYS);
  await work(job, backend, async () => undefined);
  await backend.close();
  return job;
}

async function write({ name, options, savepoint }: Golden): Promise<void> {
  const target = join(root, name);
  if (existsSync(target)) throw new Error(`${target} exists`);
  const scratch = quickDirectory("varve-goldens-");
  const checkpoints = savepoint === undefined ? target : join(scratch, "checkpoints");
  const backend = await openKeyedStateBackend({
    workingDirectory: join(scratch, "work"),
    checkpointStorage: fileSystemStorage(checkpoints, { transfer: "copy" }),
    restore: "latest-or-new",
    memoryBudgetBytes: 16 * MIB,
    ...options,
  });
  await work(new SavepointJob(KEYS), backend, async (round) => {
    if (savepoint === undefined) await backend.checkpoint({ round });
    else if (round === ROUNDS) {
      await backend.savepoint(target, { format: savepoint, metadata: { round }, transfer: "copy" });
    }
  });
  await backend.close();
  rmSync(scratch, { recursive: true });
}

if (process.argv[2] === "write" && basename(process.argv[1] ?? "") === "goldens.js") {
  for (const golden of goldens) await write(golden);
}
