// Changelog segments from lists of changes: what a writer of another kind would have written.
import { createHash } from "node:crypto";
import type { KeyGroupRange, SegmentHandle } from "../../src/api/keyed-state-backend.ts";
import type { Key } from "../../src/api/state.ts";
import { keyGroupOf } from "../../src/common/key-group.ts";
import { varintBytes, writeVarint } from "../../src/common/varint.ts";
import { ChangeKind } from "../../src/format/changelog-rows.ts";
import {
  type BatchHeader,
  encodeBatchHeader,
  encodeBatchIndex,
  encodeSegmentHeader,
} from "../../src/format/changelog-segment.ts";
import { concatenate } from "../../src/format/frame-sequence.ts";
import { type FrameTools, encodeFrame } from "../../src/format/frame.ts";
import {
  encodeKeyPayload,
  hashKeyPayload,
  keyTagOf,
  stateIdOf,
} from "../../src/format/key-codec.ts";

export interface TestChange {
  readonly kind: number;
  readonly key: Uint8Array;
  /** Row or elements; none for a delete. */
  readonly value?: Uint8Array | undefined;
}

export interface TestBatch {
  readonly keyGroups: KeyGroupRange;
  readonly afterChange: number;
  readonly upToChange: number;
  readonly changes: readonly TestChange[];
  /** Changes a frame. @defaultValue all */
  readonly frameRows?: number | undefined;
  /** For damage: what header and index say instead. */
  readonly header?: Partial<BatchHeader> | undefined;
  readonly groupsOf?: ((frame: readonly TestChange[]) => [first: number, last: number]) | undefined;
}

export function put(key: Uint8Array, value: Uint8Array): TestChange {
  return { kind: ChangeKind.put, key, value };
}

export function remove(key: Uint8Array): TestChange {
  return { kind: ChangeKind.delete, key };
}

export function append(key: Uint8Array, ...elements: readonly Uint8Array[]): TestChange {
  const parts = elements.flatMap((element) => [varint(element.length), element]);
  return { kind: ChangeKind.append, key, value: concatenate(parts) };
}

export interface RowKeyParts {
  readonly namespace?: Key | undefined;
  readonly node?: number | undefined;
  /** @defaultValue that of the key */
  readonly group?: number | undefined;
}

/** The row key of a state's key: docs/formats/row-key.md. */
export function rowKeyOf(state: string, key: Key, max: number, parts: RowKeyParts = {}): Buffer {
  const payload = encodeKeyPayload(key);
  const group = parts.group ?? keyGroupOf(hashKeyPayload(keyTagOf(key), payload), max);
  const prefix = Buffer.alloc(8);
  prefix.writeUInt16BE(group, 0);
  prefix.writeUInt32BE(stateIdOf(state), 2);
  prefix[6] = parts.node === undefined ? 0 : 1;
  prefix[7] = keyTagOf(key);
  const namespace =
    parts.namespace === undefined
      ? []
      : [Buffer.of(keyTagOf(parts.namespace)), encodeKeyPayload(parts.namespace)];
  const node = Buffer.alloc(parts.node === undefined ? 0 : 4);
  if (parts.node !== undefined) node.writeUInt32BE(parts.node);
  return Buffer.concat([prefix, payload, ...namespace, node]);
}

export function groupOf(key: Uint8Array): number {
  return key[0]! * 256 + key[1]!;
}

export function encodeChange({ kind, key, value }: TestChange): Uint8Array {
  const head = [Buffer.of(kind), varint(key.length), key];
  return concatenate(value === undefined ? head : [...head, varint(value.length), value]);
}

function varint(value: number): Uint8Array {
  const bytes = new Uint8Array(varintBytes(value));
  writeVarint(bytes, 0, value);
  return bytes;
}

/** Changes are put in the order of their key groups, as writers do, unless `groupsOf` is given. */
export function encodeBatch(batch: TestBatch, tools: FrameTools): Uint8Array {
  const { keyGroups, afterChange, upToChange, groupsOf } = batch;
  const changes = [...batch.changes];
  if (groupsOf === undefined) changes.sort((a, b) => groupOf(a.key) - groupOf(b.key));
  const rowsMax = batch.frameRows ?? Math.max(1, changes.length);
  const frames: { bytes: Uint8Array; rows: readonly TestChange[] }[] = [];
  for (let at = 0; at < changes.length; at += rowsMax) {
    const rows = changes.slice(at, at + rowsMax);
    frames.push({ rows, bytes: encodeFrame(concatenate(rows.map(encodeChange)), tools) });
  }
  const frameBytes = concatenate(frames.map(({ bytes }) => bytes));
  const header: BatchHeader = {
    keyGroupCount: keyGroups.max,
    firstKeyGroup: keyGroups.first,
    lastKeyGroup: keyGroups.last,
    afterChange,
    upToChange,
    frameCount: frames.length,
    frameBytes: frameBytes.length,
    rowCount: changes.length,
    ...batch.header,
  };
  const index = frames.map(({ bytes, rows }) => {
    const [firstKeyGroup, lastKeyGroup] = groupsOf?.(rows) ?? [
      groupOf(rows[0]!.key),
      groupOf(rows.at(-1)!.key),
    ];
    return { firstKeyGroup, lastKeyGroup, lengthBytes: bytes.length };
  });
  const { checksum } = tools;
  return concatenate([
    encodeBatchHeader(header, checksum),
    frameBytes,
    encodeBatchIndex(index, checksum),
  ]);
}

export function encodeSegment(batches: readonly TestBatch[], tools: FrameTools): Uint8Array {
  return concatenate([encodeSegmentHeader(), ...batches.map((batch) => encodeBatch(batch, tools))]);
}

/** The handle of a segment's first bytes. */
export function segmentHandle(
  id: string,
  bytes: Uint8Array,
  lengthBytes: number = bytes.length,
): SegmentHandle {
  const sha256 = createHash("sha256").update(bytes.subarray(0, lengthBytes)).digest("hex");
  return { id, lengthBytes, sha256 };
}
