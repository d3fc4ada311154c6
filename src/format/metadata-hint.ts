// The object `latest`: which completion number is about the newest. Losing it loses nothing.
// Page: docs/formats/directory-layout.md#latest.
import { createHash } from "node:crypto";
import { assert } from "../common/assert.ts";
import { COMPLETION_NUMBER_MAX } from "./metadata-schema.ts";

const PREFIX = "varve-latest-1 ";
const NUMBER_DIGITS = 10;
const CHECK_DIGITS = 16;
/** All hints have this length. */
export const HINT_BYTES: number = PREFIX.length + NUMBER_DIGITS + 1 + CHECK_DIGITS + 1;

/** A completion number as it stands in names and hints. */
export function completionDigits(number: number): string {
  assert(number >= 1 && number <= COMPLETION_NUMBER_MAX, "completion number out of range");
  return String(number).padStart(NUMBER_DIGITS, "0");
}

/** The number of a name made by `completionDigits`, or undefined. */
export function parseCompletionDigits(digits: string): number | undefined {
  if (digits.length !== NUMBER_DIGITS) return undefined;
  let number = 0;
  for (let at = 0; at < digits.length; at++) {
    const digit = digits.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    number = number * 10 + digit;
  }
  return number >= 1 ? number : undefined;
}

export function encodeHint(number: number): Uint8Array {
  const text = `${PREFIX}${completionDigits(number)}`;
  return Buffer.from(`${text} ${checkOf(text)}\n`, "latin1");
}

/** The number, or undefined if the hint is damaged. */
export function decodeHint(bytes: Uint8Array): number | undefined {
  const text = Buffer.from(bytes).toString("latin1");
  const end = PREFIX.length + NUMBER_DIGITS;
  const number = parseCompletionDigits(text.slice(PREFIX.length, end));
  if (number === undefined) return undefined;
  return text === Buffer.from(encodeHint(number)).toString("latin1") ? number : undefined;
}

function checkOf(text: string): string {
  return createHash("sha256").update(text, "latin1").digest("hex").slice(0, CHECK_DIGITS);
}
