// A keyed state backend: states over the write buffer over a tier. Both backends are this class;
// they differ in the tier.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type {
  BackendStats,
  CompletedCheckpoint,
  CompletedSavepoint,
  JsonValue,
  KeyGroupRange,
  KeyedStateBackend,
  RestoredCheckpoint,
  SavepointOptions,
  Snapshot,
  SnapshotOptions,
  WaitOptions,
} from "../api/keyed-state-backend.ts";
import type {
  AggregatingState,
  AggregatingStateDescriptor,
  Key,
  ListState,
  ListStateDescriptor,
  MapState,
  MapStateDescriptor,
  ReducingState,
  ReducingStateDescriptor,
  StateDescriptor,
  ValueState,
  ValueStateDescriptor,
} from "../api/state.ts";
import type { LocalFiles } from "../checkpoint/local-files.ts";
import { InvalidArgumentError } from "../errors.ts";
import { CHUNK_BYTES } from "../format/row-record.ts";
import { Counter } from "../memory/buffer-contracts.ts";
import type { WriteBuffer } from "../memory/write-buffer.ts";
import { BufferedAggregatingState } from "../state/aggregating-state.ts";
import type { KeyContext } from "../state/key-context.ts";
import { BufferedListState } from "../state/list-state.ts";
import { BufferedMapState } from "../state/map-state.ts";
import { BufferedReducingState } from "../state/reducing-state.ts";
import type { StateHost } from "../state/state-core.ts";
import { requireFunction } from "../state/value-row.ts";
import { BufferedValueState } from "../state/value-state.ts";
import type { BackendStatus } from "./backend-status.ts";
import type { Checkpointing } from "./checkpointing.ts";
import type { Savepoints } from "./savepoints.ts";
import type { StateCatalog } from "./state-catalog.ts";
import type { Tier } from "./tier.ts";
import type { TransientStates } from "./transient-states.ts";

/** Everything a backend is made of; `close` gives back what it does not own itself. */
export interface BackendParts {
  readonly keyGroups: KeyGroupRange;
  readonly checkpointStorage: CheckpointStorage;
  readonly restored: RestoredCheckpoint | undefined;
  readonly status: BackendStatus;
  readonly context: KeyContext;
  readonly buffer: WriteBuffer;
  readonly states: StateHost;
  readonly transient: TransientStates;
  readonly catalog: StateCatalog;
  readonly tier: Tier;
  readonly checkpointing: Checkpointing;
  readonly savepoints: Savepoints;
  readonly local: LocalFiles | undefined;
  readonly codecName: () => string;
  readonly memoryBudgetBytes: number;
  readonly close: () => Promise<void>;
}

const never = new AbortController().signal;
const asyncFunctionPrototype: unknown = Object.getPrototypeOf(async () => undefined);

export class BufferedKeyedStateBackend implements KeyedStateBackend {
  readonly keyGroups: KeyGroupRange;
  readonly checkpointStorage: CheckpointStorage;
  readonly restored: RestoredCheckpoint | undefined;
  readonly #parts: BackendParts;
  private readonly _context: KeyContext;
  private readonly _buffer: WriteBuffer;
  /** Of states that are not checkpointed, once there are any. */
  private _transient: WriteBuffer | undefined = undefined;
  #isInCallback = false;
  #closing: Promise<void> | undefined = undefined;

  constructor(parts: BackendParts) {
    this.keyGroups = parts.keyGroups;
    this.checkpointStorage = parts.checkpointStorage;
    this.restored = parts.restored;
    this.#parts = parts;
    this._context = parts.context;
    this._buffer = parts.buffer;
  }

  get signal(): AbortSignal {
    return this.#parts.status.signal;
  }

  valueState<T>(descriptor: ValueStateDescriptor<T>): ValueState<T> {
    const { catalog } = this.#serving();
    return catalog.obtain("value", descriptor, { value: descriptor?.value }, (schema) => {
      return new BufferedValueState(this.#hostOf(descriptor), schema, descriptor.value);
    });
  }

  listState<T>(descriptor: ListStateDescriptor<T>): ListState<T> {
    const { catalog } = this.#serving();
    return catalog.obtain("list", descriptor, { element: descriptor?.element }, (schema) => {
      return new BufferedListState(this.#hostOf(descriptor), schema, descriptor.element);
    });
  }

  mapState<K, V>(descriptor: MapStateDescriptor<K, V>): MapState<K, V> {
    const { catalog } = this.#serving();
    const parts = { key: descriptor?.key, value: descriptor?.value };
    return catalog.obtain("map", descriptor, parts, (schema) => {
      return new BufferedMapState(
        this.#hostOf(descriptor),
        schema,
        descriptor.key,
        descriptor.value,
      );
    });
  }

  reducingState<T>(descriptor: ReducingStateDescriptor<T>): ReducingState<T> {
    const { catalog } = this.#serving();
    return catalog.obtain("reducing", descriptor, { value: descriptor?.value }, (schema) => {
      requireFunction(schema.name, "reduce", descriptor.reduce);
      return new BufferedReducingState(
        this.#hostOf(descriptor),
        schema,
        descriptor.value,
        descriptor.reduce,
      );
    });
  }

  aggregatingState<In, Accumulator, Out>(
    descriptor: AggregatingStateDescriptor<In, Accumulator, Out>,
  ): AggregatingState<In, Out> {
    const { catalog } = this.#serving();
    const parts = { accumulator: descriptor?.accumulator };
    return catalog.obtain("aggregating", descriptor, parts, (schema) => {
      const { accumulator, aggregate } = descriptor;
      for (const name of ["createAccumulator", "add", "getResult", "merge"] as const) {
        requireFunction(schema.name, `aggregate.${name}`, aggregate?.[name]);
      }
      return new BufferedAggregatingState(this.#hostOf(descriptor), schema, accumulator, aggregate);
    });
  }

  /** Where the rows of a state are. */
  #hostOf(descriptor: StateDescriptor): StateHost {
    const { states, transient } = this.#parts;
    if (descriptor.checkpointed !== false) return states;
    const host = transient.host();
    this._transient = transient.buffer;
    return host;
  }

  #serving(): BackendParts {
    this.#parts.status.throwIfRefused();
    return this.#parts;
  }

  withKey<R>(key: Key, callback: () => R): R {
    if (this.#isInCallback) {
      throw new InvalidArgumentError("withKey cannot be called within the callback of another one");
    }
    if (typeof callback !== "function") {
      throw new InvalidArgumentError("withKey takes a key and a function");
    }
    if (Object.getPrototypeOf(callback) === asyncFunctionPrototype) refuseAsync();
    this.setCurrentKey(key);
    this.#isInCallback = true;
    let result: R;
    try {
      result = callback();
    } finally {
      this.#isInCallback = false;
      this._context.unset();
    }
    if (typeof result === "object" && result !== null && "then" in result) refuseAsync();
    return result;
  }

  setCurrentKey(key: Key): void {
    if (this._buffer.isPressed === true || this._transient?.isPressed === true) this.#attend();
    this._context.set(key);
  }

  /** The slow side of setting a key: the backend does not serve, or the buffer is full. */
  #attend(): void {
    this.#parts.status.throwIfRefused();
    if (this._buffer.isPressed) this.#parts.tier.relieve();
    this.#parts.transient.relieve();
  }

  currentKey(): Key | undefined {
    return this._context.current();
  }

  async prefetch(keys: Iterable<Key>): Promise<void> {
    await this.#serving().tier.prefetch([...keys]);
  }

  get needsDrain(): boolean {
    return this.#parts.status.isOpen && this.#parts.tier.needsDrain;
  }

  async drained(options: WaitOptions = {}): Promise<void> {
    await this.#serving().tier.drained(options.signal ?? never);
  }

  async checkpoint(metadata?: JsonValue, options: WaitOptions = {}): Promise<CompletedCheckpoint> {
    return this.#cutting("checkpoint").checkpointing.take(metadata, options.signal);
  }

  async savepoint(directory: string, options: SavepointOptions = {}): Promise<CompletedSavepoint> {
    return this.#cutting("savepoint").savepoints.take(directory, options);
  }

  snapshot(checkpointId: number, options: SnapshotOptions = {}): Snapshot {
    const { checkpointing } = this.#cutting("snapshot");
    if (!Number.isSafeInteger(checkpointId) || checkpointId < 1) {
      throw new InvalidArgumentError(
        `a checkpoint id is an integer >= 1, got ${String(checkpointId)}`,
      );
    }
    const { full = false, signal } = options;
    const result = checkpointing.snapshot(checkpointId, full, signal);
    result.catch(() => undefined); // The caller may look later; the rejection stays in `result`.
    return { checkpointId, result };
  }

  /** Whoever cuts does so between records, with all states declared. */
  #cutting(call: string): BackendParts {
    if (this.#isInCallback) {
      throw new InvalidArgumentError(`${call}() cuts between records: not within withKey`);
    }
    const parts = this.#serving();
    parts.catalog.refuseUndeclared();
    return parts;
  }

  notifyCheckpointComplete(checkpointId: number): void {
    this.#parts.tier.complete(checkpointId);
  }

  notifyCheckpointAborted(checkpointId: number): void {
    this.#parts.tier.abort(checkpointId);
  }

  notifyCheckpointSubsumed(checkpointId: number): void {
    // What is built upon belongs to the newest confirmed checkpoint, which is never subsumed.
    this.#parts.tier.abort(checkpointId);
  }

  stats(): BackendStats {
    const { tier, buffer, checkpointing, memoryBudgetBytes, codecName } = this.#parts;
    const { counters, ledger, pool, index } = buffer;
    const storage = this.checkpointStorage.stats();
    const tierStats = tier.stats();
    const local = this.#parts.local?.stats();
    const other = this._transient;
    const count = (name: keyof typeof Counter): number =>
      counters[Counter[name]]! + (other?.counters[Counter[name]] ?? 0);
    return {
      backend: tier.kind,
      memoryBudgetBytes,
      writeBufferCapacityBytes: pool.quota * CHUNK_BYTES,
      writeBufferUsedBytes: (ledger.ownedCount + (other?.ledger.ownedCount ?? 0)) * CHUNK_BYTES,
      undrainedBytes: tier.kind === "lsm" ? ledger.undrainedCount * CHUNK_BYTES : 0,
      indexBytes: index.bytes + (other?.index.bytes ?? 0),
      bufferedRows: index.count + (other?.index.count ?? 0),
      hotReads: count("hotReads"),
      coldReads: count("coldReads"),
      coldMisses: count("coldMisses"),
      prefetchedRows: tierStats.prefetchedRows,
      drains: tierStats.drains,
      drainedRows: tierStats.drainedRows,
      drainedBytes: tierStats.drainedBytes,
      backPressureWaits: tierStats.backPressureWaits,
      backPressureWaitMs: tierStats.backPressureWaitMs,
      completedCheckpoints: checkpointing.completed,
      abortedCheckpoints: checkpointing.aborted,
      uploadedBytes: checkpointing.uploadedBytes,
      linkedFiles: tierStats.linkedFiles + storage.linkedFiles,
      copiedFiles: tierStats.copiedFiles + storage.copiedFiles,
      clippedFiles: tierStats.clippedFiles,
      clippedBytes: tierStats.clippedBytes,
      unverifiedFiles: tierStats.unverifiedFiles,
      localFiles: local?.localFiles ?? 0,
      localRejectedFiles: local?.localRejectedFiles ?? 0,
      localFailures: local?.localFailures ?? 0,
      changelog: tierStats.changelog,
      compressionCodec: codecName(),
    };
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#parts.close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function refuseAsync(): never {
  throw new InvalidArgumentError(
    "withKey runs a synchronous callback: one that returns a promise would use the key after it is unset",
  );
}
