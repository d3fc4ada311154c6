// Opens the lower half of an LSM backend: database, drains, changelog; restores into them.
import type { CheckpointStore } from "../checkpoint/checkpoint-store.ts";
import { makeDirectory, removeDirectory } from "../environment/typed-error.ts";
import type { LocalFiles } from "../checkpoint/local-files.ts";
import { LsmStore } from "../lsm/lsm-store.ts";
import { TableMapping } from "../lsm/table-mapping.ts";
import type { ColdTier } from "../memory/buffer-contracts.ts";
import type { WriteBuffer } from "../memory/write-buffer.ts";
import { KeyContext } from "../state/key-context.ts";
import { BackgroundVerification } from "./background-verification.ts";
import type { BackendStatus } from "./backend-status.ts";
import { EarlyTarget } from "./early-replay.ts";
import {
  type RestoredPartLog,
  openChangelogTier,
  openLogs,
  prepareAppends,
  replayLogs,
  resumableLog,
} from "./changelog-opening.ts";
import type { ChangelogTier } from "./changelog-tier.ts";
import { type RestoredDatabase, restoreDatabase } from "./lsm-restore.ts";
import { LsmTier, type LsmTierOptions } from "./lsm-tier.ts";
import { lsmReservedBytes, mappableBytes } from "./memory-plan.ts";
import type { MemoryTierOptions } from "./memory-tier.ts";
import { spawnThread } from "./opening.ts";
import { type ResolvedOptions, resolveLsmOptions } from "./options.ts";
import type { RestorePart, RestoreSource } from "./restore.ts";
import { type RowsTarget, tierTarget } from "./row-restore.ts";
import type { ScratchDirectories } from "./scratch-directories.ts";
import type { StateCatalog } from "./state-catalog.ts";
import type { OpenStateHost } from "./state-host.ts";
import { type RestorePlan, makeDatabase, planRestore } from "./table-restore.ts";
import type { Tier } from "./tier.ts";
import type { Undo } from "./undo.ts";

/** What the tiers of both backends take. */
export type CommonTierOptions = Omit<MemoryTierOptions, "discard">;

export interface LsmOpening {
  readonly options: ResolvedOptions;
  readonly host: OpenStateHost;
  readonly store: CheckpointStore;
  readonly source: RestoreSource | undefined;
  readonly local: LocalFiles | undefined;
  readonly undo: Undo;
  readonly status: BackendStatus;
  readonly catalog: StateCatalog;
  readonly directories: ScratchDirectories;
  /** The backend's share of the memory budget. */
  readonly shareBytes: number;
  readonly changeNumberBase: number;
  readonly makeBuffer: (cold: ColdTier, sealed: (boundary: number) => void) => WriteBuffer;
  readonly common: (buffer: WriteBuffer) => CommonTierOptions;
  readonly discard: (ids: readonly string[]) => void;
  readonly loadRows: (parts: readonly RestorePart[], target: RowsTarget) => Promise<void>;
}

export async function openLsmTier(parts: LsmOpening): Promise<Tier> {
  const assembly = new LsmAssembly(parts);
  try {
    return await assembly.open();
  } catch (cause) {
    await assembly.stop();
    throw cause;
  }
}

/** Replay of the logs, from before there is a tier. */
interface Replay {
  readonly target: EarlyTarget;
  /** How fast, if that could be told. */
  readonly rate: Promise<number | undefined>;
}

class LsmAssembly {
  readonly #parts: LsmOpening;
  #logDirectory: string | undefined = undefined;
  #replay: Replay | undefined = undefined;

  constructor(parts: LsmOpening) {
    this.#parts = parts;
  }

  /** It has failed: nothing is put into the buffer any more. */
  async stop(): Promise<void> {
    this.#replay?.target.stop();
    await this.#replay?.rate.catch(() => undefined); // Told by what failed first.
  }

  async open(): Promise<Tier> {
    const { shareBytes } = this.#parts;
    const lsm = resolveLsmOptions(this.#parts.options.lsm, shareBytes);
    const reserved = lsmReservedBytes(lsm, shareBytes);
    const { chunks } = this.#parts.host;
    chunks.changeReservedBytes(reserved);
    this.#parts.undo.add(() => chunks.changeReservedBytes(-reserved));
    const directory = this.#parts.directories.newPath("db");
    const { fileSystem } = this.#parts.host.environment;
    this.#parts.undo.add(() => removeDirectory(fileSystem, directory));
    const plan = planRestore(this.#parts.source?.parts ?? [], this.#parts.options.keyGroups.max);
    const thread = spawnThread(this.#parts.host.environment, this.#parts.undo); // Starts meanwhile.
    const lower: { store?: LsmStore; sealed?: (boundary: number) => void } = {};
    let sealedEarly = 0;
    const isNew = plan.made.length + plan.linked.length === 0;
    const cold: ColdTier = {
      get isEmpty() {
        return isNew && buffer.ledger.requested === 0;
      },
      getSync: (key) => lower.store!.getSync(key),
    };
    const buffer = this.#parts.makeBuffer(cold, (boundary) => {
      if (lower.sealed === undefined) sealedEarly = boundary;
      else lower.sealed(boundary);
    });
    const replay = this.#beginReplay(buffer, plan);
    const restored = await this.#buildDatabase(directory, plan, lsm.blockSizeBytes); //# fail point: open.database-built
    const mapping = this.#tableMapping();
    this.#parts.undo.add(() => mapping.close());
    await mapping.begin(restored?.totalBytes ?? 0);
    const store = await LsmStore.open({
      environment: this.#parts.host.environment,
      directory,
      mapping,
      lsm,
      arena: chunks.arena,
      thread,
    });
    lower.store = store;
    this.#parts.undo.add(() => store.close());
    const isBehind = restored !== undefined && restored.unverified.length > 0;
    const verification = isBehind ? this.#verifyBehind(restored, replay) : undefined;
    const tierOptions = {
      ...this.#parts.common(buffer),
      store,
      blockSizeBytes: lsm.blockSizeBytes,
      restored,
      verification,
      ...this.#ofOthers(),
    } satisfies LsmTierOptions;
    const tier = new LsmTier(tierOptions);
    this.#parts.undo.add(() => tier.close());
    const changelog = await this.#openChangelog(tier, tierOptions);
    lower.sealed = (boundary) => {
      if (changelog === undefined) tier.drains.sealed(boundary);
      else changelog.sealed(boundary);
    };
    if (sealedEarly > 0) lower.sealed(sealedEarly);
    await this.#parts.loadRows(plan.loaded, tierTarget(buffer, tier)); //# fail point: open.rows-loaded
    replay.target.attach(tierTarget(buffer, tier));
    await this.#finishReplay(replay, changelog, restored); //# fail point: open.log-replayed
    if (changelog !== undefined) await prepareAppends(this.#parts.options, this.#parts.host);
    return changelog ?? tier;
  }

  #tableMapping(): TableMapping {
    const { options, host, directories } = this.#parts;
    const { environment, chunks } = host;
    return new TableMapping({
      environment,
      mmapReads: options.lsm.mmapReads ?? "auto",
      allowanceBytes: mappableBytes(environment.availableMemoryBytes(), chunks.capacityBytes),
      newPath: () => directories.newPath("mappings"),
    });
  }

  async #openChangelog(tier: LsmTier, of: LsmTierOptions): Promise<ChangelogTier | undefined> {
    const { options, host, status, local, shareBytes, undo } = this.#parts;
    if (options.policy !== "changelog") return undefined;
    const changelog = await openChangelogTier({
      options,
      host,
      status,
      lsm: tier,
      tier: of,
      local,
      shareBytes,
    });
    undo.add(() => changelog.close());
    return changelog;
  }

  /** What the tier asks of its neighbours. */
  #ofOthers(): Pick<LsmTierOptions, "policy" | "prefetchTargets" | "pin" | "discard"> {
    const { options, catalog, store, discard } = this.#parts;
    return {
      policy: options.policy,
      prefetchTargets: (keys) => {
        return catalog.prefetchTargets(keys, new KeyContext(options.keyGroups));
      },
      pin: (checkpointId, file) => store.pin(checkpointId, file),
      discard,
    };
  }

  /** Verifies the logs that are restored, while the base is. */
  #openLogs(): Promise<readonly RestoredPartLog[]> {
    const { source, options, host, local, directories, undo } = this.#parts;
    const parts = source?.parts.filter(({ handle }) => handle.log !== undefined) ?? [];
    if (parts.length === 0) return Promise.resolve([]);
    const directory = directories.newPath("fetch");
    const opened = makeDirectory(host.environment.fileSystem, directory).then(() =>
      openLogs(parts, options, host, local, directory),
    );
    undo.add(async () => {
      await opened.catch(() => undefined); // Told by the opening.
      await removeDirectory(host.environment.fileSystem, directory);
    });
    this.#logDirectory = directory;
    return opened;
  }

  /** Verifies the logs, and replays them as far as there is room, while the base is verified. */
  #beginReplay(buffer: WriteBuffer, { loaded }: RestorePlan): Replay {
    const { options, changeNumberBase } = this.#parts;
    const { clock, timers } = this.#parts.host.environment;
    const logs = this.#openLogs();
    const target = new EarlyTarget({ buffer, clock, timers });
    const rate = (async () => {
      const opened = await logs;
      if (loaded.length > 0) await target.attached; // Changes go over what is loaded.
      return replayLogs(opened, target, options, changeNumberBase); //# fail point: open.changes-applied
    })();
    rate.catch(() => undefined); // Told when it is awaited, unless something else fails before.
    this.#replay = { target, rate };
    return this.#replay;
  }

  async #finishReplay(
    { target, rate }: Replay,
    changelog: ChangelogTier | undefined,
    restored: RestoredDatabase | undefined,
  ): Promise<void> {
    const { source, options, host } = this.#parts;
    const replayed = await rate;
    const directory = this.#logDirectory;
    if (directory !== undefined) await removeDirectory(host.environment.fileSystem, directory);
    if (replayed !== undefined) changelog?.replayedAt(replayed);
    const log = resumableLog(options, source, restored);
    if (log !== undefined) changelog?.resume(log, target.buffer.seal());
  }

  /** Makes the database's directory from what is restored. */
  async #buildDatabase(
    directory: string,
    { made, linked }: RestorePlan,
    blockSizeBytes: number,
  ): Promise<RestoredDatabase | undefined> {
    if (made.length + linked.length === 0) return undefined;
    const { keyGroups, restoreVerification: verification } = this.#parts.options;
    const request = {
      environment: this.#parts.host.environment,
      workers: this.#parts.host.workers,
      parts: linked,
      keyGroups,
      directory,
      verification,
      local: this.#parts.local,
    };
    if (made.length === 0 && verification === "behind") {
      const fetchDirectory = await this.#parts.directories.makeFetch();
      this.#parts.undo.add(() =>
        removeDirectory(this.#parts.host.environment.fileSystem, fetchDirectory),
      );
      return restoreDatabase({ ...request, fetchDirectory });
    }
    return this.#parts.directories.withFetch((fetchDirectory) => {
      if (made.length === 0) return restoreDatabase({ ...request, fetchDirectory });
      return makeDatabase({ ...request, parts: made, fetchDirectory }, blockSizeBytes);
    });
  }

  #verifyBehind(
    { unverified, fetchDirectory }: RestoredDatabase,
    { rate }: Replay,
  ): BackgroundVerification {
    const verification = new BackgroundVerification({
      workers: this.#parts.host.workers,
      fileSystem: this.#parts.host.environment.fileSystem,
      status: this.#parts.status,
      files: unverified,
      restored: rate.catch(() => undefined), // Told by the opening.
      directory: fetchDirectory,
      onMismatch: async (id, error) => this.#parts.local?.reject(id, error),
    });
    this.#parts.undo.add(() => {
      this.#parts.status.startClosing(); // It stops with the backend, and if opening fails.
      return verification.close();
    });
    return verification;
  }
}
