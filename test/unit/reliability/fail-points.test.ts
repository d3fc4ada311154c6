import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { describe, test } from "vitest";
import {
  failPointPage,
  findFailPoints,
  withFailPoints,
} from "../../reliability/build/fail-points.ts";

function sourcesIn(folder: string, ending: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.endsWith(ending)).map((name) => `${folder}/${name}`);
}

describe("fail points", () => {
  test("are at least sixty, each with a name of its own", () => {
    const names = findFailPoints().map(({ name }) => name);
    assert.ok(names.length >= 60);
    assert.equal(new Set(names).size, names.length);
  });

  test("are comments in what is published: nothing there calls them", () => {
    for (const path of sourcesIn("dist/src", ".js")) {
      const text = readFileSync(path, "utf8");
      assert.doesNotMatch(text, /\bfailPoint\b/, path);
      assert.doesNotMatch(text, /VARVE_FAIL_POINT/, path);
    }
  });

  test("become calls in a test build, and nothing else changes", () => {
    let calls = 0;
    for (const path of sourcesIn("src", ".ts")) {
      const source = readFileSync(path, "utf8");
      const changed = withFailPoints(path, source);
      if (changed === undefined) continue;
      const lines = changed.split("\n").slice(1);
      for (const [index, line] of source.split("\n").entries()) {
        if (line === lines[index]) continue;
        calls++;
        const code = line.replace(/ \/\/.*$/, "");
        assert.match(lines[index]!, /^.*; failPoint\("[a-z0-9.-]+"\);$/, path);
        assert.ok(lines[index]!.startsWith(code), path);
      }
    }
    assert.equal(calls, findFailPoints().length);
  });

  test("stand in docs/fail-points.md as they are", async () => {
    assert.equal(readFileSync("docs/fail-points.md", "utf8"), await failPointPage());
  });
});
