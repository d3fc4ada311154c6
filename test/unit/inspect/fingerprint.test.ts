import assert from "node:assert/strict";
import { describe, test } from "vitest";
import {
  type Serializer,
  array,
  bigint64,
  bool,
  bytes,
  f64,
  i64,
  json,
  optional,
  struct,
  tuple,
  u32,
  utf8,
  v8,
} from "../../../src/index.ts";
import { FingerprintReader } from "../../../src/inspect/fingerprint.ts";
import { ScratchSink } from "../../../src/state/byte-sink.ts";
import { ScratchSource } from "../../../src/state/byte-source.ts";
import { randomNumbers } from "../lsm/fixture.ts";

type Any = Serializer<unknown>;

const own: Any = {
  fingerprint: "point@2",
  fixedBytes: 4,
  serialize: (value, sink) => sink.u32(value as number),
  deserialize: (source) => source.u32(),
};
const awkward: Any = { ...own, fingerprint: "list<a,b>" };

function roundTrip(serializer: Any, read: Any, value: unknown): unknown {
  const sink = new ScratchSink();
  serializer.serialize(value, sink);
  const written = sink.written();
  return read.deserialize(new ScratchSource(written).seek(0, written.length));
}

describe("fingerprints", () => {
  const reader = new FingerprintReader({});

  test("every built-in serializer is found by its own", () => {
    for (const serializer of [f64, i64, u32, bigint64, bool, utf8, bytes, json()] as Any[]) {
      assert.equal(reader.read(serializer.fingerprint), serializer);
    }
  });

  test("nested combinators are built so that they read what the original wrote", () => {
    const original = struct({
      a: array(tuple(u32, optional(utf8))),
      'with "quotes" and ,]}>': optional(struct({ b: bigint64, c: bytes })),
      "": tuple(),
    });
    const value = {
      a: [
        [1, "x"],
        [2, undefined],
      ],
      'with "quotes" and ,]}>': { b: -5n, c: new Uint8Array([1, 0]) },
      "": [],
    };
    const built = reader.read(original.fingerprint);
    assert.ok(built !== undefined);
    assert.equal(built.fixedBytes, undefined);
    assert.deepEqual(roundTrip(original as unknown as Any, built, value), value);
    const fixed = struct({ a: f64, b: tuple(u32, bool) });
    assert.equal(reader.read(fixed.fingerprint)?.fixedBytes, fixed.fixedBytes);
  });

  test("a field named __proto__ is a field", () => {
    const fields = Object.defineProperty({}, "__proto__", { value: u32, enumerable: true });
    const original = struct(fields) as unknown as Any;
    const built = reader.read(original.fingerprint);
    const value = Object.defineProperty({}, "__proto__", { value: 7, enumerable: true });
    const back = roundTrip(original, built!, value);
    assert.equal(Object.getOwnPropertyDescriptor(back, "__proto__")?.value, 7);
  });

  test("what cannot be built exactly is unknown", () => {
    const unknown = [
      "",
      "f64 ",
      "F64",
      "f64f64",
      "f64,f64",
      "array<f64",
      "array<f64>>",
      "array<>",
      "array<mine@1>",
      "optional<f64,f64>",
      "tuple[f64,]",
      "tuple[,f64]",
      "struct{a:f64}",
      'struct{"a":f64,}',
      'struct{"a":f64,"a":f64}',
      'struct{"b":f64,"1":f64}', // No struct has its integer names last.
      'struct{"\\u0061":f64}',
      'struct{"a',
      `${"array<".repeat(100)}f64${">".repeat(100)}`,
    ];
    for (const fingerprint of unknown)
      assert.equal(reader.read(fingerprint), undefined, fingerprint);
  });

  test("v8 is read only from trusted bytes", () => {
    assert.equal(reader.read("v8"), undefined);
    assert.equal(reader.read("array<v8>"), undefined);
    const trusting = new FingerprintReader({ trustV8: true });
    assert.equal(trusting.read("v8"), v8());
    assert.ok(trusting.read("array<v8>") !== undefined);
  });

  test("the caller's serializers are found alone and nested, whatever their names are", () => {
    const given = new FingerprintReader({ serializers: [own, awkward] });
    assert.equal(given.read("point@2"), own);
    assert.equal(given.read("list<a,b>"), awkward);
    const nested = struct({ p: own, q: array(awkward) }) as unknown as Any;
    const value = { p: 3, q: [4, 5] };
    assert.deepEqual(roundTrip(nested, given.read(nested.fingerprint)!, value), value);
    assert.equal(given.read("point@22"), undefined);
  });

  test("fields of a struct are named in their order", () => {
    assert.deepEqual(reader.fieldsOf('struct{"b":f64,"a":struct{"c":u32}}'), ["b", "a"]);
    assert.equal(reader.fieldsOf("tuple[f64]"), undefined);
  });

  test("random text is never read as something else than it says", () => {
    const random = randomNumbers(11);
    const pieces = ["f64", "u32", "array<", "tuple[", "struct{", '"a":', ">", "]", "}", ",", "x"];
    for (let round = 0; round < 20_000; round++) {
      let text = "";
      for (let count = 1 + random(8); count > 0; count--) text += pieces[random(pieces.length)]!;
      const built = reader.read(text);
      if (built !== undefined) assert.equal(built.fingerprint, text);
    }
  });
});
