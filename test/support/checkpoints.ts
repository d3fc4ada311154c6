// Checkpoints without a backend: files of known content on a memory file system.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { CheckpointStorage } from "../../src/api/checkpoint-storage.ts";
import type { SharedFile, SnapshotResult } from "../../src/api/keyed-state-backend.ts";
import { fetchBase } from "../../src/checkpoint/base-reader.ts";
import { writeSstSet } from "../../src/checkpoint/base-writer.ts";
import { openCheckpointStore } from "../../src/checkpoint/checkpoint-store.ts";
import type {
  CheckpointStore,
  CommittedCheckpoint,
} from "../../src/checkpoint/checkpoint-store.ts";
import { fileSystemStorage } from "../../src/checkpoint/file-system-storage.ts";
import { memoryEnvironment } from "../../src/environment/memory-environment.ts";
import type { MemoryEnvironment } from "../../src/environment/memory-environment.ts";
import type { MemoryFileSystem } from "../../src/environment/memory-file-system.ts";
import type { CheckpointMetadata } from "../../src/format/metadata.ts";
import { openWorkerPool } from "../../src/workers/worker-pool.ts";
import type { WorkerPool } from "../../src/workers/worker-pool.ts";

/** Content of the pretended SST `number`. */
export function contentOf(number: number): Uint8Array {
  const seed = createHash("sha256").update(`sst ${number}`).digest();
  return Buffer.concat(Array.from({ length: 20 + (number % 7) }, () => seed));
}

/** SSTs that checkpoint `id` consists of: each shares two with the one before. */
export function numbersOf(id: number): readonly number[] {
  return [id, id + 1, id + 2];
}

/** A job that owns a storage: takes checkpoints, pretends to be a backend. */
export class Job {
  readonly environment: MemoryEnvironment;
  readonly storage: CheckpointStorage;
  readonly pool: WorkerPool;
  readonly store: CheckpointStore;
  confirmed: ReadonlyMap<number, SharedFile> = new Map();

  private constructor(
    environment: MemoryEnvironment,
    storage: CheckpointStorage,
    pool: WorkerPool,
    store: CheckpointStore,
  ) {
    this.environment = environment;
    this.storage = storage;
    this.pool = pool;
    this.store = store;
  }

  static async open(
    fileSystem: MemoryFileSystem,
    seed: number = 1,
    retainedCheckpoints: number = 2,
    wrap: (storage: CheckpointStorage) => CheckpointStorage = (storage) => storage,
  ): Promise<Job> {
    const environment = memoryEnvironment({ fileSystem, seed });
    const storage = wrap(fileSystemStorage("/store", {}, environment));
    const pool = await openWorkerPool({ environment });
    const store = await openCheckpointStore({
      storage,
      environment,
      pool,
      backendKind: "lsm",
      retainedCheckpoints,
    });
    await fileSystem.makeDirectory(`/work-${seed}`);
    return new Job(environment, storage, pool, store);
  }

  /** Uploads what checkpoint `id` consists of. */
  async snapshot(
    id: number,
    numbers: readonly number[] = numbersOf(id),
    signal?: AbortSignal,
  ): Promise<{ result: SnapshotResult; files: ReadonlyMap<number, SharedFile> }> {
    if (id > this.store.lastCheckpointId) this.store.begin(id);
    const { fileSystem } = this.environment;
    const directory = `/work-${this.store.writerEpoch.id}-${id}`;
    await fileSystem.makeDirectory(directory);
    const files = [];
    for (const number of numbers) {
      const path = `${directory}/${number}`;
      if ((await fileSystem.stat(path)) === undefined) {
        const file = await fileSystem.create(path);
        await file.write(contentOf(number));
        await file.close();
      }
      const key = Buffer.alloc(9, number);
      const lengthBytes = contentOf(number).length;
      files.push({ path, lengthBytes, level: 0, number, smallest: key, largest: key });
    }
    const reused = numbers.flatMap((number) => this.confirmed.get(number) ?? []);
    for (const file of reused) assert.ok(this.store.pin(id, file));
    const written = await writeSstSet(
      { lastSequence: id, nextFile: id + 1000, files, reuse: this.confirmed },
      {
        storage: this.storage,
        pool: this.pool,
        environment: this.environment,
        discard: (ids) => this.store.discard(ids),
        signal,
      },
    );
    const result: SnapshotResult = {
      handle: {
        keyGroups: { max: 128, first: 0, last: 127 },
        changeNumber: id,
        base: written.base,
        states: [],
      },
      files: written.files,
      newFileIds: written.newFileIds,
      uploadedBytes: written.uploadedBytes,
    };
    return { result, files: written.filesByNumber };
  }

  async checkpoint(id: number): Promise<CommittedCheckpoint> {
    const { result, files } = await this.snapshot(id);
    const committed = await this.store.commit({
      checkpointId: id,
      policy: "incremental",
      snapshots: [result],
      userMetadata: { id },
    });
    this.confirmed = files;
    return committed;
  }

  /** Fetches and verifies everything that a checkpoint references, and checks its content. */
  async verify(metadata: CheckpointMetadata): Promise<void> {
    const { fileSystem } = this.environment;
    const directory = `/restore-${metadata.completionNumber}`;
    await fileSystem.removeTree(directory);
    await fileSystem.makeDirectory(directory);
    for (const { base, changeNumber } of metadata.handles) {
      const { list, files } = await fetchBase({
        storage: this.storage,
        pool: this.pool,
        environment: this.environment,
        base,
        directory,
        localPath: (entry) => `${directory}/${entry.id}`,
      });
      assert.equal(list.kind, "sst-set");
      const numbers = list.files.map((file) => ("number" in file ? file.number : -1));
      assert.deepEqual(numbers, numbersOf(changeNumber));
      for (const [index, { path }] of files.entries()) {
        const bytes = await fileSystem.readFile(path);
        assert.equal(Buffer.compare(bytes, contentOf(numbers[index]!)), 0);
      }
    }
  }

  /** The pool has no threads here, and `verify` needs it still. */
  async close(): Promise<void> {
    await this.store.close();
  }
}

/** Names of all objects of a storage, sorted. */
export async function objectsOf(storage: CheckpointStorage): Promise<string[]> {
  const names: string[] = [];
  for await (const name of storage.list("")) names.push(name);
  return names.sort();
}
