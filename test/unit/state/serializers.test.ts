import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "vitest";
import type { Serializer } from "../../../src/index.ts";
import {
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
import { ScratchSink } from "../../../src/state/byte-sink.ts";
import { ScratchSource } from "../../../src/state/byte-source.ts";

type Row = readonly [fingerprint: string, value: string, hex: string, ordered?: string];

function row<T>(serializer: Serializer<T>, value: T, text: string, hex: string, ordered?: string) {
  const cells: Row =
    ordered === undefined
      ? [serializer.fingerprint, text, hex]
      : [serializer.fingerprint, text, hex, ordered];
  return { serializer: serializer as Serializer<unknown>, value: value as unknown, cells };
}

/** As in the page's table. Frozen: values are stored by it. */
const examples = [
  row(f64, 1.5, "1.5", "000000000000f83f", "bff8000000000000"),
  row(f64, -2, "-2", "00000000000000c0", "3fffffffffffffff"),
  row(i64, -2, "-2", "feffffffffffffff", "7ffffffffffffffe"),
  row(i64, 2 ** 40, "2^40", "0000000000010000", "8000010000000000"),
  row(u32, 258, "258", "02010000", "00000102"),
  row(bigint64, -2n, "-2n", "feffffffffffffff", "7ffffffffffffffe"),
  row(bool, true, "true", "01"),
  row(utf8, "aü", '"aü"', "61c3bc"),
  row(bytes, Uint8Array.of(0, 255), "00 FF", "00ff"),
  row(json<unknown>(), { a: [1, null] }, '{"a":[1,null]}', "7b2261223a5b312c6e756c6c5d7d"),
  row(struct({ id: u32, label: utf8 }), { id: 258, label: "ab" }, '258, "ab"', "02010000026162"),
  row(tuple(bool, utf8), [true, "a"], 'true, "a"', "010161"),
  row(array(utf8), ["a", ""], '"a", ""', "02016100"),
  row(array(u32), [1], "1", "0101000000"),
  row(optional(u32), 1, "1", "0101000000"),
  row(optional(u32), undefined, "undefined", "00"),
];

function serialized(
  serializer: Pick<Serializer<unknown>, "serialize">,
  value: unknown,
): Uint8Array {
  const sink = new ScratchSink();
  serializer.serialize(value, sink);
  return sink.written().slice();
}

function source(data: Uint8Array): ScratchSource {
  return new ScratchSource(data).seek(0, data.length);
}

describe("serializers", () => {
  test("write the bytes of the page, and read them back", () => {
    const page = readFileSync("docs/formats/serializers.md", "utf8").replaceAll(/ +/g, " ");
    for (const { serializer, value, cells } of examples) {
      const [fingerprint, text, hex, ordered] = cells;
      const data = serialized(serializer, value);
      assert.equal(Buffer.from(data).toString("hex"), hex, `${fingerprint} ${text}`);
      assert.deepEqual(serializer.deserialize(source(data)), value);
      assert.equal(serializer.fixedBytes ?? data.length, data.length);
      if (ordered !== undefined) {
        const key = serialized(serializer.ordered!, value);
        assert.equal(Buffer.from(key).toString("hex"), ordered, `${fingerprint} ${text} as a key`);
        assert.deepEqual(serializer.ordered!.deserialize(source(key)), value);
      }
      const line = `| \`${fingerprint}\` | \`${text}\` | \`${hex}\` | ${ordered === undefined ? "the same" : `\`${ordered}\``} |`;
      assert.ok(page.includes(line), `the page lacks ${line}`);
    }
  });

  test("have fixed lengths where all values have one", () => {
    const lengths = [
      f64,
      i64,
      u32,
      bigint64,
      bool,
      utf8,
      bytes,
      json(),
      v8(),
      array(u32),
      optional(u32),
    ];
    const fixed = [8, 8, 4, 8, 1, ...Array.from({ length: 6 }, () => undefined)];
    assert.deepEqual(
      lengths.map((serializer) => serializer.fixedBytes),
      fixed,
    );
    assert.equal(struct({ a: f64, b: tuple(bool, u32) }).fixedBytes, 13);
  });

  test("refuse stored bytes that no value has, or that are cut", () => {
    for (const { serializer, value, cells } of examples) {
      if (["utf8", "bytes"].includes(cells[0])) continue; // Any bytes are a value.
      const data = serialized(serializer, value);
      for (let length = 0; length < data.length; length++) {
        const read = (): unknown => serializer.deserialize(source(data.slice(0, length)));
        assert.throws(read, { code: "VARVE_CORRUPTION" }, `${cells[0]}, ${length} bytes`);
      }
    }
    const wrong: readonly (readonly [Serializer<unknown>, string])[] = [
      [bool as Serializer<unknown>, "02"],
      [i64 as Serializer<unknown>, "00000000000020ff"],
      [optional(bool) as Serializer<unknown>, "0201"],
      [json<unknown>(), "7b"],
      [v8<unknown>(), "ff"],
      [array(utf8) as Serializer<unknown>, "ffffffff0f00"],
      // Elements that take no bytes: nothing but the count says how many there are.
      [array(tuple()) as Serializer<unknown>, "ffffffff0f"],
      [struct({ a: utf8 }) as Serializer<unknown>, "0561"],
    ];
    for (const [serializer, hex] of wrong) {
      const read = (): unknown => serializer.deserialize(source(Buffer.from(hex, "hex")));
      assert.throws(read, { code: "VARVE_CORRUPTION" }, serializer.fingerprint);
    }
  });

  test("of structs make plain objects, whatever a field is called", () => {
    const odd = struct({ ["__proto__"]: u32, constructor: u32 } as Record<
      string,
      Serializer<number>
    >);
    const value = JSON.parse('{"__proto__":1,"constructor":2}') as Record<string, number>;
    const read = odd.deserialize(source(serialized(odd as Serializer<unknown>, value)));
    assert.deepEqual(Object.keys(read).sort(), ["__proto__", "constructor"]);
    assert.equal(Object.getPrototypeOf(read), Object.prototype);
  });

  test("know their fields by name and order in the fingerprint", () => {
    const prints = [
      struct({ a: u32, b: utf8 }),
      struct({ b: utf8, a: u32 }),
      struct({ 'a":u32,"b': utf8 }),
      tuple(u32, utf8),
      array(struct({ a: optional(u32) })),
    ].map((serializer) => serializer.fingerprint);
    assert.equal(new Set(prints).size, prints.length);
  });
});
