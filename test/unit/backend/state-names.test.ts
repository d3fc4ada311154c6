// Goal: two names with the same 32-bit id never share rows: the second one is refused.
// Method: a pair of ordinary names is searched for; among 2^32 ids some 80,000 names make one likely.
import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { stateIdOf } from "../../../src/format/key-codec.ts";
import { f64, utf8 } from "../../../src/index.ts";
import type { KeyedStateBackend } from "../../../src/index.ts";
import { Workplace } from "./fixture.ts";

function collidingNames(): readonly [string, string] {
  const names = new Map<number, string>();
  for (let number = 0; number < 1_000_000; number++) {
    const name = `state-${number}`;
    const id = stateIdOf(name);
    const other = names.get(id);
    if (other !== undefined) return [other, name];
    names.set(id, name);
  }
  return assert.fail("no two names have the same id");
}

const [first, second] = collidingNames();

for (const backendKind of ["lsm", "memory"] as const) {
  describe(`a state whose name has the id of another: ${backendKind}`, () => {
    const refuse = (backend: KeyedStateBackend, name: string): void => {
      const calls = [
        () => backend.valueState({ name, value: f64 }),
        () => backend.listState({ name, element: utf8 }),
        () => backend.mapState({ name, key: utf8, value: f64 }),
      ];
      for (const call of calls) assert.throws(call, { code: "VARVE_INVALID_ARGUMENT" });
    };

    test("is refused, and the other one keeps its rows", async () => {
      const place = new Workplace();
      const backend = await place.open({ backend: backendKind });
      const state = backend.valueState({ name: first, value: f64 });
      backend.withKey("k", () => state.update(1));
      refuse(backend, second);
      assert.equal(
        backend.withKey("k", () => state.value()),
        1,
      );
      await backend.checkpoint();
    });

    test("is refused after a restore, even if the job does not use the other one any more", async () => {
      const place = new Workplace();
      const backend = await place.open({ backend: backendKind });
      const state = backend.valueState({ name: second, value: f64 });
      backend.withKey("k", () => state.update(2));
      await backend.checkpoint();
      await backend.close();
      const restored = await place.open({ backend: backendKind, restore: "latest" });
      refuse(restored, first);
      const again = restored.valueState({ name: second, value: f64 });
      assert.equal(
        restored.withKey("k", () => again.value()),
        2,
      );
    });
  });
}

test("a name padded with zeros has the id of the name without, and is refused as well", async () => {
  const backend = await new Workplace().open();
  backend.valueState({ name: "a", value: f64 });
  assert.throws(() => backend.valueState({ name: "a\0", value: f64 }), {
    code: "VARVE_INVALID_ARGUMENT",
  });
});
