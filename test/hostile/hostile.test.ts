// Goal: a checkpoint edited by hand in any way is refused with its typed error, whichever way it is
// opened; what is stored stays as it is, and nothing outside is touched.
// Method: each committed case is laid out anew, opened in every way, and compared before and after.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, test } from "vitest";
import { MIB, openStateHost } from "../../src/index.ts";
import type { StateHost } from "../../src/index.ts";
import { caseNames, casePath, encodeCase, layOut, readCase } from "./case-files.ts";
import { makeCases } from "./make-fixtures.ts";
import { attemptAll, faultsOf, listingOf } from "./run-case.ts";

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

describe("the committed hostile checkpoints", () => {
  test("are what the script makes, and enough of them", () => {
    const made = makeCases();
    assert.deepEqual(made.map(({ name }) => name).sort(), caseNames());
    for (const one of made) {
      assert.ok(readFileSync(casePath(one.name), "utf8") === encodeCase(one), one.name);
    }
    assert.ok(made.filter(({ code }) => code !== undefined).length >= 60);
  });
});

describe("a hostile checkpoint", () => {
  test.for(caseNames())("%s", async (name, context) => {
    const one = readCase(name);
    const root = join(parent, name);
    mkdirSync(root);
    const place = layOut(one, root);
    if (place === undefined) {
      context.skip("this user or machine cannot make such a file");
      return;
    }
    const before = [listingOf(place.storage), listingOf(place.outside)];
    const attempts = await attemptAll(one, place, host);
    assert.deepEqual(faultsOf(one, attempts), []);
    assert.deepEqual([listingOf(place.storage), listingOf(place.outside)], before);
    rmSync(root, { recursive: true });
  });
});
