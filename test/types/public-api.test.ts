// Goal: the public types infer as documented. Method: this file compiles; what must not compile is
// marked, and an unnecessary mark is an error too. The one test says that it did.
import { test } from "vitest";
import * as varve from "../../src/index.ts";
import type {
  AggregatingState,
  BackendStats,
  CompletedCheckpoint,
  Key,
  KeyedStateBackend,
  KeyedStateBackendOptions,
  ListState,
  MapState,
  ReducingState,
  SerializedBy,
  Serializer,
  ValueState,
} from "../../src/index.ts";
import { defineKeyedStateSuite } from "../../src/testing/index.ts";
import type { KeyedStateSubject } from "../../src/testing/index.ts";
import * as nodeTest from "node:test";
import * as vitest from "vitest";

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Compiles only if both types are the same. */
function same<A, B>(isSame: Equal<A, B>): void {
  void isSame;
}

/** Never called. */
export function checkSerializers(): void {
  const row = varve.struct({
    id: varve.i64,
    label: varve.utf8,
    tags: varve.optional(varve.array(varve.utf8)),
    at: varve.tuple(varve.f64, varve.f64),
  });
  type Row = SerializedBy<typeof row>;
  const value: Row = { id: 1, label: "a", tags: undefined, at: [1, 2] };
  same<Row["id"], number>(true);
  same<Row["tags"], string[] | undefined>(true);
  same<SerializedBy<typeof varve.bigint64>, bigint>(true);
  same<SerializedBy<typeof varve.bytes>, Uint8Array>(true);
  const json: Serializer<{ readonly a: number }> = varve.json<{ readonly a: number }>();
  // @ts-expect-error: a string is no number
  value.id = "1";
  // @ts-expect-error: a serializer of numbers is none of strings
  const wrong: Serializer<string> = varve.f64;
  void [value, json, wrong];
}

/** Never called. */
export function checkStates(backend: KeyedStateBackend): void {
  const count = backend.valueState({ name: "count", value: varve.f64 });
  same<typeof count, ValueState<number>>(true);
  same<ReturnType<typeof count.value>, number | undefined>(true);
  const list = backend.listState({ name: "list", element: varve.utf8, namespaces: true });
  same<typeof list, ListState<string>>(true);
  const map = backend.mapState({ name: "map", key: varve.utf8, value: varve.u32 });
  same<typeof map, MapState<string, number>>(true);
  for (const [key, value] of map) same<[typeof key, typeof value], [string, number]>(true);
  const sum = backend.reducingState({ name: "sum", value: varve.i64, reduce: (a, b) => a + b });
  same<typeof sum, ReducingState<number>>(true);
  const mean = backend.aggregatingState({
    name: "mean",
    accumulator: varve.struct({ count: varve.i64, sum: varve.f64 }),
    aggregate: {
      createAccumulator: () => ({ count: 0, sum: 0 }),
      add: (accumulator, value: number) => ({
        count: accumulator.count + 1,
        sum: accumulator.sum + value,
      }),
      getResult: ({ count: n, sum: total }) => `${total / n}`,
      merge: (a, b) => ({ count: a.count + b.count, sum: a.sum + b.sum }),
    },
  });
  same<typeof mean, AggregatingState<number, string>>(true);
  const result = backend.withKey("k", () => count.value());
  same<typeof result, number | undefined>(true);
  same<Parameters<typeof backend.withKey>[0], Key>(true);
  // @ts-expect-error: a state of numbers takes no strings
  count.update("1");
  // @ts-expect-error: undefined is no value
  count.update(undefined);
  // @ts-expect-error: a boolean is no key
  backend.setCurrentKey(true);
  // @ts-expect-error: the descriptor has no time to live yet
  backend.valueState({ name: "count", value: varve.f64, ttl: 5 });
  // @ts-expect-error: reduce is required
  backend.reducingState({ name: "sum", value: varve.i64 });
}

/** Never called. */
export async function checkBackend(storage: varve.CheckpointStorage): Promise<void> {
  const options: KeyedStateBackendOptions = {
    workingDirectory: "work",
    checkpointStorage: storage,
    restore: "latest-or-new",
    policy: undefined,
  };
  await using backend = await varve.openKeyedStateBackend(options);
  const taken = await backend.checkpoint({ offsets: { "flights-0": "184467" } });
  same<typeof taken, CompletedCheckpoint>(true);
  same<ReturnType<typeof backend.stats>, BackendStats>(true);
  // @ts-expect-error: there is no default for restore
  await varve.openKeyedStateBackend({ workingDirectory: "work", checkpointStorage: storage });
  // @ts-expect-error: a bigint is no JSON
  await backend.checkpoint({ offset: 1n });
  // @ts-expect-error: statistics are read only
  backend.stats().drains = 0;
}

/** Never called: the suite takes both test runners as they are. */
export function checkSuite(subject: KeyedStateSubject): void {
  defineKeyedStateSuite(nodeTest, subject);
  defineKeyedStateSuite(vitest, subject);
  defineKeyedStateSuite({ describe: vitest.describe, test: vitest.test }, subject);
  defineKeyedStateSuite({ describe: nodeTest.describe, test: nodeTest.test }, subject);
}

test("the public types infer as documented: this file compiles", () => undefined);
