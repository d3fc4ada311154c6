// What a savepoint leaves alone, what is refused, and who owns it.
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import { BackPressureError, MIB, fileSystemStorage } from "../../../src/index.ts";
import type { KeyedStateBackendOptions, SavepointOptions } from "../../../src/index.ts";
import { Workplace, readOne, total, writeAll } from "./fixture.ts";

const refused = { code: "VARVE_INVALID_ARGUMENT" };
const kinds = ["lsm", "memory"] as const;

/** Names of all files below a directory, with their sizes left out. */
function filesOf(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" }).sort();
}

describe("a savepoint beside checkpoints", () => {
  test("moves neither what the next checkpoint builds on, nor what is retained", async () => {
    const place = new Workplace();
    const backend = await place.open({ retainedCheckpoints: 1, memoryBudgetBytes: 32 * MIB });
    writeAll(backend, 20_000, 1);
    const full = await backend.checkpoint();
    writeAll(backend, 10, 2);
    const before = filesOf(place.checkpoints);
    for (const format of ["native", "canonical"] as const) {
      await backend.savepoint(join(place.root, format), { format });
    }
    assert.deepEqual(filesOf(place.checkpoints), before);
    const next = await backend.checkpoint();
    assert.equal(next.checkpointId, 4);
    assert.ok(next.uploadedBytes < full.uploadedBytes / 2, "built upon the checkpoint before");
    await backend.close();
    const again = await place.open({ restore: "latest" });
    assert.equal(again.restored?.checkpointId, 4);
    assert.equal(readOne(again, 5), 2);
    assert.equal(readOne(again, 15_000), 1);
  });

  test("leaves nothing in the working directory", async () => {
    for (const backend of kinds) {
      const place = new Workplace();
      const opened = await place.open({ backend });
      writeAll(opened, 500, 1);
      await opened.savepoint(join(place.root, "save"));
      const names = readdirSync(place.workingDirectory).filter(
        (name) => !name.startsWith("db-") && !name.startsWith("lock"),
      );
      assert.deepEqual(names, []);
    }
  });

  test("counts among the cuts under way", async () => {
    const place = new Workplace();
    const backend = await place.open({ backend: "memory" });
    writeAll(backend, 50, 1);
    const running = Array.from({ length: 16 }, (_none, index) =>
      backend.savepoint(join(place.root, `save-${index}`)),
    );
    await assert.rejects(backend.savepoint(join(place.root, "more")), BackPressureError);
    await Promise.all(running);
    await backend.savepoint(join(place.root, "more"));
  });

  test("ends when the backend closes, and leaves a directory that can be used again", async () => {
    for (const backend of kinds) {
      const place = new Workplace();
      const opened = await place.open({ backend });
      writeAll(opened, 5000, 1);
      const running = opened.savepoint(join(place.root, "save"));
      running.catch(() => undefined);
      await opened.close();
      await assert.rejects(running, { code: "VARVE_CLOSED" });
      await assert.rejects(opened.savepoint(join(place.root, "save")), { code: "VARVE_CLOSED" });
      const next = await place.open({ backend });
      await next.savepoint(join(place.root, "save"));
    }
  });

  test("is aborted by its signal", async () => {
    const place = new Workplace();
    const backend = await place.open();
    writeAll(backend, 5000, 1);
    const stop = new AbortController();
    const directory = join(place.root, "save");
    const running = backend.savepoint(directory, { signal: stop.signal });
    const reason = new Error("changed my mind");
    stop.abort(reason);
    await assert.rejects(running, (error) => error === reason);
    await assert.rejects(backend.savepoint(directory, { signal: stop.signal }));
    await backend.savepoint(directory);
  });
});

describe("a savepoint is refused", () => {
  test.each(kinds)("by %s where something is already, and that stays as it was", async (kind) => {
    const place = new Workplace();
    const backend = await place.open({ backend: kind });
    writeAll(backend, 10, 1);
    const directory = join(place.root, "save");
    mkdirSync(directory);
    writeFileSync(join(directory, "note"), "mine");
    await assert.rejects(backend.savepoint(directory), refused);
    assert.deepEqual(filesOf(directory), ["note"]);
    const second = join(place.root, "second");
    await backend.savepoint(second);
    const before = filesOf(second);
    await assert.rejects(backend.savepoint(second), refused);
    assert.deepEqual(filesOf(second), before);
    await assert.rejects(backend.savepoint(place.checkpoints), refused);
    await assert.rejects(backend.savepoint(join(directory, "note")), { code: "VARVE_STORAGE" });
  });

  test("with arguments that it does not know, and within a record", async () => {
    const place = new Workplace();
    const backend = await place.open({ backend: "memory" });
    const directory = join(place.root, "save");
    const wrong: unknown[] = [
      { format: "xml" },
      { transfer: "move" },
      { metadata: Number.NaN },
      { where: "there" },
    ];
    for (const options of wrong) {
      await assert.rejects(backend.savepoint(directory, options as SavepointOptions), refused);
    }
    await assert.rejects(backend.savepoint(""), refused);
    const within = backend.withKey(1, () => ({ running: backend.savepoint(directory) }));
    await assert.rejects(within.running, refused);
    await backend.savepoint(directory);
  });
});

describe("restoring a savepoint", () => {
  async function saved(format: "canonical" | "native", backend: "lsm" | "memory") {
    const place = new Workplace();
    const first = await place.open({ backend });
    writeAll(first, 300, 7);
    const directory = join(place.root, "save");
    await first.savepoint(directory, { format, metadata: "m" });
    await first.close();
    const open = (options: Partial<KeyedStateBackendOptions>) =>
      place.open({
        backend,
        workingDirectory: join(place.root, "work-2"),
        checkpointStorage: fileSystemStorage(join(place.root, "checkpoints-2")),
        restore: directory,
        ...options,
      });
    return { place, directory, open };
  }

  test("native is refused by the other backend, and with another number of key groups", async () => {
    const { open } = await saved("native", "lsm");
    await assert.rejects(open({ backend: "memory" }), { ...refused, message: /canonical/ });
    await assert.rejects(open({ keyGroups: { max: 64 } }), { ...refused, message: /canonical/ });
  });

  test("its directory is not a checkpointStorage unless it is claimed", async () => {
    for (const format of ["canonical", "native"] as const) {
      for (const backend of kinds) {
        const { directory, open } = await saved(format, backend);
        const checkpointStorage = fileSystemStorage(directory);
        for (const restore of ["latest", "latest-or-new", directory, 1]) {
          await assert.rejects(open({ checkpointStorage, restore }), {
            ...refused,
            message: /claim/,
          });
        }
        const elsewhere = open({ restoreMode: "claim" });
        await assert.rejects(elsewhere, { ...refused, message: /checkpointStorage/ });

        const before = filesOf(directory);
        const claimed = await open({ checkpointStorage, restore: "latest", restoreMode: "claim" });
        assert.equal(claimed.restored?.metadata, "m");
        assert.equal(readOne(claimed, 299), 7);
        writeAll(claimed, 10, 8);
        const second = await claimed.checkpoint();
        assert.equal(second.checkpointId, 2);
        assert.ok(
          before.every((name) => filesOf(directory).includes(name)),
          "2 are retained",
        );
        await claimed.checkpoint();
        await claimed.close();
        assert.ok(!filesOf(directory).includes(join("metadata", "0000000001")));
        const later = await open({ checkpointStorage, restore: "latest" });
        assert.equal(readOne(later, 5), 8);
        assert.equal(readOne(later, 299), 7);
        await later.close();
      }
    }
  });

  test("a native one that is claimed is built upon", async () => {
    const { directory, open } = await saved("native", "lsm");
    const checkpointStorage = fileSystemStorage(directory);
    const claimed = await open({ checkpointStorage, restore: "latest", restoreMode: "claim" });
    claimed.valueState(total);
    const { newFileCount } = await claimed.checkpoint();
    assert.equal(newFileCount, 1, "the list of files only");
  });

  test("takes no checkpoint over states that are neither declared nor allowed by name", async () => {
    for (const backend of kinds) {
      const { place, open } = await saved("canonical", backend);
      const again = join(place.root, "again");
      const strict = await open({ allowNonRestoredState: ["other"] });
      const undeclared = { ...refused, message: /"total"/ };
      await assert.rejects(strict.checkpoint(), undeclared);
      await assert.rejects(strict.savepoint(again), undeclared);
      assert.throws(() => strict.snapshot(9), undeclared);
      strict.valueState(total);
      await strict.checkpoint();
      await strict.close();
      for (const allowNonRestoredState of [["total"], true] as const) {
        const lenient = await open({ allowNonRestoredState, restore: "latest" });
        await lenient.checkpoint();
        await lenient.savepoint(join(again, String(allowNonRestoredState)));
        await lenient.close();
        const later = await open({ restore: join(again, String(allowNonRestoredState)) });
        assert.equal(readOne(later, 1), 7);
        await later.close();
      }
      for (const wrong of ["total", [1], false]) {
        const allowNonRestoredState = wrong as unknown as true;
        await assert.rejects(open({ allowNonRestoredState }), refused);
      }
    }
  });
});
