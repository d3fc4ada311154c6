// localRecovery: what stands in the working directory and is not what the checkpoint says.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, renameSync, symlinkSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import { type LocalRecoveryEvent, localRecoveryChannel } from "../../../src/diagnostics.ts";
import { bytes } from "../../../src/index.ts";
import { LocalPlace, replace } from "./local-place.ts";
import { sample } from "../../support/long-tests.ts";

type Damage = readonly [name: string, damage: (place: LocalPlace) => number];
/** Ways in which the local files differ from the checkpoint, and how many of them then do. */
const damages: readonly Damage[] = [
  [
    "a flipped byte",
    (place) => {
      const path = place.localPaths()[0]!;
      const data = readFileSync(path);
      data[data.length >> 1]! ^= 1;
      replace(path, data);
      return 1;
    },
  ],
  [
    "a cut file",
    (place) => {
      const path = place.localPaths()[0]!;
      replace(path, readFileSync(path).subarray(0, 1000));
      return 1;
    },
  ],
  [
    "an empty file",
    (place) => {
      replace(place.localPaths()[0]!, Buffer.alloc(0));
      return 1;
    },
  ],
  [
    "bytes too many",
    (place) => {
      const path = place.localPaths()[0]!;
      replace(path, Buffer.concat([readFileSync(path), Buffer.alloc(1)]));
      return 1;
    },
  ],
  [
    "two files under each other's names",
    (place) => {
      const [a, b] = place.localPaths();
      renameSync(a!, `${a!}.other`);
      renameSync(b!, a!);
      renameSync(`${a!}.other`, b!);
      return 2;
    },
  ],
  [
    "a symbolic link",
    (place) => {
      const path = place.localPaths()[0]!;
      renameSync(path, place.path("elsewhere"));
      symlinkSync(place.path("elsewhere"), path);
      return 1;
    },
  ],
  [
    "a directory",
    (place) => {
      const path = place.localPaths()[0]!;
      unlinkSync(path);
      mkdirSync(join(path, "inner"), { recursive: true });
      return 1;
    },
  ],
  [
    "a damaged file list",
    (place) => {
      const path = place.localPaths().at(-1)!;
      const data = readFileSync(path);
      data[data.length - 1]! ^= 0x80;
      replace(path, data);
      return 1;
    },
  ],
  [
    "all of them damaged",
    (place) => {
      const paths = place.localPaths();
      for (const path of paths) replace(path, Buffer.from(readFileSync(path)).fill(7));
      return paths.length;
    },
  ],
];

for (const kind of ["lsm", "memory"] as const) {
  describe(`local recovery: ${kind}`, () => {
    for (const [name, damage] of sample(damages, kind === "lsm" ? 2 : 4)) {
      test(`takes the stored file where there is ${name}, and says so`, async () => {
        const place = new LocalPlace(kind);
        await place.fill();
        const events: LocalRecoveryEvent[] = [];
        const listen = (event: unknown): void => void events.push(event as LocalRecoveryEvent);
        localRecoveryChannel.subscribe(listen);
        const wrong = damage(place);
        const backend = await place.open({ restore: "latest" });
        localRecoveryChannel.unsubscribe(listen);
        place.check(backend);
        const { localFiles, localRejectedFiles, localFailures } = backend.stats();
        assert.equal(localRejectedFiles, wrong);
        assert.equal(localFiles, place.stored().length - wrong);
        assert.equal(localFailures, 0);
        assert.deepEqual(
          events.map(({ outcome }) => outcome),
          Array.from({ length: wrong }, () => "rejected"),
        );
        await backend.close();
        // The good ones took their places.
        const again = await place.open({ restore: "latest" });
        assert.equal(place.fetched, 0);
        assert.equal(again.stats().localRejectedFiles, 0);
        place.check(again);
        await again.close();
      });
    }
  });
}

describe('local recovery with restoreVerification "behind"', () => {
  const behind = { restore: "latest", restoreVerification: "behind" } as const;

  test("a mismatch poisons, and the next open takes the stored file", async () => {
    const place = new LocalPlace("lsm");
    await place.fill();
    const path = place.localPaths()[0]!;
    const data = readFileSync(path);
    data[1000]! ^= 1; // In a row: the index of the table does not tell.
    replace(path, data);
    let backend = await place.open(behind);
    assert.equal(place.fetched, 0);
    backend.valueState({ name: "value", value: bytes });
    await assert.rejects(backend.checkpoint(), { code: "VARVE_POISONED" });
    assert.equal(backend.stats().localRejectedFiles, 1);
    await backend.close();
    assert.ok(!existsSync(path));
    backend = await place.open(behind);
    assert.equal(place.fetched, 1);
    place.check(backend);
    await backend.checkpoint();
    await backend.close();
  });

  test("a file whose index is damaged is not used at all", async () => {
    const place = new LocalPlace("lsm");
    await place.fill();
    const path = place.localPaths()[0]!;
    const data = readFileSync(path);
    data[data.length - 100]! ^= 1;
    replace(path, data);
    const backend = await place.open(behind);
    assert.equal(place.fetched, 1);
    assert.equal(backend.stats().localRejectedFiles, 1);
    place.check(backend);
    await backend.checkpoint();
    await backend.close();
  });
});
