// Goal: X1, a codec writes what its serializer writes, reads it back, and refuses what it refuses.
import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, test } from "vitest";
import { ScratchSink } from "../../../src/state/byte-sink.ts";
import { ScratchSource } from "../../../src/state/byte-source.ts";
import { fixedCodecOf, orderedCodecOf } from "../../../src/state/fixed-codec.ts";
import { bool, f64, i64, u32, utf8 } from "../../../src/state/serializers.ts";
import type { Serializer } from "../../../src/api/serializer.ts";

const edges = [0, -0, 1, -1, 2 ** 31, -(2 ** 31), 2 ** 32 - 1, 2 ** 32, -(2 ** 32), 2 ** 53 - 1];
const values = fc.oneof(
  fc.constantFrom(...edges, ...edges.map((edge) => -edge)),
  fc.maxSafeInteger(),
  fc.nat(),
  fc.double(),
  fc.constantFrom<unknown>("1", null, true, 1n, {}, 2 ** 53, -(2 ** 53)),
);

const subjects: Readonly<Record<string, Serializer<number>>> = { f64, i64, u32 };

function bytesOrRefusal(write: () => Uint8Array): string {
  try {
    return Buffer.from(write()).toString("hex");
  } catch (error) {
    return String(error);
  }
}

describe("codecs of a fixed length", () => {
  test.for(Object.keys(subjects))("%s: as its serializer", (name) => {
    const serializer = subjects[name]!;
    const codec = fixedCodecOf(serializer as Serializer<unknown>)!;
    assert.equal(codec.bytes, serializer.fixedBytes);
    fc.assert(
      fc.property(values, (value) => {
        const sink = new ScratchSink();
        const byCodec = new Uint8Array(codec.bytes + 3);
        const view = new DataView(byCodec.buffer);
        const expected = bytesOrRefusal(() => {
          serializer.serialize(value as number, sink);
          return sink.written();
        });
        const found = bytesOrRefusal(() => {
          codec.write(view, 3, value);
          return byCodec.subarray(3);
        });
        assert.equal(found, expected);
        if (expected !== found || found.includes("Error")) return;
        const source = new ScratchSource(byCodec).seek(3, codec.bytes);
        assert.ok(Object.is(codec.read(view, 3), serializer.deserialize(source)));
      }),
    );
  });

  test.for(Object.keys(subjects))("%s as a map key: as its serializer", (name) => {
    const { ordered } = subjects[name]!;
    const codec = orderedCodecOf(subjects[name]! as Serializer<unknown>)!;
    fc.assert(
      fc.property(values, (value) => {
        const sink = new ScratchSink();
        const byCodec = new Uint8Array(codec.bytes + 3);
        const expected = bytesOrRefusal(() => {
          ordered!.serialize(value as number, sink);
          return sink.written();
        });
        const found = bytesOrRefusal(() => {
          codec.write(new DataView(byCodec.buffer), 3, value);
          return byCodec.subarray(3);
        });
        assert.equal(found, expected);
        if (found.includes("Error")) return;
        const source = new ScratchSource(byCodec).seek(3, codec.bytes);
        const read = codec.read(new DataView(byCodec.buffer), 3);
        assert.ok(Object.is(read, ordered!.deserialize(source)));
      }),
    );
  });

  test("a stored i64 that is no safe integer is refused", () => {
    const view = new DataView(new ArrayBuffer(8));
    view.setInt32(4, 0x20_0000, true);
    const codec = fixedCodecOf(i64 as Serializer<unknown>)!;
    assert.throws(() => codec.read(view, 0), { code: "VARVE_CORRUPTION" });
  });

  test("others have none", () => {
    assert.equal(fixedCodecOf(utf8 as Serializer<unknown>), undefined);
    assert.equal(fixedCodecOf(bool as Serializer<unknown>), undefined);
    assert.equal(orderedCodecOf(utf8 as Serializer<unknown>), undefined);
    assert.equal(orderedCodecOf(bool as Serializer<unknown>), undefined);
  });
});
