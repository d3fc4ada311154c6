// Opens a backend: options, lock, restore, tiers, in an order that undoes itself on failure.
import type { Environment } from "../api/environment.ts";
import type { KeyedStateBackend } from "../api/keyed-state-backend.ts";
import { type CheckpointStore, openCheckpointStore } from "../checkpoint/checkpoint-store.ts";
import type { LocalFiles } from "../checkpoint/local-files.ts";
import { type RestoreTrace, restoreTracing } from "../diagnostics.ts";
import { CorruptionError, InvalidArgumentError } from "../errors.ts";
import { lockDirectory } from "../lsm/directory-lock.ts";
import { Epochs } from "../memory/epochs.ts";
import type { ColdTier } from "../memory/buffer-contracts.ts";
import { requireRoom } from "../memory/room.ts";
import { WriteBuffer } from "../memory/write-buffer.ts";
import { ScratchSink } from "../state/byte-sink.ts";
import { ScratchSource } from "../state/byte-source.ts";
import { KeyContext } from "../state/key-context.ts";
import type { StateHost as StatesHost } from "../state/state-core.ts";
import { BackendStatus } from "./backend-status.ts";
import { Checkpointing } from "./checkpointing.ts";
import { BufferedKeyedStateBackend } from "./keyed-backend.ts";
import { type CommonTierOptions, openLsmTier } from "./lsm-opening.ts";
import { LocalRecoveryTier } from "./local-recovery-tier.ts";
import { type RowsTarget, bufferTarget, loadRows } from "./row-restore.ts";
import { MemoryTier } from "./memory-tier.ts";
import { obtainHost, openLocalFiles } from "./opening.ts";
import { type KeyedStateBackendOptions, type ResolvedOptions, resolveOptions } from "./options.ts";
import {
  type RestorePart,
  type RestoreSource,
  findRestoreSource,
  refuseGivenUp,
} from "./restore.ts";
import { ScratchDirectories } from "./scratch-directories.ts";
import { Savepoints } from "./savepoints.ts";
import { StateCatalog } from "./state-catalog.ts";
import { type OpenStateHost, resolveMemoryBudget } from "./state-host.ts";
import type { Tier } from "./tier.ts";
import { TransientStates, type TransientTier } from "./transient-states.ts";
import { Undo } from "./undo.ts";
import { clearWorkingDirectory } from "./working-directory.ts";

/**
 * Opens a backend and restores it as `restore` says. Dispose or close it. Throws
 * InvalidArgumentError, LockedError, CheckpointNotFoundError, CorruptionError,
 * UnsupportedFormatError, StorageError; nothing that was durable has been changed then.
 */
export async function openKeyedStateBackend(
  options: KeyedStateBackendOptions,
): Promise<KeyedStateBackend> {
  const resolved = resolveOptions(options);
  const { environment } = resolved;
  if (options.host === undefined) resolveMemoryBudget(options.memoryBudgetBytes, environment);
  const undo = new Undo();
  try {
    return await open(resolved, options, undo);
  } catch (error) {
    await undo.run(error);
    throw error;
  }
}

async function open(
  resolved: ResolvedOptions,
  options: KeyedStateBackendOptions,
  undo: Undo,
): Promise<KeyedStateBackend> {
  const { workingDirectory, environment } = resolved;
  const lock = await lockDirectory(environment, workingDirectory); //# fail point: open.locked
  undo.add(() => lock.release());
  await clearWorkingDirectory(environment, workingDirectory, resolved.localRecovery); //# fail point: open.cleared
  const source = await findRestoreSource(resolved); //# fail point: open.source-found
  const host = await obtainHost(options, environment, undo); //# fail point: open.host-obtained
  const shareBytes = host.join();
  undo.add(() => host.leave());
  const confirmations: { tier: Tier | undefined } = { tier: undefined };
  const store = await openCheckpointStore({
    storage: resolved.checkpointStorage,
    environment,
    pool: host.workers,
    backendKind: resolved.backend,
    retainedCheckpoints: resolved.retainedCheckpoints,
    isTask: typeof resolved.restore === "object" && "handles" in resolved.restore,
    onConfirmed: (checkpointId) => confirmations.tier?.complete(checkpointId),
  });
  undo.add(() => store.close());
  const local = await openLocalFiles(resolved, host.workers, undo); //# fail point: open.store-opened
  const trace: RestoreTrace = {};
  if (source !== undefined) trace.checkpointId = source.restored.checkpointId;
  const assembly = new Assembly(resolved, environment, host, store, source, local, undo);
  return restoreTracing.tracePromise(async () => {
    try {
      const backend = await assembly.build(shareBytes, confirmations);
      host.workers.warmUp(environment.timers);
      return backend;
    } catch (error) {
      if (error instanceof CorruptionError) await refuseGivenUp(resolved, source);
      throw error;
    }
  }, trace);
}

class Assembly {
  readonly #options: ResolvedOptions;
  readonly #environment: Environment;
  readonly #host: OpenStateHost;
  readonly #store: CheckpointStore;
  readonly #source: RestoreSource | undefined;
  readonly #local: LocalFiles | undefined;
  readonly #undo: Undo;
  readonly #status: BackendStatus;
  readonly #context: KeyContext;
  readonly #catalog: StateCatalog;
  readonly #changeNumberBase: number;
  readonly #directories: ScratchDirectories;
  #buffer: WriteBuffer | undefined = undefined;
  #transient: TransientStates | undefined = undefined;

  constructor(
    options: ResolvedOptions,
    environment: Environment,
    host: OpenStateHost,
    store: CheckpointStore,
    source: RestoreSource | undefined,
    local: LocalFiles | undefined,
    undo: Undo,
  ) {
    this.#options = options;
    this.#environment = environment;
    this.#host = host;
    this.#store = store;
    this.#source = source;
    this.#local = local;
    this.#undo = undo;
    this.#directories = new ScratchDirectories(environment, options.workingDirectory);
    this.#catalog = new StateCatalog(source?.states ?? [], options.allowNonRestoredState);
    this.#changeNumberBase = source?.changeNumber ?? 0;
    this.#context = new KeyContext(options.keyGroups, new Epochs());
    this.#status = new BackendStatus(() => {
      this.#context.refuse(this.#status.refusal);
      this.#buffer?.stopServing();
      this.#transient?.stopServing();
    });
  }

  async build(
    shareBytes: number,
    confirmations: { tier: Tier | undefined },
  ): Promise<KeyedStateBackend> {
    const isLsm = this.#options.backend === "lsm";
    const opened = isLsm ? await this.#openLsm(shareBytes) : await this.#openMemory(); //# fail point: open.tier-opened
    const local = this.#local;
    local?.restored();
    const tier = local === undefined ? opened : new LocalRecoveryTier(opened, local);
    confirmations.tier = tier;
    const buffer = this.#buffer!;
    const { checkpointStorage, keyGroups, policy } = this.#options;
    const lastId = Math.max(this.#store.lastCheckpointId, this.#source?.restored.checkpointId ?? 0);
    const checkpointing = new Checkpointing(
      tier,
      this.#store,
      this.#status,
      this.#environment,
      policy,
      lastId,
    );
    const environment = this.#environment;
    const states = this.#statesHost(buffer, tier);
    const transient = new TransientStates(states, () => this.#makeTransient());
    this.#transient = transient;
    this.#undo.add(() => transient.close());
    return new BufferedKeyedStateBackend({
      savepoints: new Savepoints(tier, checkpointing, environment, checkpointStorage),
      local,
      keyGroups,
      checkpointStorage,
      restored: this.#source?.restored,
      status: this.#status,
      context: this.#context,
      buffer,
      states,
      transient,
      catalog: this.#catalog,
      tier,
      checkpointing,
      codecName: () => this.#host.workers.codecName,
      memoryBudgetBytes: this.#host.memoryBudgetBytes,
      close: () => this.#close(checkpointing),
    });
  }

  /** Stops serving, lets what runs end, and gives back everything in reverse order. */
  async #close(checkpointing: Checkpointing): Promise<void> {
    this.#status.startClosing();
    await checkpointing.settled();
    await this.#undo.run();
  }

  #statesHost(buffer: WriteBuffer, tier: Tier): StatesHost {
    return {
      context: this.#context,
      buffer,
      sink: new ScratchSink(),
      keySink: new ScratchSink(),
      source: new ScratchSource(buffer.u8),
      changeNumberBase: this.#changeNumberBase,
      scanKeys: (schema, namespace) => {
        this.#status.throwIfRefused();
        return tier.scanKeys(schema, namespace);
      },
    };
  }

  #makeTransient(): TransientTier {
    const owner = { generationSealed: () => undefined, exhausted: () => this.#exhausted() };
    const buffer = new WriteBuffer(this.#host.chunks, undefined, owner, this.#context.epochs);
    return { buffer, tier: new MemoryTier({ ...this.#common(buffer), discard: () => undefined }) };
  }

  #exhausted(): never {
    throw this.#status.poison(
      new InvalidArgumentError(
        "one record changed more than the headroom of the write buffer holds",
      ),
    );
  }

  #makeBuffer(cold: ColdTier | undefined, sealed: (boundary: number) => void): WriteBuffer {
    const owner = { generationSealed: sealed, exhausted: () => this.#exhausted() };
    const buffer = new WriteBuffer(this.#host.chunks, cold, owner, this.#context.epochs);
    this.#buffer = buffer;
    this.#undo.add(() => buffer.close());
    requireRoom(buffer);
    return buffer;
  }

  async #openMemory(): Promise<Tier> {
    const buffer = this.#makeBuffer(undefined, () => undefined);
    await this.#loadRows(this.#source?.parts ?? [], bufferTarget(buffer));
    const tier = new MemoryTier({
      ...this.#common(buffer),
      discard: (ids) => this.#discard(ids),
    });
    this.#undo.add(() => tier.close());
    return tier;
  }

  async #loadRows(parts: readonly RestorePart[], target: RowsTarget): Promise<void> {
    if (parts.length === 0) return;
    const { workers } = this.#host;
    const { keyGroups } = this.#options;
    const environment = this.#environment;
    const local = this.#local;
    await this.#directories.withFetch((directory) =>
      loadRows({ parts, keyGroups, target, workers, environment, directory, local }),
    );
  }

  #discard(ids: readonly string[]): void {
    this.#store.discard(ids);
    this.#local?.discard(ids);
  }

  #common(buffer: WriteBuffer): CommonTierOptions {
    return {
      environment: this.#environment,
      workers: this.#host.workers,
      storage:
        this.#local?.keeping(this.#options.checkpointStorage) ?? this.#options.checkpointStorage,
      buffer,
      status: this.#status,
      keyGroups: this.#options.keyGroups,
      changeNumberBase: this.#changeNumberBase,
      workingDirectory: this.#options.workingDirectory,
      schemas: () => this.#catalog.schemas(),
    };
  }

  async #openLsm(shareBytes: number): Promise<Tier> {
    return openLsmTier({
      options: this.#options,
      host: this.#host,
      store: this.#store,
      source: this.#source,
      local: this.#local,
      undo: this.#undo,
      status: this.#status,
      catalog: this.#catalog,
      directories: this.#directories,
      shareBytes,
      changeNumberBase: this.#changeNumberBase,
      makeBuffer: (cold, sealed) => this.#makeBuffer(cold, sealed),
      common: (buffer) => this.#common(buffer),
      discard: (ids) => this.#discard(ids),
      loadRows: (parts, target) => this.#loadRows(parts, target),
    });
  }
}
