import assert from "node:assert/strict";
import * as fc from "fast-check";
import { describe, test } from "vitest";
import { UnsupportedFormatError } from "../../../src/errors.ts";
import { ChangeCheck } from "../../../src/format/changelog-check.ts";
import { ChangeKind, readChanges, readChangesAt } from "../../../src/format/changelog-rows.ts";
import { concatenate } from "../../../src/format/frame-sequence.ts";
import { stateIdOf } from "../../../src/format/key-codec.ts";
import {
  type TestChange,
  append,
  encodeChange,
  groupOf,
  put,
  remove,
  rowKeyOf,
} from "../../support/changelog-segments.ts";

const max = 128;

function decode(rows: Uint8Array): TestChange[] {
  const changes: TestChange[] = [];
  readChanges(rows, "s", 7, (kind, key, value) => {
    const own = kind === ChangeKind.delete ? undefined : new Uint8Array(value);
    changes.push({ kind, key: Buffer.from(key), value: own });
  });
  return changes;
}

const example = [
  put(rowKeyOf("total", "a", max), Buffer.from("010203", "hex")),
  append(rowKeyOf("a", "a", max), Buffer.from("bc")),
  remove(rowKeyOf("total", 1, max)),
];

describe("changes", () => {
  test("have the bytes of the page, forever", () => {
    const hex = example.map((change) => Buffer.from(encodeChange(change)).toString("hex"));
    assert.deepEqual(hex, [
      "010b00177749c037003061000103010203",
      "030b001756c1cbd1003061000103026263",
      "0210007e7749c0370010bff0000000000000",
    ]);
  });

  test("are read as they were written, in order", () => {
    const value = fc.uint8Array({ minLength: 1, maxLength: 200 });
    const key = fc.integer().map((number) => rowKeyOf("total", number, max));
    const change = fc.oneof(
      fc.tuple(key, value).map(([at, row]) => put(at, row)),
      key.map(remove),
      fc.tuple(key, fc.array(value, { minLength: 1 })).map(([at, list]) => append(at, ...list)),
    );
    fc.assert(
      fc.property(fc.array(change, { maxLength: 50 }), (changes) => {
        const rows = concatenate(changes.map(encodeChange));
        const plain = (list: readonly TestChange[]): unknown =>
          list.map(({ kind, key: own, value: row }) => [kind, [...own], row && [...row]]);
        assert.deepEqual(plain(decode(rows)), plain(changes));
        let at = 0;
        readChangesAt(rows, "s", 0, (_kind, keyStart, keyEnd, valueStart, valueEnd, offset) => {
          assert.equal(offset, at);
          assert.ok(keyStart < keyEnd && keyEnd <= valueStart && valueStart <= valueEnd);
          at = valueEnd;
        });
        assert.equal(at, rows.length);
      }),
    );
  });

  test("cut anywhere are refused, and with a byte more", () => {
    for (const change of example) {
      const whole = encodeChange(change);
      for (let length = 1; length < whole.length; length++) {
        assert.throws(() => decode(whole.subarray(0, length)), { code: "VARVE_CORRUPTION" });
      }
      assert.throws(() => decode(concatenate([whole, Buffer.of(1)])), { code: "VARVE_CORRUPTION" });
    }
  });

  test("of lengths that no row has are refused, and of unknown kinds by name", () => {
    const refused = (bytes: readonly number[], pattern: RegExp): void => {
      assert.throws(() => decode(Uint8Array.from(bytes)), {
        name: "CorruptionError",
        message: pattern,
      });
    };
    refused([1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1], /too short/);
    refused([2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], /beyond its frame/);
    refused([2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], /cut or too long/);
    refused([1, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], /no value/);
    assert.throws(() => decode(Uint8Array.of(0)), UnsupportedFormatError);
    const large = (keyBytes: number, valueBytes: number): Uint8Array =>
      encodeChange(put(Buffer.alloc(keyBytes, 1), Buffer.alloc(valueBytes, 1)));
    assert.equal(decode(large(12_288, 524_288)).length, 1);
    assert.throws(() => decode(large(12_289, 1)), { message: /beyond its frame/ });
    assert.throws(() => decode(large(9, 524_289)), { message: /beyond its frame/ });
  });
});

describe("rows of a frame that a reader wants", () => {
  const claims = {
    keyGroupCount: max,
    stateIds: [stateIdOf("total"), stateIdOf("a")],
    listStateIds: [stateIdOf("a")],
  };
  const check = new ChangeCheck(claims);
  const all = { first: 0, last: 127 };

  test("stand together, and are those of its key groups", () => {
    const group = fc.integer({ min: 0, max: 127 });
    fc.assert(
      fc.property(fc.array(fc.integer()), group, group, (numbers, a, b) => {
        const changes = numbers
          .map((number) => put(rowKeyOf("total", number, max), Buffer.of(1, 2)))
          .sort((left, right) => groupOf(left.key) - groupOf(right.key));
        const rows = concatenate(changes.map(encodeChange));
        const wanted = { first: Math.min(a, b), last: Math.max(a, b) };
        const part = check.check(rows, all, wanted, "s", 0);
        const expected = changes.filter(({ key }) => {
          return groupOf(key) >= wanted.first && groupOf(key) <= wanted.last;
        });
        assert.equal(part.rowCount, changes.length);
        assert.equal(part.wantedCount, expected.length);
        const own = concatenate(expected.map(encodeChange));
        assert.deepEqual(rows.slice(part.start, part.end), own);
      }),
    );
  });

  test("every flipped bit of a key's prefix is refused", () => {
    const rows = concatenate(example.slice(0, 1).map(encodeChange));
    assert.equal(check.check(rows, all, all, "s", 0).rowCount, 1);
    for (let bit = 16; bit < 16 + 8 * 8; bit++) {
      if (bit >= 64 && bit < 72) continue; // The part: a row of a node is one as well.
      const dirty = Uint8Array.from(rows);
      dirty[bit >> 3]! ^= 1 << (bit & 7);
      assert.throws(() => check.check(dirty, all, all, "s", 0), {
        code: /VARVE_(CORRUPTION|UNSUPPORTED_FORMAT)/,
      });
    }
  });
});
