// The tests of some of the cases: several files share them, so that they run beside each other.
// Goal: a checkpoint edited by hand in any way is refused with its typed error, whichever way it is
// opened; what is stored stays as it is, and nothing outside is touched.
// Method: each committed case is laid out anew, opened in every way, and compared before and after. What
// else a process does is for check-hostile.ts to look for.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, test } from "vitest";
import { MIB, openStateHost } from "../../src/index.ts";
import type { StateHost } from "../../src/index.ts";
import { sample } from "../support/long-tests.ts";
import { layOut, readCase } from "./case-files.ts";
import { attemptAll, faultsOf, listingOf } from "./run-case.ts";

/** A sample of them; `npm run check:hostile` takes all. */
export function defineHostileTests(all: readonly string[]): void {
  const names = sample(all, 8);
  let host: StateHost;
  let parent: string;

  beforeAll(async () => {
    host = await openStateHost({ memoryBudgetBytes: 48 * MIB });
    parent = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "varve-hostile-"));
  });

  afterAll(async () => {
    await host.close();
    rmSync(parent, { recursive: true });
  });

  describe("a hostile checkpoint", () => {
    test.for(names)("%s", async (name, context) => {
      const one = readCase(name);
      const root = join(parent, name);
      mkdirSync(root);
      const place = layOut(one, root);
      if (place === undefined) {
        context.skip("this user or machine cannot make such a file");
        return;
      }
      const before = [listingOf(place.storage), listingOf(place.outside)];
      const attempts = await attemptAll(one, place, host, "inline");
      assert.deepEqual(faultsOf(one, attempts), []);
      assert.deepEqual([listingOf(place.storage), listingOf(place.outside)], before);
      rmSync(root, { recursive: true });
    });
  });
}
