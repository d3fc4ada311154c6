// Table files with any fault, block checksums right. What the options do not touch is as LevelDB writes it.
import { varintBytes } from "../../src/common/varint.ts";
import { concatenate } from "../../src/format/frame-sequence.ts";
import { crc32c, maskCrc } from "../../src/format/leveldb-crc32c.ts";
import { type EntryType, encodeInternalKey } from "../../src/format/leveldb-internal-key.ts";
import { OVERFLOWING_VARINT, ascii, u32, varint } from "./craft.ts";

/** The numbers an entry says of itself; undefined: the truth. */
export interface CraftedEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly shared?: number;
  readonly own?: number;
  readonly valueBytes?: number;
  readonly overflows?: boolean;
}

export interface CraftedBlock {
  readonly entries: readonly CraftedEntry[];
  /** Offsets; undefined: the start. */
  readonly restarts?: readonly number[];
  readonly restartCount?: number;
  readonly type?: number;
  /** Instead of what the entries make. */
  readonly stored?: Uint8Array;
  /** Its key in the index. @defaultValue the last key */
  readonly separator?: Uint8Array;
  /** What the index says of its place. */
  readonly handle?: { readonly offset?: number; readonly length?: number };
  /** Bytes of nothing after it. */
  readonly gap?: number;
}

export interface CraftedTable {
  readonly blocks: readonly CraftedBlock[];
  readonly filter?: Uint8Array;
  readonly filterName?: string;
  readonly metaEntries?: number;
  readonly index?: Partial<CraftedBlock>;
  readonly indexTail?: Uint8Array;
  readonly footer?: { readonly indexLength?: number; readonly padding?: number };
}

const MAGIC = Uint8Array.of(0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb);

export function internalKey(userKey: Uint8Array, sequence: number, type: number = 1): Uint8Array {
  return encodeInternalKey(userKey, sequence, type as EntryType);
}

export function contentOf({ entries, restarts = [0], restartCount }: CraftedBlock): Uint8Array {
  const parts = entries.map(({ key, value, shared = 0, own, valueBytes, overflows }) => {
    const bytes = key.subarray(Math.min(shared, key.length));
    const last = overflows === true ? OVERFLOWING_VARINT : varint(valueBytes ?? value.length);
    return concatenate([varint(shared), varint(own ?? bytes.length), last, bytes, value]);
  });
  return concatenate([...parts, ...restarts.map(u32), u32(restartCount ?? restarts.length)]);
}

function storedOf(content: Uint8Array, type: number = 0): Uint8Array {
  const typed = concatenate([content, Uint8Array.of(type)]);
  return concatenate([typed, u32(maskCrc(crc32c(typed, 0, typed.length)))]);
}

function handleOf(offset: number, length: number): Uint8Array {
  return concatenate([varint(offset), varint(length)]);
}

export function tableOf(table: CraftedTable): Uint8Array {
  const parts: Uint8Array[] = [];
  let at = 0;
  const add = (bytes: Uint8Array): void => {
    parts.push(bytes);
    at += bytes.length;
  };
  const index = table.blocks.map((block) => {
    const content = block.stored ?? contentOf(block);
    const offset = block.handle?.offset ?? at;
    const value = handleOf(offset, block.handle?.length ?? content.length);
    add(storedOf(content, block.type));
    add(new Uint8Array(block.gap ?? 0));
    return { key: block.separator ?? block.entries.at(-1)!.key, value };
  });
  const { filter, filterName = "filter.leveldb.BuiltinBloomFilter2", metaEntries = 1 } = table;
  const filterAt = at;
  if (filter !== undefined) add(storedOf(filter));
  const named = Array.from({ length: filter === undefined ? 0 : metaEntries }, (_none, count) => ({
    key: ascii(count === 0 ? filterName : `${filterName}${count}`),
    value: handleOf(filterAt, filter!.length),
  }));
  const metaindex = contentOf({ entries: named });
  const metaAt = at;
  add(storedOf(metaindex));
  const indexContent = indexOf(index, table);
  const indexAt = at;
  add(storedOf(indexContent));
  const { indexLength = indexContent.length, padding = 0 } = table.footer ?? {};
  const handles = concatenate([handleOf(metaAt, metaindex.length), handleOf(indexAt, indexLength)]);
  const footer = new Uint8Array(40).fill(padding);
  footer.set(handles);
  add(footer);
  add(MAGIC);
  return concatenate(parts);
}

interface Plain {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Every entry of an index is a restart. */
function indexOf(entries: readonly Plain[], { index, indexTail }: CraftedTable): Uint8Array {
  const tail = indexTail ?? new Uint8Array(0);
  const tailed = entries.map(({ key, value }) => ({ key, value: concatenate([value, tail]) }));
  let at = 0;
  const restarts = tailed.map(({ key, value }) => {
    const start = at;
    at += 1 + varintBytes(key.length) + varintBytes(value.length) + key.length + value.length;
    return start;
  });
  return contentOf({ entries: tailed, restarts, ...index });
}

/** As LevelDB's filter policy makes one of no keys: every filter is empty. */
export function filterOf(
  offsets: readonly number[] = [0],
  offsetsAt: number = 0,
  baseLog2: number = 11,
): Uint8Array {
  return concatenate([...offsets.map(u32), u32(offsetsAt), Uint8Array.of(baseLog2)]);
}
