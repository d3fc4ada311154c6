// Goal: whatever happened to a stored checkpoint, opening says so with a typed error, changes nothing
// and never serves wrong state.
// Method: one small checkpoint, damaged in every way, one damage at a time.
import assert from "node:assert/strict";
import {
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, describe, test } from "vitest";
import { MIB, fileSystemStorage, openStateHost } from "../../../src/index.ts";
import type { KeyedStateBackend, KeyedStateBackendOptions, StateHost } from "../../../src/index.ts";
import { Workplace, codeOf, readOne, writeAll } from "./fixture.ts";
import { storageWith } from "../../support/other-storages.ts";
import { isLong } from "../../support/long-tests.ts";

const damageCodes = ["VARVE_CORRUPTION", "VARVE_UNSUPPORTED_FORMAT"];
let shared: Promise<StateHost> | undefined;
const obtainHost = (): Promise<StateHost> =>
  (shared ??= openStateHost({ memoryBudgetBytes: 64 * MIB, workers: 1 }));
afterAll(async () => (await shared)?.close());

type Kind = "lsm" | "memory";

/** A place with one completed checkpoint of 50 keys, and its files by role. */
async function stored(kind: Kind) {
  const place = new Workplace();
  const host = await obtainHost();
  const backend = await place.open({ backend: kind, host });
  writeAll(backend, 50, 3);
  await backend.checkpoint({ position: 5 });
  await backend.close();
  const files = join(place.checkpoints, "files");
  const all = readdirSync(files).map((name) => join(files, name));
  const isList = (path: string): boolean =>
    readFileSync(path).subarray(0, 8).toString() === "VARVELST";
  const list = all.find(isList);
  const data = all.find((path) => !isList(path));
  assert.ok(list !== undefined && data !== undefined && all.length === 2);
  const metadata = join(place.checkpoints, "metadata", "0000000001");
  const open = (options: Partial<KeyedStateBackendOptions> = {}): Promise<KeyedStateBackend> =>
    place.open({ backend: kind, host, restore: "latest", ...options });
  return { place, list, data, metadata, open, latest: join(place.checkpoints, "latest") };
}

type Stored = Awaited<ReturnType<typeof stored>>;

/** Opening is refused with one of the codes, and the storage is as it was. */
async function refused(
  { place, open }: Stored,
  codes: readonly string[],
  what: string,
): Promise<void> {
  const before = listing(place.checkpoints);
  try {
    await (await open()).close();
  } catch (error) {
    assert.ok(codes.includes(codeOf(error) ?? ""), `${what}: ${String(error)}`);
    assert.deepEqual(listing(place.checkpoints), before, what);
    return;
  }
  assert.fail(`${what}: accepted`);
}

function listing(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .sort()
    .map((name) => `${name} ${statSync(join(root, name)).size}`);
}

/** Flips one bit of `path` while `run` runs. The file is replaced: it may be a link of another. */
async function whileFlipped(path: string, offset: number, run: () => Promise<void>): Promise<void> {
  const clean = readFileSync(path);
  const dirty = Buffer.from(clean);
  dirty[offset]! ^= 1 << (offset % 8);
  writeFileSync(path, dirty);
  try {
    await run();
  } finally {
    writeFileSync(path, clean);
  }
}

async function intact({ open }: Stored): Promise<void> {
  const backend = await open();
  assert.deepEqual(backend.restored?.metadata, { position: 5 });
  assert.deepEqual(
    [readOne(backend, 0), readOne(backend, 49), readOne(backend, 50)],
    [3, 3, undefined],
  );
  await backend.close();
}

for (const kind of ["lsm", "memory"] as const) {
  describe(`a checkpoint of the ${kind} backend`, () => {
    for (const [role, stride] of [
      ["metadata", 1],
      ["list", 1],
      ["data", 7],
    ] as const) {
      test(`damaged at any byte of its ${role} is refused, and whole again it restores`, async () => {
        const checkpoint = await stored(kind);
        const path = checkpoint[role];
        const { size } = statSync(path);
        for (let offset = 0; offset < size; offset += stride * (isLong ? 1 : 5)) {
          await whileFlipped(path, offset, () =>
            refused(checkpoint, damageCodes, `byte ${offset}`),
          );
        }
        await intact(checkpoint);
      });

      test(`with its ${role} cut, emptied or longer is refused`, async () => {
        const checkpoint = await stored(kind);
        const path = checkpoint[role];
        const clean = readFileSync(path);
        const lengths = [0, 1, 8, clean.length >> 1, clean.length - 1];
        for (const length of lengths) {
          writeFileSync(path, clean.subarray(0, length));
          await refused(checkpoint, damageCodes, `length ${length}`);
        }
        writeFileSync(path, Buffer.concat([clean, Buffer.from([0])]));
        await refused(checkpoint, damageCodes, "one byte more");
        writeFileSync(path, clean);
        await intact(checkpoint);
      });
    }

    for (const role of ["list", "data"] as const) {
      test(`without its ${role} is refused`, async () => {
        const checkpoint = await stored(kind);
        rmSync(checkpoint[role]);
        await refused(checkpoint, damageCodes, "missing");
      });
    }

    test("whose file is a symbolic link is refused", async () => {
      const checkpoint = await stored(kind);
      const moved = join(checkpoint.place.root, "moved");
      writeFileSync(moved, readFileSync(checkpoint.data));
      rmSync(checkpoint.data);
      symlinkSync(moved, checkpoint.data);
      await refused(checkpoint, [...damageCodes, "VARVE_STORAGE"], "a link");
    });

    test("with files that nobody references restores, and keeps what is not its own", async () => {
      const checkpoint = await stored(kind);
      const foreign = join(checkpoint.place.checkpoints, "README");
      writeFileSync(foreign, "x");
      writeFileSync(join(checkpoint.place.checkpoints, "files", "ab".repeat(16)), "x");
      await intact(checkpoint);
      assert.equal(readFileSync(foreign, "utf8"), "x");
    });

    test("with a hint that is damaged, stale or gone restores all the same", async () => {
      const checkpoint = await stored(kind);
      const clean = readFileSync(checkpoint.latest);
      for (const hint of [clean.subarray(0, 5), Buffer.from("garbage"), Buffer.alloc(0)]) {
        writeFileSync(checkpoint.latest, hint);
        await intact(checkpoint);
      }
      rmSync(checkpoint.latest);
      await intact(checkpoint);
    });

    test("whose metadata is gone is a loss, never an empty start", async () => {
      const checkpoint = await stored(kind);
      rmSync(checkpoint.metadata);
      await refused(checkpoint, ["VARVE_CORRUPTION"], "latest");
      const open = checkpoint.open({ restore: "latest-or-new" });
      await assert.rejects(open, { code: "VARVE_CORRUPTION" });
    });

    test("of a newer format is refused as such", async () => {
      const checkpoint = await stored(kind);
      const bytes = readFileSync(checkpoint.metadata);
      bytes.writeUInt32LE(2, 8);
      writeFileSync(checkpoint.metadata, bytes);
      await refused(checkpoint, ["VARVE_UNSUPPORTED_FORMAT"], "version 2");
    });

    test("is refused by a backend of other key groups or of the other kind", async () => {
      const { open } = await stored(kind);
      const other = kind === "lsm" ? "memory" : "lsm";
      const wrong: Partial<KeyedStateBackendOptions>[] = [
        { keyGroups: { max: 256 } },
        { keyGroups: { max: 128, first: 0, last: 63 } },
        { backend: other },
      ];
      for (const options of wrong) {
        await assert.rejects(open(options), { code: "VARVE_INVALID_ARGUMENT" });
      }
    });
  });
}

describe("a checkpoint directory", () => {
  test("that does not exist has no checkpoint, and is not created by asking", async () => {
    const place = new Workplace();
    const host = await obtainHost();
    for (const restore of ["latest", 1] as const) {
      const open = place.open({ host, restore });
      await assert.rejects(open, { code: "VARVE_CHECKPOINT_NOT_FOUND" });
    }
    await assert.rejects(place.open({ host, restore: join(place.root, "elsewhere") }), {
      code: "VARVE_CHECKPOINT_NOT_FOUND",
    });
    assert.equal(readdirSync(place.root).includes("checkpoints"), false);
  });

  test("of something else has no checkpoint, and nothing in it is touched", async () => {
    const place = new Workplace();
    const host = await obtainHost();
    mkdirSync(join(place.checkpoints, "files"), { recursive: true });
    mkdirSync(join(place.checkpoints, "metadata"));
    const foreign = ["metadata/notes", "latest.txt", "files/photo.jpg"];
    for (const name of foreign) {
      writeFileSync(join(place.checkpoints, name), name);
    }
    await assert.rejects(place.open({ host, restore: "latest" }), {
      code: "VARVE_CHECKPOINT_NOT_FOUND",
    });
    const backend = await place.open({ host });
    writeAll(backend, 5, 1);
    await backend.checkpoint();
    await backend.close();
    for (const name of foreign) {
      assert.equal(readFileSync(join(place.checkpoints, name), "utf8"), name);
    }
  });

  test("that is a file is refused as a storage failure", async () => {
    const place = new Workplace();
    const host = await obtainHost();
    writeFileSync(place.checkpoints, "x");
    for (const restore of ["latest", "latest-or-new"] as const) {
      await assert.rejects(place.open({ host, restore }), { code: "VARVE_STORAGE" });
    }
  });

  for (const kind of ["lsm", "memory"] as const) {
    test(`is told as given up, not as damaged, if another owner deletes what is being restored, ${kind}`, async () => {
      const { place, open } = await stored(kind);
      const overtake = async (): Promise<void> => {
        const workingDirectory = join(place.root, "other");
        const other = await open({ workingDirectory, retainedCheckpoints: 1 });
        writeAll(other, 50, 4);
        await other.checkpoint();
        await other.close();
      };
      let overtaken: Promise<void> | undefined;
      const checkpointStorage = storageWith(place.storage, {
        // Looked at first: the file list, after the metadata was read.
        size: async (name) => {
          if (name.startsWith("files/")) await (overtaken ??= overtake());
          return place.storage.size(name);
        },
      });
      await assert.rejects(open({ checkpointStorage }), {
        code: "VARVE_CHECKPOINT_NOT_FOUND",
        message: /checkpoint 1 was given up by another owner/u,
      });
      assert.ok(overtaken !== undefined);
      const again = await open();
      assert.equal(readOne(again, 7), 4);
      await again.close();
    });
  }

  test("is restored from by path, of the directory or of one checkpoint's metadata", async () => {
    const checkpoint = await stored("lsm");
    const { place, metadata } = checkpoint;
    const other = { checkpointStorage: fileSystemStorage(join(place.root, "other")) };
    for (const restore of [place.checkpoints, metadata]) {
      const backend = await checkpoint.open({ ...other, restore });
      assert.equal(readOne(backend, 7), 3);
      await backend.close();
    }
    const wrong = checkpoint.open({ ...other, restore: join(place.checkpoints, "metadata", "x") });
    await assert.rejects(wrong, { code: "VARVE_INVALID_ARGUMENT" });
  });
});
