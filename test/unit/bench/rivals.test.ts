// Goal: a row of the rivals' bench says what was measured, or why nothing was, and cannot say more.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, test } from "vitest";
import { LineChild } from "../../../bench/rivals/contestant.ts";
import { MemoryLimit } from "../../../bench/rivals/memory-limit.ts";
import { chosenOf, measureIds, unfairness } from "../../../bench/rivals/measures.ts";
import { rivalOperations } from "../../../bench/rivals/operations.ts";
import {
  type Question,
  type Rates,
  bestOf,
  differenceOf,
  notRunRow,
  ratioRow,
  ratiosOf,
} from "../../../bench/rivals/rows.ts";
import { StoredGrowth } from "../../../bench/rivals/stored-growth.ts";

const atLeastTwo: Question = {
  id: "E1",
  name: "calls",
  asked: 2,
  bound: "at least",
  figuresUnit: "calls/ms",
};
const ours: Rates = { name: "ours", perRepetition: [10, 30, 20] };
const theirs: Rates = { name: "theirs", perRepetition: [5, 10, 40] };
const command = fileURLToPath(new URL("../../../bench/rivals.js", import.meta.url));

describe("a row of the rivals", () => {
  test("is the median of the ratios of repetitions that took turns, not a ratio of medians", () => {
    assert.deepEqual(ratiosOf(ours, theirs), { median: 2, min: 0.5, max: 3 });
    const row = ratioRow(atLeastTwo, ours, theirs);
    assert.equal(row.value, 2);
    assert.equal(row.ok, true);
    assert.deepEqual([row.ours, row.rival, row.repetitions], [20, 10, 3]);
  });

  test("misses what is asked by the least, in either direction", () => {
    assert.equal(ratioRow({ ...atLeastTwo, asked: 2.01 }, ours, theirs).ok, false);
    const atMost: Question = { ...atLeastTwo, bound: "at most" };
    assert.equal(ratioRow(atMost, ours, theirs).ok, true);
    assert.equal(ratioRow({ ...atMost, asked: 1.99 }, ours, theirs).ok, false);
    assert.equal(ratioRow({ ...atMost, asked: null, bound: null }, ours, theirs).ok, null);
  });

  test("is refused for contestants that made different numbers of repetitions", () => {
    assert.throws(() => ratiosOf(ours, { name: "theirs", perRepetition: [1] }), /take turns/);
  });

  test("is there without a figure, and says why, where a rival could not run", () => {
    const row = notRunRow(atLeastTwo, "theirs", "there is no Java on this machine");
    assert.equal(row.notRun, "not run, because there is no Java on this machine");
    assert.deepEqual([row.value, row.ok, row.ours, row.rival], [null, null, undefined, undefined]);
  });

  test("stands beside the setting of a rival that has the better median", () => {
    const other: Rates = { name: "other", perRepetition: [11, 11, 11] };
    assert.equal(bestOf([theirs, other], "highest"), other);
    assert.equal(bestOf([theirs, other], "lowest"), theirs);
    assert.equal(bestOf([], "highest"), undefined);
  });
});

describe("the gate of the checksums", () => {
  test("lets equal results pass", () => {
    assert.equal(differenceOf([]), undefined);
    const equal = ["a", "b", "c"].map((name) => ({ name, checksum: "-17/4" }));
    assert.equal(differenceOf(equal), undefined);
  });

  test("names who has what if one differs", () => {
    const difference = differenceOf([
      { name: "Varve", checksum: "1" },
      { name: "Flink", checksum: "2" },
      { name: "lmdb", checksum: "1" },
    ]);
    assert.match(difference!, /Varve 1, Flink 2, lmdb 1/);
  });
});

describe("what is asked of the rivals", () => {
  test("has a text for what is unfair in each measure", () => {
    for (const id of measureIds) assert.ok(unfairness[id].length > 40, id);
  });

  test("is all measures, those named, or the operations named", () => {
    assert.deepEqual(chosenOf(undefined).measures, measureIds);
    assert.deepEqual(chosenOf(["E4"]), { measures: ["E4"], operations: undefined });
    const one = chosenOf(["mapGet"]);
    assert.deepEqual(one, { measures: ["E1", "E2", "E3"], operations: ["mapGet"] });
    assert.deepEqual(chosenOf(["E1", "mapGet"]).measures, ["E1"]);
    assert.deepEqual(chosenOf(["further", "valueGet"]).measures, ["further"]);
    assert.deepEqual(chosenOf(["E7", "mapGet"]).measures, ["E1", "E2", "E3", "E7"]);
  });

  test("has each operation once", () => {
    const names = rivalOperations.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
  });

  test.each([["--fast"], ["--only", "E99"], ["--minutes", "3"], ["stray"]])(
    "is refused with exit code 2 and the help: %s %s",
    (...given) => {
      const { status, stderr } = spawnSync(process.execPath, [command, ...given], {
        encoding: "utf8",
      });
      assert.equal(status, 2);
      assert.match(stderr, /Usage: npm run bench:rivals/);
    },
  );
});

const script = `
  require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
    const { op, n } = JSON.parse(line);
    if (op === "end") process.exit(7);
    const answer = op === "double" ? { value: 2 * n } : { error: "no op " + op };
    console.log(op === "garble" ? "not JSON" : JSON.stringify(answer));
  });
`;

describe("a rival's process", () => {
  test("answers line by line, and what it refuses rejects", async () => {
    const child = new LineChild({ file: process.execPath, arguments: ["-e", script] });
    try {
      assert.equal(await child.call("double", { n: 21 }), 42);
      await assert.rejects(child.call("treble"), /no op treble/);
      await assert.rejects(child.call("garble"), /it answered "not JSON"/);
      assert.equal(await child.call("double", { n: 4 }), 8);
      await assert.rejects(child.call("end"), /it ended with 7/);
      await assert.rejects(child.call("double", { n: 1 }), /it has ended/);
    } finally {
      await child.close();
    }
  });

  test("that cannot be started rejects the first call", async () => {
    const child = new LineChild({ file: "/nonexistent/rival", arguments: [] });
    await assert.rejects(child.call("open"), /ENOENT/);
    await child.close();
  });
});

describe("a limit of memory", () => {
  test("that cannot be set leaves the command as it is, and says so", () => {
    const given = { file: "node", arguments: ["-v"] };
    const limit = MemoryLimit.none("there is no cgroup");
    assert.equal(limit.within(given), given);
    assert.match(limit.description, /^none .*there is no cgroup/);
    limit.remove();
  });

  test("holds for the process, where it can be set", (t) => {
    const limit = MemoryLimit.create(64 * 1_048_576, "test");
    if (limit.description.startsWith("none")) return t.skip(limit.description);
    try {
      const shown = { file: "cat", arguments: ["/proc/self/cgroup"] };
      const { file, arguments: given } = limit.within(shown);
      assert.match(spawnSync(file, given, { encoding: "utf8" }).stdout, /varve-rivals-\d+-test/);
    } finally {
      limit.remove();
    }
  });
});

describe("growth of stored bytes", () => {
  test("counts files that grow and files that are deleted again, once each, and nothing from before", async () => {
    const root = await mkdtemp(join(tmpdir(), "varve-growth-"));
    try {
      await mkdir(join(root, "a"));
      await writeFile(join(root, "a", "before"), Buffer.alloc(1000));
      const growth = await StoredGrowth.watch(root);
      await writeFile(join(root, "a", "before"), Buffer.alloc(1500));
      await writeFile(join(root, "a", "passing"), Buffer.alloc(70));
      await delay(200); // Longer than it takes between two looks.
      await unlink(join(root, "a", "passing"));
      await writeFile(join(root, "late"), Buffer.alloc(7));
      assert.equal(await growth.end(), 577);
    } finally {
      await rm(root, { recursive: true });
    }
  });
});

describe("an interrupted run", () => {
  test("says that its results are partial, keeps them, and leaves no scratch behind", async () => {
    const parent = await mkdtemp(join(tmpdir(), "varve-rivals-"));
    try {
      const child = spawn(process.execPath, [command, "--json", "--quick", "--only", "E3"], {
        env: { ...process.env, VARVE_BENCH_DIR: parent },
        stdio: ["ignore", "pipe", "inherit"],
      });
      let output = "";
      child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
      while ((await readdir(parent)).length === 0) await delay(20);
      child.kill("SIGINT");
      const [code] = (await once(child, "close")) as [number];
      assert.equal(code, 130);
      const last = JSON.parse(output.trim().split("\n").at(-1)!) as Record<string, unknown>;
      assert.equal(last["interrupted"], "SIGINT");
      assert.equal(last["partial"], true);
      await rm(String(last["kept"]));
      assert.deepEqual(await readdir(parent), []);
    } finally {
      await rm(parent, { recursive: true, force: true });
    }
  });
});
