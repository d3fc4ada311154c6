// Arguments as values: what is not one ends as usage.
import type { Key } from "../api/state.ts";
import { InvalidArgumentError } from "../errors.ts";
import type { Groups, OpenCheckpointOptions } from "../inspect/index.ts";

export type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

/** Options that a command takes, as `parseArgs` of node:util wants them. */
export type OptionTable = Readonly<
  Record<string, { readonly type: "string" | "boolean"; readonly multiple?: boolean }>
>;

/** Options of every command that opens a checkpoint. */
export const openOptions: OptionTable = {
  id: { type: "string" },
  "trust-v8": { type: "boolean" },
};

export function optionsForOpening(values: Values, idName: string = "id"): OpenCheckpointOptions {
  return {
    checkpointId: integer(values, idName),
    trustV8: values["trust-v8"] === true,
  };
}

export function text(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === "string" ? value : undefined;
}

export function texts(values: Values, name: string): readonly string[] | undefined {
  const value = values[name];
  return Array.isArray(value) ? value.map(String) : undefined;
}

export function integer(values: Values, name: string): number | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  if (/^\d{1,15}$/.test(value)) return Number(value);
  throw new InvalidArgumentError(`--${name} takes an integer, got ${JSON.stringify(value)}`);
}

/** `7` or `0-63`. */
export function keyGroups(values: Values): Groups | undefined {
  const value = text(values, "key-groups");
  if (value === undefined) return undefined;
  const [, first, last] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(value) ?? [];
  const groups = { first: Number(first), last: Number(last ?? first) };
  if (first !== undefined && groups.first <= groups.last) return groups;
  throw new InvalidArgumentError(
    `--key-groups takes a number or a range such as 0-63, got ${JSON.stringify(value)}`,
  );
}

const keyTypes = ["auto", "string", "number", "bigint", "bytes"] as const;

/** What a key or namespace of the command line may mean. `option` has its type. */
export function keysOf(value: string, values: Values, option: string): readonly Key[] {
  const type = text(values, option) ?? "auto";
  switch (type) {
    case "string":
      return [value];
    case "number":
      return [numberOf(value) ?? refuse(value, "a number")];
    case "bigint":
      return [bigintOf(value) ?? refuse(value, "an integer")];
    case "bytes":
      return [bytesOf(value) ?? refuse(value, "hexadecimal digits")];
    case "auto": {
      const hex = value.startsWith("0x") ? bytesOf(value.slice(2)) : undefined;
      const all = [value, numberOf(value), bigintOf(value), hex];
      return all.filter((key) => key !== undefined);
    }
    default:
      throw new InvalidArgumentError(`--${option} is one of ${keyTypes.join(", ")}, got ${type}`);
  }
}

function numberOf(value: string): number | undefined {
  if (/^-?Infinity$/.test(value)) return Number(value);
  return /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value) ? Number(value) : undefined;
}

function bigintOf(value: string): bigint | undefined {
  return /^-?\d+n?$/.test(value) ? BigInt(value.replace("n", "")) : undefined;
}

function bytesOf(value: string): Uint8Array | undefined {
  return /^([0-9a-f]{2})*$/i.test(value) ? Uint8Array.from(Buffer.from(value, "hex")) : undefined;
}

function refuse(value: string, what: string): never {
  throw new InvalidArgumentError(`${JSON.stringify(value)} is not ${what}`);
}
