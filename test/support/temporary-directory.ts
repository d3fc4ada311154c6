import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A new directory, removed when the current test ends. `parent` chooses the file system. */
export function temporaryDirectory(parent: string = tmpdir()): string {
  const path = mkdtempSync(join(parent, "varve-test-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
