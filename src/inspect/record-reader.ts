// What a key has in a state, put together from its rows: a value, or a collection that is packed or
// spread over chunks and nodes. Page: docs/formats/row.md.
//   R1. Root rows come in the order of key and namespace, and so do nodes: both are read side by side,
//       once, and only the rows of one collection are held.
//   R2. A chunk or node that is missing, or of another kind than its place asks for, is damage. Rows
//       that no root leads to are passed over, as every reader does.
import type { StateSchema } from "../api/keyed-state-backend.ts";
import { unreachable } from "../common/assert.ts";
import { CorruptionError } from "../errors.ts";
import { PART_OFFSET, RowPart } from "../format/key-codec.ts";
import {
  LIST_PACKED_HEADER_BYTES,
  decodeListDirectory,
  listChunkElements,
} from "../format/list-row.ts";
import { type MapChild, decodeChildren, decodeMapRoot } from "../format/map-row.ts";
import { RowKind, checkRowHeader } from "../format/row-value.ts";
import { type KeyRange, type Row, RowCursor, type RowSource, rangeOf } from "./row-source.ts";

const NODE_NUMBER_BYTES = 4;
const BATCH_RECORDS = 256;
const BATCH_BYTES = 262_144;

export type ContentKind = "value" | "list" | "map";

export interface StateRecord {
  readonly keyGroup: number;
  /** Key of the root row. */
  readonly rootKey: Uint8Array;
  readonly kind: ContentKind;
  /** Serialized value; or elements; or entries. Views. */
  readonly parts: readonly Uint8Array[];
}

/** The records of a state in a key group, in the order of their keys' bytes. */
export async function* readRecords(
  source: RowSource,
  schema: StateSchema,
  keyGroup: number,
  keys: KeyRange,
): AsyncGenerator<readonly StateRecord[], void, void> {
  const nodes = new NodeReader(source, schema, keyGroup, keys);
  let batch: StateRecord[] = [];
  let batchBytes = 0;
  try {
    for await (const roots of source.rows(rangeOf(keyGroup, schema, RowPart.root, keys))) {
      for (const root of roots) {
        const record = await readRecord(root, schema, keyGroup, nodes);
        batch.push(record);
        for (const part of record.parts) batchBytes += part.length;
        if (batch.length < BATCH_RECORDS && batchBytes < BATCH_BYTES) continue;
        yield batch;
        batch = [];
        batchBytes = 0;
      }
    }
    if (batch.length > 0) yield batch;
  } finally {
    await nodes.close();
  }
}

/** All parts as one: the same for the same content, however it is spread over rows. */
export function contentOf(record: StateRecord): Uint8Array {
  return record.parts.length === 1 ? record.parts[0]! : Buffer.concat(record.parts);
}

async function readRecord(
  { key: rootKey, row }: Row,
  schema: StateSchema,
  keyGroup: number,
  nodes: NodeReader,
): Promise<StateRecord> {
  try {
    const kind = checkRowHeader(row);
    const content = contentKind(schema);
    if (content !== kindOf(kind)) throw damaged("a root row is of another kind than its state");
    const record = { keyGroup, rootKey, kind: content };
    if (kind === RowKind.listDirectory) {
      return { ...record, parts: listParts(row, await nodes.of(rootKey)) };
    }
    if (kind === RowKind.mapRoot) {
      return { ...record, parts: mapParts(row, await nodes.of(rootKey)) };
    }
    const headerBytes = kind === RowKind.listPacked ? LIST_PACKED_HEADER_BYTES : 1;
    if (row.length < headerBytes) throw damaged("a list row is cut");
    return { ...record, parts: [row.subarray(headerBytes)] };
  } catch (cause) {
    if (!(cause instanceof CorruptionError)) throw cause;
    const where = `state ${JSON.stringify(schema.name)}, key group ${keyGroup}`;
    throw new CorruptionError(`${where}: ${cause.message}`, cause.file, cause.offsetBytes, {
      cause,
    });
  }
}

export function contentKind({ type }: StateSchema): ContentKind {
  switch (type) {
    case "list":
    case "map":
      return type;
    case "value":
    case "reducing":
    case "aggregating":
      return "value";
    default:
      return unreachable(type);
  }
}

/** What a root row of this kind holds; undefined if it is none. */
function kindOf(kind: RowKind): ContentKind | undefined {
  if (kind === RowKind.value) return "value";
  if (kind === RowKind.listPacked || kind === RowKind.listDirectory) return "list";
  if (kind === RowKind.mapPacked || kind === RowKind.mapRoot) return "map";
  return undefined;
}

type Nodes = ReadonlyMap<number, Uint8Array>;

function listParts(row: Uint8Array, nodes: Nodes): Uint8Array[] {
  const { chunkCount } = decodeListDirectory(row);
  if (nodes.size < chunkCount) throw damaged("chunks of a list are missing");
  const parts: Uint8Array[] = [];
  for (let index = 0; index < chunkCount; index++) {
    const chunk = nodes.get(index);
    if (chunk === undefined) throw damaged(`chunk ${index} of a list is missing`);
    parts.push(listChunkElements(chunk));
  }
  return parts;
}

function mapParts(row: Uint8Array, nodes: Nodes): Uint8Array[] {
  const { height, children } = decodeMapRoot(row.subarray(1));
  const parts: Uint8Array[] = [];
  const left = new Map(nodes);
  const visit = (list: readonly MapChild[], level: number): void => {
    for (const { node } of list) {
      const child = left.get(node);
      // Taken away: a node that two parents name would be read for ever.
      if (child === undefined) throw damaged(`node ${node} of a map is missing, or named twice`);
      left.delete(node);
      const isLeaf = level === 1;
      if (checkRowHeader(child) !== (isLeaf ? RowKind.mapLeaf : RowKind.mapInner)) {
        throw damaged(`node ${node} of a map has the kind of another row`);
      }
      if (isLeaf) parts.push(child.subarray(1));
      else visit(decodeChildren(child.subarray(1)), level - 1);
    }
  };
  visit(children, height);
  return parts;
}

/** Chunks and nodes, in step with the root rows. */
class NodeReader {
  readonly #source: RowSource;
  readonly #schema: StateSchema;
  readonly #keyGroup: number;
  readonly #keys: KeyRange;
  #cursor: RowCursor | undefined = undefined;

  constructor(source: RowSource, schema: StateSchema, keyGroup: number, keys: KeyRange) {
    this.#source = source;
    this.#schema = schema;
    this.#keyGroup = keyGroup;
    this.#keys = keys;
  }

  /** The nodes of a root row, by number. Roots are asked for in ascending order. */
  async of(rootKey: Uint8Array): Promise<Nodes> {
    const prefix = new Uint8Array(rootKey);
    prefix[PART_OFFSET] = RowPart.node;
    this.#cursor ??= this.#open(prefix);
    const nodes = new Map<number, Uint8Array>();
    for (;;) {
      const { current } = this.#cursor;
      if (current === undefined) {
        if (!(await this.#cursor.fill())) return nodes;
        continue;
      }
      const { key, row } = current;
      const isNode = key.length === prefix.length + NODE_NUMBER_BYTES && startsWith(key, prefix);
      if (isNode) {
        const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
        nodes.set(view.getUint32(prefix.length), row);
      } else if (Buffer.compare(key, prefix) > 0) {
        return nodes;
      }
      this.#cursor.advance(); // R2: those of no root too.
    }
  }

  #open(prefix: Uint8Array): RowCursor {
    const range = rangeOf(this.#keyGroup, this.#schema, RowPart.node, this.#keys);
    return new RowCursor(this.#source.rows({ ...range, gte: prefix }));
  }

  async close(): Promise<void> {
    await this.#cursor?.close();
  }
}

function startsWith(key: Uint8Array, prefix: Uint8Array): boolean {
  return Buffer.compare(key.subarray(0, prefix.length), prefix) === 0;
}

function damaged(message: string): CorruptionError {
  return new CorruptionError(message, "row", 0);
}
