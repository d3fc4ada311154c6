// Goal: LevelDB maps table files while they fit the memory that is left, and reads from them where they
// do not, or where it is told so (src/lsm/table-mapping.ts).
// Method: processes of their own, since mapping is ended for the whole process; what is mapped is seen in
// /proc/self/maps.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, onTestFinished, test } from "vitest";
import { InvalidArgumentError } from "../../src/errors.ts";
import { resolveLsmOptions } from "../../src/backend/options.ts";
import { MIB } from "../../src/common/units.ts";
import { isLong } from "../support/long-tests.ts";
import { quickDirectory } from "../support/subjects.ts";
import type { MappingReport } from "./table-mapping-child.ts";

const child = fileURLToPath(new URL("./table-mapping-child.js", import.meta.url));
/** 12 MB of rows, or 32. */
const ROWS = isLong ? 4000 : 1500;
/** Tables of at most a megabyte that are mapped of them, those aside that compaction is replacing. */
const LEAST = Math.floor((ROWS / 4000) * 25);
const hasMaps = process.platform === "linux";

async function run(
  mmapReads: "auto" | "true" | "false",
  availableMib: number,
  { rows = ROWS, failing = "" } = {},
): Promise<MappingReport & { readonly refused?: string }> {
  const root = quickDirectory("varve-mapping-");
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const flags = [child, root, mmapReads, String(availableMib), String(rows), failing];
  const { stdout } = await promisify(execFile)(process.execPath, flags);
  return JSON.parse(stdout) as MappingReport & { readonly refused?: string };
}

describe.skipIf(!hasMaps)("tables of LevelDB (needs /proc/self/maps)", () => {
  test("are mapped while they fit the memory that is left", async () => {
    const { mapped, tables, events } = await run("auto", 4096);
    assert.ok(mapped >= LEAST, `${mapped} of ${tables} tables are mapped`);
    assert.deepEqual(events, []);
  });

  test("are read once they do not fit it, and nothing is left of what ended their mapping", async () => {
    const { mapped, tables, mappedBefore, events, left } = await run("auto", 32, { rows: 4000 });
    // What was mapped before compaction gives back, and it is used again.
    assert.ok(mapped <= mappedBefore, `${mapped} tables are mapped, ${mappedBefore} were`);
    assert.ok(tables - mapped >= 10, `${mapped} of ${tables} tables are mapped`);
    assert.deepEqual({ events, left }, { events: ["ended"], left: [] });
  });

  test("are read from the beginning if that is asked for", async () => {
    const { mapped, events, left } = await run("false", 4096);
    assert.deepEqual({ mapped, events, left }, { mapped: 0, events: ["ended"], left: [] });
  });

  test("are mapped whatever there is if that is asked for", async () => {
    const { mapped, events } = await run("true", 32);
    assert.ok(mapped >= LEAST, `${mapped} tables are mapped`);
    assert.deepEqual(events, []);
  });

  test("go on being mapped where that cannot be ended, and who listens is told", async () => {
    const { mapped, events } = await run("auto", 32, { failing: "failing" });
    assert.ok(mapped >= LEAST, `${mapped} tables are mapped`);
    assert.deepEqual(events, ["not ended"]);
  });

  test("are not opened where reading was asked for and mapping cannot be ended", async () => {
    assert.equal((await run("false", 4096, { failing: "failing" })).refused, "VARVE_NO_SPACE");
  });
});

test("another value of mmapReads is refused", () => {
  const tuning = { mmapReads: "never" as "auto" };
  assert.throws(() => resolveLsmOptions(tuning, 64 * MIB), InvalidArgumentError);
});
