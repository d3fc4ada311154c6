// localRecovery: what is restored is what the checkpoint says, and what is kept is what it needs.
import assert from "node:assert/strict";
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import { seededRandom } from "../../../src/environment/seeded-random.ts";
import { bytes } from "../../../src/index.ts";
import { LocalPlace, replace, rows, settled } from "./local-place.ts";

for (const kind of ["lsm", "memory"] as const) {
  describe(`local recovery: ${kind}`, () => {
    test("restores without fetching, again and again", async () => {
      const place = new LocalPlace(kind);
      await place.fill();
      assert.deepEqual(place.local(), place.stored());
      for (let run = 0; run < 3; run++) {
        const backend = await place.open({ restore: "latest" });
        assert.equal(place.fetched, 0);
        assert.equal(backend.stats().localFiles, place.stored().length);
        assert.equal(backend.stats().localRejectedFiles, 0);
        place.check(backend);
        await backend.close();
      }
      const backend = await place.open({ restore: "latest" });
      await place.write(backend);
      await backend.checkpoint();
      await backend.close();
      const again = await place.open({ restore: "latest" });
      assert.equal(place.fetched, 0);
      place.check(again);
      assert.equal(again.stats().localFailures, 0);
      await again.close();
    });

    test("keeps the files of the newest confirmed checkpoint, and no others", async () => {
      const place = new LocalPlace(kind);
      const backend = await place.open({ retainedCheckpoints: 3 });
      for (let run = 0; run < 4; run++) {
        await place.write(backend, run === 3 ? 20 : rows);
        const { fileCount } = await backend.checkpoint();
        await settled(() => place.local().length === fileCount);
      }
      const inUse = place.local();
      assert.ok(place.stored().length > inUse.length);
      // An attempt that is aborted leaves nothing.
      const controller = new AbortController();
      await place.write(backend, 50);
      const attempt = backend.checkpoint(undefined, { signal: controller.signal });
      controller.abort(new Error("enough"));
      await assert.rejects(attempt);
      await backend.close();
      assert.deepEqual(place.local(), inUse);
    });

    test("keeps what a runtime's coordinator confirms, and not what it gives up", async () => {
      const place = new LocalPlace(kind);
      const backend = await place.open();
      await place.write(backend);
      const first = await backend.snapshot(1).result;
      backend.notifyCheckpointComplete(1);
      await place.write(backend, 100);
      const second = await backend.snapshot(2).result;
      assert.ok(second.newFileIds.every((id) => place.local().includes(id)));
      backend.notifyCheckpointAborted(2);
      await place.write(backend, 100);
      const third = backend.snapshot(3);
      const fourth = backend.snapshot(4);
      await Promise.all([third.result, fourth.result]);
      await settled(() => second.newFileIds.every((id) => !place.local().includes(id)));
      assert.ok(first.files.every(({ id }) => place.local().includes(id)));
      backend.notifyCheckpointComplete(4);
      const { handle, files } = await fourth.result;
      await settled(() => place.local().length === files.length);
      assert.deepEqual(place.local(), files.map(({ id }) => id).sort());
      const round = place.round;
      await place.write(backend);
      await backend.close();
      const restored = await place.open({ restore: { checkpointId: 4, handles: [handle] } });
      assert.equal(place.fetched, 0);
      place.checkFirst(restored, 100, round);
      await restored.close();
    });

    test("gives what was written, through random changes, damage and restarts", async () => {
      const place = new LocalPlace(kind);
      const next = seededRandom(kind === "lsm" ? 7 : 8);
      const random = (below: number): number => Math.floor(next() * below);
      const model = new Map<number, string>();
      let confirmed = new Map<number, string>();
      const seen = { used: 0, rejected: 0 };
      for (let run = 0; run < 8; run++) {
        const backend = await place.open({ localRecovery: run !== 5 });
        const state = backend.valueState({ name: "value", value: bytes });
        model.clear();
        for (const [key, text] of confirmed) model.set(key, text);
        for (let key = 0; key < rows; key++) {
          backend.setCurrentKey(key);
          const value = state.value();
          assert.equal(value && Buffer.from(value).toString(), model.get(key));
        }
        const { localFiles, localRejectedFiles } = backend.stats();
        seen.used += localFiles;
        seen.rejected += localRejectedFiles;
        for (let step = random(4); step >= 0; step--) {
          for (let change = random(2000); change > 0; change--) {
            const key = random(rows);
            if (backend.needsDrain) await backend.drained();
            backend.setCurrentKey(key);
            const text = `${key} ${random(1e9)} `.repeat(30);
            model.set(key, text);
            state.update(Buffer.from(text));
          }
          if (random(3) > 0) {
            confirmed = new Map(model);
            await backend.checkpoint();
          }
        }
        await backend.close();
        const paths = place.localPaths();
        if (paths.length === 0 || run % 2 === 0) continue;
        const path = paths[random(paths.length)]!;
        const data = readFileSync(path);
        data[random(data.length)]! ^= 1 << random(8);
        replace(path, data);
      }
      assert.ok(seen.used > 0 && seen.rejected > 0, JSON.stringify(seen));
    });

    test("fetches what is missing, and all if nothing is there", async () => {
      const place = new LocalPlace(kind);
      await place.fill();
      unlinkSync(place.localPaths()[0]!);
      let backend = await place.open({ restore: "latest" });
      assert.equal(place.fetched, 1);
      assert.equal(backend.stats().localRejectedFiles, 0);
      place.check(backend);
      await backend.close();
      rmSync(place.path("work"), { recursive: true });
      backend = await place.open({ restore: "latest" });
      assert.equal(backend.stats().localFiles, 0);
      place.check(backend);
      await backend.close();
      assert.deepEqual(place.local(), place.stored());
    });

    test("does not take the files of an older checkpoint for those of a newer one", async () => {
      const place = new LocalPlace(kind);
      await place.fill();
      const kept = place.path("kept");
      mkdirSync(kept);
      for (const id of place.local()) copyFileSync(place.localPath(id), join(kept, id));
      const backend = await place.open({ restore: "latest" });
      await place.write(backend);
      await backend.checkpoint();
      await backend.close();
      rmSync(place.path("work", "local"), { recursive: true });
      renameSync(kept, place.path("work", "local"));
      const restored = await place.open({ restore: "latest" });
      place.check(restored, 2);
      await restored.close();
      const stored = new Set(place.stored());
      assert.ok(place.local().every((id) => stored.has(id)));
      assert.equal(place.local().length, restored.stats().localFiles + place.fetched + 1);
    });

    test("removes what is of no checkpoint, and touches nothing that it did not make", async () => {
      const place = new LocalPlace(kind);
      await place.fill();
      const id = "0123456789abcdef0123456789abcdef";
      writeFileSync(place.localPath(id), "left by a crash");
      writeFileSync(place.localPath("mine"), "x");
      const inUse = place.stored();
      let backend = await place.open({ restore: "latest" });
      place.check(backend);
      await backend.close();
      assert.deepEqual(place.local(), [...inUse, "mine"].sort());
      // Without the option its files go.
      backend = await place.open({ restore: "latest", localRecovery: false });
      place.check(backend);
      assert.deepEqual(place.local(), ["mine"]);
      unlinkSync(place.localPath("mine"));
      await backend.close();
      backend = await place.open({ restore: "latest", localRecovery: false });
      assert.ok(!existsSync(place.path("work", "local")));
      await backend.close();
    });

    test("still asks for the stored file: a checkpoint that lost one is not served", async () => {
      const place = new LocalPlace(kind);
      await place.fill();
      for (const change of ["lost", "cut"]) {
        const path = place.path("checkpoints", "files", place.stored()[0]!);
        const data = readFileSync(path);
        unlinkSync(path);
        if (change === "cut") writeFileSync(path, data.subarray(1));
        await assert.rejects(place.open({ restore: "latest" }), { code: "VARVE_CORRUPTION" });
        writeFileSync(path, data);
      }
      const backend = await place.open({ restore: "latest" });
      assert.equal(place.fetched, 0);
      place.check(backend);
      await backend.close();
    });

    test("that cannot keep a file fails no checkpoint", async () => {
      const place = new LocalPlace(kind);
      const environment = nodeEnvironment();
      const local = place.path("work", "local");
      // A file system of which the tests' other threads need not know.
      const fileSystem = Object.create(environment.fileSystem) as typeof environment.fileSystem;
      let refused = 0;
      const refuse = (path: string): void => {
        if (!path.startsWith(local)) return;
        refused++;
        throw Object.assign(new Error("full"), { code: "ENOSPC" });
      };
      fileSystem.link = (from, path) => {
        return Promise.resolve().then(() => {
          refuse(path);
          return environment.fileSystem.link(from, path);
        });
      };
      fileSystem.create = (path) => {
        return Promise.resolve().then(() => {
          refuse(path);
          return environment.fileSystem.create(path);
        });
      };
      let backend = await place.open({ environment: { ...environment, fileSystem } });
      await place.write(backend);
      await backend.checkpoint();
      assert.ok(refused > 0);
      assert.equal(backend.stats().localFailures, refused);
      assert.deepEqual(place.local(), []);
      await backend.close();
      backend = await place.open({ restore: "latest" });
      assert.ok(place.fetched > 0);
      place.check(backend);
      await backend.close();
    });
  });
}

describe("the option localRecovery", () => {
  test("is true or false", async () => {
    const place = new LocalPlace("memory");
    const wrong = place.open({ localRecovery: "yes" as unknown as boolean });
    await assert.rejects(wrong, { code: "VARVE_INVALID_ARGUMENT" });
  });

  test("follows the lock of the working directory", async () => {
    const place = new LocalPlace("memory");
    const backend = await place.open();
    await place.write(backend);
    await backend.checkpoint();
    const before = place.local();
    const other = place.open({ localRecovery: false });
    await assert.rejects(other, { code: "VARVE_LOCKED" });
    assert.deepEqual(place.local(), before);
    linkSync(place.localPath(before[0]!), place.path("second name"));
    await backend.close();
  });
});
