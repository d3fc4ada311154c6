// Opens the lower half of an LSM backend: database, drains, changelog; restores into them.
import type { CheckpointStore } from "../checkpoint/checkpoint-store.ts";
import { removeDirectory } from "../environment/typed-error.ts";
import type { LocalFiles } from "../checkpoint/local-files.ts";
import { LsmStore } from "../lsm/lsm-store.ts";
import type { ColdTier } from "../memory/buffer-contracts.ts";
import type { WriteBuffer } from "../memory/write-buffer.ts";
import { KeyContext } from "../state/key-context.ts";
import { BackgroundVerification } from "./background-verification.ts";
import type { BackendStatus } from "./backend-status.ts";
import {
  type RestoredPartLog,
  openChangelogTier,
  openLogs,
  replayLogs,
  resumableLog,
} from "./changelog-opening.ts";
import type { ChangelogTier } from "./changelog-tier.ts";
import { type RestoredDatabase, restoreDatabase } from "./lsm-restore.ts";
import { LsmTier, type LsmTierOptions } from "./lsm-tier.ts";
import { lsmReservedBytes } from "./memory-plan.ts";
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

export function openLsmTier(parts: LsmOpening): Promise<Tier> {
  return new LsmAssembly(parts).open();
}

class LsmAssembly {
  readonly #parts: LsmOpening;
  #logDirectory: string | undefined = undefined;

  constructor(parts: LsmOpening) {
    this.#parts = parts;
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
    // Ahead only where nothing else takes long: before damage is found it would be started in vain.
    const isQuick = this.#parts.options.restoreVerification === "behind";
    const thread = isQuick
      ? spawnThread(this.#parts.host.environment, this.#parts.undo)
      : undefined;
    this.#beginAppender();
    const logs = this.#openLogs();
    logs.catch(() => undefined); // Told when it is replayed, unless something else fails before.
    const restored = await this.#buildDatabase(directory, plan, lsm.blockSizeBytes); //# fail point: open.database-built
    const store = await LsmStore.open({
      environment: this.#parts.host.environment,
      directory,
      lsm,
      arena: chunks.arena,
      thread,
    });
    this.#parts.undo.add(() => store.close());
    const isBehind = restored !== undefined && restored.unverified.length > 0;
    const verification = isBehind ? this.#verifyBehind(restored) : undefined;
    let tier: LsmTier | undefined;
    let changelog: ChangelogTier | undefined;
    const isNew = restored === undefined;
    const cold: ColdTier = {
      get isEmpty() {
        return isNew && buffer.ledger.requested === 0;
      },
      getSync: (key) => store.getSync(key),
    };
    const buffer = this.#parts.makeBuffer(cold, (boundary) => {
      if (changelog === undefined) tier?.drains.sealed(boundary);
      else changelog.sealed(boundary);
    });
    const tierOptions = {
      ...this.#parts.common(buffer),
      store,
      blockSizeBytes: lsm.blockSizeBytes,
      restored,
      verification,
      ...this.#ofOthers(),
    } satisfies LsmTierOptions;
    tier = new LsmTier(tierOptions);
    const opened = tier;
    this.#parts.undo.add(() => opened.close());
    if (this.#parts.options.policy === "changelog") {
      const parts = {
        options: this.#parts.options,
        host: this.#parts.host,
        status: this.#parts.status,
      };
      changelog = await openChangelogTier({ ...parts, lsm: tier, tier: tierOptions, shareBytes });
      const begun = changelog;
      this.#parts.undo.add(() => begun.close());
    }
    await this.#parts.loadRows(plan.loaded, tierTarget(buffer, tier)); //# fail point: open.rows-loaded
    await this.#replay(await logs, tierTarget(buffer, tier), changelog, restored); //# fail point: open.log-replayed
    return changelog ?? tier;
  }

  /** Its thread starts while the database is built: the tier takes the same one. */
  #beginAppender(): void {
    const { options, host } = this.#parts;
    if (options.policy !== "changelog") return;
    host.logWriter(options.checkpointStorage).catch(() => undefined); // Told to the tier.
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
    const { source, options, host, directories, undo } = this.#parts;
    const parts = source?.parts.filter(({ handle }) => handle.log !== undefined) ?? [];
    if (parts.length === 0) return Promise.resolve([]);
    const directory = directories.newPath("fetch");
    const opened = host.environment.fileSystem
      .makeDirectory(directory)
      .then(() => openLogs(parts, options, host, directory));
    undo.add(async () => {
      await opened.catch(() => undefined); // Told by the opening.
      await removeDirectory(host.environment.fileSystem, directory);
    });
    this.#logDirectory = directory;
    return opened;
  }

  async #replay(
    logs: readonly RestoredPartLog[],
    target: RowsTarget,
    changelog: ChangelogTier | undefined,
    restored: RestoredDatabase | undefined,
  ): Promise<void> {
    const { source, options, host, changeNumberBase } = this.#parts;
    const rate = await replayLogs(logs, target, options, changeNumberBase); //# fail point: open.changes-applied
    const directory = this.#logDirectory;
    if (directory !== undefined) await removeDirectory(host.environment.fileSystem, directory);
    if (rate !== undefined) changelog?.replayedAt(rate);
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

  #verifyBehind({ unverified, fetchDirectory }: RestoredDatabase): BackgroundVerification {
    const verification = new BackgroundVerification({
      workers: this.#parts.host.workers,
      fileSystem: this.#parts.host.environment.fileSystem,
      status: this.#parts.status,
      files: unverified,
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
