// What the tests of src/lsm share: folders, options, keys, a model of what a store must hold.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import type { Environment } from "../../../src/api/environment.ts";
import type { CapturedSet } from "../../../src/lsm/capture.ts";
import type { LsmOptions } from "../../../src/lsm/level-database.ts";
import { LsmStore } from "../../../src/lsm/lsm-store.ts";
import type { RestoredFile, RestoredSet } from "../../../src/lsm/restore-directory.ts";
import { ArenaWriter, hex } from "./arena-writer.ts";

export const environment: Environment = nodeEnvironment();

/** Small, so that a few thousand rows make many files and compactions. */
export const smallLsm: LsmOptions = {
  blockCacheBytes: 262_144,
  writeBufferBytes: 65_536,
  fileSizeBytes: 1_048_576,
  blockSizeBytes: 4096,
  compression: true,
  maxOpenFiles: 100,
};

export async function withFolder(
  work: (folder: string) => Promise<void>,
  parent: string = tmpdir(),
): Promise<void> {
  const folder = mkdtempSync(join(parent, "varve-lsm-"));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A store with the arena it drains, and what it must hold. */
export class TestStore {
  readonly writer: ArenaWriter;
  readonly store: LsmStore;
  readonly model: Map<string, string> = new Map();

  private constructor(store: LsmStore, writer: ArenaWriter) {
    this.store = store;
    this.writer = writer;
  }

  static async open(
    directory: string,
    chunks = 64,
    lsm: LsmOptions = smallLsm,
  ): Promise<TestStore> {
    const writer = new ArenaWriter(chunks);
    const { arena } = writer;
    return new TestStore(await LsmStore.open({ environment, directory, lsm, arena }), writer);
  }

  put(key: Uint8Array, row: Uint8Array): void {
    this.writer.put(key, row);
    this.model.set(hex(key), hex(row));
  }

  remove(key: Uint8Array): void {
    this.writer.remove(key);
    this.model.delete(hex(key));
  }

  sealAndDrain(): ReturnType<LsmStore["drain"]> {
    return this.drain(this.writer.seal());
  }

  drain(boundary: number): ReturnType<LsmStore["drain"]> {
    const chunks = this.writer.chunks(this.store.drainedBoundary, boundary);
    return this.store.drain({ boundary, changeNumberBase: 0, chunks });
  }
}

export function rowKey(index: number, group: number = index % 16): Buffer {
  const key = Buffer.alloc(16);
  key.writeUInt16BE(group, 0);
  key.writeUInt32BE(0x8765_4321, 2);
  key[7] = 16;
  key.writeDoubleBE(index, 8);
  return key;
}

export function valueRow(seed: number, bytes: number): Buffer {
  const row = Buffer.alloc(bytes);
  row[0] = 1;
  for (let at = 1; at < bytes; at++) row[at] = (seed * 31 + at * (seed % 7)) & 255;
  return row;
}

/** Every key of the model and of `absent` reads as the model says. */
export function assertHolds(
  store: LsmStore,
  model: ReadonlyMap<string, string>,
  keys: Iterable<Uint8Array>,
): void {
  for (const key of keys) {
    const row = store.getSync(key);
    assert.equal(row === undefined ? undefined : hex(row), model.get(hex(key)), hex(key));
  }
}

/** A captured set with the paths of earlier captures filled in. */
export function restorable(set: CapturedSet, paths: ReadonlyMap<number, string>): RestoredSet {
  const files = set.files.map((file): RestoredFile => {
    const path = file.path ?? paths.get(file.number);
    assert.ok(path !== undefined);
    return { ...file, path };
  });
  return { files, lastSequence: set.lastSequence, nextFile: set.nextFile };
}

/** xorshift32: the same numbers in each run. */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
