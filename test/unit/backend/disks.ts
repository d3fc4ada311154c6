// Small file systems, and rows that fill them.
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { onTestFinished } from "vitest";
import type { TestContext } from "vitest";
import { utf8 } from "../../../src/index.ts";
import type { KeyedStateBackend } from "../../../src/index.ts";

/** Mounts a file system of this size; skips the test where that is not allowed. */
export function mountSmall(context: TestContext, path: string, bytes: number): void {
  mkdirSync(path, { recursive: true });
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", path], {
      stdio: "ignore",
    });
  } catch {
    context.skip("only root may mount a file system");
  }
  onTestFinished(() => {
    execFileSync("umount", ["-l", path]);
  });
}

/** Bytes that neither LevelDB's nor our compression makes smaller. */
function noise(seed: number): string {
  let state = seed + 1;
  let text = "";
  for (let index = 0; index < 500; index++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + index;
    text += String.fromCharCode(33 + ((state >>> 8) % 90), 33 + ((state >>> 16) % 90));
  }
  return text;
}

/** Rows of 1,000 characters. */
export function writeNoise(backend: KeyedStateBackend, first: number, count: number): void {
  const state = backend.valueState({ name: "noise", value: utf8 });
  for (let key = first; key < first + count; key++) {
    backend.withKey(`noise ${key}`, () => state.update(noise(key)));
  }
}
