// Keys, namespaces, the current key, and enumeration of keys.
import assert from "node:assert/strict";
import { f64, i64, u32, utf8 } from "../index.ts";
import type { Key, KeyedStateBackend } from "../index.ts";
import { keysOf, namesOf, nameOf, range, throwsCode } from "./expect.ts";
import type { Suite } from "./job.ts";

const label = { name: "label", value: utf8 } as const;
const windowed = { name: "windowed", value: utf8, namespaces: true } as const;

/** Keys that are all different, although many look alike. */
const distinctKeys: readonly Key[] = [
  1,
  "1",
  1n,
  Uint8Array.of(1),
  Buffer.from("1"),
  0,
  "0",
  0n,
  "",
  new Uint8Array(0),
  -1,
  -1n,
  1.5,
  Number.MAX_VALUE,
  Number.MIN_VALUE,
  -Number.MIN_VALUE,
  Infinity,
  -Infinity,
  2 ** 53,
  2 ** 53 + 2,
  2n ** 53n,
  2n ** 64n,
  -(2n ** 64n),
  2n ** 900n,
  -(2n ** 900n),
  "a",
  "a\0",
  "a\0\0",
  "\0",
  "a\u0001",
  "ä",
  "a\u0308",
  "日本語",
  "🙂",
  "\ufeff",
  "\uffff",
  "x".repeat(1000),
  "x".repeat(1001),
  "x".repeat(4000),
  "\0".repeat(500),
  Uint8Array.of(0),
  Uint8Array.of(0, 0),
  Uint8Array.of(0, 255),
  Uint8Array.of(255),
  new Uint8Array(2000).fill(7),
];

const badKeys: readonly unknown[] = [
  undefined,
  null,
  NaN,
  true,
  {},
  [],
  Symbol("s"),
  new Date(0),
  "\ud800",
  "a\udc00b",
  "x".repeat(5000),
  "\0".repeat(2500),
  new Uint8Array(5000),
  2n ** 1000n,
  new Uint16Array(1),
  () => 1,
];

export function defineKeySuite(suite: Suite): void {
  suite.describe("keys", () => {
    suite.test(
      "keys of every type are told apart, and found again after a restore",
      async (job) => {
        let backend = await job.open();
        const state = backend.valueState(label);
        for (const key of distinctKeys) backend.withKey(key, () => state.update(nameOf(key)));
        const check = (at: KeyedStateBackend): void => {
          const restored = at.valueState(label);
          for (const key of distinctKeys) {
            assert.equal(
              at.withKey(key, () => restored.value()),
              nameOf(key),
            );
          }
        };
        check(backend);
        assert.deepEqual(await keysOf(state), namesOf(distinctKeys));
        ({ backend } = await job.checkpointAndReopen(backend));
        check(backend);
        assert.deepEqual(await keysOf(backend.valueState(label)), namesOf(distinctKeys));
      },
    );

    suite.test("-0 is 0, and a Buffer is its bytes", async (job) => {
      const backend = await job.open();
      const state = backend.valueState(label);
      backend.withKey(-0, () => state.update("zero"));
      backend.withKey(Buffer.from("ab"), () => state.update("bytes"));
      assert.equal(
        backend.withKey(0, () => state.value()),
        "zero",
      );
      assert.equal(
        backend.withKey(Uint8Array.of(97, 98), () => state.value()),
        "bytes",
      );
      assert.deepEqual(await keysOf(state), namesOf([0, Uint8Array.of(97, 98)]));
    });

    suite.test("what cannot be a key is refused, and no key is set then", async (job) => {
      const backend = await job.open();
      const state = backend.valueState(label);
      for (const [index, key] of badKeys.entries()) {
        backend.setCurrentKey("before");
        throwsCode(
          () => backend.setCurrentKey(key as Key),
          "VARVE_INVALID_ARGUMENT",
          `key ${index}`,
        );
        throwsCode(() => state.update("wrong"), "VARVE_INVALID_ARGUMENT", `access ${index}`);
        throwsCode(() => backend.withKey(key as Key, () => 1), "VARVE_INVALID_ARGUMENT");
      }
      assert.deepEqual(await keysOf(state), []);
    });

    suite.test(
      "a key belongs to the backend once it is set: changing its bytes changes nothing",
      async (job) => {
        const backend = await job.open();
        const state = backend.valueState(label);
        const key = Uint8Array.of(1, 2);
        backend.setCurrentKey(key);
        key[0] = 9;
        state.update("x");
        assert.deepEqual(await keysOf(state), namesOf([Uint8Array.of(1, 2)]));
      },
    );
  });
  defineCurrentKeySuite(suite);
  defineNamespaceSuite(suite);
}

function defineCurrentKeySuite(suite: Suite): void {
  suite.describe("the current key", () => {
    suite.test("without one every access is refused", async (job) => {
      const backend = await job.open();
      const value = backend.valueState({ name: "v", value: f64 });
      const list = backend.listState({ name: "l", element: i64 });
      const map = backend.mapState({ name: "m", key: u32, value: i64 });
      const sum = backend.reducingState({ name: "s", value: i64, reduce: (a, b) => a + b });
      const calls = [
        () => value.value(),
        () => value.update(1),
        () => value.clear(),
        () => list.get(),
        () => list.add(1),
        () => list.update([]),
        () => list.clear(),
        () => list.isEmpty(),
        () => list.addAll([]),
        () => map.get(1),
        () => map.put(1, 1),
        () => map.remove(1),
        () => map.contains(1),
        () => map.isEmpty(),
        () => map.clear(),
        () => map.entries(),
        () => map.putAll([[1, 1]]),
        () => sum.get(),
        () => sum.add(1),
        () => sum.clear(),
      ];
      const refuseAll = (): void => {
        for (const [index, call] of calls.entries()) {
          throwsCode(call, "VARVE_INVALID_ARGUMENT", `call ${index}`);
        }
      };
      refuseAll();
      backend.withKey(1, () => value.update(1));
      refuseAll();
      assert.deepEqual(await keysOf(value), ["1"]);
    });

    suite.test(
      "withKey sets it for the callback, returns its result, and unsets it",
      async (job) => {
        const backend = await job.open();
        assert.equal(backend.currentKey(), undefined);
        const result = backend.withKey("k", () => {
          assert.equal(backend.currentKey(), "k");
          return 5;
        });
        assert.deepEqual([result, backend.currentKey()], [5, undefined]);
      },
    );

    suite.test(
      "withKey unsets it when the callback throws, and passes the error on",
      async (job) => {
        const backend = await job.open();
        const state = backend.valueState(label);
        const failure = new Error("mine");
        const call = (): unknown =>
          backend.withKey("k", () => {
            state.update("kept");
            throw failure;
          });
        assert.throws(call, (error) => error === failure);
        assert.equal(backend.currentKey(), undefined);
        assert.equal(
          backend.withKey("k", () => state.value()),
          "kept",
        );
      },
    );

    suite.test("withKey refuses a callback that is async or returns a promise", async (job) => {
      const backend = await job.open();
      let isCalled = false;
      const asynchronous = async (): Promise<void> => {
        isCalled = true;
      };
      throwsCode(() => backend.withKey("k", asynchronous), "VARVE_INVALID_ARGUMENT");
      assert.equal(isCalled, false);
      throwsCode(() => backend.withKey("k", () => Promise.resolve(1)), "VARVE_INVALID_ARGUMENT");
      throwsCode(() => backend.withKey("k", 5 as unknown as () => void), "VARVE_INVALID_ARGUMENT");
      assert.equal(backend.currentKey(), undefined);
    });

    suite.test("withKey within withKey is refused and the outer key stays", async (job) => {
      const backend = await job.open();
      backend.withKey("outer", () => {
        throwsCode(() => backend.withKey("inner", () => 1), "VARVE_INVALID_ARGUMENT");
        assert.equal(backend.currentKey(), "outer");
      });
    });

    suite.test("setCurrentKey holds until the next one, also across awaits", async (job) => {
      const backend = await job.open();
      const state = backend.valueState(label);
      backend.setCurrentKey(1n);
      await Promise.resolve();
      state.update("one");
      assert.equal(backend.currentKey(), 1n);
      backend.setCurrentKey(Uint8Array.of(2));
      assert.deepEqual([backend.currentKey(), state.value()], [Uint8Array.of(2), undefined]);
      backend.setCurrentKey(1n);
      assert.equal(state.value(), "one");
    });
  });
}

function defineNamespaceSuite(suite: Suite): void {
  suite.describe("namespaces", () => {
    suite.test("a state with namespaces needs one, and one without takes none", async (job) => {
      const backend = await job.open();
      const [plain, state] = [backend.valueState(label), backend.valueState(windowed)];
      backend.setCurrentKey("k");
      throwsCode(() => state.value(), "VARVE_INVALID_ARGUMENT");
      throwsCode(() => state.update("x"), "VARVE_INVALID_ARGUMENT");
      throwsCode(() => state.keys(), "VARVE_INVALID_ARGUMENT");
      throwsCode(() => plain.setCurrentNamespace("w"), "VARVE_INVALID_ARGUMENT");
      throwsCode(() => plain.keys("w"), "VARVE_INVALID_ARGUMENT");
      state.setCurrentNamespace("w");
      state.update("x");
      assert.equal(state.value(), "x");
    });

    suite.test("what cannot be a namespace is refused and the one before stays", async (job) => {
      const backend = await job.open();
      const state = backend.valueState(windowed);
      backend.setCurrentKey("k");
      state.setCurrentNamespace("w");
      state.update("x");
      for (const [index, namespace] of badKeys.entries()) {
        const call = (): void => state.setCurrentNamespace(namespace as Key);
        throwsCode(call, "VARVE_INVALID_ARGUMENT", `namespace ${index}`);
        assert.equal(state.value(), "x");
      }
    });

    suite.test("a namespace stays when the key changes", async (job) => {
      const backend = await job.open();
      const state = backend.valueState(windowed);
      state.setCurrentNamespace("w");
      for (const key of range(3)) backend.withKey(key, () => state.update(`${key}`));
      assert.deepEqual(await keysOf(state, "w"), ["0", "1", "2"]);
    });

    suite.test(
      "every pair of key and namespace is a row of its own, however alike their bytes",
      async (job) => {
        let backend = await job.open();
        const state = backend.valueState(windowed);
        const pairs = distinctKeys.flatMap((key, index) =>
          [0, 7, 13].map(
            (step) => [key, distinctKeys[(index + step) % distinctKeys.length]!] as const,
          ),
        );
        for (const [index, [key, namespace]] of pairs.entries()) {
          backend.setCurrentKey(key);
          state.setCurrentNamespace(namespace);
          state.update(String(index));
        }
        ({ backend } = await job.checkpointAndReopen(backend));
        const restored = backend.valueState(windowed);
        for (const [index, [key, namespace]] of pairs.entries()) {
          backend.setCurrentKey(key);
          restored.setCurrentNamespace(namespace);
          assert.equal(restored.value(), String(index));
        }
      },
    );
  });
}
