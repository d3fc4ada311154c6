import assert from "node:assert/strict";
import * as fc from "fast-check";
import { describe, test } from "vitest";
import {
  BATCHES_MAX,
  BATCH_HEADER_BYTES,
  FRAMES_MAX,
  SEGMENT_HEADER_BYTES,
  encodeBatchHeader,
  encodeBatchIndex,
  encodeSegmentHeader,
  segmentFile,
} from "../../../src/format/changelog-segment.ts";
import {
  type SegmentBatch,
  SegmentWalk,
  readBatchFrame,
  readSegmentBatches,
} from "../../../src/format/changelog-walk.ts";
import { CorruptionError, UnsupportedFormatError } from "../../../src/errors.ts";
import { loadFrameChecksum } from "../../../src/format/frame-checksum.ts";
import { concatenate } from "../../../src/format/frame-sequence.ts";
import { loadCodec } from "../../../src/workers/codec.ts";
import {
  type TestBatch,
  type TestChange,
  append,
  encodeSegment,
  put,
  remove,
  rowKeyOf,
} from "../../support/changelog-segments.ts";
import { refuseEveryFlippedBit, refuseEveryOtherLength } from "../../support/damage.ts";
import { fixture } from "../../support/format-examples.ts";
import { isLong } from "../../support/long-tests.ts";

const checksum = await loadFrameChecksum();
const tools = { checksum, codec: loadCodec() };
const keyGroups = { max: 128, first: 0, last: 127 };
/** In their key groups' order: 23, 23, 126. */
const changes: readonly TestChange[] = [
  put(rowKeyOf("total", "a", 128), Buffer.from("010203", "hex")),
  append(rowKeyOf("a", "a", 128), Buffer.from("bc")),
  remove(rowKeyOf("total", 1, 128)),
];
/** The page's. */
const example: readonly TestBatch[] = [
  { keyGroups, afterChange: 4, upToChange: 6, changes, frameRows: 2 },
];

function encode(batches: readonly TestBatch[]): Uint8Array {
  return encodeSegment(batches, { checksum }); // Raw frames: the bytes are those of any codec.
}

/** All that a segment holds: its batches, and the raw bytes of their frames. */
function decode(bytes: Uint8Array): { batches: SegmentBatch[]; raw: string[] } {
  const batches = readSegmentBatches(bytes, checksum, "s");
  const frames = batches.flatMap((batch) => batch.frames);
  const raw = frames.map((frame) => {
    return Buffer.from(readBatchFrame(bytes, frame, tools, "s")).toString("hex");
  });
  return { batches, raw };
}

describe("a changelog segment", () => {
  test("has the bytes of the fixture, forever", () => {
    assert.deepEqual(encode(example), fixture("changelog-segment-v1.bin"));
    const { batches, raw } = decode(fixture("changelog-segment-v1.bin"));
    assert.equal(batches.length, 1);
    const [first] = batches;
    assert.deepEqual(
      { ...first, frames: [] },
      {
        keyGroupCount: 128,
        firstKeyGroup: 0,
        lastKeyGroup: 127,
        afterChange: 4,
        upToChange: 6,
        frameCount: 2,
        frameBytes: 92,
        rowCount: 3,
        offset: 16,
        end: 188,
        frames: [],
      },
    );
    assert.deepEqual(first!.frames, [
      { offset: 72, lengthBytes: 54, rawLength: 34, firstKeyGroup: 23, lastKeyGroup: 23 },
      { offset: 126, lengthBytes: 38, rawLength: 18, firstKeyGroup: 126, lastKeyGroup: 126 },
    ]);
    assert.equal(raw.length, 2);
  });

  test("may have no batches, and batches no frames", () => {
    assert.deepEqual(decode(encode([])), { batches: [], raw: [] });
    const none = { keyGroups, afterChange: 0, upToChange: 1, changes: [] };
    assert.equal(decode(encode([none, none])).batches.length, 2);
  });

  test("refuses every flipped bit and every other length", () => {
    refuseEveryFlippedBit(encode(example), decode);
    const whole = encode(example);
    for (const length of Array.from({ length: whole.length }, (_, index) => index)) {
      if (length === SEGMENT_HEADER_BYTES) continue; // Without batches: whole.
      assert.throws(() => decode(whole.subarray(0, length)), CorruptionError, `length ${length}`);
    }
    refuseEveryOtherLength(encode([]), decode);
  });

  test("is the same read in pieces of any length", () => {
    const group = fc.integer({ min: 0, max: 127 });
    const change = fc.tuple(group, fc.uint8Array({ minLength: 1, maxLength: 300 }));
    const batch = fc.record({
      frameRows: fc.integer({ min: 1, max: 5 }),
      rows: fc.array(change, { maxLength: 20 }),
    });
    const segments = fc.array(batch, { maxLength: 5 });
    fc.assert(
      fc.property(segments, fc.array(fc.integer({ min: 1, max: 200 })), (list, pieces) => {
        const batches = list.map(({ frameRows, rows }, index): TestBatch => {
          const own = rows.map(([at, value]) =>
            put(rowKeyOf("total", at, 128, { group: at }), value),
          );
          return { keyGroups, afterChange: index, upToChange: index + 1, changes: own, frameRows };
        });
        const bytes = encodeSegment(batches, tools);
        const found: SegmentBatch[] = [];
        const walk = new SegmentWalk(bytes.length, checksum, "s", (one) => found.push(one));
        let at = 0;
        for (const length of pieces) {
          walk.add(bytes.subarray(at, at + length));
          at += length;
        }
        walk.add(bytes.subarray(at));
        walk.finish();
        assert.deepEqual(found, readSegmentBatches(bytes, checksum, "s"));
        assert.deepEqual(
          found.map(({ rowCount }) => rowCount),
          list.map(({ rows }) => rows.length),
        );
        const ends = found.map(({ end }) => end);
        assert.equal(ends.at(-1) ?? SEGMENT_HEADER_BYTES, bytes.length);
      }),
      { numRuns: 100 },
    );
  });

  test("stands in registries by its id alone", () => {
    const id = "ab".repeat(16);
    assert.deepEqual(segmentFile({ id }), { id, lengthBytes: 0, sha256: "0".repeat(64) });
  });
});

describe("hostile segments are refused before anything is allocated", () => {
  const header = {
    keyGroupCount: 128,
    firstKeyGroup: 0,
    lastKeyGroup: 127,
    afterChange: 0,
    upToChange: 1,
    frameCount: 0,
    frameBytes: 0,
    rowCount: 0,
  };
  const segment = (changed: Partial<typeof header>, rest: readonly Uint8Array[] = []): Buffer =>
    Buffer.from(
      concatenate([
        encodeSegmentHeader(),
        encodeBatchHeader({ ...header, ...changed }, checksum),
        ...rest,
      ]),
    );
  const refused = (bytes: Uint8Array, pattern: RegExp): void => {
    assert.throws(() => decode(bytes), { name: "CorruptionError", message: pattern });
  };
  const empty = encodeBatchIndex([], checksum);

  test("lengths and counts that do not fit", () => {
    refused(segment({ frameBytes: 2 ** 52 }, [empty]), /beyond its segment/);
    refused(segment({ frameCount: 4_194_304 }, [empty]), /beyond its segment/);
    refused(segment({ rowCount: 1 }, [empty]), /disagree/);
    refused(segment({ frameBytes: 8 }, [Buffer.alloc(8), empty]), /disagree/);
    const frame = Buffer.alloc(40);
    const one = encodeBatchIndex(
      [{ firstKeyGroup: 0, lastKeyGroup: 0, lengthBytes: 40 }],
      checksum,
    );
    frame.writeUInt32LE(0xffff_ffff, 4);
    frame.writeUInt32LE(0xffff_ffff, 8);
    refused(segment({ frameCount: 1, frameBytes: 40 }, [frame, one]), /longer than it can be/);
    frame.fill(0);
    frame[0] = 1; // 20 bytes that say they are a MiB.
    frame.writeUInt32LE(1_048_576, 4);
    frame.writeUInt32LE(20, 8);
    refused(segment({ frameCount: 1, frameBytes: 40 }, [frame, one]), /lengths of a frame/);
  });

  test("impossible headers", () => {
    refused(segment({ keyGroupCount: 0 }, [empty]), /impossible/);
    refused(segment({ keyGroupCount: 40_000 }, [empty]), /impossible/);
    refused(segment({ firstKeyGroup: 9, lastKeyGroup: 8 }, [empty]), /impossible/);
    refused(segment({ lastKeyGroup: 128 }, [empty]), /impossible/);
    refused(segment({ afterChange: 2 ** 53, upToChange: 2 ** 53 + 2 }, [empty]), /impossible/);
  });

  test("indexes that do not ascend, or are not those of the frames", () => {
    const [first] = readSegmentBatches(encode(example), checksum, "s");
    const frames = first!.frames;
    const at = 16 + BATCH_HEADER_BYTES;
    const { frameCount, frameBytes, rowCount } = first!;
    const stored = encode(example).subarray(at, at + frameBytes);
    const counts = { frameCount, frameBytes, rowCount };
    const withIndex = (index: readonly (typeof frames)[number][]): Uint8Array =>
      segment(counts, [stored, encodeBatchIndex(index, checksum)]);
    assert.equal(decode(withIndex(frames)).batches.length, 1);
    const [a, b] = [frames[0]!, frames[1]!];
    refused(withIndex([b, a]), /disagree/);
    refused(withIndex([{ ...a, lastKeyGroup: 127 }, b]), /disagree/);
    refused(withIndex([{ ...a, firstKeyGroup: 24 }, b]), /disagree/);
    refused(withIndex([a, { ...b, lastKeyGroup: 128 }]), /disagree/);
    refused(withIndex([{ ...a, lengthBytes: a.lengthBytes + 1 }, b]), /disagree/);
  });

  test("more frames than a segment has", () => {
    const [first] = readSegmentBatches(encode(example), checksum, "s");
    const whole = encode(example);
    const next = encodeBatchHeader({ ...header, frameCount: FRAMES_MAX - 1 }, checksum);
    const walk = new SegmentWalk(2 ** 30, checksum, "s", () => undefined);
    walk.add(whole);
    assert.equal(first!.frameCount, 2);
    assert.throws(() => walk.add(next), { message: /more batches or frames/ });
  });

  test.runIf(isLong)("more batches than a segment has", () => {
    const one = { keyGroups, afterChange: 0, upToChange: 1, changes: [] };
    const batch = encode([one]).subarray(16);
    const many = Buffer.alloc(batch.length * 4096);
    for (let at = 0; at < many.length; at += batch.length) many.set(batch, at);
    let count = 0;
    const length = 16 + batch.length * (BATCHES_MAX + 1);
    const walk = new SegmentWalk(length, checksum, "s", () => count++);
    walk.add(encodeSegmentHeader());
    assert.throws(
      () => {
        for (let added = 0; added <= BATCHES_MAX; added += 4096) walk.add(many);
      },
      { message: /more batches/ },
    );
    assert.equal(count, BATCHES_MAX);
  });

  test("another version is refused by name", () => {
    const bytes = Buffer.from(encode(example));
    bytes[8] = 2;
    assert.throws(() => decode(bytes), UnsupportedFormatError);
    bytes[8] = 1;
    bytes[12] = 1;
    refused(bytes, /reserved/);
  });
});
