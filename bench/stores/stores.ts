// What the workloads run on: Varve, classic-level itself, a bare Map. Each gets the same memory.
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import {
  type ChangelogOptions,
  type CheckpointPolicy,
  type KeyedStateBackend,
  fileSystemStorage,
  openKeyedStateBackend,
} from "../../src/index.ts";

export type StoreName = "lsm" | "memory" | "classic-level" | "map";

export interface StorePlace {
  readonly store: StoreName;
  readonly directory: string;
  readonly memoryBudgetBytes: number;
  /** Of ours. @defaultValue "incremental" */
  readonly policy?: CheckpointPolicy | undefined;
  readonly changelog?: ChangelogOptions | undefined;
}

export function openVarve(place: StorePlace): Promise<KeyedStateBackend> {
  const { store, directory, memoryBudgetBytes, policy, changelog } = place;
  return openKeyedStateBackend({
    backend: store === "memory" ? "memory" : "lsm",
    workingDirectory: join(directory, "working"),
    checkpointStorage: fileSystemStorage(join(directory, "checkpoints")),
    restore: "latest-or-new",
    memoryBudgetBytes,
    ...(policy === undefined ? {} : { policy }),
    ...(changelog === undefined ? {} : { changelog }),
  });
}

export type Database = ClassicLevel<string, Uint8Array>;
const batchRows = 1000;

/** classic-level as its users have it: `getSync`, and batches that reads look into first. */
export class LevelTable {
  readonly database: Database;
  readonly #pending = new Map<string, Uint8Array | undefined>();

  private constructor(database: Database) {
    this.database = database;
  }

  static async open({ directory, memoryBudgetBytes }: StorePlace): Promise<LevelTable> {
    // The whole budget: two memtables, and the rest as block cache.
    const writeBufferSize = Math.floor(memoryBudgetBytes / 8);
    const database: Database = new ClassicLevel(join(directory, "bare"), {
      keyEncoding: "utf8",
      valueEncoding: "view",
      writeBufferSize,
      cacheSize: memoryBudgetBytes - 2 * writeBufferSize,
      maxFileSize: 8 * 1_048_576,
      maxOpenFiles: 10_000,
    });
    await database.open();
    return new LevelTable(database);
  }

  get(key: string): Uint8Array | undefined {
    if (this.#pending.has(key)) return this.#pending.get(key);
    return this.database.getSync(key);
  }

  put(key: string, value: Uint8Array): void {
    this.#pending.set(key, value);
  }

  remove(key: string): void {
    this.#pending.set(key, undefined);
  }

  settle(): Promise<void> | undefined {
    return this.#pending.size < batchRows ? undefined : this.write(false);
  }

  async write(sync: boolean): Promise<void> {
    if (this.#pending.size === 0) return;
    const batch = this.database.batch();
    for (const [key, value] of this.#pending) {
      if (value === undefined) batch.del(key);
      else batch.put(key, value);
    }
    this.#pending.clear();
    await batch.write({ sync });
  }

  async close(): Promise<void> {
    await this.write(false);
    await this.database.close();
  }
}
