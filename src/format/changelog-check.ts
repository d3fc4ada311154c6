// Whether the changes of a frame may be replayed. Page: docs/formats/changelog-segment.md. Hot: runs over
// every row of a replay.
//   C1. Key groups ascend, and lie in those that the index names for the frame.
//   C2. Each key is a row key: a known part and tag, a state of the handle, and the group of its key.
//   C3. A put holds a row of a known kind and of a length that one has; an append holds whole elements,
//       and is for the root row of a list.
import { keyGroupOf } from "../common/key-group.ts";
import { murmurRange } from "../common/murmur3.ts";
import { CorruptionError, UnsupportedFormatError } from "../errors.ts";
import { ChangeKind, readChangesAt } from "./changelog-rows.ts";
import {
  KEY_TAG_OFFSET,
  PART_OFFSET,
  ROW_KEY_PREFIX_BYTES,
  RowPart,
  STATE_ID_OFFSET,
  skipKey,
} from "./key-codec.ts";
import { listElementEnd } from "./list-row.ts";
import { ROW_VALUE_BYTES_MAX } from "./row-record.ts";
import { checkRowHeaderByte } from "./row-value.ts";

/** Both ends inclusive. */
export interface GroupSpan {
  readonly first: number;
  readonly last: number;
}

/** What a handle says of its changes. */
export interface ChangeClaims {
  readonly keyGroupCount: number;
  readonly stateIds: readonly number[];
  /** Those of lists: they alone have appends. */
  readonly listStateIds: readonly number[];
}

/** The rows of a frame that are wanted: they stand together, since key groups ascend. */
export interface WantedRows {
  readonly start: number;
  readonly end: number;
  readonly wantedCount: number;
  /** Of the whole frame. */
  readonly rowCount: number;
}

export class ChangeCheck {
  readonly #claims: ChangeClaims;
  readonly #stateIds: ReadonlySet<number>;
  readonly #listStateIds: ReadonlySet<number>;
  #knownStateId = -1;

  constructor(claims: ChangeClaims) {
    this.#claims = claims;
    this.#stateIds = new Set(claims.stateIds);
    this.#listStateIds = new Set(claims.listStateIds);
  }

  /** Checks all rows of a frame whose index names the key groups `stored`. */
  check(
    rows: Uint8Array,
    stored: GroupSpan,
    wanted: GroupSpan,
    file: string,
    fileOffset: number,
  ): WantedRows {
    let before = stored.first;
    let start = 0;
    let end = 0;
    let rowCount = 0;
    let wantedCount = 0;
    readChangesAt(rows, file, fileOffset, (kind, keyStart, keyEnd, valueStart, valueEnd, at) => {
      const group = rows[keyStart]! * 256 + rows[keyStart + 1]!;
      if (group < before || group > stored.last) {
        const what = `a change of key group ${group} is out of place`;
        throw new CorruptionError(what, file, fileOffset); // C1
      }
      before = group;
      try {
        this.#checkRow(rows, kind, group, keyStart, keyEnd, valueStart, valueEnd);
      } catch (cause) {
        throw named(cause, file, fileOffset);
      }
      rowCount++;
      if (group < wanted.first || group > wanted.last) return;
      if (wantedCount++ === 0) start = at;
      end = valueEnd;
    });
    return { start, end, wantedCount, rowCount };
  }

  #checkRow(
    rows: Uint8Array,
    kind: ChangeKind,
    group: number,
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
  ): void {
    const stateId = this.#checkKey(rows, group, keyStart, keyEnd);
    if (kind === ChangeKind.delete) return;
    const payloadMax = kind === ChangeKind.put ? ROW_VALUE_BYTES_MAX + 1 : ROW_VALUE_BYTES_MAX;
    if (valueEnd - valueStart > payloadMax) refuse("a change is longer than a row can be");
    if (kind === ChangeKind.put) {
      checkRowHeaderByte(rows[valueStart]!);
      return;
    }
    if (rows[keyStart + PART_OFFSET] !== RowPart.root || !this.#listStateIds.has(stateId)) {
      refuse("an append is to something that is no list");
    }
    const elements = rows.subarray(valueStart, valueEnd);
    for (let at = 0; at < elements.length;) at = listElementEnd(elements, at);
  }

  /** Rows of one state mostly follow each other. */
  #know(stateId: number): void {
    if (!this.#stateIds.has(stateId)) {
      refuse("a change is of a state that the metadata does not name");
    }
    this.#knownStateId = stateId;
  }

  /** C2. The state's id. */
  #checkKey(rows: Uint8Array, group: number, keyStart: number, keyEnd: number): number {
    const part = rows[keyStart + PART_OFFSET]!;
    const tag = rows[keyStart + KEY_TAG_OFFSET]!;
    if (part > RowPart.node) {
      throw new UnsupportedFormatError("row key", `part ${part}`, "the keys of version 1");
    }
    const at = keyStart + STATE_ID_OFFSET;
    const low = (rows[at + 1]! << 16) | (rows[at + 2]! << 8) | rows[at + 3]!;
    const stateId = rows[at]! * 0x100_0000 + low;
    if (stateId !== this.#knownStateId) this.#know(stateId);
    const payloadEnd = skipKey(rows, keyStart + KEY_TAG_OFFSET); // Refuses unknown tags.
    if (payloadEnd > keyEnd) refuse("a key is cut or malformed");
    const hash = murmurRange(tag, rows, keyStart + ROW_KEY_PREFIX_BYTES, payloadEnd);
    if (keyGroupOf(hash, this.#claims.keyGroupCount) !== group) {
      refuse("a change is of another key group than its key");
    }
    return stateId;
  }
}

function refuse(message: string): never {
  throw new CorruptionError(message, "row", 0);
}

/** The same error with the file that the row stands in. */
function named(cause: unknown, file: string, fileOffset: number): unknown {
  if (cause instanceof UnsupportedFormatError) {
    return new UnsupportedFormatError(`changelog segment ${file}`, cause.found, cause.supported);
  }
  if (!(cause instanceof CorruptionError)) return cause;
  const what = cause.message.replace(/ \([^()]*, byte \d+\)$/, "");
  return new CorruptionError(what, file, fileOffset, { cause });
}
