import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { EntryType, encodeInternalKey } from "../../../src/format/leveldb-internal-key.ts";
import { buildManifest } from "../../../src/format/leveldb-manifest.ts";
import type { Environment, FileSystem } from "../../../src/index.ts";
import { MIB, fileSystemStorage, openKeyedStateBackend, u32 } from "../../../src/index.ts";
import { memoryEnvironment } from "../../../src/testing/index.ts";
import { orderChecked } from "../../support/order-checker.ts";
import { environmentWith } from "../../support/other-environments.ts";

/** The tests look at what callers are told. */
const nothing = (): void => undefined;

/** Three checkpoints of a backend in memory; with `retained` 1 the first two are deleted. */
async function live(environment: Environment): Promise<void> {
  const backend = await openKeyedStateBackend({
    backend: "memory",
    workingDirectory: "/work",
    checkpointStorage: fileSystemStorage("/store", {}, environment),
    restore: "latest-or-new",
    retainedCheckpoints: 1,
    memoryBudgetBytes: 16 * MIB,
    environment,
  });
  const value = backend.valueState({ name: "value", value: u32 });
  for (let round = 1; round <= 3; round++) {
    backend.withKey("a", () => value.update(round));
    await backend.checkpoint();
  }
  await backend.close();
}

/** A disk that says that it does something, and does not. */
function without(environment: Environment, omitted: keyof FileSystem): Environment {
  return environmentWith(environment, { [omitted]: async () => undefined });
}

describe("the order of calls", () => {
  test("of checkpoints in memory keeps the rules", async () => {
    await live(orderChecked(memoryEnvironment(), ["/store", "/work"]));
  });

  test("without the sync of an uploaded file breaks R1", async () => {
    const checked = orderChecked(memoryEnvironment(), ["/store", "/work"], nothing);
    await assert.rejects(live(without(checked, "syncFile")), /R1: .* is not synced/);
  });

  test("without the sync of a directory breaks R1", async () => {
    const checked = orderChecked(memoryEnvironment(), ["/store", "/work"], nothing);
    await assert.rejects(live(without(checked, "syncDirectory")), /R1: .* name is not synced/);
  });

  test("in which a file goes before the metadata that names it breaks R2", async () => {
    const environment = memoryEnvironment();
    const { fileSystem } = orderChecked(environment, ["/store", "/work"], nothing);
    await live({ ...environment, fileSystem });
    for (const name of await fileSystem.readDirectory("/store/files")) {
      await assert.rejects(fileSystem.unlink(`/store/files/${name}`), /R2: /);
    }
  });

  test("lets a paused owner, whose files a later one has deleted, be told that the name is taken", async () => {
    const environment = memoryEnvironment();
    const { fileSystem } = orderChecked(environment, ["/store", "/work"], nothing);
    await live({ ...environment, fileSystem });
    const [name = ""] = await fileSystem.readDirectory("/store/metadata");
    const taken = `/store/metadata/${name}`;
    const later = environment.fileSystem; // Its calls go round the checker of the paused one.
    for (const file of await later.readDirectory("/store/files")) {
      await later.unlink(`/store/files/${file}`);
    }
    await later.copyFile(taken, "/store/metadata/.temporary");
    const link = (to: string): Promise<void> => fileSystem.link("/store/metadata/.temporary", to);
    await assert.rejects(link(taken), { code: "EEXIST" });
    await link("/store/metadata/0000000099"); // Its own files, once there: the fence decides.
    const other = orderChecked(environment, ["/store", "/work"], nothing).fileSystem;
    const unknown = other.link("/store/metadata/.temporary", "/store/metadata/0000000098");
    await assert.rejects(unknown, /R1: .* was never there/);
  });

  test("that links a table which MANIFEST does not name breaks R6", async () => {
    const environment = memoryEnvironment();
    const { fileSystem } = orderChecked(environment, ["/work"], nothing);
    const write = async (name: string, bytes: Uint8Array): Promise<void> => {
      const file = await fileSystem.create(`/work/${name}`);
      await file.write(bytes);
      await file.close();
    };
    await fileSystem.makeDirectory("/work");
    const key = encodeInternalKey(Buffer.from("key"), 1, EntryType.value);
    const bounds = { level: 1, sizeBytes: 7, smallest: key, largest: key };
    const set = { files: [{ ...bounds, number: 12 }], lastSequence: 1, nextFile: 99 };
    await write("MANIFEST-000003", buildManifest(set));
    for (const name of ["000012.ldb", "000013.ldb", "000014.sst"])
      await write(name, Buffer.alloc(7));
    await fileSystem.link("/work/000013.ldb", "/work/before"); // No database's table, without CURRENT.
    await write("CURRENT", Buffer.from("MANIFEST-000003\n"));
    await fileSystem.link("/work/000012.ldb", "/work/copied");
    await fileSystem.link("/work/copied", "/work/again");
    await assert.rejects(fileSystem.link("/work/000013.ldb", "/work/linked"), /R6: .*000013/);
    await assert.rejects(fileSystem.copyFile("/work/000014.sst", "/work/linked"), /R6: .*000014/);
  });

  test("that writes a name twice, opens LOCK or goes elsewhere breaks R3, R7 and R8", async () => {
    const { fileSystem } = orderChecked(memoryEnvironment(), ["/store"], nothing);
    await fileSystem.makeDirectory("/store/files");
    const path = `/store/files/${"ab".repeat(16)}`;
    await fileSystem.create(path);
    await fileSystem.unlink(path);
    await assert.rejects(fileSystem.create(path), /R3: /);
    await assert.rejects(fileSystem.open("/store/LOCK"), /R7: /);
    await assert.rejects(fileSystem.create("/elsewhere"), /R8: /);
  });
});
