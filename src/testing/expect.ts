// Assertions that the parts of the suite share.
import assert from "node:assert/strict";
import type { ErrorCode, Key, State } from "../index.ts";

/** The call throws an error of this code: codes are API, messages are not. */
export function throwsCode(call: () => unknown, code: ErrorCode, what?: string): void {
  assert.throws(call, { code }, what);
}

export async function rejectsCode(promise: Promise<unknown>, code: ErrorCode): Promise<void> {
  await assert.rejects(promise, { code });
}

/** Keys of a state, in an order that does not depend on the backend. */
export async function keysOf(state: State, namespace?: Key): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of state.keys(namespace)) keys.push(nameOf(key));
  return keys.sort();
}

/** A key as text that tells types apart. */
export function nameOf(key: Key): string {
  if (typeof key === "bigint") return `${key}n`;
  if (typeof key === "string") return JSON.stringify(key);
  if (typeof key === "number") return String(key);
  return `bytes ${Buffer.from(key).toString("hex")}`;
}

export function namesOf(keys: readonly Key[]): string[] {
  return keys.map(nameOf).sort();
}

/** Numbers from `first` on. */
export function range(count: number, first = 0): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}
