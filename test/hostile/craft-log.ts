// Changelog segments of a base, and metadata that names them: every hash is right.
import { ChangeKind } from "../../src/format/changelog-rows.ts";
import { concatenate } from "../../src/format/frame-sequence.ts";
import type { Objects } from "./case-files.ts";
import {
  type Base,
  METADATA,
  ascii,
  frame,
  header,
  metadataOf,
  sha256,
  swap,
  u32,
  varint,
  xxh64,
} from "./craft.ts";
import { KEY_GROUPS } from "./craft-rows.ts";

export const SEGMENT_ID: string = "5e".repeat(16);
export const SEGMENT: string = `files/${SEGMENT_ID}`;

export interface CraftedChange {
  readonly kind?: number;
  readonly key: Uint8Array;
  readonly value?: Uint8Array;
}

export function change({ kind = ChangeKind.put, key, value }: CraftedChange): Uint8Array {
  const head = [Uint8Array.of(kind), varint(key.length), key];
  return concatenate(value === undefined ? head : [...head, varint(value.length), value]);
}

export interface CraftedBatch {
  readonly magic?: string;
  readonly keyGroups?: readonly [count: number, first: number, last: number];
  readonly reserved?: number;
  readonly after?: number | bigint;
  readonly upTo?: number | bigint;
  /** Stored frames; their index gives each the key groups of `groups`. */
  readonly frames: readonly Uint8Array[];
  readonly groups?: readonly (readonly [first: number, last: number])[];
  readonly rowCount?: number | bigint;
  readonly frameCount?: number;
  readonly frameBytes?: number | bigint;
  /** Lengths of the index instead of the frames'. */
  readonly lengths?: readonly number[];
  /** Flips the lowest bit of a checksum. */
  readonly damagedSum?: "header" | "index";
}

/** Rows of the example: one change a frame unless it is told. */
export function batch(one: CraftedBatch, changeNumber: number): Uint8Array {
  const { frames, keyGroups = [KEY_GROUPS, 0, KEY_GROUPS - 1] } = one;
  const stored = concatenate(frames);
  const head = Buffer.alloc(56);
  head.write(one.magic ?? "VBAT", 0, "latin1");
  keyGroups.forEach((group, index) => head.writeUInt16LE(group, 4 + index * 2));
  head.writeUInt16LE(one.reserved ?? 0, 10);
  head.writeUInt32LE(one.frameCount ?? frames.length, 12);
  const numbers = [
    one.after ?? changeNumber,
    one.upTo ?? changeNumber + 1,
    one.frameBytes ?? stored.length,
    one.rowCount ?? frames.length,
  ];
  numbers.forEach((value, index) => head.writeBigUInt64LE(BigInt(value), 16 + index * 8));
  const flip = (which: "header" | "index"): bigint => (one.damagedSum === which ? 1n : 0n);
  head.writeBigUInt64LE(xxh64(head.subarray(0, 48)) ^ flip("header"), 48);
  const index = Buffer.alloc(frames.length * 8 + 8);
  frames.forEach(({ length }, number) => {
    const [first, last] = one.groups?.[number] ?? [0, KEY_GROUPS - 1];
    index.writeUInt16LE(first, number * 8);
    index.writeUInt16LE(last, number * 8 + 2);
    index.writeUInt32LE(one.lengths?.[number] ?? length, number * 8 + 4);
  });
  const sumAt = index.length - 8;
  index.writeBigUInt64LE(xxh64(index.subarray(0, sumAt)) ^ flip("index"), sumAt);
  return concatenate([head, stored, index]);
}

export function segmentOf(...batches: readonly Uint8Array[]): Uint8Array {
  return concatenate([header("VARVESEG"), ...batches]);
}

/** A frame of these changes. */
export function rowsFrame(...changes: readonly Uint8Array[]): Uint8Array {
  return frame(concatenate(changes));
}

export function changeNumberOf(base: Base): number {
  return Number(/"changeNumber":(\d+)/.exec(base.text)![1]);
}

export interface LogFields {
  readonly id?: string;
  readonly lengthBytes?: number | string;
  readonly sha256?: string;
  /** All of the list. */
  readonly segments?: string;
  readonly baseChange?: number;
  /** Of the handle. */
  readonly changeNumber?: number;
}

/** The metadata's JSON with a log of this segment, whose one batch has the changes after the base. */
export function textWithLog(base: Base, segment: Uint8Array, fields: LogFields = {}): string {
  const number = changeNumberOf(base);
  const id = fields.id ?? SEGMENT_ID;
  const digest = fields.sha256 ?? sha256(segment);
  const length = fields.lengthBytes ?? segment.length;
  const segments =
    fields.segments ?? `[{"id":"${id}","lengthBytes":${length},"sha256":"${digest}"}]`;
  const log = `"log":{"baseChangeNumber":${fields.baseChange ?? number},"segments":${segments}}`;
  const text = swap(base.text, `},"states"`, `},${log},"states"`);
  const change = fields.changeNumber ?? number + 1;
  return swap(text, `"changeNumber":${number}`, `"changeNumber":${change}`);
}

/** What differs if the base has a log of this segment. */
export function withLog(base: Base, segment: Uint8Array, fields: LogFields = {}): Objects {
  return new Map([
    [SEGMENT, segment],
    [METADATA, metadataOf(textWithLog(base, segment, fields))],
  ]);
}

/** Bytes behind the length that a handle names. */
export const TORN_TAIL: Uint8Array = concatenate([ascii("VBAT"), u32(0xffff_ffff)]);
