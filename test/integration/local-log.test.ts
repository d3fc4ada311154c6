// Local recovery with policy "changelog": the log of a checkpoint is kept in the working directory too.
import assert from "node:assert/strict";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import { fileSystemStorage } from "../../src/index.ts";
import type {
  CheckpointStorage,
  Environment,
  KeyedStateBackend,
  KeyedStateBackendOptions,
} from "../../src/index.ts";
import { nodeEnvironment } from "../../src/testing/index.ts";
import {
  open,
  readMany,
  reopened,
  root,
  segmentsIn,
  write,
} from "../support/changelog-backends.ts";
import { wholeObjects, storageWith } from "../support/other-storages.ts";

/** A working directory on another file system than the checkpoints: nothing of theirs can be linked. */
function otherFileSystem(): Environment {
  const environment = nodeEnvironment();
  const fileSystem = Object.create(environment.fileSystem) as typeof environment.fileSystem;
  fileSystem.link = (existing, path) => {
    const isStored = [existing, path].map((one) => one.startsWith(join(root, "checkpoints")));
    if (isStored[0] === isStored[1]) return environment.fileSystem.link(existing, path);
    return Promise.reject(Object.assign(new Error(`EXDEV: ${existing}`), { code: "EXDEV" }));
  };
  return { ...environment, fileSystem };
}

/** Counts what is fetched. */
function counting(storage: CheckpointStorage): { storage: CheckpointStorage; fetched: string[] } {
  const fetched: string[] = [];
  const counted = storageWith(storage, {
    fetchFile: (name, path, options) => {
      fetched.push(name);
      return storage.fetchFile(name, path, options);
    },
  });
  return { storage: counted, fetched };
}

interface Case {
  readonly environment: Environment;
  readonly make: (environment: Environment) => CheckpointStorage;
}

const plain = (environment: Environment): CheckpointStorage => {
  return fileSystemStorage(join(root, "checkpoints"), { transfer: "copy" }, environment);
};
const cases: Readonly<Record<string, () => Case>> = {
  "whole objects": () => ({
    environment: nodeEnvironment(),
    make: (environment) => wholeObjects(plain(environment)),
  }),
  "files that grow": () => ({ environment: nodeEnvironment(), make: plain }),
  "files that grow on another file system": () => ({
    environment: otherFileSystem(),
    make: plain,
  }),
};

function contentOf(backend: KeyedStateBackend): unknown[] {
  return readMany(backend, 60);
}

async function untilHere(names: () => number, count: number): Promise<void> {
  while (names() < count) await new Promise((resolve) => setTimeout(resolve, 1));
}

describe.for(Object.entries(cases))("the log in the working directory: %s", ([, make]) => {
  function start(): {
    options: Partial<KeyedStateBackendOptions>;
    fetched: string[];
    here: () => string[];
  } {
    const { environment, make: makeStorage } = make();
    const { storage, fetched } = counting(makeStorage(environment));
    const options: Partial<KeyedStateBackendOptions> = {
      environment,
      checkpointStorage: storage,
      localRecovery: true,
      retainedCheckpoints: 1,
      changelog: { segmentsToMerge: 3 },
    };
    return { options, fetched, here: () => segmentsIn(join(root, "work/local")) };
  }

  async function checkpoints(backend: KeyedStateBackend, first: number): Promise<void> {
    for (let value = first; value < first + 8; value++) {
      write(backend, value, value % 50, 10);
      await backend.checkpoint();
    }
  }

  test("is what a restore reads, and goes with the checkpoints that name it", async () => {
    const { options, fetched, here } = start();
    let backend = await open(options);
    for (const first of [0, 100, 200]) {
      await checkpoints(backend, first);
      const before = contentOf(backend);
      await untilHere(() => here().length, 1);
      backend = await reopened(backend, options);
      assert.deepEqual(contentOf(backend), before);
      assert.deepEqual(fetched, []);
      assert.ok(backend.stats().localFiles > 0);
      assert.equal(backend.stats().localRejectedFiles, 0);
    }
    await checkpoints(backend, 300);
    while (here().length > 6) await backend.checkpoint(); // Removed in the background.
  });

  test("gives way to the stored one where it is damaged or too short", async () => {
    const { options, fetched, here } = start();
    const backend = await open(options);
    await checkpoints(backend, 0);
    const before = contentOf(backend);
    const folder = join(root, "work/local");
    const damage = (): number => {
      const names = here();
      for (const [index, name] of names.entries()) {
        const path = join(folder, name);
        const bytes = Buffer.from(readFileSync(path));
        if (bytes.length < 40) continue; // Nothing of it counts.
        // A name that is a link to the stored file would damage that one as well.
        const copy = index % 2 === 0 ? bytes.subarray(0, bytes.length - 1) : flipped(bytes);
        replace(path, copy);
      }
      return names.length;
    };
    await backend.close();
    assert.ok(damage() >= 1);
    const again = await open({ ...options, restore: "latest" });
    assert.deepEqual(contentOf(again), before);
    assert.ok(fetched.length >= 1);
    assert.ok(again.stats().localRejectedFiles >= 1);
  });

  function flipped(bytes: Buffer): Buffer {
    bytes.writeUInt8(bytes[30]! ^ 1, 30);
    return bytes;
  }

  function replace(path: string, bytes: Uint8Array): void {
    const mode = statSync(path).mode & 0o777;
    rmSync(path);
    writeFileSync(path, bytes, { mode });
  }
});
