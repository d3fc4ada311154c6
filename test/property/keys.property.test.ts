// Goal: encoded keys are prefix-free, ordered and read back; all code that makes row keys makes the
// same bytes and hashes.
// Method: fast-check, with a fixed seed that is printed when it fails.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { describe, test } from "vitest";
import type { Key } from "../../src/api/state.ts";
import { keyGroupOf } from "../../src/common/key-group.ts";
import {
  RowPart,
  decodeKey,
  encodeKeyPayload,
  hashKeyPayload,
  keyTagOf,
  stateIdOf,
} from "../../src/format/key-codec.ts";
import { KeyContext, encodeNamespace } from "../../src/state/key-context.ts";
import { RowAddress } from "../../src/state/row-address.ts";
import { RowAddresses } from "../../src/state/row-addresses.ts";

const parameters = { seed: Number(process.env["VARVE_SEED"] ?? 1), numRuns: 2000 };
const limits = { ...parameters, numRuns: 500 };

const key: fc.Arbitrary<Key> = fc.oneof(
  fc.double({ noNaN: true }),
  fc.integer(),
  fc.bigInt(),
  fc.bigInt({ min: -300n, max: 300n }),
  fc.string({ unit: "grapheme", maxLength: 40 }),
  fc.string({ unit: fc.constantFrom("\0", "\u0001", "a", "\u00ff", "🙂"), maxLength: 12 }),
  fc.string({ unit: fc.constantFrom("a", "b"), minLength: 900, maxLength: 1100 }),
  fc.uint8Array({ maxLength: 40 }),
  fc.uint8Array({ max: 2, maxLength: 8 }),
);

function encoded(one: Key): Uint8Array {
  return encodeNamespace(one);
}

function order(a: number | bigint | string | Uint8Array, b: typeof a): number {
  if (typeof a === "string" && typeof b === "string")
    return Buffer.compare(Buffer.from(a), Buffer.from(b));
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  return a < b ? -1 : a > b ? 1 : 0;
}

describe("keys", () => {
  test("read back as they were, and end where they end", () => {
    fc.assert(
      fc.property(key, fc.uint8Array({ maxLength: 5 }), (one, rest) => {
        const bytes = Uint8Array.of(...encoded(one), ...rest);
        const cursor = { offset: 0 };
        assert.deepEqual(decodeKey(bytes, cursor), one === 0 ? 0 : one);
        assert.equal(cursor.offset, bytes.length - rest.length);
      }),
      parameters,
    );
  });

  test("are prefix-free and ordered as their bytes", () => {
    fc.assert(
      fc.property(key, key, (one, other) => {
        const [a, b] = [encoded(one), encoded(other)];
        const compared = Math.sign(Buffer.compare(a, b));
        if (
          typeof one === typeof other &&
          one instanceof Uint8Array === other instanceof Uint8Array
        ) {
          assert.equal(compared, Math.sign(order(one, other)));
        } else {
          assert.notEqual(compared, 0);
        }
        const shorter = Math.min(a.length, b.length);
        const isPrefix = Buffer.compare(a.subarray(0, shorter), b.subarray(0, shorter)) === 0;
        assert.equal(isPrefix, compared === 0);
      }),
      parameters,
    );
  });

  test("are the same bytes, hash and group in the key context", () => {
    for (const max of [1, 128, 100, 32_768]) {
      const context = new KeyContext({ max, first: 0, last: max - 1 });
      fc.assert(
        fc.property(key, (one) => {
          context.set(one);
          context.materialize();
          const payload = encodeKeyPayload(one);
          assert.equal(context.hash, hashKeyPayload(keyTagOf(one), payload));
          assert.deepEqual(context.row.u8.slice(8, context.length), payload);
          assert.deepEqual(context.current(), one === 0 ? 0 : one);
          const group = keyGroupOf(context.hash, max);
          assert.equal(context.groupWord, (group >> 8) | ((group & 0xff) << 8));
        }),
        limits,
      );
    }
  });

  test("give the same row keys and hashes from stored bytes as from states", () => {
    const keyGroups = { max: 100, first: 0, last: 99 };
    const context = new KeyContext(keyGroups);
    const names = ["plain", "windowed"];
    const schemas = names.map((name) => ({
      name,
      id: stateIdOf(name),
      type: "value" as const,
      serializers: [],
      namespaces: name === "windowed",
    }));
    const addresses = schemas.map(
      ({ name, id, namespaces }) => new RowAddress(context, name, id, namespaces),
    );
    const selection = new RowAddresses(keyGroups, schemas);
    const node = fc.option(fc.nat({ max: 0xffff_ffff }), { nil: undefined });
    fc.assert(
      fc.property(key, key, node, fc.boolean(), (one, namespace, index, isWindowed) => {
        const which = isWindowed ? 1 : 0;
        const address = addresses[which]!;
        if (isWindowed) address.setNamespace(namespace);
        context.set(one);
        const row = index === undefined ? address.root() : address.node(index);
        const stored = row.view().slice();
        const hash = row.hash;
        assert.deepEqual(
          stored,
          expectedRow(one, schemas[which]!.id, isWindowed ? namespace : undefined, index),
        );
        const selected = selection.select(stored, "file");
        assert.deepEqual([selected.view().slice(), selected.hash], [stored, hash]);
        const words = Math.ceil(stored.length / 8) * 2;
        assert.deepEqual(selected.words.slice(0, words), row.words.slice(0, words), "padding");
      }),
      parameters,
    );
  });
});

/** A row key as docs/formats/row-key.md says. */
function expectedRow(
  one: Key,
  stateId: number,
  namespace: Key | undefined,
  node: number | undefined,
): Uint8Array {
  const payload = encodeKeyPayload(one);
  const head = Buffer.alloc(8);
  head.writeUInt16BE(keyGroupOf(hashKeyPayload(keyTagOf(one), payload), 100), 0);
  head.writeUInt32BE(stateId, 2);
  head[6] = node === undefined ? RowPart.root : RowPart.node;
  head[7] = keyTagOf(one);
  const tail = Buffer.alloc(node === undefined ? 0 : 4);
  if (node !== undefined) tail.writeUInt32BE(node, 0);
  const parts = [head, payload, ...(namespace === undefined ? [] : [encoded(namespace)]), tail];
  return new Uint8Array(Buffer.concat(parts));
}
