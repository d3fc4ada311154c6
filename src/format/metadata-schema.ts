// Strict reader of checkpoint metadata's JSON: every field present, none unknown, all within limits.
// Page: docs/formats/checkpoint-metadata.md.
import type {
  BaseHandle,
  ChangelogHandle,
  JsonValue,
  KeyGroupRange,
  KeyedStateHandle,
  SharedFile,
  StateSchema,
} from "../api/keyed-state-backend.ts";
import { KEY_GROUPS_MAX } from "../common/key-group.ts";
import { CorruptionError, UnsupportedFormatError } from "../errors.ts";
import { SEGMENTS_MAX, SEGMENT_BYTES_MAX } from "./changelog-segment.ts";
import { isHex } from "./hex.ts";
import { isParsedJson } from "./metadata-json.ts";
import type { CheckpointMetadata, WriterEpoch } from "./metadata.ts";

const handlesMax = KEY_GROUPS_MAX;
const statesMax = 65_536;
const serializersMax = 16;
const nameLengthMax = 256;
export const COMPLETION_NUMBER_MAX = 9_999_999_999;
const filesMax = 1_000_000;

const serializerLengthMax = 1024;

const requiredFields = [
  "checkpointId",
  "completionNumber",
  "oldestRetained",
  "writerEpoch",
  "createdAtMs",
  "policy",
  "backendKind",
  "handles",
  "segments",
];
const optionalFields = ["userMetadata", "extensions"];

const stateTypes = ["value", "list", "map", "reducing", "aggregating"] as const;

/** The metadata in parsed JSON. */
export function readMetadata(value: unknown, file: string): CheckpointMetadata {
  return new SchemaReader(file).metadata(value);
}

type Fields = Readonly<Record<string, unknown>>;

class SchemaReader {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  metadata(value: unknown): CheckpointMetadata {
    const fields = this.#object(value, "", requiredFields, optionalFields);
    const completionNumber = this.#integer(
      fields["completionNumber"],
      "completionNumber",
      1,
      COMPLETION_NUMBER_MAX,
    );
    return {
      checkpointId: this.#integer(fields["checkpointId"], "checkpointId", 0),
      completionNumber,
      oldestRetained: this.#integer(
        fields["oldestRetained"],
        "oldestRetained",
        1,
        completionNumber,
      ),
      writerEpoch: this.#epoch(fields["writerEpoch"]),
      createdAtMs: this.#integer(fields["createdAtMs"], "createdAtMs", 0),
      policy: this.#oneOf(fields["policy"], "policy", ["full", "incremental", "changelog"]),
      backendKind: this.#oneOf(fields["backendKind"], "backendKind", ["lsm", "memory"]),
      handles: this.#handles(fields["handles"]),
      segments: this.#segments(fields["segments"]),
      userMetadata: this.#json(fields["userMetadata"], "userMetadata"),
      extensions: this.#extensions(fields["extensions"]),
    };
  }

  #epoch(value: unknown): WriterEpoch {
    const fields = this.#object(value, "writerEpoch", ["id", "number"]);
    return {
      id: this.#hex(fields["id"], "writerEpoch.id", 32),
      number: this.#integer(fields["number"], "writerEpoch.number", 1),
    };
  }

  #handles(value: unknown): readonly KeyedStateHandle[] {
    const handles = this.#array(value, "handles", 1, handlesMax).map((item) => this.#handle(item));
    const ranges = handles.map((handle) => handle.keyGroups);
    ranges.sort((a, b) => a.first - b.first);
    for (let index = 1; index < ranges.length; index++) {
      const [previous, range] = [ranges[index - 1]!, ranges[index]!];
      if (range.max !== previous.max) this.#fail("handles", "disagree about the key groups");
      if (range.first <= previous.last) this.#fail("handles", "overlap in their key groups");
    }
    const ids = new Set(handles.map((handle) => handle.base.fileList.id));
    if (ids.size !== handles.length) this.#fail("handles", "share a file list");
    return handles;
  }

  #handle(value: unknown): KeyedStateHandle {
    const names = ["keyGroups", "changeNumber", "base", "states"];
    const fields = this.#object(value, "handle", names, ["log"]);
    const changeNumber = this.#integer(fields["changeNumber"], "changeNumber", 0);
    const base = this.#base(fields["base"]);
    const log = fields["log"] === undefined ? undefined : this.#log(fields["log"], changeNumber);
    // The memory backend, whose dump this would be, writes none and would not replay it.
    if (log !== undefined && base.kind !== "sst-set") {
      this.#fail("log", "stands beside a base that is no set of tables");
    }
    return {
      keyGroups: this.#keyGroups(fields["keyGroups"]),
      changeNumber,
      base,
      ...(log === undefined ? {} : { log }),
      states: this.#states(fields["states"]),
    };
  }

  #log(value: unknown, changeNumber: number): ChangelogHandle {
    const fields = this.#object(value, "log", ["baseChangeNumber", "segments"]);
    const name = "log.segments";
    const segments = this.#array(fields["segments"], name, 1, SEGMENTS_MAX).map((item) => {
      const segment = this.#object(item, "segment", ["id", "lengthBytes", "sha256"]);
      const lengthBytes = segment["lengthBytes"];
      return {
        id: this.#hex(segment["id"], "segment.id", 32),
        lengthBytes: this.#integer(lengthBytes, "segment.lengthBytes", 1, SEGMENT_BYTES_MAX),
        sha256: this.#hex(segment["sha256"], "segment.sha256", 64),
      };
    });
    if (new Set(segments.map(({ id }) => id)).size !== segments.length) {
      this.#fail(name, "have an id twice");
    }
    const base = fields["baseChangeNumber"];
    return {
      baseChangeNumber: this.#integer(base, "log.baseChangeNumber", 0, changeNumber),
      segments,
    };
  }

  #keyGroups(value: unknown): KeyGroupRange {
    const fields = this.#object(value, "keyGroups", ["max", "first", "last"]);
    const max = this.#integer(fields["max"], "keyGroups.max", 1, KEY_GROUPS_MAX);
    const last = this.#integer(fields["last"], "keyGroups.last", 0, max - 1);
    return { max, first: this.#integer(fields["first"], "keyGroups.first", 0, last), last };
  }

  #base(value: unknown): BaseHandle {
    const names = ["kind", "fileList", "totalBytes", "fileCount"];
    const fields = this.#object(value, "base", names);
    return {
      kind: this.#oneOf(fields["kind"], "base.kind", ["sst-set", "dump", "canonical"]),
      fileList: this.#sharedFile(fields["fileList"]),
      totalBytes: this.#integer(fields["totalBytes"], "totalBytes", 0),
      fileCount: this.#integer(fields["fileCount"], "fileCount", 0, filesMax),
    };
  }

  #sharedFile(value: unknown): SharedFile {
    const fields = this.#object(value, "fileList", ["id", "lengthBytes", "sha256"]);
    return {
      id: this.#hex(fields["id"], "fileList.id", 32),
      lengthBytes: this.#integer(fields["lengthBytes"], "fileList.lengthBytes", 1),
      sha256: this.#hex(fields["sha256"], "fileList.sha256", 64),
    };
  }

  #states(value: unknown): readonly StateSchema[] {
    const states = this.#array(value, "states", 0, statesMax).map((item) => this.#state(item));
    if (new Set(states.map((state) => state.id)).size !== states.length) {
      this.#fail("states", "have an id twice");
    }
    return states;
  }

  #state(value: unknown): StateSchema {
    const names = ["name", "id", "type", "serializers", "namespaces"];
    const fields = this.#object(value, "state", names);
    if (typeof fields["namespaces"] !== "boolean") this.#fail("namespaces", "is not a boolean");
    const serializers = this.#array(fields["serializers"], "serializers", 1, serializersMax);
    return {
      name: this.#text(fields["name"], "state.name", nameLengthMax),
      id: this.#integer(fields["id"], "state.id", 0, 0xffff_ffff),
      type: this.#oneOf(fields["type"], "state.type", stateTypes),
      serializers: serializers.map((item) => this.#text(item, "serializer", serializerLengthMax)),
      namespaces: fields["namespaces"],
    };
  }

  #segments(value: unknown): readonly never[] {
    if (this.#array(value, "segments", 0, handlesMax).length > 0) {
      throw new UnsupportedFormatError(
        `checkpoint ${this.#file}`,
        "changelog segments",
        "checkpoints without",
      );
    }
    return [];
  }

  #json(value: unknown, name: string): JsonValue | undefined {
    if (value === undefined) return undefined;
    if (!isParsedJson(value)) this.#fail(name, "is not plain JSON");
    return value as JsonValue;
  }

  #extensions(value: unknown): { readonly [name: string]: JsonValue } | undefined {
    const json = this.#json(value, "extensions");
    if (json === undefined) return undefined;
    if (json === null || typeof json !== "object" || Array.isArray(json)) {
      this.#fail("extensions", "is not an object");
    }
    return json as { readonly [name: string]: JsonValue };
  }

  /** The value as an object with all `required` fields and no others but the `optional` ones. */
  #object(
    value: unknown,
    name: string,
    required: readonly string[],
    optional: readonly string[] = [],
  ): Fields {
    if (value === null || typeof value !== "object" || Array.isArray(value)) {
      this.#fail(name, "is not an object");
    }
    for (const field of Object.keys(value)) {
      if (required.includes(field) || optional.includes(field)) continue;
      throw new UnsupportedFormatError(
        `checkpoint ${this.#file}`,
        `the field ${JSON.stringify(field.slice(0, 64))}`,
        "the fields of version 1",
      );
    }
    for (const field of required) {
      if (!Object.hasOwn(value, field)) this.#fail(field, "is missing");
    }
    return value as Fields;
  }

  #array(value: unknown, name: string, min: number, max: number): readonly unknown[] {
    if (!Array.isArray(value)) this.#fail(name, "is not an array");
    if (value.length < min || value.length > max) this.#fail(name, "has too few or too many items");
    return value as readonly unknown[];
  }

  #integer(
    value: unknown,
    name: string,
    min: number,
    max: number = Number.MAX_SAFE_INTEGER,
  ): number {
    const isInteger = typeof value === "number" && Number.isSafeInteger(value);
    if (!isInteger || value < min || value > max) this.#fail(name, "is not a number in its range");
    return value;
  }

  #text(value: unknown, name: string, lengthMax: number): string {
    const isText = typeof value === "string" && value.isWellFormed();
    if (!isText || value.length < 1 || value.length > lengthMax) {
      this.#fail(name, "is not a short text");
    }
    return value;
  }

  #hex(value: unknown, name: string, digits: number): string {
    if (typeof value !== "string" || !isHex(value, digits)) {
      this.#fail(name, "is not hexadecimal digits");
    }
    return value;
  }

  #oneOf<T extends string>(value: unknown, name: string, known: readonly T[]): T {
    if (typeof value !== "string") this.#fail(name, "is not a text");
    const found = known.find((item) => item === value);
    if (found === undefined) {
      throw new UnsupportedFormatError(
        `checkpoint ${this.#file}: ${name}`,
        JSON.stringify(value.slice(0, 64)),
        known.join(", "),
      );
    }
    return found;
  }

  #fail(name: string, what: string): never {
    throw new CorruptionError(`${name} of checkpoint metadata ${what}`, this.#file, 16);
  }
}
