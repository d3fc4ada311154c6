import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, test } from "vitest";
import { run } from "../../../src/cli/run.ts";
import { f64, json } from "../../../src/index.ts";
import { openJob, write } from "../../support/inspected-job.ts";
import { quickDirectory } from "../../support/subjects.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";
import { sample } from "../../support/long-tests.ts";

const ESCAPE = "\u001b";

interface Outcome {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
  /** Of JSON lines. */
  readonly lines: readonly Record<string, unknown>[];
}

async function varve(args: readonly string[], isTTY = false): Promise<Outcome> {
  const written = { out: "", err: "" };
  const stream = (name: "out" | "err") => ({
    isTTY,
    write: (text: string) => {
      written[name] += text;
      return true;
    },
    once: () => undefined,
    on: () => undefined,
  });
  const streams = { stdout: stream("out"), stderr: stream("err"), environment: {} };
  const exit = await run(args, streams, () => new AbortController().signal);
  const isJson = written.out.startsWith("{");
  const lines = isJson
    ? written.out
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, unknown>)
    : [];
  return { exit, ...written, lines };
}

/** A job with three checkpoints, for all tests that only read. */
async function makeJob(backend: "lsm" | "memory"): Promise<string> {
  const folder = quickDirectory("varve-cli-");
  const job = await openJob(folder, { backend, retainedCheckpoints: 5 });
  write(job, 0);
  await job.checkpoint();
  write(job, 1, 5);
  await job.checkpoint({ offset: 17 });
  job.withKey("\u001b[31mred\u0085", () => {
    job.valueState({ name: "value", value: f64 }).update(-1);
    job.valueState({ name: "odd \u001b name", value: json() }).update({ text: "\u009b1m" });
  });
  await job.checkpoint();
  await job.close();
  return join(folder, "checkpoints");
}

const directories: Record<string, string> = {};
beforeAll(async () => {
  for (const backend of ["lsm", "memory"] as const) directories[backend] = await makeJob(backend);
}, 120_000);

describe("varve", () => {
  test("explains itself, and every command does", async () => {
    const all = await varve(["--help"]);
    assert.equal(all.exit, 0);
    const names = [...all.out.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name]) => name!);
    const expected = [
      "ls",
      "inspect",
      "verify",
      "get",
      "scan",
      "diff",
      "export",
      "copy",
      "convert",
      "pin",
      "unpin",
      "gc",
    ];
    assert.deepEqual(names, expected);
    for (const name of names) {
      const help = await varve([name, "--help"]);
      assert.equal(help.exit, 0);
      assert.match(help.out, new RegExp(`^Usage: varve ${name} `));
      assert.match(help.out, /Exit codes: 0 fine/);
    }
  });

  test("refuses wrong usage with 2, and says what could not be done with 3", async () => {
    const usage = [
      [],
      ["no-such-command"],
      ["ls"],
      ["ls", "a", "b"],
      ["ls", "a", "--no-such-option"],
      ["scan", directories["lsm"]!, "no such state"],
      ["scan", directories["lsm"]!, "value", "--limit", "x"],
      ["scan", directories["lsm"]!, "value", "--key-groups", "9-3"],
      ["get", directories["lsm"]!, "value", "x", "--key-type", "number"],
      ["diff", directories["lsm"]!],
      ["export", directories["lsm"]!, "--format", "csv"],
      ["export", directories["lsm"]!, "--format", "xml"],
      ["verify", directories["lsm"]!, "--id", "-1"],
    ];
    for (const args of usage) {
      const { exit, out, err } = await varve(args);
      assert.deepEqual([exit, out], [2, ""], args.join(" "));
      assert.notEqual(err, "");
    }
    for (const command of ["ls", "inspect", "verify", "scan"]) {
      const args = command === "scan" ? [command, "nowhere", "value"] : [command, "nowhere"];
      const { exit, err } = await varve(args);
      assert.equal(exit, 3, command);
      assert.match(err, /VARVE_CHECKPOINT_NOT_FOUND/);
    }
    assert.equal((await varve(["verify", directories["lsm"]!, "--id", "77"])).exit, 3);
  });

  for (const backend of sample(["lsm", "memory"], 2)) {
    test(`ls, inspect and verify, ${backend}`, async () => {
      const directory = directories[backend]!;
      const { lines } = await varve(["ls", directory, "--json"]);
      assert.deepEqual(
        lines.map(({ checkpointId }) => checkpointId),
        [3, 2, 1],
      );
      for (const line of lines) {
        assert.ok((line["totalBytes"] as number) > 0);
        assert.ok((line["durationMs"] as number) > 0);
        assert.ok((line["states"] as string[]).includes("by number"));
      }
      assert.ok((lines[0]!["newBytes"] as number) > 0);
      if (backend === "lsm") assert.ok((lines[0]!["sharedBytes"] as number) > 0);
      const table = await varve(["ls", directory]);
      assert.match(table.out, /^ID .* TOOK /);
      assert.equal(table.out.split("\n").length, 5);
      assert.ok(!table.out.includes(ESCAPE));

      const args = ["inspect", directory, "--id", "2", "--files", "--key-groups"];
      const inspected = await varve([...args, "--json"]);
      assert.equal(inspected.exit, 0);
      const kinds = new Set(inspected.lines.flatMap((line) => Object.keys(line)));
      assert.deepEqual([...kinds], ["checkpoint", "state", "keyGroup", "file"]);
      const states = inspected.lines.flatMap(({ state }) => (state as object | undefined) ?? []);
      const total = (field: string, from: readonly object[]): number =>
        from.reduce((sum, one) => sum + (one as Record<string, number>)[field]!, 0);
      const groups = inspected.lines.flatMap(
        ({ keyGroup }) => (keyGroup as object | undefined) ?? [],
      );
      for (const field of ["keys", "rows", "bytes"]) {
        assert.equal(total(field, states), total(field, groups), field);
      }
      assert.match((await varve(args)).out, /metadata {5}\{"offset":17\}/);
      assert.match(
        (await varve(["inspect", directory, "--no-rows"])).out,
        /list +list +utf8 +- +- +-/,
      );

      const verified = await varve(["verify", directory, "--all", "--rows", "--json"]);
      assert.equal(verified.exit, 0);
      assert.deepEqual(
        verified.lines.map(({ checkpointId, ok, damaged }) => [checkpointId, ok, damaged]),
        [3, 2, 1].map((id) => [id, true, []]),
      );
    });

    test(`get, scan, diff and export, ${backend}`, async () => {
      const directory = directories[backend]!;
      const one = await varve(["get", directory, "value", "1"]);
      assert.equal(one.exit, 0);
      assert.deepEqual(
        one.lines.map(({ key }) => key),
        ["1", 1, { $bigint: "1" }],
      );
      const negative = ["get", directory, "value", "--key-type", "number", "--", "-2.5"];
      assert.equal((await varve(negative)).lines[0]!["key"], -2.5);
      const bytes = await varve(["get", directory, "value", "0x0001ff"]);
      assert.deepEqual(bytes.lines[0]!["key"], { $bytes: "0001ff" });
      const all = await varve(["get", directory, "window", "key 7"]);
      assert.equal(all.lines.length, 4);
      const inOne = await varve(["get", directory, "window", "key 7", "--namespace", "5"]);
      assert.deepEqual(
        inOne.lines.map(({ namespace }) => namespace),
        [{ $bigint: "5" }],
      );
      const none = await varve(["get", directory, "value", "nothing"]);
      assert.deepEqual([none.exit, none.out], [1, ""]);

      const prefix = await varve(["scan", directory, "value", "--prefix", "prefix-"]);
      assert.equal(prefix.lines.length, 3);
      const limited = await varve(["scan", directory, "list", "--limit", "2"]);
      assert.equal(limited.lines.length, 2);

      const same = await varve(["diff", directory, directory, "--from", "3", "--to", "3"]);
      assert.deepEqual([same.exit, same.out], [0, ""]);
      const changed = await varve(["diff", directory, "--from", "2", "--to", "3", "--json"]);
      assert.equal(changed.exit, 1);
      assert.deepEqual(
        changed.lines.map(({ change, state }) => [change, state]),
        [
          ["added", "odd \u001b name"],
          ["added", "value"],
        ],
      );
      const counts = await varve([
        "diff",
        directory,
        "--from",
        "3",
        "--to",
        "2",
        "--summary",
        "--json",
      ]);
      assert.deepEqual(counts.lines, [{ before: 3, after: 2, added: 0, removed: 2, changed: 0 }]);

      const folder = temporaryDirectory();
      const file = join(folder, "all.jsonl");
      assert.equal((await varve(["export", directory, "--output", file])).exit, 0);
      const lines = (await readFile(file, "utf8")).trimEnd().split("\n");
      const printed = await varve(["export", directory]);
      assert.equal(printed.out, `${lines.join("\n")}\n`);
      assert.equal((await varve(["export", directory, "--output", file])).exit, 3);
      const csv = await varve(["export", directory, "--state", "row", "--format", "csv"]);
      assert.match(csv.out, /^key,id,label,big\r\n/);
      assert.equal((csv.out.match(/\r\n/g) ?? []).length, 73);
    });

    test(`pin, unpin and gc, ${backend}`, async () => {
      const directory = await makeJob(backend as "lsm" | "memory");
      const pinned = await varve(["pin", directory, "--id", "2"]);
      assert.deepEqual([pinned.exit, pinned.out], [0, "checkpoint 2 is pinned\n"]);
      assert.match((await varve(["ls", directory])).out, / pinned /);
      assert.equal((await varve(["unpin", directory, "--id", "2", "--json"])).exit, 0);
      const again = await varve(["unpin", directory, "--id", "2"]);
      assert.equal(again.exit, 3);
      assert.match(again.err, /VARVE_CHECKPOINT_NOT_FOUND/);
      const orphan = "0123456789abcdef".repeat(2);
      await writeFile(join(directory, "files", orphan), "nobody's");
      const listed = await varve(["gc", directory, "--dry-run"]);
      assert.deepEqual([listed.exit, listed.out.split("\n")[0]], [0, `files/${orphan}`]);
      for (const wrong of [[], ["--dry-run", "--follow"], ["--take-over", "--checkpoints", "20"]]) {
        assert.equal((await varve(["gc", directory, ...wrong])).exit, 2);
      }
      const taken = await varve(["gc", directory, "--take-over", "--grace", "0", "--json"]);
      assert.deepEqual(taken.lines[0]!["names"], [`files/${orphan}`]);
      assert.ok(!(await readdir(join(directory, "files"))).includes(orphan));
      assert.equal((await varve(["verify", directory, "--all"])).exit, 0);
    });

    test(`convert, and what it refuses, ${backend}`, async () => {
      const folder = temporaryDirectory();
      const source = directories[backend]!;
      const rows = join(folder, "rows");
      const args = ["convert", source, rows, "--key-groups", "31", "--drop", "row", "--json"];
      const converted = await varve([...args, "--id", "2"]);
      assert.equal(converted.exit, 0, converted.err);
      assert.equal(converted.lines[0]!["checkpointId"], 2);
      assert.equal(converted.lines[0]!["format"], "canonical");
      const other = backend === "lsm" ? "memory" : "lsm";
      const native = join(folder, "native");
      const text = await varve(["convert", rows, native, "--format", "native", "--backend", other]);
      assert.equal(text.exit, 0, text.err);
      assert.match(text.out, new RegExp(`checkpoint 2 is in .*native for ${other}.*31 key groups`));
      const difference = await varve(["diff", rows, native, "--json"]);
      assert.equal(difference.exit, 0, difference.out);
      const one = await varve(["get", native, "value", "key 3", "--json"]);
      assert.deepEqual(one.lines, (await varve(["get", rows, "value", "key 3", "--json"])).lines);
      assert.equal((await varve(["get", native, "row", "key 3"])).exit, 2); // Dropped.
      const wrong = [
        [source, rows], // It exists.
        [source, join(folder, "a"), "--format", "other"],
        [source, join(folder, "a"), "--backend", "lsm"],
        [source, join(folder, "a"), "--key-groups", "many"],
        [source, join(folder, "a"), "--drop", "no such state"],
        [source, join(folder, "a"), "--drop", "value", "--drop", "value"],
        [source],
      ];
      for (const rest of wrong) assert.equal((await varve(["convert", ...rest])).exit, 2);
      const missing = await varve(["convert", join(folder, "nowhere"), join(folder, "a")]);
      assert.equal(missing.exit, 3);
      assert.deepEqual((await readdir(folder)).sort(), ["native", "rows"]);
    });

    test(`copy, and what it says of damage, ${backend}`, async () => {
      const folder = temporaryDirectory();
      const target = join(folder, "copy");
      const copied = await varve(["copy", directories[backend]!, target, "--id", "2", "--json"]);
      assert.equal(copied.exit, 0);
      assert.equal(copied.lines[0]!["checkpointId"], 2);
      assert.equal((await varve(["copy", directories[backend]!, target])).exit, 2);
      assert.equal((await varve(["verify", target])).exit, 0);
      const names = await readdir(join(target, "files"));
      for (const name of names) {
        const path = join(target, "files", name);
        const bytes = await readFile(path);
        bytes[20]! ^= 1;
        // Another inode: links share damage with what they were made from.
        await rm(path);
        await writeFile(path, bytes);
      }
      const { exit, lines } = await varve(["verify", target, "--json"]);
      assert.equal(exit, 1);
      assert.equal(lines[0]!["ok"], false);
      assert.ok((lines[0]!["damaged"] as object[]).length > 0);
      const text = await varve(["verify", target]);
      assert.match(text.out, /DAMAGED\n.*files.*\n +key groups 0-127: VARVE_CORRUPTION/);
      assert.equal((await varve(["ls", target])).exit, 1);
      const scan = await varve(["scan", target, "value", "--json"]);
      assert.equal(scan.exit, 1);
      assert.deepEqual(Object.keys(scan.lines.at(-1)!), ["error"]);
      assert.equal((await varve(["verify", directories[backend]!])).exit, 0);
    });
  }

  test("colours and progress are for terminals, and no byte of a checkpoint controls one", async () => {
    const directory = directories["lsm"]!;
    const scan = await varve(["scan", directory, "value", "--prefix", "\u001b"], true);
    assert.match(scan.out, /"key":"\\u001b\[31mred\\u0085"/);
    const ls = await varve(["ls", directory], true);
    assert.ok(ls.out.startsWith(`${ESCAPE}[1m`));
    assert.match(ls.out, /"odd \\u001b name"/);
    const verify = await varve(["verify", directory], true);
    assert.ok(verify.out.includes(`${ESCAPE}[32mall as recorded`));
    assert.match(verify.err, /100 %/);
    const odd = await varve(["get", directory, "odd \u001b name", "\u001b[31mred\u0085"], true);
    // oxlint-disable-next-line no-control-regex
    assert.doesNotMatch(odd.out, /[\u001b\u0080-\u009f]/);
    assert.equal((await varve(["verify", directory])).err, "");
  });

  test("runs as a program, and ends quietly when its reader does", () => {
    const main = fileURLToPath(new URL("../../../src/cli/main.js", import.meta.url));
    const directory = directories["lsm"]!;
    const child = spawnSync(process.execPath, [main, "verify", directory, "--json"], {
      encoding: "utf8",
    });
    assert.deepEqual([child.status, child.stderr], [0, ""]);
    assert.equal((JSON.parse(child.stdout) as { ok: boolean }).ok, true);
    const head = spawnSync(
      "sh",
      ["-c", `"$0" "$1" export "$2" | head -n 1`, process.execPath, main, directory],
      {
        encoding: "utf8",
      },
    );
    assert.deepEqual([head.status, head.stderr], [0, ""]);
    assert.match(head.stdout, /^\{"state":"by number"/);
    const usage = spawnSync(process.execPath, [main, "frobnicate"], { encoding: "utf8" });
    assert.equal(usage.status, 2);
  });
});
