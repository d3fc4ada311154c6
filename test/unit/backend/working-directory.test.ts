import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, test } from "vitest";
import { fileSystemStorage } from "../../../src/index.ts";
import { Workplace, readOne, writeAll } from "./fixture.ts";

const child = fileURLToPath(new URL("./backend-child.js", import.meta.url));

for (const kind of ["lsm", "memory"] as const) {
  describe(`the working directory: ${kind}`, () => {
    test("in use by another backend of this process is refused, and that one goes on", async () => {
      const place = new Workplace();
      const backend = await place.open({ backend: kind });
      writeAll(backend, 10, 1);
      symlinkSync(place.workingDirectory, join(place.root, "alias"));
      const alias = join(place.root, "alias");
      for (const other of ["lsm", "memory"] as const) {
        const checkpointStorage = fileSystemStorage(join(place.root, other));
        for (const workingDirectory of [place.workingDirectory, alias]) {
          const again = place.open({ backend: other, workingDirectory, checkpointStorage });
          await assert.rejects(again, { code: "VARVE_LOCKED" });
        }
      }
      await backend.checkpoint();
      await backend.close();
      const restored = await place.open({ backend: kind, restore: "latest" });
      assert.equal(readOne(restored, 9), 1);
    });

    test("in use by another process is refused until that process is dead", async () => {
      const place = new Workplace();
      const holder = spawn(process.execPath, [child, `hold-${kind}`, place.root], {
        stdio: ["pipe", "pipe", "inherit"],
      });
      await once(createInterface(holder.stdout), "line");
      const options = { backend: kind, restore: "latest" } as const;
      await assert.rejects(place.open(options), { code: "VARVE_LOCKED" });
      holder.kill("SIGKILL");
      await once(holder, "exit");
      const backend = await place.open(options);
      assert.equal(readOne(backend, 0), 7);
    });

    test("is cleared of what earlier runs left, and of nothing else", async () => {
      const place = new Workplace();
      const kinds = ["db", "capture", "dump", "fetch", "mappings", "probe", "scan", "view"];
      const own = kinds.map((name) => `${name}-0123456789abcdef`);
      for (const name of [...own, "mine", "db-mine"]) {
        mkdirSync(join(place.workingDirectory, name), { recursive: true });
        writeFileSync(join(place.workingDirectory, name, "file"), "x");
      }
      writeFileSync(join(place.workingDirectory, "notes.txt"), "x");
      const backend = await place.open({ backend: kind });
      for (const name of own) {
        assert.equal(existsSync(join(place.workingDirectory, name)), false, name);
      }
      await backend.close();
      const left = readdirSync(place.workingDirectory).filter((name) => name !== "lock");
      assert.deepEqual(left.sort(), ["db-mine", "mine", "notes.txt"]);
    });
  });
}

describe("the working directory", () => {
  test("that is a file is refused as a storage failure", async () => {
    const place = new Workplace();
    writeFileSync(place.workingDirectory, "x");
    await assert.rejects(place.open(), { code: "VARVE_STORAGE" });
  });
});

describe("a working directory that a group may write to", () => {
  for (const name of ["lock", "local"]) {
    test(`is taken, but not with a ${name} that others may write to`, async () => {
      const place = new Workplace();
      mkdirSync(join(place.workingDirectory, name), { recursive: true });
      chmodSync(place.workingDirectory, 0o2775);
      chmodSync(join(place.workingDirectory, name), 0o770);
      const opening = place.open({ localRecovery: true });
      await assert.rejects(opening, {
        code: "VARVE_STORAGE",
        message: new RegExp(`/${name} `, "u"),
      });
      const left = readdirSync(place.workingDirectory);
      assert.deepEqual(
        left.filter((other) => other !== "lock" && other !== "local"),
        [],
      );
      chmodSync(join(place.workingDirectory, name), 0o700);
      const backend = await place.open({ localRecovery: true });
      writeAll(backend, 10, 1);
      await backend.checkpoint();
    });
  }
});

describe("an open backend", () => {
  for (const kind of ["lsm", "memory"]) {
    test(`does not keep the process alive: ${kind}`, () => {
      const place = new Workplace();
      const { status, stdout } = spawnSync(process.execPath, [child, `idle-${kind}`, place.root], {
        encoding: "utf8",
        timeout: 30_000,
      });
      assert.deepEqual([status, stdout.trim()], [0, "open"]);
    });
  }
});
