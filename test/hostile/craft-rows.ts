// The rows of the bases, and files that hold rows: any rows, in any order.
import { keyGroupOf } from "../../src/common/key-group.ts";
import { concatenate } from "../../src/format/frame-sequence.ts";
import {
  encodeKeyPayload,
  hashKeyPayload,
  keyTagOf,
  stateIdOf,
} from "../../src/format/key-codec.ts";
import type { Key } from "../../src/api/state.ts";
import {
  type Base,
  ascii,
  fileListOf,
  frame,
  header,
  sharedEntry,
  varint,
  xxh64,
} from "./craft.ts";
import { internalKey, tableOf } from "./craft-table.ts";
import type { CraftedTable } from "./craft-table.ts";
import type { Objects } from "./case-files.ts";

export const KEY_GROUPS = 128;
/** Sequence of every crafted entry, and of the lists that name them. */
export const SEQUENCE = 9;

export interface Row {
  readonly key: Uint8Array;
  readonly row: Uint8Array;
}

export interface KeyParts {
  readonly state: string;
  readonly key: Key;
  readonly namespace?: Key;
  /** Chunk or node. */
  readonly node?: number;
  readonly part?: number;
  readonly group?: number;
}

export function rowKey({ state, key, namespace, node, part, group }: KeyParts): Uint8Array {
  const payload = encodeKeyPayload(key);
  const start = Buffer.alloc(8);
  start.writeUInt16BE(group ?? keyGroupOf(hashKeyPayload(keyTagOf(key), payload), KEY_GROUPS), 0);
  start.writeUInt32BE(stateIdOf(state), 2);
  start.writeUInt8(part ?? (node === undefined ? 0 : 1), 6);
  start.writeUInt8(keyTagOf(key), 7);
  const end = Buffer.alloc(node === undefined ? 0 : 4);
  if (node !== undefined) end.writeUInt32BE(node);
  const space =
    namespace === undefined
      ? []
      : [Uint8Array.of(keyTagOf(namespace)), encodeKeyPayload(namespace)];
  return concatenate([start, payload, ...space, end]);
}

export function f64Row(value: number): Uint8Array {
  const row = Buffer.alloc(9, 1);
  row.writeDoubleLE(value, 1);
  return row;
}

/** A row of these bytes, in hexadecimal. */
export function hex(text: string): Uint8Array {
  return Buffer.from(text.replaceAll(" ", ""), "hex");
}

const a = (state: string, more: Partial<KeyParts> = {}): Uint8Array =>
  rowKey({ state, key: "a", ...more });

/** What the bases hold, ascending. */
export function intactRows(): Row[] {
  return sorted([
    { key: rowKey({ state: "total", key: 1 }), row: f64Row(1.5) },
    { key: a("total"), row: f64Row(2.5) },
    { key: a("tags"), row: hex("02 0000000000000000 0178 0179") },
    { key: a("by"), row: hex("05 01 08 6d 000000000000f03f") },
    { key: a("window", { namespace: 7 }), row: hex("01 0500000000000000") },
  ]);
}

export function sorted(rows: readonly Row[]): Row[] {
  return [...rows].sort((one, other) => Buffer.compare(one.key, other.key));
}

/** The intact rows with these added, or put in the place of those with the same key. */
export function rowsWith(...changed: readonly Row[]): Row[] {
  const isChanged = ({ key }: Row): boolean =>
    changed.some((other) => Buffer.compare(other.key, key) === 0);
  return sorted([...intactRows().filter((row) => !isChanged(row)), ...changed]);
}

// Sets of tables.

export interface TableEntry {
  readonly level?: number;
  readonly number?: number;
  readonly smallest: Uint8Array;
  readonly largest: Uint8Array;
}

export interface SstBody {
  readonly kind?: number;
  readonly count?: Uint8Array;
  readonly lastSequence?: number;
  readonly nextFile?: number;
  readonly files: readonly (TableEntry & { readonly shared: Uint8Array })[];
  readonly tail?: Uint8Array;
}

export function sstBody(body: SstBody): Uint8Array {
  const { kind = 1, files, lastSequence = SEQUENCE, nextFile = 9 } = body;
  const entries = files.flatMap(({ shared, level = 1, number = 5, smallest, largest }) => [
    shared,
    Uint8Array.of(level),
    varint(number),
    varint(smallest.length),
    smallest,
    varint(largest.length),
    largest,
  ]);
  return concatenate([
    Uint8Array.of(kind),
    body.count ?? varint(files.length),
    varint(lastSequence),
    varint(nextFile),
    ...entries,
    body.tail ?? new Uint8Array(0),
  ]);
}

/** The lsm base with this table, which the list says to hold the intact rows if nothing else. */
export function withTable(
  base: Base,
  table: Uint8Array | CraftedTable,
  said: Partial<TableEntry> & { readonly lastSequence?: number } = {},
): Objects {
  const bytes = table instanceof Uint8Array ? table : tableOf(table);
  const rows = intactRows();
  const entry = {
    smallest: internalKey(rows[0]!.key, SEQUENCE),
    largest: internalKey(rows.at(-1)!.key, SEQUENCE),
    ...said,
  };
  const files = [{ ...entry, shared: sharedEntry(base.dataId, bytes) }];
  const { lastSequence = SEQUENCE } = said;
  return base.withData(bytes, sstBody({ files, lastSequence }));
}

/** The lsm base with a table of these rows, and a list that says so. */
export function withTableOfRows(base: Base, rows: readonly Row[]): Objects {
  const entries = rows.map(({ key, row }) => ({ key: internalKey(key, SEQUENCE), value: row }));
  const [smallest, largest] = [entries[0]!.key, entries.at(-1)!.key];
  return withTable(base, { blocks: [{ entries }] }, { smallest, largest });
}

// Dumps.

export interface CraftedDump {
  /** Raw bytes of each frame. */
  readonly frames: readonly Uint8Array[];
  readonly header?: Uint8Array;
  readonly footer?: {
    readonly frames?: number;
    readonly rows?: number;
    readonly rawBytes?: number | bigint;
    readonly magic?: string;
  };
  readonly rowCount: number;
}

export function dumpRow({ key, row }: Row): Uint8Array {
  return concatenate([varint(key.length), key, varint(row.length), row]);
}

export function dumpOf({ frames, header: start, footer = {}, rowCount }: CraftedDump): Uint8Array {
  const end = Buffer.alloc(40);
  end.write(footer.magic ?? "VARVEEND", 0, "latin1");
  end.writeBigUInt64LE(BigInt(footer.frames ?? frames.length), 8);
  end.writeBigUInt64LE(BigInt(footer.rows ?? rowCount), 16);
  const rawBytes = frames.reduce((sum, { length }) => sum + length, 0);
  end.writeBigUInt64LE(BigInt(footer.rawBytes ?? rawBytes), 24);
  end.writeBigUInt64LE(xxh64(end.subarray(0, 32)), 32);
  return concatenate([start ?? header("VARVEDMP"), ...frames.map((raw) => frame(raw)), end]);
}

export function dumpOfRows(rows: readonly Row[]): Uint8Array {
  return dumpOf({ frames: [concatenate(rows.map(dumpRow))], rowCount: rows.length });
}

/** The memory or canonical base with this dump, and a list that says to hold so many rows. */
export function withDump(
  base: Base,
  dump: Uint8Array,
  rowCount: number,
  groups: readonly [number, number] = [23, 126],
): Objects {
  return base.withData(dump, dumpBody(base, [{ id: base.dataId, dump, rowCount, groups }]));
}

export function dumpBody(
  base: Base,
  files: readonly {
    readonly id: string;
    readonly dump: Uint8Array;
    readonly rowCount: number;
    readonly groups?: readonly [number, number];
  }[],
): Uint8Array {
  const isCanonical = base.name === "canonical";
  const entries = files.flatMap(({ id, dump, rowCount, groups = [0, 127] }) => {
    const ends = isCanonical ? [varint(groups[0]), varint(groups[1])] : [];
    return [sharedEntry(id, dump), varint(rowCount), ...ends];
  });
  return concatenate([Uint8Array.of(isCanonical ? 3 : 2), varint(files.length), ...entries]);
}

/** The base, of whichever kind, with these rows. */
export function withRows(base: Base, rows: readonly Row[]): Objects {
  return base.name === "lsm"
    ? withTableOfRows(base, rows)
    : withDump(base, dumpOfRows(rows), rows.length);
}

export { ascii, fileListOf };
