// Declaring states, and the end of a backend's life.
import assert from "node:assert/strict";
import { array, f64, i64, u32, utf8 } from "../index.ts";
import type { ErrorCode, KeyedStateBackend, Serializer } from "../index.ts";
import { keysOf, range, rejectsCode, throwsCode } from "./expect.ts";
import type { Suite } from "./job.ts";

const total = { name: "total", value: f64 } as const;
const reduce = (a: number, b: number): number => a + b;

export function defineLifecycleSuite(suite: Suite): void {
  suite.describe("declaring a state", () => {
    suite.test("twice gives the same object", async (job) => {
      const backend = await job.open();
      assert.equal(backend.valueState(total), backend.valueState({ ...total }));
      const map = { name: "m", key: u32, value: i64 };
      assert.equal(backend.mapState(map), backend.mapState({ ...map }));
    });

    suite.test("comes before the first checkpoint, if the state was restored", async (job) => {
      let backend = await job.open();
      backend.withKey("k", () => backend.valueState(total).update(1));
      await backend.checkpoint();
      await job.close(backend);
      backend = await job.open("latest");
      await rejectsCode(backend.checkpoint(), "VARVE_INVALID_ARGUMENT");
      backend.valueState(total);
      await backend.checkpoint();
      await job.close(backend);
      backend = await job.open("latest", undefined, ["total"]);
      await backend.checkpoint();
      assert.equal(
        backend.withKey("k", () => backend.valueState(total).value()),
        1,
      );
    });

    suite.test("with another type, serializer or use of namespaces is refused", async (job) => {
      let backend = await job.open();
      backend.valueState(total);
      backend.mapState({ name: "map", key: u32, value: i64 });
      backend.withKey("k", () => backend.valueState(total).update(1));
      const check = (at: KeyedStateBackend): void => {
        const calls = [
          () => at.valueState({ name: "total", value: i64 }),
          () => at.valueState({ ...total, namespaces: true }),
          () => at.listState({ name: "total", element: f64 }),
          () => at.reducingState({ ...total, reduce }),
          () => at.mapState({ name: "map", key: i64, value: i64 }),
          () => at.mapState({ name: "map", key: u32, value: u32 }),
        ];
        for (const call of calls) throwsCode(call, "VARVE_INCOMPATIBLE_SERIALIZER");
        assert.equal(
          at.withKey("k", () => at.valueState(total).value()),
          1,
        );
      };
      check(backend);
      ({ backend } = await job.checkpointAndReopen(backend));
      check(backend);
    });

    suite.test("with a descriptor that is wrong is refused", async (job) => {
      const backend = await job.open();
      const wrong: unknown[] = [
        undefined,
        null,
        "total",
        {},
        { name: "total" },
        { name: "", value: f64 },
        { name: 5, value: f64 },
        { name: "x".repeat(257), value: f64 },
        { name: "\ud800", value: f64 },
        { name: "a", value: {} },
        { name: "a", value: { ...f64, fingerprint: "" } },
        { name: "a", value: f64, namespaces: 1 },
        { name: "a", value: { ...f64, fingerprint: "x".repeat(1025) } },
        { name: "a", value: f64, ttl: 5 },
      ];
      for (const [index, descriptor] of wrong.entries()) {
        const call = (): unknown => backend.valueState(descriptor as typeof total);
        throwsCode(call, "VARVE_INVALID_ARGUMENT", `descriptor ${index}`);
      }
      const noFunction = { ...total, reduce: 5 as unknown as typeof reduce };
      throwsCode(() => backend.reducingState(noFunction), "VARVE_INVALID_ARGUMENT");
      const taken = await backend.checkpoint();
      assert.ok(taken.checkpointId >= 1);
    });

    suite.test("that the refused call named does not exist", async (job) => {
      const backend = await job.open();
      throwsCode(
        () =>
          backend.reducingState({ name: "s", value: f64, reduce: 1 as unknown as typeof reduce }),
        "VARVE_INVALID_ARGUMENT",
      );
      const state = backend.listState({ name: "s", element: utf8 });
      backend.withKey("k", () => state.add("a"));
      assert.deepEqual(await keysOf(state), ['"k"']);
    });

    suite.test("with a serializer of the user's own works, fixed length or not", async (job) => {
      const point: Serializer<{ x: number; y: number }> = {
        fingerprint: "point@1",
        fixedBytes: 16,
        serialize(value, sink) {
          sink.f64(value.x);
          sink.f64(value.y);
        },
        deserialize: (source) => ({ x: source.f64(), y: source.f64() }),
      };
      const liar: Serializer<string> = { ...utf8, fingerprint: "liar@1", fixedBytes: 3 };
      const failing: Serializer<string> = {
        ...utf8,
        fingerprint: "failing@1",
        serialize(_value, sink) {
          sink.utf8("half");
          throw new RangeError("mine");
        },
      };
      let backend = await job.open();
      const path = backend.listState({ name: "path", element: point });
      const nested = backend.valueState({ name: "nested", value: array(point) });
      const wrong = backend.valueState({ name: "liar", value: liar });
      const half = backend.listState({ name: "failing", element: failing });
      backend.setCurrentKey("k");
      path.addAll([
        { x: 1, y: 2 },
        { x: 3, y: 4 },
      ]);
      nested.update([{ x: 5, y: 6 }]);
      throwsCode(() => wrong.update("four"), "VARVE_INVALID_ARGUMENT");
      assert.throws(() => half.add("x"), RangeError);
      assert.deepEqual([wrong.value(), half.get()], [undefined, []]);
      ({ backend } = await job.checkpointAndReopen(backend));
      const restored = backend.listState({ name: "path", element: point });
      assert.deepEqual(
        backend.withKey("k", () => restored.get()),
        [
          { x: 1, y: 2 },
          { x: 3, y: 4 },
        ],
      );
      const again = backend.valueState({ name: "nested", value: array(point) });
      assert.deepEqual(
        backend.withKey("k", () => again.value()),
        [{ x: 5, y: 6 }],
      );
    });
  });
  defineCloseSuite(suite);
}

/** Every call on a backend that may be refused, by name. */
function callsOf(backend: KeyedStateBackend): Readonly<Record<string, () => unknown>> {
  return {
    valueState: () => backend.valueState({ name: "new", value: f64 }),
    listState: () => backend.listState({ name: "new", element: f64 }),
    mapState: () => backend.mapState({ name: "new", key: u32, value: f64 }),
    reducingState: () => backend.reducingState({ name: "new", value: f64, reduce }),
    withKey: () => backend.withKey("k", () => 1),
    setCurrentKey: () => backend.setCurrentKey("k"),
    prefetch: () => backend.prefetch(["k"]),
    drained: () => backend.drained(),
    checkpoint: () => backend.checkpoint(),
  };
}

async function codeOf(call: () => unknown): Promise<ErrorCode | undefined> {
  try {
    await call();
    return undefined;
  } catch (error) {
    return (error as { code?: ErrorCode }).code;
  }
}

function defineCloseSuite(suite: Suite): void {
  suite.describe("closing", () => {
    for (const moment of ["during", "after"] as const) {
      suite.test(`${moment} it every call is refused as closed`, async (job) => {
        const backend = await job.open();
        const state = backend.valueState(total);
        const map = backend.mapState({ name: "m", key: u32, value: i64 });
        backend.setCurrentKey("k");
        state.update(1);
        map.put(1, 1);
        const iterator = map.entries();
        const closing = backend.close();
        if (moment === "after") await closing;
        const calls: Readonly<Record<string, () => unknown>> = {
          ...callsOf(backend),
          value: () => state.value(),
          update: () => state.update(2),
          clear: () => state.clear(),
          keys: () => keysOf(state),
          put: () => map.put(2, 2),
          next: () => iterator.next(),
        };
        for (const [name, call] of Object.entries(calls)) {
          assert.equal(await codeOf(call), "VARVE_CLOSED", name);
        }
        assert.equal(backend.needsDrain, false);
        assert.equal((backend.signal.reason as { code?: string }).code, "VARVE_CLOSED");
        await closing;
      });
    }

    suite.test("twice is closing once, and stats and restored stay readable", async (job) => {
      const backend = await job.open();
      const { signal } = backend;
      assert.equal(signal.aborted, false);
      await Promise.all([backend.close(), backend.close()]);
      await backend.close();
      await backend[Symbol.asyncDispose]();
      assert.equal(signal.aborted, true);
      assert.equal(backend.restored, undefined);
      assert.equal(backend.stats().completedCheckpoints, 0);
    });

    suite.test("aborts a checkpoint under way, and the one before is still there", async (job) => {
      let backend = await job.open();
      const state = backend.valueState(total);
      for (const key of range(1000)) backend.withKey(key, () => state.update(1));
      await backend.checkpoint("first");
      for (const key of range(1000)) backend.withKey(key, () => state.update(2));
      const running = [backend.checkpoint("second"), backend.checkpoint("third")];
      const outcomes = Promise.allSettled(running);
      await backend.close();
      const [second, third] = await outcomes;
      for (const outcome of [second!, third!]) {
        // The cut may just have become durable; else it was aborted, and says why.
        if (outcome.status === "fulfilled") continue;
        const { code, reason } = outcome.reason as { code?: string; reason?: string };
        assert.deepEqual([code, reason], ["VARVE_CHECKPOINT_ABORTED", "shutdown"]);
      }
      backend = await job.reopen(backend);
      const expected = [second!, third!].some((one) => one.status === "fulfilled") ? 2 : 1;
      const restored = backend.valueState(total);
      for (const key of range(1000)) {
        assert.equal(
          backend.withKey(key, () => restored.value()),
          expected,
        );
      }
    });

    suite.test("while keys() is iterated ends the iteration", async (job) => {
      const backend = await job.open();
      const state = backend.valueState(total);
      for (const key of range(100)) backend.withKey(key, () => state.update(1));
      const begun = state.keys();
      const closing = backend.close();
      const code = await codeOf(async () => {
        for await (const _ of begun) continue;
      });
      assert.ok(code === undefined || code === "VARVE_CLOSED", code);
      await closing;
    });

    suite.test("does not wait for drained, which rejects", async (job) => {
      const backend = await job.open();
      const reason = new Error("enough");
      const signal = AbortSignal.abort(reason);
      const outcome = backend.drained({ signal });
      await outcome.catch((error: unknown) => assert.equal(error, reason));
      await backend.drained();
      await backend.close();
      await rejectsCode(backend.drained(), "VARVE_CLOSED");
    });
  });
}
