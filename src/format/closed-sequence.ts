// What takes the place of metadata once a job was cancelled: after it no checkpoint can complete.
// Page: docs/formats/directory-layout.md#closed.
import { createHash } from "node:crypto";
import { completionDigits } from "./metadata-hint.ts";

const PREFIX = "varve-closed-1 ";
const CHECK_DIGITS = 16;

/** `epochId`: 32 hexadecimal digits of whoever closes it. */
export function encodeClosed(number: number, epochId: string): Uint8Array {
  const text = `${PREFIX}${completionDigits(number)} ${epochId}`;
  const check = createHash("sha256").update(text, "latin1").digest("hex").slice(0, CHECK_DIGITS);
  return Buffer.from(`${text} ${check}\n`, "latin1");
}

/** Whether that is what was stored under this number, whoever did it. */
export function isClosed(bytes: Uint8Array, number: number): boolean {
  const text = Buffer.from(bytes.subarray(0, 256)).toString("latin1");
  if (!text.startsWith(PREFIX)) return false;
  const epochId = text.slice(PREFIX.length + 11, PREFIX.length + 43);
  return Buffer.compare(bytes, encodeClosed(number, epochId)) === 0;
}
