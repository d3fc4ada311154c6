// States that say `checkpointed: false`.
import assert from "node:assert/strict";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import { BackPressureError, MIB, bytes, f64, i64, utf8 } from "../../../src/index.ts";
import type { KeyedStateBackend } from "../../../src/index.ts";
import { Workplace, readOne, writeAll } from "./fixture.ts";

const refused = { code: "VARVE_INVALID_ARGUMENT" };
const secret = "never-in-a-file-";

function transientStates(backend: KeyedStateBackend) {
  return {
    cache: backend.valueState({ name: "cache", value: utf8, checkpointed: false }),
    seen: backend.mapState({ name: "seen", key: i64, value: utf8, checkpointed: false }),
    log: backend.listState({ name: "log", element: utf8, namespaces: true, checkpointed: false }),
  };
}

/** All bytes of all files below a directory. */
function contentOf(directory: string): string {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => readFileSync(path).toString("latin1"))
    .join("\n");
}

describe.each(["lsm", "memory"] as const)("states of %s that are not checkpointed", (kind) => {
  const options = {
    backend: kind,
    memoryBudgetBytes: 48 * MIB,
    lsm: { compression: false },
  } as const;

  test("serve like others, and are in no file and in no checkpoint", async () => {
    const place = new Workplace();
    const backend = await place.open(options);
    const states = transientStates(backend);
    writeAll(backend, 500, 1);
    for (let key = 0; key < 500; key++) {
      backend.withKey(key, () => {
        states.cache.update(`${secret}${key}`);
        for (let index = 0; index < 20; index++) states.seen.put(index, `${secret}${index}`);
        states.log.setCurrentNamespace(key % 3);
        states.log.add(`${secret}log`);
      });
    }
    await backend.checkpoint();
    await backend.prefetch([1, 2, 3]);
    for (const format of ["canonical", "native"] as const) {
      await backend.savepoint(join(place.root, format), { format });
    }
    const check = (key: number): void =>
      backend.withKey(key, () => {
        assert.equal(states.cache.value(), `${secret}${key}`);
        assert.equal([...states.seen].length, 20);
        states.log.setCurrentNamespace(key % 3);
        assert.deepEqual(states.log.get(), [`${secret}log`]);
      });
    for (let key = 0; key < 500; key++) check(key);
    const keys: unknown[] = [];
    for await (const key of states.cache.keys()) keys.push(key);
    assert.equal(keys.length, 500);
    assert.ok(!contentOf(place.root).includes(secret));
    await backend.close();

    const again = await place.open({ ...options, restore: "latest" });
    assert.equal(readOne(again, 7), 1);
    const { cache } = transientStates(again);
    assert.equal(
      again.withKey(7, () => cache.value()),
      undefined,
    );
    await again.checkpoint();
    await again.close();
    const other = await place.open({ ...options, restore: join(place.root, "canonical") });
    // Nothing of it is there: the name is free for another type.
    other.valueState({ name: "cache", value: f64 });
  });

  test("are refused if the name is another's, or the budget has no room", async () => {
    const place = new Workplace();
    const backend = await place.open(options);
    writeAll(backend, 10, 1);
    assert.throws(
      () => backend.valueState({ name: "total", value: f64, checkpointed: false }),
      refused,
    );
    backend.valueState({ name: "cache", value: utf8, checkpointed: false });
    assert.throws(() => backend.valueState({ name: "cache", value: utf8 }), refused);
    const wrong = "no" as unknown as boolean;
    assert.throws(
      () => backend.valueState({ name: "x", value: utf8, checkpointed: wrong }),
      refused,
    );
  });

  test("are refused a key once they are full, and checkpoints go on", async () => {
    const place = new Workplace();
    const backend = await place.open(options);
    const rows = backend.valueState({ name: "rows", value: bytes, checkpointed: false });
    const fill = (): void => {
      for (let key = 0; key < 1000; key++) {
        backend.withKey(key, () => rows.update(new Uint8Array(100_000)));
      }
    };
    assert.throws(fill, BackPressureError);
    await backend.checkpoint();
    await backend.close();
  });
});
