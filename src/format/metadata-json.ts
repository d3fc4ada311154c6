// JSON from and for strangers: what users hand in, and what a hostile file may hold.
import { CorruptionError, InvalidArgumentError } from "../errors.ts";

/** Deepest nesting of metadata; the user's part begins at depth 1. */
export const JSON_DEPTH_MAX = 32;
const userDepthMax = JSON_DEPTH_MAX - 2;

/** Refuses, before parsing, text that is nested too deeply for recursion. */
export function checkNesting(bytes: Uint8Array, file: string): void {
  let depth = 0;
  let isInString = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (isInString) {
      if (byte === 0x5c) at++;
      else if (byte === 0x22) isInString = false;
    } else if (byte === 0x22) isInString = true;
    else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > JSON_DEPTH_MAX)
        throw new CorruptionError("JSON is nested too deeply", file, at);
    } else if (byte === 0x5d || byte === 0x7d) depth--;
  }
}

/** True for what JSON.parse makes of text; `__proto__` as a name is not ours to carry. */
export function isParsedJson(value: unknown): boolean {
  return problemOf(value, 0) === undefined;
}

/** Refuses a value that JSON does not carry exactly. `path` names it in the message. */
export function refuseUnstorable(value: unknown, path: string): void {
  const problem = problemOf(value, 0);
  if (problem === undefined) return;
  throw new InvalidArgumentError(`${path}${problem.path} ${problem.what}`);
}

interface Problem {
  readonly path: string;
  readonly what: string;
}

function problemOf(value: unknown, depth: number): Problem | undefined {
  if (value === null || typeof value === "boolean") return undefined;
  if (typeof value === "number") {
    if (!Number.isFinite(value)) return { path: "", what: "is not a finite number" };
    return Object.is(value, -0) ? { path: "", what: "is -0, which JSON turns into 0" } : undefined;
  }
  if (typeof value === "string") {
    return value.isWellFormed() ? undefined : { path: "", what: "has a lone surrogate" };
  }
  if (typeof value !== "object") return { path: "", what: `is a ${typeof value}` };
  if (depth >= userDepthMax) return { path: "", what: "is nested too deeply" };
  return Array.isArray(value) ? problemOfArray(value, depth) : problemOfObject(value, depth);
}

function problemOfArray(array: readonly unknown[], depth: number): Problem | undefined {
  for (let index = 0; index < array.length; index++) {
    const problem = problemOf(array[index], depth + 1); // A hole is undefined, and refused.
    if (problem !== undefined) return { ...problem, path: `[${index}]${problem.path}` };
  }
  return undefined;
}

function problemOfObject(object: object, depth: number): Problem | undefined {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && prototype !== null) {
    return { path: "", what: "is not a plain object" };
  }
  if (Object.getOwnPropertySymbols(object).length > 0) {
    return { path: "", what: "has a symbol as a name" };
  }
  for (const [name, value] of Object.entries(object)) {
    if (name === "__proto__") return { path: "", what: "has the name __proto__" };
    if (!name.isWellFormed()) return { path: "", what: "has a name with a lone surrogate" };
    // JSON.stringify would call it.
    if (name === "toJSON" && typeof value === "function") {
      return { path: "", what: "has a method toJSON" };
    }
    const problem = problemOf(value, depth + 1);
    if (problem !== undefined) return { ...problem, path: `.${name}${problem.path}` };
  }
  return undefined;
}
