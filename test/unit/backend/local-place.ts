// A job with local recovery whose storage is far away: what the tests of it share.
import assert from "node:assert/strict";
import { existsSync, readdirSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CheckpointStorage } from "../../../src/api/checkpoint-storage.ts";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import {
  type KeyedStateBackend,
  type KeyedStateBackendOptions,
  MIB,
  bytes,
  fileSystemStorage,
  openKeyedStateBackend,
} from "../../../src/index.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";
import { storageWith } from "../../support/other-storages.ts";

export type Kind = "lsm" | "memory";
export const rows = 3000;
export const valueOf = (key: number, round: number): Buffer =>
  Buffer.alloc(600, `${key}-${round}-`);

export class LocalPlace {
  readonly root: string = temporaryDirectory();
  readonly kind: Kind;
  /** Files that were fetched from the storage. */
  fetched = 0;
  round = 0;

  constructor(kind: Kind) {
    this.kind = kind;
  }

  path(...names: string[]): string {
    return join(this.root, ...names);
  }

  /** Far away: nothing is shared with it. */
  storage(): CheckpointStorage {
    const storage = fileSystemStorage(this.path("checkpoints"), { transfer: "copy" });
    return storageWith(storage, {
      fetchFile: (...call) => {
        this.fetched++;
        return storage.fetchFile(...call);
      },
    });
  }

  async open(options: Partial<KeyedStateBackendOptions> = {}): Promise<KeyedStateBackend> {
    this.fetched = 0;
    return openKeyedStateBackend({
      backend: this.kind,
      workingDirectory: this.path("work"),
      checkpointStorage: this.storage(),
      restore: "latest-or-new",
      memoryBudgetBytes: 24 * MIB,
      ...(this.kind === "lsm" ? { lsm: { fileSizeBytes: MIB, compression: false } } : {}),
      localRecovery: true,
      ...options,
    });
  }

  /** Writes all rows anew, or a part of them. */
  async write(backend: KeyedStateBackend, count: number = rows): Promise<void> {
    this.round++;
    const state = backend.valueState({ name: "value", value: bytes });
    for (let key = 0; key < count; key++) {
      if (backend.needsDrain) await backend.drained();
      backend.setCurrentKey(key);
      state.update(valueOf(key, this.round));
    }
  }

  check(backend: KeyedStateBackend, round: number = this.round): void {
    const state = backend.valueState({ name: "value", value: bytes });
    for (let key = 0; key < rows; key += 11) {
      backend.setCurrentKey(key);
      assert.deepEqual(Buffer.from(state.value()!), valueOf(key, round));
    }
  }

  /** A run with one checkpoint, which is closed or not. */
  async fill(): Promise<void> {
    const backend = await this.open();
    await this.write(backend);
    await backend.checkpoint();
    await backend.close();
  }

  /** As `check`, of the first rows. */
  checkFirst(backend: KeyedStateBackend, count: number, round: number): void {
    const state = backend.valueState({ name: "value", value: bytes });
    for (let key = 0; key < count; key++) {
      backend.setCurrentKey(key);
      assert.deepEqual(Buffer.from(state.value()!), valueOf(key, round));
    }
  }

  local(): string[] {
    const directory = this.path("work", "local");
    return existsSync(directory) ? readdirSync(directory).sort() : [];
  }

  localPath(id: string): string {
    return this.path("work", "local", id);
  }

  /** The largest local files first. */
  localPaths(): string[] {
    const paths = this.local().map((id) => this.localPath(id));
    return paths.sort((a, b) => statSync(b).size - statSync(a).size);
  }

  stored(): string[] {
    return readdirSync(this.path("checkpoints", "files")).sort();
  }
}

export function replace(path: string, data: Uint8Array): void {
  unlinkSync(path); // Not through the link that the database has.
  writeFileSync(path, data);
}

export async function settled(condition: () => boolean): Promise<void> {
  const { timers } = nodeEnvironment();
  while (!condition()) await timers.delay(5);
}
