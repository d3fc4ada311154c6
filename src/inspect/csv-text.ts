// Entries as CSV (RFC 4180), for spreadsheets: a line for each value, list element or map entry. Not
// exact, as types are lost: JSON lines are.
import { toHex } from "../format/hex.ts";
import type { EntryDecoder, StoredEntry } from "./entry-decoder.ts";
import { jsonOf } from "./json-text.ts";

/** The header line, without its end. */
export function csvHeaderOf({ schema, fields }: EntryDecoder): string {
  const columns = schema.namespaces ? ["key", "namespace"] : ["key"];
  if (schema.type === "list") columns.push("index", ...(fields[0] ?? ["element"]));
  else if (schema.type === "map") columns.push("mapKey", ...(fields[1] ?? ["value"]));
  else columns.push(...(fields[0] ?? ["value"]));
  return line(columns);
}

/** The lines of an entry, without their ends. */
export function csvLinesOf(
  { key, namespace, value }: StoredEntry,
  { schema, fields }: EntryDecoder,
): string[] {
  const start: unknown[] = schema.namespaces ? [key, namespace] : [key];
  if (schema.type === "list") {
    return (value as readonly unknown[]).map((element, index) => {
      return line([...start, index, ...cellsOf(element, fields[0])]);
    });
  }
  if (schema.type === "map") {
    return (value as readonly (readonly [unknown, unknown])[]).map(([mapKey, item]) => {
      return line([...start, mapKey, ...cellsOf(item, fields[1])]);
    });
  }
  return [line([...start, ...cellsOf(value, fields[0])])];
}

function cellsOf(value: unknown, fields: readonly string[] | undefined): readonly unknown[] {
  if (fields === undefined) return [value];
  const record = value as Readonly<Record<string, unknown>>;
  return fields.map((field) => record[field]);
}

function line(cells: readonly unknown[]): string {
  return cells.map(cell).join(",");
}

function cell(value: unknown): string {
  const text = textOf(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value;
  if (value instanceof Uint8Array) return toHex(value);
  if (typeof value === "object") return jsonOf(value);
  return Object.is(value, -0) ? "-0" : String(value as number | bigint | boolean);
}
