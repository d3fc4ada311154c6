// The one implementation of CheckpointView, with what the other parts of this folder need besides.
//   V1. Nothing is written into what is read. No file stays open between two calls.
//   V2. Metadata and file lists are verified against their SHA-256, dump files and changelog segments too
//       before they are read; of table files each block that is used, by its checksum. `verifyCheckpoint` is what
//       reads every byte.
//   V3. A job may delete the checkpoint meanwhile: then CheckpointNotFoundError says so, and nothing
//       that was read before is wrong. To keep one, copy it.
//   V4. Memory holds some blocks a file, one collection at a time, and of a log what log-changes.ts says:
//       for what is more a temporary directory is made, elsewhere, and removed by `close`.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { StateSchema } from "../api/keyed-state-backend.ts";
import type { Key } from "../api/state.ts";
import { logBytesOf } from "../checkpoint/log-reader.ts";
import { systemCodeOf } from "../environment/typed-error.ts";
import {
  CheckpointNotFoundError,
  ClosedError,
  CorruptionError,
  InvalidArgumentError,
  StorageError,
} from "../errors.ts";
import type { CheckpointMetadata } from "../format/metadata.ts";
import { BasePart, intersection } from "./base-part.ts";
import { isRetained } from "./checkpoint-location.ts";
import { type CheckpointFile, filesOf } from "./checkpoint-files.ts";
import type {
  CheckpointView,
  LogDescription,
  ScanOptions,
  StateDescription,
} from "./checkpoint-view.ts";
import { EntryDecoder, type StoredEntry } from "./entry-decoder.ts";
import type { FingerprintReader } from "./fingerprint.ts";
import { encodeTagged, groupOfKey, rangeOfKey, rangeOfPrefix } from "./key-bytes.ts";
import { type StateRecord, readRecords } from "./record-reader.ts";
import { ALL_KEYS, type KeyRange } from "./row-source.ts";
import type { Scratch } from "./scratch.ts";
import { type KeyGroupStatistics, statisticsOf } from "./statistics.ts";

/** What `openCheckpoint` made; InvalidArgumentError for anything else. */
export function opened(view: CheckpointView): OpenCheckpoint {
  if (view instanceof OpenCheckpoint) return view;
  throw new InvalidArgumentError("a checkpoint view is what openCheckpoint returns");
}

/** A state of one handle. */
interface StatePart {
  readonly part: BasePart;
  readonly decoder: EntryDecoder;
}

export class OpenCheckpoint implements CheckpointView {
  readonly storage: CheckpointStorage;
  readonly metadata: CheckpointMetadata;
  /** One for each handle, by their key groups. */
  readonly parts: readonly BasePart[];
  readonly #scratch: Scratch;
  #isClosed = false;

  constructor(
    storage: CheckpointStorage,
    metadata: CheckpointMetadata,
    fingerprints: FingerprintReader,
    scratch: Scratch,
  ) {
    this.#scratch = scratch;
    this.storage = storage;
    this.metadata = metadata;
    const decoderOf = (schema: StateSchema): EntryDecoder => new EntryDecoder(schema, fingerprints);
    this.parts = metadata.handles
      .map((handle) => new BasePart(storage, handle, decoderOf, scratch))
      .sort((a, b) => a.handle.keyGroups.first - b.handle.keyGroups.first);
  }

  get checkpointId(): number {
    return this.metadata.checkpointId;
  }

  states(): readonly StateDescription[] {
    const states = new Map<string, StateDescription>();
    for (const { decoders } of this.parts) {
      for (const [name, { schema, isDecodable }] of decoders) {
        if (!states.has(name)) states.set(name, { ...schema, isDecodable });
      }
    }
    return [...states.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** How a state is decoded, by the first handle that has it. */
  decoderOf(state: string): EntryDecoder {
    return this.#partsOf(state)[0]!.decoder;
  }

  files(): Promise<readonly CheckpointFile[]> {
    return this.guard(() => filesOf(this.parts));
  }

  async get(state: string, key: Key, namespace?: Key): Promise<StoredEntry | undefined> {
    const { schema } = this.decoderOf(state);
    if (schema.namespaces && namespace === undefined) {
      throw new InvalidArgumentError(
        `state "${state}" has namespaces: name one, or scan(state, { key }) for all`,
      );
    }
    for await (const entry of this.scan(state, { key, namespace })) return entry;
    return undefined;
  }

  async *scan(state: string, options: ScanOptions = {}): AsyncGenerator<StoredEntry, void, void> {
    const namespace = this.#checkNamespace(state, options.namespace);
    const keys = keysOf(options);
    for (const { part, decoder } of this.#partsOf(state)) {
      const { keyGroups } = part.handle;
      let groups = intersection(keyGroups, options.keyGroups ?? keyGroups);
      if (groups !== undefined && options.key !== undefined) {
        const group = groupOfKey(options.key, keyGroups);
        groups = intersection(groups, { first: group, last: group });
      }
      if (groups === undefined) continue;
      for (let group = groups.first; group <= groups.last; group++) {
        for await (const records of this.records(part, decoder.schema, group, keys)) {
          for (const record of records) {
            if (isIn(namespace, record, decoder)) yield decoder.decode(record);
          }
        }
      }
    }
  }

  logs(): Promise<readonly LogDescription[]> {
    return this.guard(async () => {
      const logs: LogDescription[] = [];
      for (const part of this.parts) {
        const { keyGroups, changeNumber, log } = part.handle;
        if (log === undefined) continue;
        const { batchCount, rowCount, rawBytes } = (await part.log()).chain;
        const { baseChangeNumber, segments } = log;
        const sizes = { logBytes: logBytesOf(log), segmentCount: segments.length };
        const counts = { batchCount, rowCount, rawBytes };
        logs.push({ keyGroups, baseChangeNumber, changeNumber, ...sizes, ...counts });
      }
      return logs;
    });
  }

  async *statistics(): AsyncGenerator<KeyGroupStatistics, void, void> {
    yield* this.guarded(statisticsOf(this.parts));
  }

  /** Records of a state, not decoded. */
  async *records(
    part: BasePart,
    schema: StateSchema,
    keyGroup: number,
    keys: KeyRange = ALL_KEYS,
  ): AsyncGenerator<readonly StateRecord[], void, void> {
    const rows = await this.guard(() => part.rows());
    yield* this.guarded(readRecords(rows, schema, keyGroup, keys));
  }

  /** Runs what reads, and tells damage from a checkpoint that was deleted meanwhile (V3). */
  async guard<T>(work: () => Promise<T>): Promise<T> {
    this.throwIfClosed();
    try {
      return await work();
    } catch (error) {
      throw await this.#explained(error);
    }
  }

  async *guarded<T>(items: AsyncIterable<T>): AsyncGenerator<T, void, void> {
    this.throwIfClosed();
    try {
      for await (const item of items) {
        yield item;
        this.throwIfClosed();
      }
    } catch (error) {
      throw await this.#explained(error);
    }
  }

  throwIfClosed(): void {
    if (this.#isClosed) throw new ClosedError("the checkpoint view is closed");
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const part of this.parts) part.clear();
    await this.#scratch.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #explained(error: unknown): Promise<unknown> {
    if (!(error instanceof CorruptionError) && !isAbsence(error)) return error;
    if (await isRetained(this)) return error;
    return new CheckpointNotFoundError(
      `checkpoint ${this.checkpointId} was deleted from ${this.storage.description} while it was read: read a newer one, retain more checkpoints, or copy this one before it goes`,
      { cause: error },
    );
  }

  /** Handles that have the state. */
  #partsOf(state: string): StatePart[] {
    this.throwIfClosed();
    const parts: StatePart[] = [];
    for (const part of this.parts) {
      const decoder = part.decoders.get(state);
      if (decoder !== undefined) parts.push({ part, decoder });
    }
    if (parts.length > 0) return parts;
    const names = this.states().map(({ name }) => JSON.stringify(name));
    throw new InvalidArgumentError(
      `checkpoint ${this.checkpointId} has no state ${JSON.stringify(state)}; it has ${names.join(", ") || "none"}`,
    );
  }

  #checkNamespace(state: string, namespace: Key | undefined): Uint8Array | undefined {
    const { schema } = this.decoderOf(state);
    if (namespace === undefined) return undefined;
    if (!schema.namespaces) {
      throw new InvalidArgumentError(`state "${state}" has no namespaces: name none`);
    }
    return encodeTagged(namespace);
  }
}

/** A file that vanished between looking for it and using it. */
function isAbsence(error: unknown): boolean {
  return error instanceof StorageError && systemCodeOf(error.cause) === "ENOENT";
}

function isIn(
  namespace: Uint8Array | undefined,
  record: StateRecord,
  decoder: EntryDecoder,
): boolean {
  if (namespace === undefined) return true;
  return Buffer.compare(decoder.namespaceOf(record), namespace) === 0;
}

function keysOf({ key, namespace, prefix }: ScanOptions): KeyRange {
  if (key !== undefined && prefix !== undefined) {
    throw new InvalidArgumentError("a scan takes a key or a prefix, not both");
  }
  if (key !== undefined) return rangeOfKey(key, namespace);
  return prefix === undefined ? ALL_KEYS : rangeOfPrefix(prefix);
}
