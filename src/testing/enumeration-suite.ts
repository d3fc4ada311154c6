// Enumeration of the keys of a state.
import assert from "node:assert/strict";
import { bytes, i64, u32, utf8 } from "../index.ts";
import type { Key, KeyedStateBackend } from "../index.ts";
import { keysOf, namesOf, range } from "./expect.ts";
import type { Suite } from "./job.ts";

const label = { name: "label", value: utf8 } as const;
const windowed = { name: "windowed", value: utf8, namespaces: true } as const;

export function defineEnumerationSuite(suite: Suite): void {
  suite.describe("keys()", () => {
    suite.test(
      "shows the keys that have something, each once, whatever the kind of state",
      async (job) => {
        let backend = await job.open();
        const define = (at: KeyedStateBackend) => ({
          value: at.valueState({ name: "v", value: bytes }),
          list: at.listState({ name: "l", element: i64 }),
          map: at.mapState({ name: "m", key: u32, value: i64 }),
          sum: at.reducingState({ name: "s", value: i64, reduce: (a, b) => a + b }),
        });
        const states = define(backend);
        for (const key of range(60)) {
          backend.withKey(key, () => {
            if (key % 2 === 0) states.value.update(Uint8Array.of(key));
            // Some lists and maps are long: many rows, one key.
            if (key % 3 === 0) states.list.addAll(range(key === 3 ? 3000 : 2));
            if (key % 5 === 0)
              for (const entry of range(key === 5 ? 900 : 2)) states.map.put(entry, 1);
            if (key % 7 === 0) states.sum.add(1);
          });
        }
        const cleared = [0, 3, 5, 7, 14];
        for (const key of cleared) {
          backend.withKey(key, () => {
            for (const state of Object.values(states)) if (key !== 3 && key !== 5) state.clear();
          });
        }
        const check = async (at: KeyedStateBackend): Promise<void> => {
          const { value, list, map, sum } = define(at);
          const expected = (step: number): string[] =>
            namesOf(range(60).filter((key) => key % step === 0 && ![0, 7, 14].includes(key)));
          assert.deepEqual(await keysOf(value), expected(2));
          assert.deepEqual(await keysOf(list), expected(3));
          assert.deepEqual(await keysOf(map), expected(5));
          assert.deepEqual(await keysOf(sum), expected(7));
        };
        await check(backend);
        ({ backend } = await job.checkpointAndReopen(backend));
        await check(backend);
      },
    );

    suite.test("shows the keys of one namespace", async (job) => {
      const backend = await job.open();
      const state = backend.valueState(windowed);
      for (const key of range(40)) {
        backend.setCurrentKey(key);
        state.setCurrentNamespace(key % 2);
        state.update("x");
        state.setCurrentNamespace("both");
        state.update("y");
      }
      assert.deepEqual(await keysOf(state, 0), namesOf(range(20).map((key) => key * 2)));
      assert.deepEqual(await keysOf(state, 1), namesOf(range(20).map((key) => key * 2 + 1)));
      assert.deepEqual(await keysOf(state, "both"), namesOf(range(40)));
      assert.deepEqual(await keysOf(state, "none"), []);
    });

    suite.test("shows the moment of the call, whenever it is iterated", async (job) => {
      const backend = await job.open();
      const state = backend.valueState(label);
      for (const key of range(200)) backend.withKey(key, () => state.update("x"));
      const early = state.keys();
      for (const key of range(100)) backend.withKey(key, () => state.clear());
      for (const key of range(100, 1000)) backend.withKey(key, () => state.update("y"));
      const late = state.keys();
      const [before, after]: Key[][] = [[], []];
      for await (const key of early) before!.push(key);
      for await (const key of late) after!.push(key);
      assert.deepEqual(namesOf(before!), namesOf(range(200)));
      assert.deepEqual(namesOf(after!), namesOf([...range(100, 100), ...range(100, 1000)]));
    });

    suite.test("the state it walks may be changed meanwhile", async (job) => {
      const backend = await job.open();
      const state = backend.valueState(label);
      for (const key of range(300)) backend.withKey(key, () => state.update("x"));
      for await (const key of state.keys()) {
        backend.withKey(key, () => state.clear());
        backend.withKey(Number(key) + 1000, () => state.update("moved"));
      }
      assert.deepEqual(await keysOf(state), namesOf(range(300, 1000)));
    });

    suite.test(
      "an iteration may be stopped early, and one never begun does no harm",
      async (job) => {
        const backend = await job.open();
        const state = backend.valueState(label);
        for (const key of range(300)) backend.withKey(key, () => state.update("x"));
        state.keys();
        let count = 0;
        for await (const _ of state.keys()) if (++count === 3) break;
        assert.equal(count, 3);
        await backend.checkpoint();
        assert.equal((await keysOf(state)).length, 300);
      },
    );
  });
}
