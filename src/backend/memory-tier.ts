// The memory backend's lower half: no cold tier; a snapshot dumps the records of the sealed
// generations from the arena, without a copy, in the worker pool.
//   M1. While a dump reads, its chunks are not touched but for superseded stamps. Afterwards every
//       chunk is taken back into the active generation: rows are again updated in place.
//   M2. Dumps run one after the other, in the order of the cuts.
import { join } from "node:path";
import { makeDirectory, removeDirectory } from "../environment/typed-error.ts";
import type { Environment } from "../api/environment.ts";
import type {
  KeyGroupRange,
  SavepointFormat,
  SnapshotResult,
  StateSchema,
} from "../api/keyed-state-backend.ts";
import type { Key } from "../api/state.ts";
import {
  type BaseWriterTools,
  type FileSink,
  type WrittenBase,
  writeDump,
} from "../checkpoint/base-writer.ts";
import { writeCanonical } from "../checkpoint/canonical-writer.ts";
import { BackPressureError, ClosedError } from "../errors.ts";
import { DUMP_FILE_RAW_BYTES } from "../format/dump.ts";
import { toHex } from "../format/hex.ts";
import { CHUNK_UNITS_SHIFT, KEY_LENGTH_MASK, RecordFlag } from "../format/row-record.ts";
import type { ChunkExtent } from "../memory/chunk-ledger.ts";
import { cleanAll } from "../memory/room.ts";
import type { WriteBuffer } from "../memory/write-buffer.ts";
import type { PackedDumpFile } from "../workers/tasks.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import type { BackendStatus } from "./backend-status.ts";
import { raceAbort } from "./drain-controller.ts";
import { Enumerations, type KeySource } from "./enumerations.ts";
import { keyOfRow, rowPrefix } from "./key-scan.ts";
import type { FileKeeper, Tier, TierStats } from "./tier.ts";

/** Stores packed files, and says where. */
type DumpSink = (
  files: readonly PackedDumpFile[],
  tools: Pick<BaseWriterTools, "pool" | "environment" | "signal">,
) => Promise<WrittenBase>;

export interface MemoryTierOptions {
  readonly environment: Environment;
  readonly workers: WorkerPool;
  readonly storage: FileSink;
  readonly buffer: WriteBuffer;
  readonly status: BackendStatus;
  readonly keyGroups: KeyGroupRange;
  readonly changeNumberBase: number;
  readonly workingDirectory: string;
  readonly schemas: () => readonly StateSchema[];
  readonly discard: (ids: readonly string[]) => void;
}

export class MemoryTier implements Tier {
  readonly kind = "memory";
  readonly needsDrain = false;
  readonly #options: MemoryTierOptions;
  readonly #enumerations = new Enumerations();
  #readers = 0;
  #dumps: Promise<unknown> = Promise.resolve();

  constructor(options: MemoryTierOptions) {
    this.#options = options;
  }

  begin(_checkpointId: number, _keeper: FileKeeper, signal: AbortSignal): Promise<SnapshotResult> {
    const { storage, discard } = this.#options;
    return this.#begin((files, tools) => writeDump(files, { ...tools, storage, discard }), signal);
  }

  beginSavepoint(
    format: SavepointFormat,
    sink: Promise<FileSink>,
    signal: AbortSignal,
  ): Promise<SnapshotResult> {
    return this.#begin(async (files, tools) => {
      const discard = (): void => undefined; // The sink's owner does it.
      const own = { ...tools, storage: await sink, discard, task: "savepoint" } as const;
      if (format === "native") return writeDump(files, own);
      return writeCanonical([() => Promise.resolve(files)], 1, own);
    }, signal);
  }

  #begin(write: DumpSink, signal: AbortSignal): Promise<SnapshotResult> {
    const { boundary, extents } = this.#cut();
    const result = this.#dump(boundary, extents, this.#dumps, write, signal);
    this.#dumps = result.catch(() => undefined);
    return result;
  }

  /** Ends the active generation and pins everything up to it for a reader. */
  #cut(): { readonly boundary: number; readonly extents: readonly ChunkExtent[] } {
    const { buffer } = this.#options;
    const boundary = buffer.seal();
    const extents = buffer.ledger.extents(0, boundary);
    buffer.ledger.requested = boundary;
    this.#readers++;
    return { boundary, extents };
  }

  #release(): void {
    this.#readers--;
    if (this.#readers > 0) return;
    const { buffer } = this.#options;
    buffer.ledger.adoptAll(); // M1
    buffer.epochs.advance();
    buffer.updatePressure();
  }

  async #dump(
    boundary: number,
    extents: readonly ChunkExtent[],
    before: Promise<unknown>,
    write: DumpSink,
    signal: AbortSignal,
  ): Promise<SnapshotResult> {
    const { environment, workers, buffer, workingDirectory } = this.#options;
    const name = `dump-${toHex(environment.random.bytes(8))}`;
    const directory = join(workingDirectory, name);
    let isReading = true;
    try {
      await raceAbort(before, signal); // M2
      await makeDirectory(environment.fileSystem, directory);
      const request = {
        arena: buffer.pool.arena,
        chunks: extents,
        boundary,
        pathPrefix: join(directory, "rows-"),
        fileRawBytes: DUMP_FILE_RAW_BYTES,
      };
      const packed = await workers.submit("packDump", request, { signal });
      this.#release();
      isReading = false;
      const written = await write(packed.files, { pool: workers, environment, signal });
      return { ...written, handle: this.#handle(boundary, written.base) };
    } finally {
      if (isReading) this.#release();
      await removeDirectory(environment.fileSystem, directory);
    }
  }

  #handle(boundary: number, base: SnapshotResult["handle"]["base"]): SnapshotResult["handle"] {
    const { keyGroups, changeNumberBase, schemas } = this.#options;
    return { keyGroups, changeNumber: changeNumberBase + boundary, base, states: schemas() };
  }

  complete(): void {
    // Nothing is built upon: every dump is whole.
  }

  abort(): void {
    // Nothing is built upon: every dump is whole.
  }

  scanKeys(schema: StateSchema, namespace: Uint8Array | undefined): AsyncIterableIterator<Key> {
    return this.#enumerations.begin((released) => this.#keySource(schema, namespace, released));
  }

  #keySource(
    schema: StateSchema,
    namespace: Uint8Array | undefined,
    released: () => void,
  ): KeySource {
    const { boundary, extents } = this.#cut();
    const stop = new AbortController();
    const collected = this.#collect(boundary, extents, schema, namespace, stop.signal);
    const settled = collected.then(
      () => undefined,
      () => undefined, // Reported by the iteration.
    );
    const release = (): Promise<void> => {
      released();
      stop.abort();
      return settled;
    };
    const scan = async function* (): AsyncGenerator<Key, void, void> {
      try {
        yield* await collected;
      } finally {
        await release();
      }
    };
    return { keys: scan(), release };
  }

  async #collect(
    boundary: number,
    extents: readonly ChunkExtent[],
    schema: StateSchema,
    namespace: Uint8Array | undefined,
    stop: AbortSignal,
  ): Promise<Key[]> {
    const { environment, buffer, status } = this.#options;
    const keys: Key[] = [];
    const prefix = rowPrefix(0, schema.id, 0).subarray(2);
    try {
      for (const { chunk, usedUnits } of extents) {
        await environment.timers.yieldTurn();
        status.throwIfRefused();
        stop.throwIfAborted();
        const start = chunk << CHUNK_UNITS_SHIFT;
        for (let reference = start; reference < start + usedUnits;) {
          const row = rootRowAt(buffer, reference, boundary, prefix);
          const key = row === undefined ? undefined : keyOfRow(row, namespace);
          if (key !== undefined) keys.push(key);
          reference += buffer.i32[(reference << 1) + 2]! >>> 16;
        }
      }
      return keys;
    } finally {
      this.#release();
    }
  }

  async prefetch(): Promise<void> {
    // Everything is in memory.
  }

  async drained(signal: AbortSignal): Promise<void> {
    await raceAbort(this.#dumps, signal);
    this.#options.status.throwIfRefused();
    cleanAll(this.#options.buffer);
  }

  relieve(): void {
    const { buffer } = this.#options;
    cleanAll(buffer);
    if (!buffer.isPressed) return;
    const remedy =
      this.#readers > 0
        ? "a checkpoint holds on to superseded rows: await backend.drained(), then repeat the record"
        : "the state is larger than the memory budget: raise memoryBudgetBytes or use the lsm backend";
    throw new BackPressureError(`the memory backend is full: ${remedy}`);
  }

  stats(): TierStats {
    return {
      drains: 0,
      drainedRows: 0,
      drainedBytes: 0,
      backPressureWaits: 0,
      backPressureWaitMs: 0,
      prefetchedRows: 0,
      linkedFiles: 0,
      copiedFiles: 0,
      clippedFiles: 0,
      clippedBytes: 0,
      unverifiedFiles: 0,
    };
  }

  async close(): Promise<void> {
    await this.#dumps;
    const closed = new ClosedError("the backend is closed");
    await this.#enumerations.close(this.#options.status.refusal ?? closed);
  }
}

/** Row key of a record that stood at `boundary` and starts with the prefix after its key group. */
function rootRowAt(
  buffer: WriteBuffer,
  reference: number,
  boundary: number,
  prefix: Uint8Array,
): Uint8Array | undefined {
  const { i32, u8 } = buffer;
  const record = reference << 1;
  const superseded = i32[record + 3]!;
  if (superseded !== 0 && superseded <= boundary) return undefined;
  if ((i32[record + 1]! & RecordFlag.tombstone) !== 0) return undefined;
  const from = (reference + 2) * 8;
  for (let index = 0; index < prefix.length; index++) {
    if (u8[from + 2 + index] !== prefix[index]) return undefined;
  }
  return u8.slice(from, from + (i32[record + 1]! & KEY_LENGTH_MASK));
}
