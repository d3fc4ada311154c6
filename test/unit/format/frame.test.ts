import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { CorruptionError, InvariantViolation } from "../../../src/errors.ts";
import { loadFrameChecksum } from "../../../src/format/frame-checksum.ts";
import { decodeFrameSequence, encodeFrameSequence } from "../../../src/format/frame-sequence.ts";
import {
  FRAME_HEADER_BYTES,
  decodeFrame,
  encodeFrame,
  encodeFrameInto,
  readFrameHeader,
} from "../../../src/format/frame.ts";
import type { FrameTools } from "../../../src/format/frame.ts";
import { loadCodec, loadCodecNamed } from "../../../src/workers/codec.ts";
import { refuseEveryFlippedBit, refuseEveryOtherLength } from "../../support/damage.ts";
import { fixture } from "../../support/format-examples.ts";

const checksum = await loadFrameChecksum();
const tools: FrameTools = { checksum, codec: loadCodec() };
const source = { file: "f", fileOffset: 0, rawBytesMax: 1_048_576 };

function decode(bytes: Uint8Array, with_: FrameTools = tools): Uint8Array {
  const header = readFrameHeader(bytes, 0, bytes.length, source);
  const isWhole = bytes.length === FRAME_HEADER_BYTES + header.storedLength;
  if (!isWhole) throw new CorruptionError("bytes follow the frame", "f", 0);
  return decodeFrame(bytes, 0, header, with_, source);
}

describe("a frame", () => {
  test("encodes to the examples in the page", () => {
    const raw = encodeFrame(Buffer.from("varve"), { checksum });
    assert.equal(
      Buffer.from(raw).toString("hex"),
      "000000000500000005000000940f4d5ae1c01acb7661727665",
    );
    const lz4 = Uint8Array.from(decode(fixture("frame-lz4-v1.bin")));
    assert.deepEqual(lz4, new Uint8Array(64).fill(0x61));
    assert.deepEqual(decode(fixture("frame-raw-v1.bin")), new Uint8Array(Buffer.from("varve")));
  });

  test("brings back what went in, compressed or not", () => {
    const random = Uint8Array.from({ length: 1000 }, (_, index) => (index * 7919 * index) % 251);
    for (const bytes of [new Uint8Array(0), Uint8Array.of(1), random, new Uint8Array(100_000)]) {
      assert.deepEqual(Uint8Array.from(decode(encodeFrame(bytes, tools))), bytes);
      assert.deepEqual(decode(encodeFrame(bytes, { checksum })), bytes);
    }
  });

  test("is the same in memory that was used before, and leaves what is around it", () => {
    const random = Uint8Array.from({ length: 1000 }, (_, index) => (index * 7919 * index) % 251);
    for (const raw of [new Uint8Array(0), random, new Uint8Array(5000)]) {
      const used = new Uint8Array(raw.length + FRAME_HEADER_BYTES + 7).fill(0xee);
      const end = encodeFrameInto(used, 3, raw, tools);
      assert.deepEqual(used.slice(3, end), encodeFrame(raw, tools));
      assert.deepEqual([...used.slice(0, 3), ...used.slice(-4)], Array(7).fill(0xee));
      const short = used.subarray(0, raw.length + FRAME_HEADER_BYTES + 2);
      assert.throws(() => encodeFrameInto(short, 3, raw, tools), InvariantViolation);
    }
  });

  test("is raw where LZ4 would not shrink it", () => {
    const incompressible = Uint8Array.from({ length: 64 }, (_, index) => index);
    assert.equal(encodeFrame(incompressible, tools).length, FRAME_HEADER_BYTES + 64);
    assert.equal(encodeFrame(incompressible, tools)[0], 0);
    assert.equal(encodeFrame(new Uint8Array(64), tools)[0], 1);
  });

  test("refuses every flipped bit and every other length", () => {
    for (const raw of [Buffer.from("varve"), new Uint8Array(300).fill(97)]) {
      const clean = encodeFrame(raw, tools);
      refuseEveryFlippedBit(clean, decode);
      refuseEveryOtherLength(clean, decode);
    }
  });

  test("refuses unknown codecs and encryption by name", () => {
    const frame = encodeFrame(Buffer.from("x"), tools);
    const codec = Uint8Array.from(frame).fill(9, 0, 1);
    const encrypted = Uint8Array.from(frame).fill(1, 1, 2);
    assert.throws(() => decode(codec), { code: "VARVE_UNSUPPORTED_FORMAT", found: "codec 9" });
    assert.throws(() => decode(encrypted), {
      code: "VARVE_UNSUPPORTED_FORMAT",
      found: "encryption 1",
    });
  });

  test("refuses lengths beyond its limit, beyond the bytes there are, and absurd ratios", () => {
    const frame = Buffer.from(encodeFrame(new Uint8Array(1000), tools));
    for (const [offset, value] of [
      [4, 0xffff_ffff],
      [4, 1_048_576],
      [8, 0xffff_ffff],
      [8, 0],
    ] as const) {
      const dirty = Buffer.from(frame);
      dirty.writeUInt32LE(value, offset);
      assert.throws(() => decode(dirty), { code: "VARVE_CORRUPTION", file: "f", offsetBytes: 0 });
    }
  });

  test("is refused where only raw ones may be", () => {
    const frame = encodeFrame(new Uint8Array(1000), tools);
    assert.throws(() => decode(frame, { checksum }), { code: "VARVE_CORRUPTION" });
  });

  test("is the same for both libraries, and read by both", () => {
    const [native, napi] = [loadCodecNamed("lz4"), loadCodecNamed("lz4-napi")];
    assert.ok(napi, "lz4-napi is a dependency");
    const raw = Buffer.from("abcabcabd".repeat(1000));
    for (const writer of [native, napi]) {
      if (writer === undefined) continue; // Optional: not built on every machine.
      const frame = encodeFrame(raw, { checksum, codec: writer });
      for (const reader of [native, napi]) {
        if (reader === undefined) continue;
        const back = decode(frame, { checksum, codec: reader });
        assert.ok(raw.equals(back), `${writer.name} to ${reader.name}`);
      }
    }
  });

  test("hashes long bytes like short ones", () => {
    // Reference: xxh64 of the same bytes in one piece.
    const long = Uint8Array.from({ length: 700_001 }, (_, index) => index % 253);
    assert.equal(checksum.xxh64(long), checksum.xxh64(Uint8Array.from(long)));
    assert.equal(checksum.xxh64(new Uint8Array(0)), 0xef46db3751d8e999n);
  });
});

describe("a sequence of frames", () => {
  const encode = (bytes: Uint8Array): Uint8Array => encodeFrameSequence(bytes, tools);
  const decodeAll = (bytes: Uint8Array, max = 10_000_000): Uint8Array =>
    decodeFrameSequence(bytes, 0, max, tools, "f");

  test("brings back bytes of any length", () => {
    for (const length of [0, 1, 1_048_575, 1_048_576, 1_048_577, 3_000_000]) {
      const bytes = new Uint8Array(length).fill(5);
      assert.ok(Buffer.from(bytes).equals(decodeAll(encode(bytes))), `length ${length}`);
    }
  });

  test("refuses more than the reader allows, before decompressing", () => {
    const bomb = encode(new Uint8Array(3_000_000));
    assert.throws(() => decodeAll(bomb, 2_000_000), { code: "VARVE_CORRUPTION" });
  });

  test("refuses every flipped bit and every other length", () => {
    const clean = encode(Buffer.from("a short text, a short text"));
    refuseEveryFlippedBit(clean, (dirty) => decodeAll(dirty));
    refuseEveryOtherLength(clean, (dirty) => decodeAll(dirty));
  });

  test("refuses a frame after a short one", () => {
    const twice = Buffer.concat([encode(Buffer.from("a")), encode(Buffer.from("b"))]);
    assert.throws(() => decodeAll(twice), { code: "VARVE_CORRUPTION" });
  });
});
